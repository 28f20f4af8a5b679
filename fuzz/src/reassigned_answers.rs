//! `reassigned import`: a file of answers of the Reassigned Numbers Database. Each row is a North American number with an
//! answer about a day that was, or is refused in words; what is handed back reads as it did; every answer is recorded, once.

use ringfence::cli::Command;
use ringfence::place::Number;
use ringfence::proto::v1;
use ringfence::time::Instant;
use v1::import_contacts_request::Entry;

use super::{house, refused};

const CHECKED_AT: &str = "2026-11-10T15:00:00Z";

pub fn run(text: &[u8]) {
    thread_local! {
        static COMMAND: Command = house::command(
            "answers",
            &["reassigned", "import", "FILE", "--checked-at", CHECKED_AT],
        );
    }
    COMMAND.with(|command| {
        let path = house::file("answers", text);
        let Some(rows) = refused::rows(command, &path) else { return };
        for row in &rows.rows {
            if let Ok(entry) = &row.entry {
                read(entry);
            }
        }
        refused::again(&rows, command, |text| drop(house::file("answers", text)));
        let engine = house::engine();
        let understood = rows.rows.iter().filter(|row| row.entry.is_ok()).count();
        assert_eq!(refused::recorded(&engine, &rows.rows).len(), understood, "what is read is recorded");
    });
}

fn read(entry: &Entry) {
    let Entry::Facts(update) = entry else { panic!("an answer is a fact: {entry:?}") };
    let number = Number::parse(&update.number, Some(&update.default_region)).expect("a number");
    assert!(number.reveal_e164().as_str().starts_with("+1"));
    let answer = update.facts.as_ref().and_then(|facts| facts.reassigned.as_ref()).expect("an answer");
    assert_ne!(answer.answer(), v1::ReassignedAnswer::Unspecified);
    if answer.since_date.is_empty() {
        return assert_eq!(answer.answer(), v1::ReassignedAnswer::Yes, "what loosens is about a day");
    }
    let day = Instant::from_rfc3339(&format!("{}T00:00:00Z", answer.since_date)).expect("a day");
    assert!(day <= Instant::from_rfc3339(CHECKED_AT).expect("an instant"));
}

pub fn seeds() -> Vec<Vec<u8>> {
    [
        "number,date,answer\n2025550143,2024-05-01,yes\n(305) 555-0123,5/1/24,no\n+14155550143,,no_data\n",
        "2025550143,2024-05-01,no\n3055550123,2025-02-01,yes\n",
        "2025550143,2024-05-01,no\r\n3055550123,2025-02-01,yes\r\n\r\n2025550143,2025-02-01,yes\r\n",
        "number,date,answer\r2025550143,2024-05-01,no\r3055550123,2025-02-01,yes\r",
        "Phone Number;Ref;Date;Response\r\n202-555-0143;x;05/01/2024;No Data\r\n;;;\r\n2025550144;;;true\r\n",
        "tn\tdate\tstatus\n2025550143\t2030-01-01\tno\n+442079460000\t2024-01-01\tno\n",
    ]
    .map(|text| text.as_bytes().to_vec())
    .into()
}
