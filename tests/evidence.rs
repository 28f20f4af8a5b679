//! What is handed to others: the proof that nobody was contacted, which a planted contact breaks, and the report about one
//! number. A real engine writes a real log; proofs are checked by this program and by the one in Python that shares
//! nothing with it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "tests"
)]

#[path = "evidence/bare.rs"]
mod bare;
#[path = "evidence/forged.rs"]
mod forged;
#[path = "evidence/report.rs"]
mod report;
mod support;

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use ringfence::access::Role;
use ringfence::audit::proof::{self, Checked, Faulty, Heads, Link, Matter, Proving, Published, Wanted, Whom};
use ringfence::audit::{self, Entries};
use ringfence::engine::{Clock, Engine, Parts, Settings};
use ringfence::proto::v1::{self, Verdict};
use ringfence::registry::Registries;
use ringfence::store::{EmbeddedStore, Keys, Store, WriterId, embedded};
use ringfence::telemetry::Metrics;
use support::{at, clock, florida, law, opt_out, permit, stamp};

/// Whom it is about.
const NUMBER: &str = "+13055550123";
/// The person said stop then.
const STOP: &str = "2026-11-18T17:30:00Z";
const WORDING: &str = "I agree to calls. <script>alert('&')</script> My number is (305) 555-0123.";

/// A day on which one number opted out and others were called.
struct Day {
    folder: tempfile::TempDir,
    heads: String,
    complaint: String,
}

fn other(n: usize) -> String {
    format!("+1305555{:04}", 2_000 + n)
}

async fn opened(folder: &Path) -> (Arc<Engine>, audit::Reconciler) {
    let data = folder.join("data");
    let store: Arc<dyn Store> = Arc::new(EmbeddedStore::open(&data, embedded::Settings::default()).unwrap());
    let keys = Keys::for_store(&folder.join("keys"), Some(&data), &*store).await.unwrap();
    let log = audit::Settings { swapped: ringfence::engine::is_swapped, segment_bytes: 8 << 10, ..Default::default() };
    let opened = audit::open(&data.join("audit"), log, Arc::clone(&store), at(support::DAY)).await.unwrap();
    let engine = Engine::new(Parts {
        store,
        keys,
        log: Some(opened.log),
        registries: Arc::new(Registries::fixed(Vec::new())),
        law: law(),
        settings: Settings::default(),
        metrics: Arc::new(Metrics::default()),
    });
    (Arc::new(engine), opened.reconciler)
}

async fn ask(engine: &Engine, request: v1::CheckRequest, now: &str) -> v1::Decision {
    engine.check(&permit(Role::Check), request, clock(now)).await.unwrap()
}

/// Publishes the head of the log: all that is on disk by now.
async fn publish(engine: &Engine, reconciler: &audit::Reconciler, data: &Path, now: &str) -> String {
    // Denials and dry runs are safe a moment later.
    engine.check(&permit(Role::Check), florida(&other(900)), Clock::at(at(now))).await.unwrap();
    reconciler.tick(at(now)).await.unwrap();
    let (writer, head) = proof::newest(&data.join("audit")).unwrap().unwrap();
    Published { at: at(now), logs: [(writer, head)].into() }.line() + "\n"
}

fn consent() -> v1::RecordConsentRequest {
    v1::RecordConsentRequest {
        number: NUMBER.to_owned(),
        request_id: "consent".to_owned(),
        consent: Some(v1::Consent {
            grade: v1::ConsentGrade::ExpressWritten.into(),
            given_at: stamp("2026-11-18T16:05:00Z"),
            wording: WORDING.to_owned(),
            evidence_ref: "form-1".to_owned(),
            ..Default::default()
        }),
        ..Default::default()
    }
}

