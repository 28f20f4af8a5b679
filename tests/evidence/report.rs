//! The report about one number: what is in it, what is not, and that it is a page which every browser reads.

use std::collections::BTreeSet;

use serde_json::Value;

use super::*;

fn made(folder: &Path, more: &[&str]) -> (Value, String) {
    let out = format!("out-{}", more.join("").len());
    let arguments = [&["evidence", "--data", "data", "--out", &out][..], more].concat();
    let ran = run(&arguments, folder);
    assert_eq!(ran.code, Some(0), "{} {}", ran.out, ran.err);
    let read = |name: &str| fs::read_to_string(folder.join(&out).join(name)).unwrap();
    (serde_json::from_str(&read("report.json")).unwrap(), read("report.html"))
}

/// Elements that stand alone.
const VOID: [&str; 2] = ["meta", "!DOCTYPE"];
/// All that a report needs.
const ELEMENTS: [&str; 24] = [
    "html",
    "head",
    "title",
    "style",
    "body",
    "h1",
    "h2",
    "h3",
    "p",
    "ul",
    "li",
    "table",
    "tr",
    "th",
    "td",
    "section",
    "blockquote",
    "code",
    "meta",
    "!DOCTYPE",
    "a",
    "b",
    "div",
    "span",
];

/// Reads the page as a browser would: every element known, closed, and in its place; the text without markup.
fn read_page(page: &str) -> String {
    let (mut open, mut text, mut rest) = (Vec::new(), String::new(), page);
    while let Some((before, after)) = rest.split_once('<') {
        if open.last() != Some(&"style") {
            assert!(!before.contains('>'), "{before}");
            text.push_str(before);
        }
        let (tag, behind) = after.split_once('>').expect("a tag that ends");
        let name = tag.trim_start_matches('/').split([' ', '\n']).next().unwrap();
        assert!(ELEMENTS.contains(&name), "{tag}");
        assert!(!tag.contains(" on") && !tag.contains("src=") && !tag.contains("href="), "{tag}");
        match tag.starts_with('/') {
            true => assert_eq!(open.pop(), Some(name), "{tag}"),
            false if VOID.contains(&name) => {}
            false => open.push(name),
        }
        rest = behind;
    }
    assert!(open.is_empty(), "{open:?}");
    for (entity, character) in [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#39;", "'"), ("&amp;", "&")] {
        text = text.replace(entity, character);
    }
    text
}

