//! Whatever is done to a proof or to the heads is found, by both verifiers.

use super::*;

/// Another value of the same shape.
fn flipped(word: &str) -> String {
    let last = word.chars().last().unwrap();
    let other = match last {
        '0'..='8' => char::from(last as u8 + 1),
        '9' => '8',
        'f' => 'e',
        'a'..='e' => char::from(last as u8 + 1),
        _ => 'x',
    };
    format!("{}{other}", &word[..word.len() - last.len_utf8()])
}

fn edited(text: &str, line: usize, edit: impl Fn(&str) -> String) -> String {
    let lines = text.lines().enumerate();
    lines.map(|(n, one)| if n == line { edit(one) } else { one.to_owned() } + "\n").collect()
}

/// The kinds of lines in it.
fn kinds(text: &str) -> std::collections::BTreeSet<&str> {
    text.lines().skip(1).map(|line| line.split(' ').next().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_field_of_a_proof_is_held_by_the_heads() {
    let day = day(false).await;
    let text = proof_of(day.folder.path(), &day.heads, NUMBER, STOP);
    let mut forgeries = Vec::new();
    let mut both = |forged: &str, what: &str| {
        assert!(checked(forged, &day.heads, NUMBER, STOP).is_err(), "{what}");
        forgeries.push((forged.to_owned(), what.to_owned()));
    };
    assert_eq!(kinds(&text).len(), 6, "span, header, entry, entry of ours, end, done: {text}");
    for (n, line) in text.lines().enumerate().skip(1) {
        for at in 0..line.split(' ').count() {
            let forge = |line: &str| {
                let words = line.split(' ').enumerate();
                words
                    .map(|(n, word)| if n == at { flipped(word) } else { word.to_owned() })
                    .collect::<Vec<_>>()
                    .join(" ")
            };
            both(&edited(&text, n, forge), &format!("line {n}, word {at}"));
        }
        let without: String =
            text.lines().enumerate().filter(|(m, _)| *m != n).map(|(_, l)| format!("{l}\n")).collect();
        both(&without, &format!("line {n} removed"));
        let cut: String = text.lines().take(n).map(|line| format!("{line}\n")).collect();
        both(&cut, &format!("cut before line {n}"));
        both(&edited(&text, n, |line| format!("{line}\n{line}")), &format!("line {n} twice"));
    }
    // The first line: whom it is about, and of when.
    let header: serde_json::Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    let [mark, witness, key] = [0, 1, 2].map(|n| header["witnesses"][0][n].as_str().unwrap().to_owned());
    let texts =
        [mark, witness, key, "2026-11-18T17:30:00Z".to_owned(), "proof of absence".to_owned(), "\"form\":1".to_owned()];
    for field in texts {
        let other = if field.ends_with('Z') { field.replace("17:30", "17:31") } else { flipped(&field) };
        both(&edited(&text, 0, |line| line.replace(&field, &other)), &field);
    }
    both("", "nothing");
    forgeries.push((text.clone(), "none".to_owned()));
    let codes = python_all(&forgeries, &day.heads);
    assert_eq!(codes.len(), forgeries.len());
    for ((_, what), code) in forgeries.iter().zip(&codes) {
        assert_eq!(*code, i64::from(what != "none"), "{what}");
    }
}

/// The exit status of the other verifier for each of these proofs, by one run of Python.
fn python_all(proofs: &[(String, String)], heads: &str) -> Vec<i64> {
    const EACH: &str = "
import contextlib, io, runpy, sys
main = runpy.run_path(sys.argv[1])['main']
folder, count, rest, codes = sys.argv[2], int(sys.argv[3]), sys.argv[4:], []
for n in range(count):
    sys.argv = ['absence.py', f'{folder}/{n}', *rest]
    with contextlib.redirect_stdout(io.StringIO()):
        codes.append(main())
print(codes)
";
    let folder = tempfile::tempdir().unwrap();
    for (n, (proof, _)) in proofs.iter().enumerate() {
        fs::write(folder.path().join(n.to_string()), proof).unwrap();
    }
    let published = folder.path().join("heads");
    fs::write(&published, heads).unwrap();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/verify/absence.py");
    let mut command = Command::new("python3");
    command.args(["-I", "-c", EACH, script]).arg(folder.path()).arg(proofs.len().to_string()).arg("--heads");
    let output = command.arg(&published).args(["--number", NUMBER, "--after", STOP]).output().unwrap();
    let codes = serde_json::from_slice(&output.stdout);
    codes.unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_contact_that_was_allowed_cannot_be_passed_off_as_another() {
    let day = day(true).await;
    let text = proof_of(day.folder.path(), &day.heads, NUMBER, STOP);
    let ours = text.lines().position(|line| line.starts_with("m 1 ")).unwrap();
    let words: Vec<_> = text.lines().nth(ours).unwrap().split(' ').map(ToOwned::to_owned).collect();
    // As an entry of somebody else, with the very hash that it has in the chain.
    let part = |n: usize| -> Vec<u8> {
        (0..words[n].len() / 2).map(|at| u8::from_str_radix(&words[n][2 * at..2 * at + 2], 16).unwrap()).collect()
    };
    let rest = aws_lc_rs::digest::digest(
        &aws_lc_rs::digest::SHA256,
        &[b"ringfence rest 3\0".to_vec(), part(6), part(7), part(8)].concat(),
    );
    let rest: String = rest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    let hidden = format!("e {} {rest}", words[1..6].join(" "));
    for (forged, why) in [
        (edited(&text, ours, |_| hidden.clone()), "is not shown"),
        (edited(&text, ours, |line| line.replacen("m 1", "m 2", 1)), "does not lead"),
    ] {
        let fault = checked(&forged, &day.heads, NUMBER, STOP).unwrap_err();
        assert!(fault.what.contains(why) || fault.what.contains("another head"), "{fault}");
        let (code, _) = python(&forged, &day.heads, &["--number", NUMBER]);
        assert_eq!(code, Some(1));
    }
    // Nor can the proof of another number be passed off as one of this.
    let quiet = proof_of(day.folder.path(), &day.heads, &other(777), STOP);
    for number in [&*other(777), NUMBER] {
        let told = checked(&quiet, &day.heads, number, STOP).unwrap();
        assert!(told.link == Link::Unnamed && !told.proven(), "nothing in it names the number: {told:?}");
        assert!(Checked { unnamed: true, ..told }.proven());
        assert_eq!(python(&quiet, &day.heads, &["--number", number]).0, Some(1));
        assert_eq!(python(&quiet, &day.heads, &["--number", number, "--unnamed"]).0, Some(0));
    }
    let mut heads = day.heads.lines();
    let early = format!("{}\n", heads.next().unwrap());
    let called = proof_of(day.folder.path(), &day.heads, &other(0), "2026-11-18T18:30:00Z");
    let fault = checked(&called, &day.heads, NUMBER, "2026-11-18T18:30:00Z").unwrap_err();
    assert!(fault.what.contains("another number"), "{fault}");
    // No head since the instant: nothing is known, and nothing proven.
    let fault = checked(&text, &early, NUMBER, STOP).unwrap_err();
    assert!(fault.what.contains("was published since"), "{fault}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn heads_that_are_forged_missing_or_of_another_log_prove_nothing() {
    let (day, another) = (day(false).await, super::day(false).await);
    let text = proof_of(day.folder.path(), &day.heads, NUMBER, STOP);
    let both = |heads: &str, what: &str| {
        let refused = match Heads::read(heads) {
            Ok(heads) => {
                let wanted = Wanted { heads: &heads, number: Some(NUMBER), after: None, unnamed: false };
                proof::check(text.lines().map(|line| Ok(line.to_owned())), wanted).is_err()
            }
            Err(_) => true,
        };
        assert!(refused, "{what}");
        assert_eq!(python(&text, heads, &["--number", NUMBER]).0, Some(1), "{what}");
    };
    both(&another.heads, "heads of another log");
    both(&format!("{}{}", day.heads, another.heads), "a log that was published and is not shown");
    for (n, line) in day.heads.lines().enumerate() {
        let at = line.find("\"hash\":\"").unwrap() + 8;
        let hash = &line[at..at + 64];
        // The first of them is where the proof begins, and all lie within it.
        both(&edited(&day.heads, n, |line| line.replace(hash, &flipped(hash))), "a forged head");
    }
    let longer = day.heads.lines().last().unwrap().replace("\"seq\":", "\"seq\":1").replace("T21:", "T22:");
    both(&format!("{}{longer}\n", day.heads), "a later head that it does not reach");
    // Two heads of one entry, or one that goes back.
    let last = day.heads.lines().last().unwrap();
    let first = day.heads.lines().next().unwrap().replace("T17:", "T23:");
    for (second, what) in
        [(first, "goes back"), (last.replace("T21:", "T22:").replace("\"hash\":\"", "\"hash\":\"0"), "no hash")]
    {
        assert!(Heads::read(&format!("{}{second}\n", day.heads)).is_err(), "{what}");
    }
    // Fewer heads only widen what must be shown.
    let only = format!("{last}\n");
    assert!(checked(&text, &only, NUMBER, STOP).is_err(), "it must begin with the log then");
    let whole = proof_of(day.folder.path(), &only, NUMBER, STOP);
    let told = checked(&whole, &only, NUMBER, STOP).unwrap();
    assert!(told.proven() && told.logs[0].begins.is_none() && told.logs[0].entries.0 == 1, "{told:?}");
    assert!(told.seen.iter().any(|seen| seen.matter == Matter::Allowed), "what was allowed before is told as that");
    assert_eq!(python(&whole, &only, &["--number", NUMBER]).0, Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_altered_log_gives_no_proof() {
    let day = day(false).await;
    let log = day.folder.path().join("data/audit");
    let heads = Heads::read(&day.heads).unwrap();
    let made = || {
        let open = |_: WriterId| Entries::open(&log, None);
        let proving = Proving { heads: &heads, after: at(STOP), whom: &[whom(day.folder.path(), NUMBER)] };
        proof::write(proving, &open, &mut Vec::new()).map_err(|error| error.to_string())
    };
    made().unwrap();
    let mut files: Vec<_> = fs::read_dir(&log).unwrap().map(|file| file.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "log"));
    files.sort();
    let kept: Vec<_> = files.iter().map(|path| fs::read(path).unwrap()).collect();
    for (path, bytes) in files.iter().zip(&kept) {
        let mut altered = bytes.clone();
        altered[200] ^= 1;
        fs::write(path, &altered).unwrap();
    }
    assert!(made().unwrap_err().contains("altered"));
    files[1..].iter().for_each(|path| fs::remove_file(path).unwrap());
    fs::write(&files[0], &kept[0]).unwrap();
    assert!(made().unwrap_err().contains("ends before entry"), "later segments are gone");
}
