//! Lists: a folder read, watched and swapped; every bad input named; look-ups equal to an oracle.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "tests"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use proptest::prelude::*;
use ringfence::place::Number;
use ringfence::registry::{Answer, Fault, List, Registries, TenantLists, ids, sample, tenant_folder};
use ringfence::time::Instant;

const HEADER: &str = "# as_of=2026-11-20T04:00:00Z\n";
const LISTED: Answer = Answer::Listed { since: None };

fn put(dir: &Path, name: &str, text: impl AsRef<[u8]>) {
    let unfinished = dir.join(".new");
    fs::write(&unfinished, text).unwrap();
    fs::rename(unfinished, dir.join(name)).unwrap();
}

fn put_numbers(dir: &Path, name: &str, numbers: impl IntoIterator<Item = u64>) {
    let lines: String = numbers.into_iter().map(|number| format!("+{number}\n")).collect();
    put(dir, name, format!("{HEADER}{lines}"));
}

fn open(dir: &Path) -> Registries {
    Registries::open(Some(dir)).unwrap()
}

fn only_fault(registries: &Registries) -> Fault {
    let faults = registries.faults();
    assert_eq!(faults.len(), 1, "{faults:?}");
    faults[0].clone()
}

#[test]
fn without_a_folder_there_are_no_lists() {
    let registries = Registries::open(None).unwrap();
    assert_eq!(registries.snapshot().iter().len(), 0);
    assert!(registries.snapshot().get("us.dnc.national").is_none());
    assert_eq!(registries.refresh(), Default::default());
}

#[test]
fn an_absent_folder_is_an_error_that_names_it() {
    let dir = tempfile::tempdir().unwrap();
    let fault = Registries::open(Some(&dir.path().join("no-such"))).err().unwrap();
    assert!(fault.to_string().contains("no-such: cannot be read"), "{fault}");
    assert!(fault.remedy.contains("--registries"));
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    assert!(Registries::open(Some(&file)).err().unwrap().to_string().contains("cannot be read"));
}

#[test]
fn every_list_of_a_folder_is_found_by_its_id_and_by_its_place() {
    let dir = tempfile::tempdir().unwrap();
    put_numbers(dir.path(), "uk.tps.txt", [442_079_460_000]);
    put_numbers(dir.path(), "us.dnc.national.txt", [12_025_550_143]);
    put_numbers(dir.path(), "tenant.litigators.txt", [12_025_550_199, 33_199_000_001]);
    fs::create_dir(dir.path().join("archive")).unwrap();
    for ignored in ["README.md", ".hidden", "uk.tps.txt~", "uk.ctps.txt.tmp", "README.txt"] {
        fs::write(dir.path().join(ignored), "anything").unwrap();
    }
    let registries = open(dir.path());
    assert!(registries.faults().is_empty(), "{:?}", registries.faults());
    let snapshot = registries.snapshot();
    let known: Vec<&str> = snapshot.iter().map(|list| list.id.as_str()).collect();
    assert_eq!(known, ["tenant.litigators", "uk.tps", "us.dnc.national"]);
    for id in known {
        let index = snapshot.index_of(id).unwrap();
        assert_eq!(snapshot.at(index).unwrap().id, id);
        assert_eq!(snapshot.get(id).unwrap().id, id);
    }
    assert!(snapshot.index_of("uk.ctps").is_none());
    assert_eq!(snapshot.get("tenant.litigators").unwrap().look_up(33_199_000_001), LISTED);
}

