//! Entries made by hand: what no engine of this release writes, and a proof must not call absent.

use ringfence::audit::{BodyKey, Encoded, Entry, Head, Log, Openings};

use super::*;

const TAG: [u8; 32] = [7; 32];
const MARK: [u8; 4] = [1, 2, 3, 4];
const NAME_KEY: [u8; 32] = [5; 32];

fn entry(log: &Log, kind: u8, tag: Option<[u8; 32]>, at: &str, mark: Option<[u8; 4]>) -> Encoded {
    let at = support::at(at);
    let id = log.next_id(at);
    let name = tag.map(|_| proof::naming(&NAME_KEY, &id.bytes(), NUMBER)).unwrap_or_default();
    let open = mark.map(|mark| Openings { mark, name, plain: [9; 32] });
    let (tenant, key) = ("default".to_owned(), BodyKey::Contact);
    Entry { kind, at, id, tenant, tag, campaign: None, open, key, body: vec![1; 40] }.encode()
}

/// Kind, tag, instant, mark.
type Told<'t> = (u8, Option<[u8; 32]>, &'t str, Option<[u8; 4]>);

/// The contact under the hash key of this mark.
const fn known(mark: [u8; 4], tag: [u8; 32]) -> Whom {
    Whom { mark, tag, name_key: NAME_KEY }
}

