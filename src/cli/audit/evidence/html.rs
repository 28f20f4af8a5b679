//! The report as one page, to be read and printed: no script, nothing from elsewhere. Made from the JSON alone, so that both
//! say the same.

use std::fmt::Write as _;

use serde_json::Value;

use super::answers::answers;
use super::markup::{Page, STYLE, all, at, local, place, text, texts, when, word, words};

/// The page.
pub(super) fn page(report: &Value) -> String {
    let mut page = Page(String::with_capacity(64 << 10));
    let number = text(report, "number");
    page.raw("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n");
    page.raw(
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n",
    );
    page.raw("<meta name=\"viewport\" content=\"width=device-width\">\n<title>Evidence: ");
    page.text(&number);
    page.raw("</title>\n<style>");
    page.raw(STYLE);
    page.raw("</style>\n</head>\n<body>\n<h1>Evidence about ");
    page.text(&number);
    page.raw("</h1>\n");
    summary(&mut page, report);
    complaint(&mut page, report);
    consents(&mut page, report);
    opt_outs(&mut page, report);
    answers(&mut page, report);
    attempts(&mut page, report);
    decisions(&mut page, report);
    recorded(&mut page, report);
    sealed(&mut page, report);
    chain(&mut page, report);
    page.heading("What this does not show");
    page.list(texts(report, "limits").iter().map(String::as_str));
    page.raw("</body>\n</html>\n");
    page.0
}

fn summary(page: &mut Page, report: &Value) {
    let decisions = all(report, "decisions");
    let reserved = decisions.iter().filter(|one| at(one, "reserved") == &Value::Bool(true)).count();
    let denied = decisions.iter().filter(|one| text(one, "decision.verdict") == "VERDICT_DENY").count();
    let dry = decisions.iter().filter(|one| at(one, "question.dryRun") == &Value::Bool(true)).count();
    let lost = all(report, "sealed").iter().filter(|one| at(one, "allowed") == &Value::Bool(true)).count();
    let whole = all(report, "chain").iter().all(|log| at(log, "sound") == &Value::Bool(true));
    page.rows(&[
        ("Made", text(report, "madeAt")),
        ("By", format!("ringfence {}", text(report, "program"))),
        ("The number is shown", text(report, "numberShown")),
        ("Contacts allowed", (reserved + lost).to_string()),
        ("Contacts denied", denied.to_string()),
        ("Dry runs (no contact)", dry.to_string()),
        ("Consents recorded", all(report, "contact.consents").len().to_string()),
        ("Opt-outs recorded", all(report, "contact.optOuts").len().to_string()),
        ("Erased", text(report, "contact.erasedAt")),
        ("The log", if whole { "whole, in order, unaltered" } else { "NOT whole: see below" }.to_owned()),
    ]);
    let zones = texts(report, "timeZones");
    page.note(&match zones.is_empty() {
        true => "Instants are UTC. No zone is known in which the person may be.".to_owned(),
        false => format!("Instants are UTC; local times are those of {}.", zones.join(", ")),
    });
}

fn complaint(page: &mut Page, report: &Value) {
    let requests = all(report, "requests");
    if requests.is_empty() {
        return;
    }
    page.heading("Complaints and other requests");
    let about = text(report, "complaint.rightsRequestId");
    for request in requests {
        let id = text(request, "rightsRequestId");
        page.raw("<section class=\"one\">\n");
        let title = if id == about { ": this report is about it" } else { "" };
        page.within("<h3>", &format!("{}{title}", word(request, "kind", "RIGHTS_REQUEST_KIND_")), "</h3>\n");
        if !text(request, "details").is_empty() {
            page.within("<blockquote>", &text(request, "details"), "</blockquote>\n");
        }
        page.rows(&[
            ("Received", when(report, &text(request, "receivedAt"))),
            ("State", word(request, "state", "RIGHTS_REQUEST_STATE_")),
            ("Due", text(request, "dueAt")),
            ("Closed", text(request, "closedAt")),
            ("Note", text(request, "note")),
            ("Id", id),
        ]);
        page.raw("</section>\n");
    }
}