#[test]
fn a_list_that_is_none_is_refused_with_its_name_and_the_others_stand() {
    let dir = tempfile::tempdir().unwrap();
    put_numbers(dir.path(), "uk.tps.txt", [442_079_460_000]);
    let cases: &[(&str, &str, &str)] = &[
        ("us.dnc.nationl.txt", HEADER, "did you mean `us.dnc.national`?"),
        ("US.DNC.NATIONAL.txt", HEADER, "did you mean `us.dnc.national`?"),
        ("leads.txt", HEADER, "tenant.NAME"),
        ("us.rnd.txt", HEADER, "is not a list"),
        ("us.dnc.national", HEADER, "name lists ID.txt"),
        ("us.dnc.national.csv", HEADER, "name lists ID.txt"),
        ("us.dnc.national.TXT", HEADER, "name lists ID.txt"),
        ("us.dnc.fl.txt", "+12025550143\n", ":1: the first line has no `as_of`"),
        ("us.dnc.fl.txt", "# as_of=2026-11-20T04:00:00Z\n+12025550143\nx\n", ":3: character 1"),
    ];
    for (name, text, expected) in cases {
        let path = dir.path().join(name);
        fs::write(&path, text).unwrap();
        let registries = open(dir.path());
        let fault = only_fault(&registries);
        assert_eq!(fault.path, path);
        assert!(fault.to_string().contains(expected), "{fault}");
        assert_eq!(registries.snapshot().iter().len(), 1);
        fs::remove_file(path).unwrap();
        assert_eq!(registries.refresh().removed, Vec::<String>::new());
        assert!(registries.faults().is_empty());
    }
}

#[test]
fn a_folder_in_place_of_a_file_is_named() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("uk.tps.txt")).unwrap();
    assert!(only_fault(&open(dir.path())).to_string().contains("uk.tps.txt: is not a regular file"));
}

#[cfg(unix)]
#[test]
fn a_dangling_link_is_named_and_leaves_the_old_list() {
    let dir = tempfile::tempdir().unwrap();
    put_numbers(dir.path(), "uk.tps.txt", [442_079_460_000]);
    let registries = open(dir.path());
    fs::remove_file(dir.path().join("uk.tps.txt")).unwrap();
    std::os::unix::fs::symlink("nowhere", dir.path().join("uk.tps.txt")).unwrap();
    assert_eq!(registries.refresh().refused.len(), 1);
    assert!(only_fault(&registries).to_string().contains("uk.tps.txt: cannot be read"));
    assert!(registries.snapshot().get("uk.tps").is_some());
}

#[test]
fn what_changes_in_the_folder_is_picked_up_and_nothing_else_is_swapped() {
    let dir = tempfile::tempdir().unwrap();
    put_numbers(dir.path(), "uk.tps.txt", [442_079_460_000]);
    let registries = open(dir.path());
    let first = registries.snapshot();
    assert_eq!(registries.refresh(), Default::default());
    assert_eq!(registries.snapshot().generation(), first.generation());

    put_numbers(dir.path(), "uk.tps.txt", [442_079_460_001]);
    put_numbers(dir.path(), "uk.ctps.txt", []);
    assert_eq!(registries.refresh().loaded, ["uk.ctps", "uk.tps"]);
    let second = registries.snapshot();
    assert!(second.generation() > first.generation());
    assert_eq!(second.get("uk.tps").unwrap().look_up(442_079_460_001), LISTED);
    assert_eq!(second.get("uk.tps").unwrap().look_up(442_079_460_000), Answer::NotListed);
    assert_eq!(first.get("uk.tps").unwrap().look_up(442_079_460_000), LISTED, "a snapshot never changes");

    put_numbers(dir.path(), "uk.tps.txt", [442_079_460_001]);
    assert_eq!(registries.refresh(), Default::default(), "the same content is no change");

    fs::remove_file(dir.path().join("uk.tps.txt")).unwrap();
    assert_eq!(registries.refresh().removed, ["uk.tps"]);
    assert!(registries.snapshot().get("uk.tps").is_none());
    assert!(registries.snapshot().get("uk.ctps").is_some());
}

#[test]
fn a_file_written_over_in_place_at_once_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("uk.tps.txt");
    fs::write(&path, format!("{HEADER}+442079460000\n")).unwrap();
    let registries = open(dir.path());
    for n in 1..50_u64 {
        // Same length, perhaps the same file time.
        fs::write(&path, format!("{HEADER}+{}\n", 442_079_460_000 + n)).unwrap();
        assert_eq!(registries.refresh().loaded, ["uk.tps"]);
        assert_eq!(registries.snapshot().get("uk.tps").unwrap().look_up(442_079_460_000 + n), LISTED);
    }
}