/// The day; with a contact planted after the opt-out where it is asked for: an emergency, which no opt-out forbids.
async fn day(planted: bool) -> Day {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let (engine, reconciler) = opened(folder.path()).await;
    let write = permit(Role::WriteConsent);
    engine.record_consent(&write, consent(), clock("2026-11-18T16:10:00Z")).await.unwrap();
    let first = ask(&engine, florida(NUMBER), "2026-11-18T16:20:00Z").await;
    assert_eq!(first.verdict(), Verdict::Allow, "{first:?}");
    let outcome = v1::ReportOutcomeRequest {
        number: NUMBER.to_owned(),
        attempt_id: first.attempt_id.clone(),
        outcome: v1::Outcome::Connected.into(),
        started_at: stamp("2026-11-18T16:21:00Z"),
        ..Default::default()
    };
    engine.report_outcome(&permit(Role::Check), outcome, clock("2026-11-18T16:25:00Z")).await.unwrap();
    let mut heads = publish(&engine, &reconciler, &data, "2026-11-18T17:00:00Z").await;
    engine.record_opt_out(&write, opt_out(NUMBER, "stop"), clock(STOP)).await.unwrap();
    for n in 0..12 {
        let called = ask(&engine, florida(&other(n)), "2026-11-18T18:00:00Z").await;
        assert_eq!(called.verdict(), Verdict::Allow);
    }
    let denied = ask(&engine, florida(NUMBER), "2026-11-18T18:10:00Z").await;
    assert_eq!(denied.verdict(), Verdict::Deny);
    let dry = v1::CheckRequest { dry_run: true, purpose: v1::Purpose::Emergency.into(), ..florida(NUMBER) };
    assert_eq!(ask(&engine, dry.clone(), "2026-11-18T18:20:00Z").await.verdict(), Verdict::Allow);
    if planted {
        let emergency = v1::CheckRequest { dry_run: false, ..dry };
        assert_eq!(ask(&engine, emergency, "2026-11-18T18:30:00Z").await.verdict(), Verdict::Allow);
    }
    heads += &publish(&engine, &reconciler, &data, "2026-11-18T19:00:00Z").await;
    let complaint = v1::OpenRequestRequest {
        number: NUMBER.to_owned(),
        request_id: "complaint".to_owned(),
        kind: v1::RightsRequestKind::Complaint.into(),
        details: "You called me <b>again</b>.".to_owned(),
        ..Default::default()
    };
    let complaint =
        engine.open_request(&permit(Role::Privacy), complaint, clock("2026-11-18T19:30:00Z")).await.unwrap();
    let complaint = complaint.request.unwrap().rights_request_id;
    ask(&engine, florida(&other(20)), "2026-11-18T20:00:00Z").await;
    heads += &publish(&engine, &reconciler, &data, "2026-11-18T21:00:00Z").await;
    fs::write(folder.path().join("heads"), &heads).unwrap();
    Day { folder, heads, complaint }
}

/// The contact of a number in this folder.
fn whom(folder: &Path, number: &str) -> Whom {
    let keys = Keys::open(&folder.join("keys")).unwrap();
    let tag = *keys.tag(&keys.tenant(ringfence::access::DEFAULT_TENANT, 1), number).tag();
    Whom { mark: keys.hash_mark(), tag, name_key: keys.name_key(&tag) }
}

/// A proof as made from this folder, whatever it proves.
fn proof_of(folder: &Path, heads: &str, number: &str, after: &str) -> String {
    let heads = Heads::read(heads).unwrap();
    let open = |_: WriterId| Entries::open(&folder.join("data/audit"), None);
    let mut out = Vec::new();
    let proving = Proving { heads: &heads, after: at(after), whom: &[whom(folder, number)] };
    proof::write(proving, &open, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn checked(text: &str, heads: &str, number: &str, after: &str) -> Result<Checked, Faulty> {
    let heads = Heads::read(heads).unwrap();
    let wanted = Wanted { heads: &heads, number: Some(number), after: Some(at(after)), unnamed: false };
    proof::check(text.lines().map(|line| Ok(line.to_owned())), wanted)
}

/// What the other verifier says: its exit status, and what it prints.
fn python(text: &str, heads: &str, more: &[&str]) -> (Option<i32>, serde_json::Value) {
    let folder = tempfile::tempdir().unwrap();
    let (proof, published) = (folder.path().join("proof"), folder.path().join("heads"));
    fs::write(&proof, text).unwrap();
    fs::write(&published, heads).unwrap();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/verify/absence.py");
    let mut command = Command::new("python3");
    let output = command.args(["-I", script]).arg(&proof).arg("--heads").arg(&published).args(more).output().unwrap();
    let told = serde_json::from_slice(&output.stdout);
    (output.status.code(), told.unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr))))
}