fn consents(page: &mut Page, report: &Value) {
    page.heading("Consents");
    if all(report, "contact.consents").is_empty() {
        page.note("None is recorded.");
    }
    for recorded in all(report, "contact.consents") {
        let consent = at(recorded, "consent");
        page.raw("<section class=\"one\">\n");
        let given = when(report, &text(consent, "givenAt"));
        let title = format!("{}, given {given}", word(consent, "grade", "CONSENT_GRADE_"));
        page.within("<h3>", &title, "</h3>\n");
        match text(consent, "wording") {
            wording if wording.is_empty() => page.note("The wording is not kept here."),
            wording => page.within("<blockquote>", &wording, "</blockquote>\n"),
        }
        page.rows(&[
            ("Covers", scope(consent)),
            ("Flags", words(consent, "flags", "CONSENT_FLAG_")),
            ("Expires", text(consent, "expiresAt")),
            ("Withdrawn", when(report, &text(consent, "withdrawnAt"))),
            ("Captured by", word(consent, "method", "CONSENT_METHOD_")),
            ("Where", text(consent, "capture.source")),
            ("Language", text(consent, "capture.language")),
            ("Version of the wording", text(consent, "capture.wordingVersion")),
            ("Device", text(consent, "capture.device")),
            ("Policy version", text(consent, "policyVersion")),
            ("Told of purpose before", text(consent, "noticeGiven")),
            ("Made a condition", text(consent, "forced")),
            ("Proof", text(consent, "evidenceRef")),
            ("Recorded", when(report, &text(recorded, "recordedAt"))),
            ("Receipt", text(recorded, "receiptId")),
        ]);
        page.raw("</section>\n");
    }
}

/// What a consent or an opt-out reaches; an empty list means any.
fn scope(value: &Value) -> String {
    let parts = [
        ("channels", words(value, "channels", "CHANNEL_")),
        ("technologies", words(value, "technologies", "TECHNOLOGY_")),
        ("purposes", words(value, "purposes", "PURPOSE_")),
        ("sellers", texts(value, "sellers").join(", ")),
        ("subjects", texts(value, "subjects").join(", ")),
        ("products", texts(value, "products").join(", ")),
    ];
    let named: Vec<_> = parts.iter().filter(|(_, value)| !value.is_empty()).map(|(n, v)| format!("{n}: {v}")).collect();
    match (at(value, "everything") == &Value::Bool(true), named.is_empty()) {
        (true, true) => "everything".to_owned(),
        (true, false) => format!("everything; {}", named.join("; ")),
        (false, true) => "anything".to_owned(),
        (false, false) => named.join("; "),
    }
}

fn opt_outs(page: &mut Page, report: &Value) {
    page.heading("Opt-outs");
    if all(report, "contact.optOuts").is_empty() {
        page.note("None is recorded.");
    }
    for recorded in all(report, "contact.optOuts") {
        page.raw("<section class=\"one\">\n");
        page.within("<h3>", &format!("Said {}", when(report, &text(recorded, "optOut.at"))), "</h3>\n");
        if !text(recorded, "wording").is_empty() {
            page.within("<blockquote>", &text(recorded, "wording"), "</blockquote>\n");
        }
        page.rows(&[
            ("Closes", scope(at(recorded, "optOut.scope"))),
            ("Came by", word(recorded, "optOut.source", "OPT_OUT_SOURCE_")),
            ("Recorded", when(report, &text(recorded, "recordedAt"))),
            ("Receipt", text(recorded, "receiptId")),
        ]);
        page.raw("</section>\n");
    }
}