#[test]
fn a_broken_new_file_leaves_the_old_list_in_force_until_it_is_mended() {
    let dir = tempfile::tempdir().unwrap();
    put_numbers(dir.path(), "us.dnc.national.txt", [12_025_550_143]);
    let registries = open(dir.path());
    let before = registries.snapshot();

    put(dir.path(), "us.dnc.national.txt", format!("{HEADER}+12025550143\n+1202555x144\n"));
    let changes = registries.refresh();
    assert_eq!((changes.loaded.len(), changes.removed.len(), changes.refused.len()), (0, 0, 1));
    assert_eq!(only_fault(&registries).line, Some(3));
    assert_eq!(registries.snapshot().generation(), before.generation());
    assert_eq!(registries.snapshot().get("us.dnc.national").unwrap().look_up(12_025_550_143), LISTED);
    assert_eq!(registries.refresh(), Default::default(), "a fault is told once, and stays in the list of faults");
    assert_eq!(registries.faults().len(), 1);

    put_numbers(dir.path(), "us.dnc.national.txt", [12_025_550_144]);
    assert_eq!(registries.refresh().loaded, ["us.dnc.national"]);
    assert!(registries.faults().is_empty());
}

#[test]
fn a_folder_that_goes_away_leaves_everything_in_force() {
    let dir = tempfile::tempdir().unwrap();
    let lists = dir.path().join("lists");
    fs::create_dir(&lists).unwrap();
    put_numbers(&lists, "uk.tps.txt", [442_079_460_000]);
    let registries = open(&lists);
    fs::rename(&lists, dir.path().join("elsewhere")).unwrap();
    assert_eq!(registries.refresh().refused.len(), 1);
    assert!(registries.snapshot().get("uk.tps").is_some());
    fs::rename(dir.path().join("elsewhere"), &lists).unwrap();
    registries.refresh();
    assert!(registries.faults().is_empty());
}

fn ask_of(lists: &TenantLists, id: &str, number: u64) -> Option<Answer> {
    lists.snapshot().get(id).map(|list| list.look_up(number))
}

#[test]
fn tenants_share_the_official_lists_and_nothing_else() {
    const LIST: &str = "tenant.own";
    let dir = tempfile::tempdir().unwrap();
    let (acme_dir, beta_dir) = (tenant_folder(dir.path(), "acme"), tenant_folder(dir.path(), "beta"));
    fs::create_dir_all(&acme_dir).unwrap();
    put_numbers(dir.path(), "uk.tps.txt", [442_079_460_000]);
    put_numbers(dir.path(), "tenant.own.txt", [12_025_550_101]);
    put_numbers(&acme_dir, "tenant.own.txt", [12_025_550_102]);
    put_numbers(&acme_dir, "tenant.other.txt", []);
    let registries = open(dir.path());
    let (acme, beta) = (registries.of("acme"), registries.of("beta"));
    let first = registries.snapshot();
    let numbers = [&first, &acme.snapshot(), &beta.snapshot()].map(|seen| seen.generation());
    assert_eq!(BTreeSet::from(numbers).len(), 3, "no two have one number: {numbers:?}");
    for seen in [&acme.snapshot(), &beta.snapshot()] {
        assert!(std::ptr::eq(seen.get("uk.tps").unwrap(), first.get("uk.tps").unwrap()), "mapped once");
    }
    assert_eq!(first.iter().map(|list| list.id.as_str()).collect::<Vec<_>>(), [LIST, "uk.tps"]);
    assert_eq!(
        acme.snapshot().iter().map(|list| list.id.clone()).collect::<Vec<_>>(),
        ["tenant.other", LIST, "uk.tps"]
    );
    assert_eq!(ask_of(&acme, LIST, 12_025_550_101), Some(Answer::NotListed));
    assert_eq!(ask_of(&acme, LIST, 12_025_550_102), Some(LISTED));
    assert_eq!(first.get(LIST).unwrap().look_up(12_025_550_102), Answer::NotListed);
    assert_eq!(beta.snapshot().iter().map(|list| list.id.clone()).collect::<Vec<_>>(), ["uk.tps"]);
    assert!(!beta.snapshot().has_own() && acme.snapshot().has_own());

    // What comes is taken up by whom it is for.
    let before = [registries.snapshot().generation(), acme.snapshot().generation()];
    fs::create_dir_all(&beta_dir).unwrap();
    put_numbers(&beta_dir, "tenant.own.txt", [12_025_550_103]);
    assert_eq!(registries.refresh().loaded, ["beta/tenant.own"]);
    assert_eq!(ask_of(&beta, LIST, 12_025_550_103), Some(LISTED));
    assert_eq!([registries.snapshot().generation(), acme.snapshot().generation()], before, "nobody else's changed");
    put_numbers(dir.path(), "uk.tps.txt", [442_079_460_001]);
    assert_eq!(registries.refresh().loaded, ["uk.tps"]);
    assert_eq!([&acme, &beta].map(|seen| ask_of(seen, "uk.tps", 442_079_460_001)), [Some(LISTED); 2]);
    fs::remove_dir_all(&beta_dir).unwrap();
    assert_eq!(registries.refresh().removed, ["beta/tenant.own"]);
    assert_eq!((ask_of(&beta, LIST, 12_025_550_103), registries.faults().len()), (None, 0));
    assert!(registries.snapshot().get(LIST).is_some() && acme.snapshot().get(LIST).is_some());
}