/// What differs from run to run, by its name.
fn settled(value: &mut Value) {
    const RANDOM: [&str; 15] = [
        "id",
        "digest",
        "head",
        "writer",
        "receiptId",
        "decisionId",
        "attemptId",
        "rulesVersion",
        "madeAt",
        "consentId",
        "optOutId",
        "rightsRequestId",
        "program",
        "tzdataVersion",
        "numberingVersion",
    ];
    match value {
        Value::Array(all) => all.iter_mut().for_each(settled),
        Value::Object(map) => {
            for (key, one) in map.iter_mut() {
                match one {
                    Value::String(text) if RANDOM.contains(&key.as_str()) => *text = "·".to_owned(),
                    Value::Number(_) if key == "segments" => *one = Value::Null,
                    other => settled(other),
                }
            }
        }
        _ => {}
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_report_says_all_about_one_number_and_nothing_of_another() {
    let day = day(false).await;
    let (mut json, page) = made(day.folder.path(), &[NUMBER]);
    let text = read_page(&page);
    for told in [
        "Evidence about +1305555••23",
        "I agree to calls. <script>alert('&')</script>",
        "You called me <b>again</b>.",
        "2026-11-18T17:30:00Z (Wed 18 Nov 12:30 in America/New_York",
        "2026-11-18T13:10:00-05:00",
        "Would be allowed (dry run: no contact)",
        "Denied, 2026-11-18T18:10:00Z",
        " Law: ",
        "whole, in order, unaltered",
        "ReportOutcome",
    ] {
        assert!(text.contains(told), "{told} is not in\n{text}");
    }
    assert!(!page.contains("<script") && !page.contains("<b>"));
    // Masked, in every writing; and of nobody else anything.
    let whole = json.to_string();
    for hidden in ["3055550123", "555-0123", "30555520", "305555290"] {
        assert!(!page.contains(hidden) && !whole.contains(hidden), "{hidden}");
    }
    assert_eq!(json["decisions"].as_array().unwrap().len(), 3);
    assert_eq!(json["chain"][0]["sound"], true);
    settled(&mut json);
    let text = serde_json::to_string_pretty(&json).unwrap() + "\n";
    let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/evidence/report.json");
    if std::env::var_os("RINGFENCE_BLESS").is_some() {
        fs::write(golden, &text).unwrap();
    }
    let kept = fs::read_to_string(golden).unwrap_or_default();
    assert!(kept == text, "report.json is another; RINGFENCE_BLESS=1 writes it anew:\n{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_report_about_a_complaint_is_one_about_who_made_it_and_others_can_check_it() {
    let day = day(true).await;
    let folder = day.folder.path();
    let (json, page) = made(folder, &["--complaint", &day.complaint, "--heads", "heads", "--whole-number"]);
    assert_eq!((json["number"].as_str(), json["numberShown"].as_str()), (Some(NUMBER), Some("whole")));
    assert_eq!(json["complaint"]["rightsRequestId"], day.complaint.as_str());
    assert!(read_page(&page).contains("this report is about it"));
    let mut out = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    let out = out.find(|path| path.join("chain.proof").exists()).unwrap();
    let (proof, openings) = (fs::read_to_string(out.join("chain.proof")).unwrap(), out.join("openings.jsonl"));
    let compare = ["--number", NUMBER, "--openings", openings.to_str().unwrap()];
    // Contacts were allowed, so it proves no absence; that what is told stands in the published chain, it does.
    let (_, told) = python(&proof, &day.heads, &compare);
    let entries = json["decisions"].as_array().unwrap().len() + json["recorded"].as_array().unwrap().len();
    assert_eq!((told["compared"].as_u64(), told["number"].as_str()), (Some(entries as u64), Some("named")), "{told}");
    let ids = |of: &str| -> BTreeSet<String> {
        let all = told[of].as_array().unwrap().iter();
        all.map(|one| one["id"].as_str().unwrap().to_owned()).collect()
    };
    let shown: BTreeSet<String> = ["decisions", "recorded"]
        .iter()
        .flat_map(|of| json[of].as_array().unwrap())
        .map(|one| one["id"].as_str().unwrap().replace('-', ""))
        .collect();
    assert_eq!(ids("allowed").union(&ids("seen")).cloned().collect::<BTreeSet<_>>(), shown);
    // What is told otherwise than it was recorded is found.
    let text = fs::read_to_string(&openings).unwrap();
    let at = text.find("\"body\":\"").unwrap() + 100;
    let other = if &text[at..=at] == "0" { "1" } else { "0" };
    fs::write(&openings, format!("{}{other}{}", &text[..at], &text[at + 1..])).unwrap();
    let (code, told) = python(&proof, &day.heads, &compare);
    assert!(code == Some(1) && told["fault"].as_str().unwrap().contains("is not what was recorded"), "{told}");

    let unknown = run(
        &["evidence", "--complaint", "0190a5c6-0000-7000-8000-000000000000", "--out", "no", "--data", "data"],
        folder,
    );
    assert_eq!(unknown.code, Some(2));
    assert!(!folder.join("no").exists());
}

/// A consent that a newer policy has overtaken does not stand in a report as one that covers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_report_marks_the_consents_that_a_policy_has_overtaken() {
    let day = day(false).await;
    let (engine, reconciler) = opened(day.folder.path()).await;
    let policy = v1::PublishPolicyRequest {
        request_id: "p".to_owned(),
        version: "2".to_owned(),
        effective_at: support::stamp("2026-11-18T22:00:00Z"),
        kind: v1::PolicyChangeKind::Material.into(),
        reasons: vec![v1::PolicyChangeReason::Recipients.into()],
        texts: vec![v1::PolicyText { language: "en".to_owned(), text: "Policy 2.".to_owned(), ..Default::default() }],
        summary: "Partners may call you.".to_owned(),
        who: "ann".to_owned(),
        ..Default::default()
    };
    engine.publish_policy(&permit(Role::Control), policy, clock("2026-11-18T22:00:00Z")).await.unwrap();
    reconciler.tick(at("2026-11-18T22:01:00Z")).await.unwrap();
    drop((engine, reconciler));
    let (json, _) = made(day.folder.path(), &[NUMBER]);
    let consent = &json["contact"]["consents"][0];
    assert_eq!(
        (consent["overtakenBy"].as_str(), consent["overtakenAt"].as_str()),
        (Some("2"), Some("2026-11-18T22:00:00Z"))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_an_erased_contact_a_report_says_what_is_left() {
    let day = day(false).await;
    let (engine, reconciler) = opened(day.folder.path()).await;
    let erase = v1::EraseContactRequest {
        number: NUMBER.to_owned(),
        request_id: "erase".to_owned(),
        reason: v1::ErasureReason::AccountClosed.into(),
        ..Default::default()
    };
    let erased = engine.erase_contact(&permit(Role::Privacy), erase, clock("2026-11-18T22:00:00Z")).await.unwrap();
    assert!(erased.erased_at.is_some(), "{erased:?}");
    reconciler.tick(at("2026-11-18T22:01:00Z")).await.unwrap();
    drop((engine, reconciler));
    let (json, page) = made(day.folder.path(), &[NUMBER]);
    let text = read_page(&page);
    assert!(text.contains("What cannot be read any more") && text.contains("was erased"), "{text}");
    assert!(!text.contains("I agree to calls"), "{text}");
    assert!(json["sealed"].as_array().unwrap().len() >= 4, "{json}");
    assert!(!json["contact"]["optOuts"].as_array().unwrap().is_empty(), "what forbids contact stays");
    // And that nobody called can still be proven.
    let proof = proof_of(day.folder.path(), &day.heads, NUMBER, STOP);
    assert!(checked(&proof, &day.heads, NUMBER, STOP).unwrap().proven());
}