fn attempts(page: &mut Page, report: &Value) {
    page.heading("Attempts");
    let attempts = all(report, "contact.attempts");
    if attempts.is_empty() {
        page.note("None is kept.");
        return;
    }
    page.raw("<table>\n<tr><td>Granted</td><td>Made</td><td>What</td><td>Outcome</td></tr>\n");
    for recorded in attempts {
        let attempt = at(recorded, "attempt");
        let outcome = word(attempt, "outcome", "OUTCOME_");
        let what =
            [word(attempt, "purpose", "PURPOSE_"), word(attempt, "channel", "CHANNEL_"), text(attempt, "seller")];
        for (open, cell) in [
            ("<tr><td>", text(recorded, "grantedAt")),
            ("</td><td>", when(report, &text(attempt, "at"))),
            ("</td><td>", what.join(" ")),
            ("</td><td>", if outcome.is_empty() { "not reported".to_owned() } else { outcome }),
        ] {
            page.within(open, &cell, "");
        }
        page.raw("</td></tr>\n");
    }
    page.raw("</table>\n");
}

fn decisions(page: &mut Page, report: &Value) {
    page.heading("Decisions");
    if all(report, "decisions").is_empty() {
        page.note("None stands in the log.");
    }
    for one in all(report, "decisions") {
        let (decision, question) = (at(one, "decision"), at(one, "question"));
        let allowed = text(decision, "verdict") == "VERDICT_ALLOW";
        let dry = at(question, "dryRun") == &Value::Bool(true);
        page.raw("<section class=\"one\">\n");
        page.raw(if allowed { "<h3 class=\"allow\">" } else { "<h3 class=\"deny\">" });
        let verdict = match (allowed, dry) {
            (true, true) => "Would be allowed (dry run: no contact)",
            (true, false) => "Allowed",
            (false, true) => "Would be denied (dry run)",
            (false, false) => "Denied",
        };
        page.text(&format!("{verdict}, {}", text(decision, "evaluatedAt")));
        page.raw("</h3>\n");
        let judged = all(decision, "localTimes").iter();
        let judged: Vec<_> = judged
            .map(|local| {
                format!("{} ({}, {})", text(local, "local"), text(local, "timeZone"), text(local, "jurisdiction"))
            })
            .collect();
        page.rows(&[
            ("Local time judged", judged.join("; ")),
            ("Asked", asked(question)),
            ("Law of", texts(decision, "jurisdictions").join(", ")),
            ("Rules", text(decision, "rulesVersion")),
            ("Zone data", text(one, "inForce.tzdataVersion")),
            ("Numbering tables", text(one, "inForce.numberingVersion")),
            ("To be used before", text(decision, "useBy")),
            ("Stands in", place(one)),
        ]);
        because(page, decision);
        asserted(page, question);
        page.raw("</section>\n");
    }
}

/// What who asked said of the person: it is told as said, and stored nowhere else.
fn asserted(page: &mut Page, question: &Value) {
    let evidence = at(question, "evidence");
    if evidence.as_object().is_some_and(|evidence| !evidence.is_empty()) {
        page.note("Said with the question:");
        let pretty = serde_json::to_string_pretty(evidence).unwrap_or_default();
        page.within("<blockquote><code>", &pretty, "</code></blockquote>\n");
    }
}

fn asked(question: &Value) -> String {
    let technology = word(question, "technology", "TECHNOLOGY_");
    let parts = [
        word(question, "purpose", "PURPOSE_"),
        technology,
        word(question, "channel", "CHANNEL_"),
        format!("for {}", text(question, "seller")),
    ];
    let mut asked = parts.iter().filter(|part| !part.is_empty()).cloned().collect::<Vec<_>>().join(" ");
    for (name, key) in [("subject", "subject"), ("campaign", "campaign")] {
        let value = text(question, key);
        if !value.is_empty() {
            let _ = write!(asked, ", {name} {value}");
        }
    }
    asked
}