#[test]
fn what_has_no_place_among_the_tenants_folders_is_named_and_not_used() {
    let dir = tempfile::tempdir().unwrap();
    let acme_dir = tenant_folder(dir.path(), "acme");
    fs::create_dir_all(&acme_dir).unwrap();
    put_numbers(&acme_dir, "uk.tps.txt", [442_079_460_000]);
    let registries = open(dir.path());
    assert!(registries.faults().is_empty(), "who is not asked for is not looked at");
    let acme = registries.of("acme");
    assert!(
        only_fault(&registries).to_string().contains("uk.tps.txt: is an official list in the folder of one tenant")
    );
    assert!(acme.snapshot().get("uk.tps").is_none() && registries.snapshot().get("uk.tps").is_none());
    fs::remove_file(acme_dir.join("uk.tps.txt")).unwrap();

    for stranger in ["Acme", "default", "..."] {
        let folder = dir.path().join("tenants").join(stranger);
        fs::create_dir_all(&folder).unwrap();
        put_numbers(&folder, "tenant.own.txt", [12_025_550_103]);
    }
    put_numbers(&dir.path().join("tenants"), "tenant.own.txt", [12_025_550_103]);
    registries.refresh();
    assert!(only_fault(&registries).to_string().contains("tenant.own.txt: is no folder of a tenant"));
    let refused = registries.know_tenants().refused;
    // What begins with a dot is hidden.
    let names: Vec<_> = refused.iter().map(|fault| fault.path.file_name().unwrap().to_str().unwrap()).collect();
    assert_eq!(names, ["Acme", "default"]);
    assert!(refused.iter().all(|fault| fault.what.contains("no tenant of this name is known")));
    assert!([acme.snapshot(), registries.snapshot()].iter().all(|seen| seen.iter().len() == 0));
    // Once somebody asks for it, it is used.
    let late = registries.of("Acme");
    assert_eq!(ask_of(&late, "tenant.own", 12_025_550_103), Some(LISTED));
    assert_eq!(registries.faults().len(), 2, "{:?}", registries.faults());
}