struct Ran {
    code: Option<i32>,
    out: String,
    err: String,
}

fn run(arguments: &[&str], folder: &Path) -> Ran {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ringfence"));
    command.current_dir(folder).env_clear().args(["audit"]).args(arguments).args(["--keys", "keys"]);
    let output = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let ran = Ran { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) };
    assert!(!ran.err.contains("panicked"), "{}", ran.err);
    ran
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_number_that_nobody_contacted_is_proven_so_to_others() {
    let day = day(false).await;
    let text = proof_of(day.folder.path(), &day.heads, NUMBER, STOP);
    let told = checked(&text, &day.heads, NUMBER, STOP).unwrap();
    assert!(told.proven() && told.link == Link::Named, "{told:?}");
    let matters: Vec<_> = told.seen.iter().map(|seen| seen.matter).collect();
    assert_eq!(
        matters,
        [Matter::Recorded, Matter::Answered, Matter::Answered, Matter::Recorded],
        "stop, denial, dry run, complaint"
    );
    assert_eq!((told.until, told.logs.len()), (at("2026-11-18T21:00:00Z"), 1));
    assert_eq!(told.logs[0].begins, Some(at("2026-11-18T17:00:00Z")));

    let (code, json) = python(&text, &day.heads, &["--number", NUMBER, "--after", STOP]);
    assert_eq!(
        (code, json["proven"].as_bool(), json["number"].as_str()),
        (Some(0), Some(true), Some("named")),
        "{json}"
    );
    assert_eq!((json["seen"].as_array().unwrap().len(), json["allowed"].as_array().unwrap().len()), (4, 0));

    // Of others it says no number and no tag; of this one not the tag by which its record is found.
    for number in [NUMBER.to_owned(), other(0), other(5), other(20)] {
        let tag = whom(day.folder.path(), &number).tag;
        let hex: String = tag.iter().map(|byte| format!("{byte:02x}")).collect();
        assert!(!text.contains(&hex) && !text.contains(&number[2..]));
    }
    // One proof opens nothing of another contact.
    let elsewhere = proof_of(day.folder.path(), &day.heads, &other(0), STOP);
    assert_ne!(elsewhere.lines().next(), text.lines().next());
    assert!(!checked(&elsewhere, &day.heads, &other(0), STOP).unwrap().proven(), "that one was called");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_planted_contact_breaks_the_proof_of_absence() {
    let day = day(true).await;
    let text = proof_of(day.folder.path(), &day.heads, NUMBER, STOP);
    let told = checked(&text, &day.heads, NUMBER, STOP).unwrap();
    assert!(!told.proven());
    assert_eq!((told.allowed.len(), told.allowed[0].at()), (1, at("2026-11-18T18:30:00Z")));
    let (code, json) = python(&text, &day.heads, &["--number", NUMBER]);
    assert_eq!((code, json["proven"].as_bool()), (Some(1), Some(false)));
    assert_eq!(json["allowed"][0]["at"], "2026-11-18T18:30:00.000Z");

    // Before it there is none, and after it there is none.
    let later = "2026-11-18T18:30:00.001Z";
    let after = proof_of(day.folder.path(), &day.heads, NUMBER, later);
    assert!(checked(&after, &day.heads, NUMBER, later).unwrap().proven());

    // Nothing that proves nothing is left behind.
    let arguments = ["prove-absence", NUMBER, "--after", STOP, "--heads", "heads", "--out", "proof", "--data", "data"];
    let ran = run(&arguments, day.folder.path());
    assert_eq!(ran.code, Some(1), "{} {}", ran.out, ran.err);
    assert!(ran.out.starts_with("NOT PROVEN") && ran.out.contains("2026-11-18T18:30:00Z"), "{}", ran.out);
    assert!(!ran.out.contains("5550123"), "{}", ran.out);
    assert!(!day.folder.path().join("proof").exists() && !day.folder.path().join("proof.new").exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proof_is_made_and_checked_by_the_program_without_the_store() {
    let day = day(false).await;
    let folder = day.folder.path();
    let printed = run(&["head", "--data", "data", "--append", "printed"], folder);
    assert_eq!(printed.code, Some(0), "{}", printed.err);
    assert_eq!(fs::read_to_string(folder.join("printed")).unwrap(), printed.out);
    let (writer, newest) = proof::newest(&folder.join("data/audit")).unwrap().unwrap();
    let read = Heads::read(&printed.out).unwrap();
    assert_eq!(read.of(writer).iter().map(|point| point.head).collect::<Vec<_>>(), [newest]);
    // Needs the log and the keys; not the store.
    fs::remove_file(folder.join("data/store.id")).unwrap();
    let make = ["prove-absence", NUMBER, "--after", STOP, "--heads", "heads", "--out", "proof", "--data", "data"];
    let ran = run(&make, folder);
    assert_eq!(ran.code, Some(0), "{} {}", ran.out, ran.err);
    let check = ["check-proof", "proof", "--heads", "heads", "--json"];
    let whose = |more: &[&str]| run(&[&check[..], more].concat(), folder);
    let right = whose(&["--number", NUMBER, "--after", STOP]);
    let json: serde_json::Value = serde_json::from_str(&right.out).unwrap();
    assert_eq!((right.code, json["proven"].as_bool(), json["number"].as_str()), (Some(0), Some(true), Some("named")));
    let unasked = whose(&[]);
    assert!(unasked.code == Some(0) && unasked.out.contains("not asked"), "{}", unasked.out);
    assert_eq!(whose(&["--after", "2026-11-18T16:00:00Z"]).code, Some(1), "of another instant");
    // Nothing was ever recorded of this number: that the proof is about it is its maker's word, and has to be taken as such.
    let strange =
        ["prove-absence", "+13055559999", "--after", STOP, "--heads", "heads", "--out", "other", "--data", "data"];
    let ran = run(&strange, folder);
    assert!(ran.code == Some(1) && ran.out.contains("NOTHING names this number"), "{}", ran.out);
    assert!(!folder.join("other").exists());
    assert_eq!(run(&[&strange[..], &["--unnamed"]].concat(), folder).code, Some(0));
    let check = ["check-proof", "other", "--heads", "heads", "--number", "+13055559999"];
    assert_eq!(run(&check, folder).code, Some(1));
    assert_eq!(run(&[&check[..], &["--unnamed"]].concat(), folder).code, Some(0));
    // A copy without the log that was published is told from one that has it.
    fs::remove_dir_all(folder.join("data/audit")).unwrap();
    let ran = run(&make, folder);
    assert!(ran.code == Some(2) && ran.err.contains("no audit log there"), "{}", ran.err);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_the_log_alone_cannot_try_numbers_on_it() {
    let day = day(false).await;
    let mut entries = Entries::open(&day.folder.path().join("data/audit"), None).unwrap();
    let ours = whom(day.folder.path(), NUMBER);
    let mut named = 0;
    while let Some((found, _)) = entries.next_entry().unwrap() {
        let (Some(tag), Some(open)) = (found.entry.tag, found.entry.open) else { continue };
        let id = found.entry.id.bytes();
        // Tag and id stand in the log; numbers are few.
        for key in [tag, proof::witness(&tag), [0; 32]] {
            assert_ne!(open.name, proof::naming(&key, &id, NUMBER));
        }
        named += usize::from(open.name == proof::naming(&ours.name_key, &id, NUMBER));
    }
    assert_eq!(named, 7, "all that is about it: to who has the key");
}