/// Why, with where it is written; and what was owed; and the lists as they were.
fn because(page: &mut Page, decision: &Value) {
    let cited = |one: &Value, first: &str| {
        let mut line = format!("{first}{}", text(one, "message"));
        for (name, key) in [(" Law: ", "citation"), (" Rule: ", "ruleId")] {
            let value = text(one, key);
            if !value.is_empty() {
                let _ = write!(line, "{name}{value}.");
            }
        }
        line
    };
    let reasons: Vec<_> = all(decision, "reasons")
        .iter()
        .map(|one| {
            let confidence = word(one, "confidence", "CONFIDENCE_");
            let checked = if confidence.is_empty() { String::new() } else { format!(" Text: {confidence}.") };
            format!("{}{checked}", cited(one, &format!("{}: ", word(one, "family", "RULE_FAMILY_"))))
        })
        .collect();
    let duties: Vec<_> = all(decision, "obligations").iter().map(|one| cited(one, "Owed: ")).collect();
    let warnings: Vec<_> = all(decision, "warnings").iter().map(|one| cited(one, "Warning: ")).collect();
    let lists: Vec<_> = all(decision, "registryCopies").iter().map(list).collect();
    let items: Vec<&str> = [&reasons, &duties, &warnings, &lists].into_iter().flatten().map(String::as_str).collect();
    if !items.is_empty() {
        page.list(items.into_iter());
    }
}

fn list(copy: &Value) -> String {
    let said = match at(copy, "listed") {
        Value::Bool(true) => "the number was on it",
        Value::Bool(false) => "the number was not on it",
        _ if !text(copy, "version").is_empty() => "it does not cover the number's area code",
        _ => "it could not be looked into",
    };
    let (version, as_of) = (text(copy, "version"), text(copy, "asOf"));
    let registry = text(copy, "registry");
    match version.is_empty() {
        true => format!("Registry {registry}: no copy was loaded here; what was said with the question counted."),
        false => format!("Registry {registry}: {said} (version {version}, as of {as_of})."),
    }
}

fn recorded(page: &mut Page, report: &Value) {
    page.heading("What was recorded, as the log has it");
    if all(report, "recorded").is_empty() {
        page.note("Nothing.");
    }
    for one in all(report, "recorded") {
        page.raw("<section class=\"one\">\n");
        page.within("<h3>", &format!("{}, {}", text(one, "method"), text(one, "at")), "</h3>\n");
        page.rows(&[("There", local(one)), ("By", text(one, "caller")), ("Stands in", place(one))]);
        for (name, key) in [("Request", "request"), ("Meaning", "meaning"), ("Before", "replaced")] {
            if !at(one, key).is_null() {
                let pretty = serde_json::to_string_pretty(at(one, key)).unwrap_or_default();
                page.within("<p class=\"note\">", name, "</p>\n");
                page.within("<blockquote><code>", &pretty, "</code></blockquote>\n");
            }
        }
        page.raw("</section>\n");
    }
}

fn sealed(page: &mut Page, report: &Value) {
    let sealed = all(report, "sealed");
    if sealed.is_empty() {
        return;
    }
    page.heading("What cannot be read any more");
    page.note("These stand in the log at their places. When they were made and of which kind they are is all that is left of them.");
    page.list(
        sealed
            .iter()
            .map(|one| {
                let what = if at(one, "allowed") == &Value::Bool(true) {
                    "A contact was allowed"
                } else {
                    "No contact was allowed by it"
                };
                format!("{}: {what}; {}. {}", text(one, "at"), text(one, "why"), place(one))
            })
            .collect::<Vec<_>>()
            .iter()
            .map(String::as_str),
    );
}

fn chain(page: &mut Page, report: &Value) {
    page.heading("The log");
    page.note(
        "Every entry's hash is part of the next one's, so nothing can be altered, removed or put in between without every \
         later hash changing. When this report was made the whole log was walked:",
    );
    for log in all(report, "chain") {
        let sound = at(log, "sound") == &Value::Bool(true);
        page.rows(&[
            ("Log of writer", text(log, "writer")),
            ("Result", if sound { "whole, in order, unaltered" } else { "NOT whole" }.to_owned()),
            ("Fault", text(log, "fault")),
            ("Entries", text(log, "entries")),
            ("Hash of the newest", text(log, "head")),
        ]);
    }
    page.note(&match at(report, "proof") {
        Value::Null => "No proof for others is enclosed: the heads of the log that were published were not given.".to_owned(),
        proof => format!(
            "Enclosed is {}: with it, and the heads that were published until {}, anybody can check that the {} entries \
             told here stand in the log that was published (ringfence audit check-proof, or absence.py).",
            text(proof, "file"),
            text(proof, "until"),
            text(proof, "entries"),
        ),
    });
}
