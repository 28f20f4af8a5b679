//! What a database of reassigned numbers answered, as a part of the page: it proves that it was asked, and about which date.

use serde_json::Value;

use super::markup::{Page, all, at, text, when, word};

/// A table of all answers, oldest first; nothing where it was never asked.
pub(super) fn answers(page: &mut Page, report: &Value) {
    let newest = at(report, "contact.reassigned");
    let all: Vec<&Value> =
        all(report, "contact.reassignedBefore").iter().chain(newest.is_object().then_some(newest)).collect();
    if all.is_empty() {
        return;
    }
    page.heading("Whether the number has changed hands");
    page.raw("<table>\n<tr><td>Asked</td><td>About</td><td>Answer</td><td>Source</td></tr>\n");
    for told in all {
        for (open, cell) in [
            ("<tr><td>", when(report, &text(told, "checkedAt"))),
            ("</td><td>", text(told, "sinceDate")),
            ("</td><td>", word(told, "answer", "REASSIGNED_ANSWER_")),
            ("</td><td>", text(told, "source")),
        ] {
            page.within(open, &cell, "");
        }
        page.raw("</td></tr>\n");
    }
    page.raw("</table>\n");
}
