//! What several targets need: an engine in memory, a file to put bytes into, and what holds of every answer.

use std::cell::OnceCell;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use clap::Parser as _;
use prost::Message;
use ringfence::access::{Caller, Permit, Role};
use ringfence::cli::{Cli, Command};
use ringfence::contact::wire::Violation;
use ringfence::engine::{Clock, Engine, Parts, Settings};
use ringfence::law::{BUILT_IN, Law};
use ringfence::place::Number;
use ringfence::proto::v1;
use ringfence::registry::Registries;
use ringfence::store::{Keys, MemoryStore};
use ringfence::telemetry::Metrics;
use ringfence::time::Instant;

/// A Wednesday, 11:00 in New York.
pub const DAY: Instant = Instant::from_millis(1_795_017_600_000);

/// The packs built in, read once.
pub fn law() -> Arc<Law> {
    static LAW: OnceLock<Arc<Law>> = OnceLock::new();
    Arc::clone(LAW.get_or_init(|| Arc::new(Law::read(BUILT_IN.iter().copied()).expect("sound packs"))))
}

/// An engine over an empty store in memory, nothing logged.
pub fn engine() -> Arc<Engine> {
    static KEYS: OnceLock<Keys> = OnceLock::new();
    let keys = KEYS.get_or_init(|| Keys::ephemeral().expect("random bytes"));
    Arc::new(Engine::new(Parts {
        store: Arc::new(MemoryStore::new()),
        keys: keys.clone(),
        log: None,
        registries: Arc::new(Registries::fixed(Vec::new())),
        law: law(),
        settings: Settings::default(),
        metrics: Arc::new(Metrics::default()),
    }))
}

pub fn clock() -> Clock {
    Clock::at(DAY)
}

pub fn permit(role: Role) -> Permit {
    Caller::local().permit(role).expect("whoever is local may")
}

/// Waits for what needs a runtime.
pub fn wait<T>(future: impl Future<Output = T>) -> T {
    thread_local! {
        static RUNTIME: tokio::runtime::Runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    }
    RUNTIME.with(|runtime| runtime.block_on(future))
}

/// A file with these bytes, the same one every time.
pub fn file(name: &str, bytes: &[u8]) -> PathBuf {
    let path = place(name);
    std::fs::write(&path, bytes).expect("room");
    path
}

fn place(name: &str) -> PathBuf {
    thread_local! {
        static FOLDER: OnceCell<tempfile::TempDir> = const { OnceCell::new() };
    }
    FOLDER.with(|folder| folder.get_or_init(|| tempfile::tempdir().expect("a folder")).path().join(name))
}

/// A command about a file of this name, which stands where `FILE` does.
pub fn command(name: &str, arguments: &[&str]) -> Command {
    let path = place(name);
    let path = path.to_str().expect("a path of letters");
    let arguments = arguments.iter().map(|argument| if *argument == "FILE" { path } else { argument });
    Cli::try_parse_from(std::iter::once("ringfence").chain(arguments)).expect("a command").command
}

/// What is said: something, and no whole number. A masked one keeps seven digits together, a date four.
pub fn said(text: &str) {
    assert!(!text.trim().is_empty(), "nothing is said");
    let mut run = 0;
    // The example of a remedy is nobody's number: Ofcom keeps it for plays. Counts and places in a file may be of any length.
    let mut text = text.replace("+442079460000", "");
    for before in ["promises ", "of prefix ", "Size is ", "but need "] {
        let parts: Vec<_> =
            text.split(before).map(|part| part.trim_start_matches(|c: char| c.is_ascii_digit())).collect();
        text = parts.join(before);
    }
    for c in text.chars() {
        run = if c.is_ascii_digit() { run + 1 } else { 0 };
        assert!(run < 9, "a whole number in: {text}");
    }
}

/// The same of what names a place first: a file in a folder whose name may hold digits.
pub fn said_of(path: &Path, text: &str) {
    said(&text.replace(&path.display().to_string(), "FILE"));
}

pub fn faults(violations: &[Violation]) {
    assert!(!violations.is_empty(), "refused without a fault");
    for violation in violations {
        said(&violation.message);
        assert!(!violation.field.is_empty(), "a fault of no field: {}", violation.message);
    }
}

/// A message comes back from its bytes as it was.
pub fn round_trip<M: Message + Default + PartialEq + std::fmt::Debug>(message: &M) {
    let bytes = message.encode_to_vec();
    assert!(M::decode(bytes.as_slice()).is_ok_and(|again| again == *message), "{message:?}");
}

/// What holds of every decision about this message.
pub fn decision(decision: &v1::Decision, asked: &v1::CheckRequest) {
    let allowed = decision.verdict() == v1::Verdict::Allow;
    assert!(allowed || decision.verdict() == v1::Verdict::Deny, "{decision:?}");
    assert_eq!(allowed, decision.reasons.is_empty(), "a DENY has its reasons, an ALLOW none: {decision:?}");
    for reason in &decision.reasons {
        assert_ne!(reason.family(), v1::RuleFamily::Unspecified, "{reason:?}");
        assert!(!reason.rule_id.is_empty(), "{reason:?}");
        said(&reason.message);
    }
    if allowed {
        assert!(!asked.number.trim().is_empty(), "an ALLOW without a number");
        assert!(!asked.seller.is_empty() && asked.channel != 0 && asked.purpose != 0, "{asked:?}");
        assert!(Number::parse(&decision.number, None).is_ok(), "{:?}", decision.number.len());
        assert_eq!(decision.retry_at, None);
    } else {
        assert_eq!((decision.valid_until, decision.use_by), (None, None));
    }
    let at = decision.evaluated_at.and_then(|at| at.to_millis()).expect("an instant of the answer");
    for later in [decision.retry_at, decision.valid_until].into_iter().flatten() {
        assert!(later.to_millis().is_some_and(|later| later > at), "{decision:?}");
    }
    round_trip(decision);
}
