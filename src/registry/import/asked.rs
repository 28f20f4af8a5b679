//! Registers that only answer about the numbers they are asked: what was asked and what was said become one copy, which
//! speaks for those numbers and for no other.

use std::path::Path;

use super::super::ids::{Kind, kind};
use super::super::set::{Areas, Builder, Day, Found, Header, Set, SetFault};
use super::intake::{Intake, Taken};
use super::order::Order;
use crate::place::lines::is_line_list;
use crate::registry::Fault;

/// What the answer of a register holds, of the numbers it was asked about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Answers {
    /// Those that are on it.
    Listed,
    /// Those that are left: whoever is on it was taken out.
    Cleaned,
}

/// Refuses what may not be said of a register, and a full copy of one that is not handed out.
pub fn goes_together(path: &Path, order: &Order) -> Result<(), Fault> {
    let refused = |what: &str, remedy: &str| Err(Fault::new(path, what, remedy));
    let official = if let Ok(Kind::Official(list)) = kind(&order.id) { Some(list) } else { None };
    let whole = order.changes || order.sample || order.areas.as_ref().is_some_and(Areas::is_all);
    match order.answers {
        None if official.is_some_and(|list| list.is_asked()) && !whole => refused(
            "is of a register that answers about the numbers it is asked: taken for the register, its answer would make everybody \
             else one who is not listed",
            "give what it was asked with --asked FILE, and say whether the answer holds those who are on it (--listed) or those who \
             are left (--cleaned); if this is the whole register, say so with --areas all",
        ),
        None => Ok(()),
        Some(_) if official.is_none() || is_line_list(&order.id) => {
            refused("is of no register that is asked about people", "leave --asked out")
        }
        Some(_) if order.changes || order.areas.is_some() => refused(
            "cannot be changed by answers, nor do they speak for areas",
            "give --asked and the whole answer alone",
        ),
        Some(Answers::Listed) if order.most_rejected > 0 => refused(
            "would have whoever stands in a line that is left out as not listed",
            "leave --most-rejected out and mend those lines, or ask the register for the cleaned list",
        ),
        Some(_) => Ok(()),
    }
}

/// What reads what was asked. A line that could be two numbers says of neither that it was asked about.
pub fn intake(order: &Order) -> Result<Option<Intake>, String> {
    let asked = |_| {
        let columns = order.asked_columns.clone();
        let answers = Some(Answers::Cleaned);
        Intake::new(Order { answers, columns, dates: false, rejected: None, ..order.clone() }, None)
    };
    order.answers.map(asked).transpose()
}

/// All that was read; where a register was asked, also how many of the numbers are on it.
///
/// # Errors
/// Too many lines were not understood; or nobody was asked about, the answer is of other numbers, or it is likely that it was
/// taken for its contrary.
pub fn taken(path: &Path, mut intake: Intake, asked: Option<Intake>) -> Result<(Taken, Option<u64>), Fault> {
    intake.settle()?;
    intake.rejects.within(intake.order.most_rejected)?;
    let Some(asked) = asked else { return Ok((intake.taken(), None)) };
    asked.rejects.within(asked.order.most_rejected)?;
    joined(path, asked, intake.taken()).map(|(taken, listed)| (taken, Some(listed)))
}

fn joined(path: &Path, asked: Intake, answer: Taken) -> Result<(Taken, u64), Fault> {
    let (order, answers) = (&answer.order, answer.order.answers.unwrap_or(Answers::Listed));
    let set = |builder: Builder| {
        let set = Set::in_memory(Header::new(&order.id, order.as_of, "", false), builder);
        set.map_err(|fault| Fault::new(path, fault.to_string(), "ask about fewer numbers at once"))
    };
    let (asked, said) = (set(asked.taken().builder)?, set(answer.builder)?);
    let unread = |fault: SetFault| Fault::new(path, fault.to_string(), "try again");
    let (mut builder, mut listed, mut known) = (Builder::default(), 0, 0);
    for number in asked.numbers() {
        let (number, _) = number.map_err(unread)?;
        let found = said.look_up(number);
        known += u64::from(found != Found::Out);
        let day = match (answers, found) {
            (Answers::Listed, Found::In(day)) => day,
            (Answers::Listed, Found::Out) | (Answers::Cleaned, Found::In(_)) => Day::CLEAR,
            (Answers::Cleaned, Found::Out) | (_, Found::Broken) => Day::NONE,
        };
        listed += u64::from(day != Day::CLEAR);
        builder.add(number, day);
    }
    let strangers = said.header().count.saturating_sub(known);
    plausible(path, order, (asked.header().count, listed), strangers.saturating_sub(2 * answer.ambiguous))?;
    // Left are those of lines that could be two numbers.
    for number in said.numbers().filter(|_| strangers > 0 && answers == Answers::Listed) {
        let (number, day) = number.map_err(unread)?;
        if asked.look_up(number) == Found::Out {
            listed += 1;
            builder.add(number, day);
        }
    }
    Ok((Taken { builder, ..answer }, listed))
}

fn plausible(path: &Path, order: &Order, (asked, listed): (u64, u64), strangers: u64) -> Result<(), Fault> {
    let refused = |what: String, remedy: &str| Err(Fault::new(path, what, remedy));
    if asked == 0 {
        return refused("would speak for nobody".to_owned(), "look at the file that was given with --asked");
    }
    if strangers > 0 {
        return refused(
            format!("would have answers about {strangers} numbers that were not asked about"),
            "give with --asked what the register was sent for this very answer",
        );
    }
    if !order.fewer && listed == 0 {
        return refused(
            format!("would have none of the {asked} numbers on the register"),
            "see that the answer is whole, and not the file that was sent; if nobody is on it, say so with --fewer",
        );
    }
    if !order.fewer && listed > asked / 2 {
        return refused(
            format!("would have {listed} of the {asked} numbers on the register, which is more than half"),
            "--listed says that the answer holds those who are on it, --cleaned that it holds the others: see which; if so many are \
             on it, say so with --fewer",
        );
    }
    Ok(())
}
