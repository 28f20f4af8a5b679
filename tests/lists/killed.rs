//! Imports that are killed, or meet each other: whatever the moment, there is the old copy or the whole new one.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::process::{Child, ChildStdin, Stdio};

use ringfence::registry::{Answer, Registries};

use super::AS_OF;
use super::import::Home;

const NEW: u64 = 13_055_550_100;

/// An import that reads as much as it is given.
fn begun(home: &Home) -> (Child, ChildStdin) {
    let mut command = home.command(&["us.dnc.national", "-", "--as-of", AS_OF, "--fewer"]);
    let mut running = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let input = running.stdin.take().unwrap();
    (running, input)
}

fn part(home: &Home) -> Option<std::path::PathBuf> {
    let entries = fs::read_dir(home.path("lists")).unwrap().map(|entry| entry.unwrap().path());
    entries.into_iter().find(|path| path.extension().is_some_and(|extension| extension == "part"))
}

/// Killed while it reads, while it writes, around the swap, and after.
#[test]
fn an_import_that_is_killed_leaves_the_old_copy_or_the_whole_new_one() {
    let home = Home::new();
    let old =
        home.import(&["us.dnc.national", home.write("full.txt", "202,5550143\n"), "--as-of", AS_OF, "--areas", "202"]);
    let lists = home.path("lists");
    let registries = Registries::open(Some(&lists)).unwrap();
    let text: String = (0..60_000_u64).map(|n| format!("305,{}\n", 5_550_100 + n * 37 % 4_000_000)).collect();
    let path = lists.join("us.dnc.national.set");
    let (mut olds, mut news) = (0, 0);
    // Until both were met after a kill: what comes after the swap is the last moment of the run.
    for round in 0..300 {
        if round >= 12 && olds > 0 && news > 0 {
            break;
        }
        let before = fs::metadata(&path).unwrap().ino();
        let (mut running, mut input) = begun(&home);
        let _ = input.write_all(text.as_bytes());
        if round > 0 {
            drop(input);
            // From the moment at which it writes, a little later each time; in the end from that of the swap.
            while part(&home).is_none() && running.try_wait().unwrap().is_none() {}
            for _ in 0..round.min(20) * 40 {
                std::hint::black_box(part(&home));
            }
            let swapped = || fs::metadata(&path).unwrap().ino() != before;
            while round > 6 && round % 2 == 0 && !swapped() && running.try_wait().unwrap().is_none() {}
        }
        running.kill().unwrap();
        // Killed, and not done by itself before.
        let killed = u32::from(running.wait().unwrap().code().is_none());
        registries.refresh();
        assert_eq!(registries.faults().len(), 0, "{:?}", registries.faults());
        let snapshot = registries.snapshot();
        let list = snapshot.get("us.dnc.national").unwrap();
        if list.version == old["version"].as_str().unwrap() {
            olds += killed;
            assert_eq!((list.count, list.look_up(NEW)), (1, Answer::NotCovered));
        } else {
            news += killed;
            assert_eq!((list.count, list.look_up(NEW)), (60_000, Answer::Listed { since: None }));
            home.import(&["us.dnc.national", "full.txt", "--as-of", AS_OF, "--fewer", "--areas", "202"]);
        }
    }
    assert!(olds > 0 && news > 0, "killed before the swap {olds} times, after it {news} times");
    // The next import takes away what the killed ones left, and nothing else.
    fs::write(lists.join(".us.dnc.national.set.77.part"), "half").unwrap();
    fs::write(lists.join(".us.dnc.tx.set.77.part"), "half").unwrap();
    home.import(&["us.dnc.national", "full.txt", "--as-of", AS_OF, "--fewer", "--areas", "202"]);
    let left = part(&home).unwrap();
    assert!(left.ends_with(".us.dnc.tx.set.77.part"));
}

#[test]
fn two_imports_of_one_list_do_not_forget_what_the_other_changed() {
    let home = Home::new();
    let full = home.write("full.txt", "202,5550143\n");
    home.import(&["us.dnc.national", full, "--as-of", AS_OF, "--areas", "202"]);
    let (mut running, mut input) = begun(&home);
    // It reads, so it has begun.
    input.write_all(&b"305,5550100\n".repeat(100_000)).unwrap();
    home.refused(&["us.dnc.national", full, "--as-of", AS_OF], &["another import of this list"]);
    home.import(&["us.dnc.tx", full, "--as-of", AS_OF]);
    running.kill().unwrap();
    running.wait().unwrap();
    home.import(&["us.dnc.national", full, "--as-of", AS_OF, "--areas", "202"]);
}