/// What both verifiers say of a log of these entries.
async fn told(half: usize, entries: &[Told<'_>], after: &str) -> Result<Checked, String> {
    told_of(&[known(MARK, TAG)], half, entries, after).await
}

/// A log of these entries, with heads published at noon before any of them, at two behind the first `half`, and at four.
async fn told_of(whom: &[Whom], half: usize, entries: &[Told<'_>], after: &str) -> Result<Checked, String> {
    let folder = tempfile::tempdir().unwrap();
    let log = Log::open(folder.path(), audit::Settings::default(), &[]).unwrap();
    let published = |at: &str, head: Head| Published { at: support::at(at), logs: [(log.writer(), head)].into() };
    let _ = log.append(entry(&log, 2, None, "2026-11-18T11:00:00Z", Some([0; 4])), None).await.unwrap();
    let mut heads = published("2026-11-18T12:00:00Z", log.head()).line();
    for (n, (kind, tag, at, mark)) in entries.iter().enumerate() {
        let _ = log.append(entry(&log, *kind, *tag, at, *mark), None).await.unwrap();
        if n + 1 == half {
            heads += &format!("\n{}", published("2026-11-18T14:00:00Z", log.head()).line());
        }
    }
    heads += &format!("\n{}", published("2026-11-18T16:00:00Z", log.head()).line());
    drop(log);
    let read = Heads::read(&heads).unwrap();
    let proving = Proving { heads: &read, after: at(after), whom };
    let mut out = Vec::new();
    proof::write(proving, &|_| Entries::open(folder.path(), None), &mut out).map_err(|error| error.to_string())?;
    let text = String::from_utf8(out).unwrap();
    let told = checked(&text, &heads, NUMBER, after).map_err(|faulty| faulty.to_string());
    let (code, json) = python(&text, &heads, &["--number", NUMBER, "--after", after]);
    let proven = told.as_ref().is_ok_and(Checked::proven);
    assert_eq!(
        (code == Some(0), json["proven"].as_bool()),
        (proven, Some(proven)),
        "both say the same: {told:?} {json}"
    );
    told
}

const AFTER: &str = "2026-11-18T13:00:00Z";

#[tokio::test]
async fn what_is_not_known_is_never_absent() {
    let ours = (2, Some(TAG), "2026-11-18T13:10:00Z", Some(MARK));
    let fine = told(1, &[ours, (4, None, "2026-11-18T13:20:00Z", Some([0; 4]))], AFTER).await.unwrap();
    assert!(fine.proven() && fine.rows == 1 && fine.link == Link::Named);
    let unknown = told(1, &[ours, (77, Some(TAG), "2026-11-18T13:20:00Z", Some(MARK))], AFTER).await.unwrap();
    assert_eq!((unknown.proven(), unknown.allowed[0].matter), (false, Matter::Unknown(77)));
    let nobody = told(1, &[ours, (1, None, "2026-11-18T13:20:00Z", Some([0; 4]))], AFTER).await.unwrap_err();
    assert!(nobody.contains("names nobody"), "{nobody}");
    // Of somebody else it is nobody's business what an unknown kind means.
    assert!(told(1, &[ours, (77, Some([8; 32]), "2026-11-18T13:20:00Z", Some(MARK))], AFTER).await.unwrap().proven());
    let strange = told(1, &[ours, (1, Some([8; 32]), "2026-11-18T13:20:00Z", Some([4; 4]))], AFTER).await.unwrap_err();
    assert!(strange.contains("another hash key"), "{strange}");
    let old = told(1, &[ours, (1, Some([8; 32]), "2026-11-18T13:20:00Z", None)], AFTER).await.unwrap_err();
    assert!(old.contains("earlier release"), "{old}");
}

#[tokio::test]
async fn a_clock_that_was_set_back_hides_nothing() {
    let early = (1, Some(TAG), "2026-11-18T12:30:00Z", Some(MARK));
    let ours = (2, Some(TAG), "2026-11-18T13:10:00Z", Some(MARK));
    // Before the first head that was published after the instant, its own time is all that is known of it.
    let before = told(1, &[early, ours], AFTER).await.unwrap();
    assert!(before.proven() && before.seen[0].matter == Matter::Allowed, "{before:?}");
    // Behind it, it was recorded after the instant, whatever it says.
    let behind = told(1, &[ours, early], AFTER).await.unwrap();
    assert!(!behind.proven(), "{behind:?}");
}

#[tokio::test]
async fn an_older_entry_ties_the_number_where_nothing_newer_does() {
    let named = (1, Some(TAG), "2026-11-18T13:10:00Z", Some(MARK));
    let quiet = (1, Some([8; 32]), "2026-11-18T15:10:00Z", Some(MARK));
    let told = told(1, &[named, quiet], "2026-11-18T15:00:00Z").await.unwrap();
    assert!(told.proven() && told.link == Link::Named, "{told:?}");
    assert_eq!(told.seen.len(), 1, "allowed before the instant");
}

/// A number has another tag under each hash key: what names it under one says nothing of who it is under another.
#[tokio::test]
async fn each_hash_key_that_entries_were_written_under_must_name_the_number() {
    const MARK_2: [u8; 4] = [9, 9, 9, 9];
    const TAG_2: [u8; 32] = [6; 32];
    let (first, second) =
        ((2, Some(TAG), "2026-11-18T13:10:00Z", Some(MARK)), (2, Some(TAG_2), "2026-11-18T13:20:00Z", Some(MARK_2)));
    let (other, other_2) = (
        (1, Some([8; 32]), "2026-11-18T15:10:00Z", Some(MARK)),
        (1, Some([8; 32]), "2026-11-18T15:20:00Z", Some(MARK_2)),
    );
    let honest = [known(MARK, TAG), known(MARK_2, TAG_2)];
    let named = told_of(&honest, 2, &[first, second, other, other_2], AFTER).await.unwrap();
    assert!(named.proven() && named.link == Link::Named, "{named:?}");
    // An invented witness opens nothing under the second, where the contact may have been allowed.
    let allowed = (1, Some(TAG_2), "2026-11-18T15:20:00Z", Some(MARK_2));
    let invented = [known(MARK, TAG), known(MARK_2, [99; 32])];
    let hidden = told_of(&invented, 1, &[first, allowed], AFTER).await.unwrap();
    assert!(hidden.allowed.is_empty() && hidden.link == Link::Unnamed && !hidden.proven(), "{hidden:?}");
    // Where nothing in the span does, what is older ties it, under each of them.
    let older = told_of(&honest, 2, &[first, second, other, other_2], "2026-11-18T14:10:00Z").await.unwrap();
    assert!(older.proven() && older.link == Link::Named && older.seen.len() == 2, "{older:?}");
}

/// Two logs, of which newer heads name one alone: nothing is known of the other since.
#[tokio::test]
async fn a_log_that_newer_heads_leave_out_is_proven_by_nothing() {
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let mut all = Vec::new();
    for folder in &folders {
        let log = Log::open(folder.path(), audit::Settings::default(), &[]).unwrap();
        let _ = log.append(entry(&log, 2, Some(TAG), "2026-11-18T11:00:00Z", Some(MARK)), None).await.unwrap();
        all.push((log.writer(), log.head()));
    }
    let line = |at: &str, logs: &[(WriterId, Head)]| {
        Published { at: support::at(at), logs: logs.iter().copied().collect() }.line() + "\n"
    };
    let made = |heads: &str| {
        let read = Heads::read(heads).unwrap();
        let open = |writer: WriterId| {
            let n = all.iter().position(|(known, _)| *known == writer).unwrap();
            Entries::open(folders[n].path(), None)
        };
        let mut out = Vec::new();
        let proving = Proving { heads: &read, after: at(AFTER), whom: &[known(MARK, TAG)] };
        let wrote = proof::write(proving, &open, &mut out).map_err(|error| error.to_string());
        wrote.map(|()| String::from_utf8(out).unwrap())
    };
    let both = |text: &str, heads: &str| {
        let told = checked(text, heads, NUMBER, AFTER);
        let (code, json) = python(text, heads, &["--number", NUMBER, "--after", AFTER]);
        assert_eq!(code == Some(0), told.as_ref().is_ok_and(Checked::proven), "{told:?} {json}");
        (told, json)
    };
    let first = line("2026-11-18T12:00:00Z", &all);
    let left_out = first.clone() + &line("2026-11-18T16:00:00Z", &all[..1]);
    let writer = all[1].0.to_string();
    let refused = made(&left_out).unwrap_err();
    assert!(refused.contains(&writer) && refused.contains("ringfence audit head"), "{refused}");
    // A proof that ends each log at its own last head would look whole.
    let whole = first.clone() + &line("2026-11-18T16:00:00Z", &all);
    let text = made(&whole).unwrap();
    assert!(both(&text, &whole).0.unwrap().proven());
    let (told, json) = both(&text, &left_out);
    let fault = told.unwrap_err().what;
    assert!(fault.contains(&writer) && fault.contains("was published since"), "{fault}");
    assert!(json["fault"].as_str().unwrap().contains(&writer), "{json}");
    // It reaches as far as the log that was published last the longest ago.
    let between = first + &line("2026-11-18T14:00:00Z", &all) + &line("2026-11-18T16:00:00Z", &all[..1]);
    let (told, json) = both(&made(&between).unwrap(), &between);
    assert_eq!(told.unwrap().until, at("2026-11-18T14:00:00Z"));
    assert_eq!(json["until"], "2026-11-18T14:00:00.000Z");
    assert_eq!(json["logs"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn the_head_of_a_log_that_is_written_is_one_that_is_on_disk() {
    let folder = tempfile::tempdir().unwrap();
    assert!(proof::newest(&folder.path().join("none")).is_err());
    let log = Log::open(folder.path(), audit::Settings { segment_bytes: 400, ..Default::default() }, &[]).unwrap();
    for n in 0..9 {
        let _ = log.append(entry(&log, 1, Some(TAG), "2026-11-18T13:00:00Z", Some(MARK)), None).await.unwrap();
        let (writer, head) = proof::newest(folder.path()).unwrap().unwrap();
        assert_eq!(writer, log.writer());
        assert!(head.seq == n || head == log.head(), "never one that a crash could take back: {head:?}");
    }
    let head = log.head();
    drop(log);
    assert_eq!(proof::newest(folder.path()).unwrap().unwrap().1, head);
}