#[cfg(unix)]
#[test]
fn a_tenants_folder_that_cannot_be_read_leaves_all_in_force_or_all_unknown() {
    let dir = tempfile::tempdir().unwrap();
    let acme_dir = tenant_folder(dir.path(), "acme");
    fs::create_dir_all(&acme_dir).unwrap();
    put_numbers(&acme_dir, "tenant.own.txt", [12_025_550_102]);
    put_numbers(dir.path(), "uk.tps.txt", [442_079_460_000]);
    let registries = open(dir.path());
    let acme = registries.of("acme");
    // A volume that is away: a link to nowhere, of the one folder and of all.
    for away in [acme_dir.clone(), dir.path().join("tenants")] {
        let elsewhere = dir.path().join(".elsewhere");
        fs::rename(&away, &elsewhere).unwrap();
        std::os::unix::fs::symlink("nowhere", &away).unwrap();
        put_numbers(dir.path(), "uk.tps.txt", [442_079_460_000 + u64::from(away == acme_dir)]);
        assert_eq!(registries.refresh().loaded, ["uk.tps"]);
        assert!(registries.faults().iter().any(|fault| fault.path == away), "{:?}", registries.faults());
        assert_eq!(ask_of(&acme, "tenant.own", 12_025_550_102), Some(LISTED));
        assert!(!acme.snapshot().is_obscure("tenant.own") && !acme.snapshot().is_obscure("tenant.other"));
        let current = registries.snapshot();
        assert!(std::ptr::eq(acme.snapshot().get("uk.tps").unwrap(), current.get("uk.tps").unwrap()));
        // Whoever comes now knows of no file, and so of none that is not there.
        let late = open(dir.path());
        let seen = late.of("acme").snapshot();
        assert!(seen.is_obscure("tenant.own") && seen.is_obscure("tenant.other") && !seen.is_obscure("uk.tps"));
        assert!(!seen.is_refused("tenant.own") && seen.get("uk.tps").is_some());
        assert!(!late.faults().is_empty());
        fs::remove_file(&away).unwrap();
        fs::rename(&elsewhere, &away).unwrap();
        registries.refresh();
        assert!(registries.faults().is_empty(), "{:?}", registries.faults());
        late.refresh();
        assert!(late.of("acme").snapshot().get("tenant.own").is_some());
    }
}

#[test]
fn a_file_that_seems_to_be_a_list_is_one_that_cannot_be_used() {
    let dir = tempfile::tempdir().unwrap();
    let names = [
        ("tenant.own", "tenant.own"),
        ("tenant.own.csv", "tenant.own"),
        ("tenant.own.set.gz", "tenant.own"),
        ("Tenant.Own.txt", "tenant.own"),
        ("tenant.own (1).txt", "tenant.own"),
        ("copy of tenant.own.set", "tenant.own"),
        ("us.dnc.national", "us.dnc.national"),
        ("us.dnc.national-2026.csv", "us.dnc.national"),
    ];
    for (name, id) in names {
        fs::write(dir.path().join(name), HEADER).unwrap();
        let registries = open(dir.path());
        let seen = registries.snapshot();
        assert!(seen.is_refused(id) && seen.is_obscure(id), "{name}");
        assert_eq!(seen.has_own(), id == "tenant.own", "{name}");
        assert_eq!(registries.faults().len(), 1, "{name}");
        // Beside a copy that is in force it hides nothing.
        put_numbers(dir.path(), &format!("{id}.txt"), []);
        registries.refresh();
        let seen = registries.snapshot();
        assert!(seen.get(id).is_some() && !seen.is_refused(id) && registries.faults().len() == 1, "{name}");
        fs::remove_file(dir.path().join(format!("{id}.txt"))).unwrap();
        fs::remove_file(dir.path().join(name)).unwrap();
    }
}

