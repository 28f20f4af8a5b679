//! The importer of answers of registers that are only asked: refused in words, or each number that was surely asked about is in
//! the copy, and nobody is cleared who was not asked about and answered for. The first byte says what the answer holds; what
//! was sent ends with the first zero byte, and the answer follows.

use std::collections::BTreeSet;

use ringfence::registry::Fault;
use ringfence::registry::ids::official;
use ringfence::registry::import::{Answers, Import, Line, Order, Reading, Report};
use ringfence::registry::set::{Day, Set};

use super::house;
use super::import_lines::{order, understood};

const ID: &str = "it.rpo";

pub fn run(bytes: &[u8]) {
    let Some((form, texts)) = bytes.split_first() else { return };
    let answers = if form & 1 == 1 { Answers::Cleaned } else { Answers::Listed };
    let mut texts = texts.splitn(2, |byte| *byte == 0);
    let (sent, answer) = (texts.next().unwrap_or_default(), texts.next().unwrap_or_default());
    let most_rejected = if answers == Answers::Listed { 0 } else { 50 };
    let order = Order { answers: Some(answers), most_rejected, ..order(ID, false, true, None) };
    match imported(order, sent, answer) {
        Ok(report) => held(&report, answers, &lines(sent), &lines(answer)),
        Err(fault) => {
            house::said(&fault.what);
            house::said(&fault.remedy);
        }
    }
}

fn imported(order: Order, sent: &[u8], answer: &[u8]) -> Result<Report, Fault> {
    // A folder of this thread alone.
    let beside = house::file("asked", b"");
    let mut import = Import::begin(order, beside.parent().expect("a folder"), None)?;
    import.read("answer", answer, &mut |_| {})?;
    import.read_asked("sent", sent, &mut |_| {})?;
    import.finish()
}

fn lines(text: &[u8]) -> Vec<Line> {
    understood(Reading::of(official(ID), None), text).into_iter().flatten().collect()
}

fn held(report: &Report, answers: Answers, sent: &[Line], answer: &[Line]) {
    // What could be two numbers is surely neither.
    let surely = |lines: &[Line]| -> BTreeSet<u64> {
        lines.iter().filter(|line| line.other.is_none()).map(|line| line.number).collect()
    };
    let said: BTreeSet<u64> = answer.iter().flat_map(|line| [Some(line.number), line.other]).flatten().collect();
    let (asked, left) = (surely(sent), surely(answer));
    let set = Set::map(&report.path).expect("the file that was written");
    set.verify().expect("a sound file");
    let numbers: Vec<(u64, Day)> = set.numbers().map(|number| number.expect("a sound set")).collect();
    for (number, day) in &numbers {
        let clear = match answers {
            Answers::Listed => !said.contains(number),
            Answers::Cleaned => left.contains(number),
        };
        assert_eq!(
            *day == Day::CLEAR,
            asked.contains(number) && clear,
            "who is cleared was asked about, and answered for"
        );
    }
    let in_copy: BTreeSet<u64> = numbers.iter().map(|(number, _)| *number).collect();
    assert!(in_copy.is_superset(&asked), "whoever was asked about is in the copy");
    let listed = numbers.iter().filter(|(_, day)| *day != Day::CLEAR).count() as u64;
    assert_eq!(set.header().listed, Some(listed));
    drop(set);
    // The next one begins in an empty folder.
    std::fs::remove_file(&report.path).expect("it is there");
}

pub fn seeds() -> Vec<Vec<u8>> {
    let sent = "+390669812341\n+390669812342\n+390669812343\n+390669812344\n3906981234\n";
    let texts = [
        (0, format!("{sent}\0") + "0669812341;01/10/2026\n+390669812342\n"),
        (1, format!("{sent}\0") + "0669812343\n0669812344\n"),
        (1, format!("n\n{sent}\0") + "3906981234\nhello\n0669812344\n"),
        (0, "\0+390669812341\n".to_owned()),
    ];
    texts.into_iter().map(|(form, text)| [&[form], text.as_bytes()].concat()).collect()
}