/// The list is replaced whole, round by round; no reader may ever see half of one.
#[test]
fn readers_see_whole_lists_while_they_are_swapped() {
    const SIZE: u64 = 500;
    let dir = tempfile::tempdir().unwrap();
    let round = |n: u64| (0..SIZE).map(move |i| 12_025_550_000 + n * SIZE + i);
    put_numbers(dir.path(), "us.dnc.national.txt", round(0));
    let registries = open(dir.path());
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let readers: Vec<_> = (0..3)
            .map(|_| {
                scope.spawn(|| {
                    let mut seen = BTreeSet::new();
                    while !done.load(Ordering::Relaxed) {
                        let snapshot = registries.snapshot();
                        let list = snapshot.get("us.dnc.national").expect("never absent");
                        seen.insert(snapshot.generation());
                        assert_eq!(list.count, SIZE);
                        let rounds = (0..40).filter(|n| {
                            let hits = round(*n).filter(|number| list.look_up(*number) == LISTED).count();
                            assert!(hits == 0 || hits as u64 == SIZE, "{hits} of a round");
                            hits > 0
                        });
                        assert_eq!(rounds.count(), 1);
                    }
                    seen.len()
                })
            })
            .collect();
        for n in 1..40 {
            put_numbers(dir.path(), "us.dnc.national.txt", round(n));
            assert_eq!(registries.refresh().loaded.len(), 1);
        }
        done.store(true, Ordering::Relaxed);
        for reader in readers {
            assert!(reader.join().unwrap() >= 1);
        }
    });
}

#[test]
fn the_samples_are_lists_of_the_instant_they_are_stamped_with() {
    let dir = tempfile::tempdir().unwrap();
    let lists = dir.path().join("deep/lists");
    let now = Instant::from_rfc3339("2026-11-21T10:00:00.123Z").unwrap();
    let written = sample::install(&lists, now).unwrap();
    assert_eq!(written.len(), 15);
    let registries = open(&lists);
    assert!(registries.faults().is_empty(), "{:?}", registries.faults());
    let snapshot = registries.snapshot();
    for (id, _) in sample::TEMPLATES {
        let list = snapshot.get(id).unwrap();
        assert_eq!((list.as_of, list.sample, list.source.as_deref()), (now, true, Some("made up")));
        assert!(list.count > 10);
    }
    let in_memory = Registries::fixed(sample::lists(now).unwrap());
    let versions = |r: &Registries| r.snapshot().iter().map(|list| list.version.clone()).collect::<Vec<_>>();
    assert_eq!(versions(&in_memory), versions(&registries));

    let later = Instant::from_rfc3339("2026-12-01T00:00:00Z").unwrap();
    sample::install(&lists, later).unwrap();
    registries.refresh();
    assert_eq!(registries.snapshot().get("uk.tps").unwrap().as_of, later, "samples may be stamped anew");
}

#[test]
fn samples_never_replace_a_real_list() {
    let dir = tempfile::tempdir().unwrap();
    for real in [format!("{HEADER}+12025550143\n"), "a list that is being repaired".to_owned()] {
        put(dir.path(), "us.dnc.tx.txt", &real);
        let fault = sample::install(dir.path(), Instant::from_millis(0)).unwrap_err();
        assert!(fault.to_string().contains("us.dnc.tx.txt: is there already"), "{fault}");
        assert_eq!(fs::read_to_string(dir.path().join("us.dnc.tx.txt")).unwrap(), real);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing else was written");
    }
    let fault = sample::install(&dir.path().join("us.dnc.tx.txt"), Instant::from_millis(0)).unwrap_err();
    assert!(fault.to_string().contains("cannot be written"), "{fault}");
    assert!(sample::install(dir.path(), Instant::FAR).is_err());
}

#[test]
fn some_of_the_sample_leads_are_listed() {
    let lists = Registries::fixed(sample::lists(Instant::from_millis(0)).unwrap());
    let snapshot = lists.snapshot();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/sample/leads.csv");
    let mut leads = csv::Reader::from_path(path).unwrap();
    let mut by_country: BTreeMap<String, (u32, u32)> = BTreeMap::new();
    let mut rows = 0;
    for row in leads.records() {
        let row = row.unwrap();
        rows += 1;
        let seen = by_country.entry(row[6].to_owned()).or_default();
        if let Some(number) = row[5].strip_prefix('+').and_then(|digits| digits.parse().ok()) {
            seen.0 += 1;
            seen.1 += u32::from(snapshot.iter().any(|list| list.look_up(number) != Answer::NotListed));
        }
    }
    assert_eq!(rows, 3_000);
    assert!(by_country.len() >= 40, "{} countries", by_country.len());
    for (country, least) in [("US", 30), ("GB", 15), ("FR", 15)] {
        let (all, listed) = by_country[country];
        assert!(listed * 100 >= all * least && listed * 2 < all, "{country}: {listed} of {all}");
    }
}

/// One line of a list, and what it should mean.
fn entry() -> impl Strategy<Value = (String, u64, Option<Instant>)> {
    // Close together as in real exchanges, at block borders, and anywhere.
    let number = prop_oneof![
        12_025_550_000_u64..12_025_550_300,
        (190_000_u64..190_010, 0_u64..3).prop_map(|(block, n)| (block << 16) + n),
        (190_000_u64..190_010, 0_u64..3).prop_map(|(block, n)| (block << 16) - n - 1),
        1_000_000_u64..=999_999_999_999_999,
    ];
    (number, proptest::option::of((2001_i32..2027, 1_u8..=12, 1_u8..=28)), any::<bool>()).prop_map(
        |(number, date, plus)| {
            let plus = if plus { "+" } else { "" };
            match date {
                None => (format!("{plus}{number}\n"), number, None),
                Some((y, m, d)) => {
                    let since = Instant::from_rfc3339(&format!("{y}-{m:02}-{d:02}T00:00:00Z"));
                    (format!("{plus}{number},{y}-{m:02}-{d:02}\n"), number, since)
                }
            }
        },
    )
}

proptest! {
    #[test]
    fn look_up_equals_a_sorted_map(
        entries in proptest::collection::vec(entry(), 0..400),
        probes in proptest::collection::vec(any::<u64>(), 20),
    ) {
        // A number is the value that a check makes of it; what is none refuses the list.
        let checked = |number: u64| Number::parse(&format!("+{number}"), None).ok().map(Number::reveal_digits);
        let entries: Vec<_> = entries
            .into_iter()
            .filter_map(|(line, number, since)| Some((line, checked(number)?, since)))
            .collect();
        let text: String = std::iter::once(HEADER.to_owned()).chain(entries.iter().map(|e| e.0.clone())).collect();
        let list = List::read("tenant.oracle", Path::new("x"), text.as_bytes()).unwrap();
        let mut oracle: BTreeMap<u64, Option<Instant>> = BTreeMap::new();
        let latest = Instant::from_rfc3339("2026-11-21T04:00:00Z");
        for (_, number, since) in &entries {
            // What is entered more than a day after the copy was made has no date, and binds at once.
            let since = &since.filter(|since| Some(*since) <= latest);
            // An entry of unknown age is the strictest, whatever the rule makes of its age.
            let merged = |old: &mut Option<Instant>| *old = old.filter(|old| Some(*old) == *since);
            oracle.entry(*number).and_modify(merged).or_insert(*since);
        }
        prop_assert_eq!(list.count, oracle.len() as u64);
        let near = entries.iter().flat_map(|e| [e.1.wrapping_sub(1), e.1, e.1 + 1, e.1 + 0x1_0000]);
        for number in near.chain(probes) {
            let expected = oracle.get(&number).map_or(Answer::NotListed, |since| Answer::Listed { since: *since });
            prop_assert_eq!(list.look_up(number), expected, "{}", number);
        }
    }

    #[test]
    fn no_bytes_make_the_reader_fail_otherwise_than_in_words(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        for start in ["", HEADER] {
            let text = [start.as_bytes(), &bytes].concat();
            for id in ["us.dnc.national", "uk.tps", "tenant.x"] {
                if let Err(fault) = List::read(id, Path::new("x"), text.as_slice()) {
                    prop_assert!(!fault.what.is_empty() && !fault.remedy.is_empty());
                }
            }
        }
    }

    #[test]
    fn no_name_is_taken_for_a_list_by_chance(name in "[a-z.0-9]{0,20}") {
        let own = name.strip_prefix("tenant.").is_some_and(|own| !own.is_empty() && !own.contains('.'));
        let known = own || ids::official(&name).is_some();
        prop_assert_eq!(ids::kind(&name).is_ok(), known);
    }
}

#[test]
fn lists_of_ones_own_go_by_one_name() {
    assert_eq!(ids::OWN, ringfence::law::OWN_LIST);
}
