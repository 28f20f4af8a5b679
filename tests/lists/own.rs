//! The tenant's own lists: tags in place of numbers, by the same road.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use ringfence::registry::import::{Import, Order};
use ringfence::registry::set::Set;
use ringfence::registry::{Answer, Mark, Registries, Tagger, tenant_folder};
use ringfence::time::Instant;

use super::{AS_OF, at};

const LISTED: Answer = Answer::Listed { since: None };

/// Keys of a kind, for a tenant.
struct Keys(u8, Option<u8>);

impl Tagger for Keys {
    fn mark(&self) -> Mark {
        Mark { keys: [0, self.0, 7, 255], tenant: self.1.map(|tenant| [tenant, 0, 255, 1]) }
    }

    fn of_tenant(&self, name: &str) -> Arc<dyn Tagger> {
        Arc::new(Self(self.0, Some(name.bytes().fold(1, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte)))))
    }

    fn tag(&self, list: &str, e164_digits: u64) -> u64 {
        let whose = self.1.map_or(0, |tenant| u64::from(tenant) + 1);
        let e164_digits = e164_digits ^ (whose << 48);
        let own =
            list.bytes().fold(u64::from(self.0) + 1, |own, byte| own.wrapping_mul(31).wrapping_add(u64::from(byte)));
        (e164_digits ^ (own << 40))
            .wrapping_mul(0x9E37_79B9_7F4A_7C15)
            .rotate_left(29)
            .wrapping_mul(0xD6E8_FEB8_6659_FD93)
    }
}

fn keys(kind: u8) -> Arc<dyn Tagger> {
    Arc::new(Keys(kind, None))
}

fn order(id: &str, changes: bool) -> Order {
    let as_of = at(AS_OF);
    // The keys of a full list may be others: what refuses them unasked is tried by the command.
    let (since, new_keys) = (changes.then_some(as_of), true);
    Order { source: "counsel".to_owned(), changes, since, new_keys, ..Order::new(id, as_of) }
}

fn import(
    folder: &Path,
    id: &str,
    changes: bool,
    text: &str,
    keys: Option<Arc<dyn Tagger>>,
) -> Result<(u64, u64, u64), String> {
    let mut import = Import::begin(order(id, changes), folder, keys).map_err(|fault| fault.to_string())?;
    import.read("text", text.as_bytes(), &mut |_| {}).map_err(|fault| fault.to_string())?;
    let report = import.finish().map_err(|fault| fault.to_string())?;
    Ok((report.header.count, report.added, report.removed))
}

fn ask(registries: &Registries, id: &str, number: u64) -> Option<Answer> {
    registries.snapshot().get(id).map(|list| list.look_up(number))
}

#[test]
fn own_lists_hold_tags_and_answer_under_their_keys_alone() {
    let folder = tempfile::tempdir().unwrap();
    let text: String = (0..5_000).map(|n| format!("+1202{:07}\n", 5_550_000 + n * 3)).collect();
    assert_eq!(import(folder.path(), "tenant.litigators", false, &text, Some(keys(1))), Ok((5_000, 5_000, 0)));
    let path = folder.path().join("tenant.litigators.set");
    let set = Set::map(&path).unwrap();
    assert!(set.numbers().all(|tag| !(12_025_550_000..12_025_570_000).contains(&tag.unwrap().0)), "numbers");
    let registries = Registries::open(Some(folder.path())).unwrap();
    assert!(registries.faults()[0].to_string().contains("no keys are known"), "{:?}", registries.faults());
    assert_eq!(ask(&registries, "tenant.litigators", 12_025_550_000), None);
    assert_eq!(registries.know_tags(keys(1)).loaded, ["tenant.litigators"]);
    assert!(registries.faults().is_empty());
    for n in 0..15_000 {
        let expected = if n % 3 == 0 { LISTED } else { Answer::NotListed };
        assert_eq!(ask(&registries, "tenant.litigators", 12_025_550_000 + n), Some(expected), "{n}");
    }
    let others = Registries::open(Some(folder.path())).unwrap();
    others.know_tags(keys(2));
    assert!(others.faults()[0].to_string().contains("made under other keys"));
    assert_eq!(ask(&others, "tenant.litigators", 12_025_550_000), None, "a list that cannot be asked is none");
}

#[test]
fn tags_of_one_tenant_are_of_no_use_to_another() {
    const NUMBER: u64 = 12_025_550_143;
    let folder = tempfile::tempdir().unwrap();
    let lists = folder.path();
    let (acme, beta) = (tenant_folder(lists, "acme"), tenant_folder(lists, "beta"));
    for (folder, tagger) in [(&acme, keys(1).of_tenant("acme")), (&beta, keys(1).of_tenant("beta"))] {
        fs::create_dir_all(folder).unwrap();
        import(folder, "tenant.own", false, "+12025550143\n", Some(tagger)).unwrap();
    }
    import(lists, "tenant.own", false, "+442079460000\n", Some(keys(1))).unwrap();
    let tags = |folder: &Path| -> Vec<u64> {
        Set::map(&folder.join("tenant.own.set")).unwrap().numbers().map(|tag| tag.unwrap().0).collect()
    };
    assert_ne!(tags(&acme), tags(&beta), "the same number in the same list");
    let registries = Registries::open(Some(lists)).unwrap();
    // Asked for before the keys are known, as well as after.
    let of_acme = registries.of("acme");
    assert!(registries.faults().iter().all(|fault| fault.to_string().contains("no keys are known")));
    assert_eq!(registries.know_tags(keys(1)).loaded, ["tenant.own", "acme/tenant.own"]);
    let of_beta = registries.of("beta");
    assert!(registries.faults().is_empty(), "{:?}", registries.faults());
    for (seen, expected) in
        [(of_acme.snapshot(), LISTED), (of_beta.snapshot(), LISTED), (registries.snapshot(), Answer::NotListed)]
    {
        assert_eq!(seen.get("tenant.own").unwrap().look_up(NUMBER), expected);
    }
    // Copied from one to another, up and down.
    let name = "tenant.own.set";
    for (from, to) in [(acme.as_path(), beta.as_path()), (lists, acme.as_path()), (beta.as_path(), lists)] {
        let kept = fs::read(to.join(name)).unwrap();
        fs::copy(from.join(name), to.join(".new")).unwrap();
        fs::rename(to.join(".new"), to.join(name)).unwrap();
        let fresh = Registries::open(Some(lists)).unwrap();
        fresh.know_tags(keys(1));
        let (acme, beta) = (fresh.of("acme"), fresh.of("beta"));
        let faults = fresh.faults();
        assert!(faults.len() == 1 && faults[0].path == to.join(name), "{faults:?}");
        assert!(faults[0].what == "it was made for another tenant" && faults[0].remedy.contains("--tenant"));
        let there = [fresh.snapshot(), acme.snapshot(), beta.snapshot()].map(|seen| seen.get("tenant.own").is_some());
        assert_eq!(there.iter().filter(|there| **there).count(), 2, "{there:?}");
        fs::write(to.join(name), kept).unwrap();
    }
    // The same tenant under other keys.
    let others = Registries::open(Some(lists)).unwrap();
    others.know_tags(keys(2));
    let _ = others.of("acme");
    assert!(others.faults().iter().all(|fault| fault.what == "it was made under other keys"), "{:?}", others.faults());
    let changed = import(&acme, "tenant.own", true, "+12025550144,A\n", Some(keys(1).of_tenant("beta")));
    assert!(changed.unwrap_err().contains("for another tenant"));
}

#[test]
fn own_lists_change_keep_dates_and_never_hold_numbers_unprotected() {
    let folder = tempfile::tempdir().unwrap();
    let lists = folder.path();
    fs::write(lists.join("tenant.deceased.txt"), format!("# as_of={AS_OF}\n+442079460000\n+442079460001,2025-01-02\n"))
        .unwrap();
    let changes = "+442079460000,D\n+33199000001,2026-01-02,A\n+12025550143,A\n";
    let none = import(lists, "tenant.deceased", true, changes, None).unwrap_err();
    assert!(none.contains("unprotected") && none.contains("--keys"), "{none}");
    assert_eq!(import(lists, "tenant.deceased", true, changes, Some(keys(1))), Ok((3, 3, 2)), "of text, all is new");
    assert_eq!(import(lists, "tenant.deceased", true, "+12025550143,D\n", Some(keys(1))), Ok((2, 0, 1)));
    assert!(import(lists, "tenant.deceased", true, changes, Some(keys(2))).unwrap_err().contains("other keys"));
    fs::remove_file(lists.join("tenant.deceased.txt")).unwrap();
    let registries = Registries::open(Some(lists)).unwrap();
    registries.know_tags(keys(1));
    let since = |text| Some(Answer::Listed { since: Instant::from_rfc3339(text) });
    assert_eq!(ask(&registries, "tenant.deceased", 442_079_460_001), since("2025-01-02T00:00:00Z"));
    assert_eq!(ask(&registries, "tenant.deceased", 33_199_000_001), since("2026-01-02T00:00:00Z"));
    assert_eq!(ask(&registries, "tenant.deceased", 442_079_460_000), Some(Answer::NotListed));
    assert_eq!(ask(&registries, "tenant.deceased", 12_025_550_143), Some(Answer::NotListed));
    assert!(
        import(lists, "uk.tps", false, "+442079460000\n", Some(keys(1))).unwrap_err().contains("no list of your own")
    );
    // Made anew under other keys.
    assert_eq!(import(lists, "tenant.deceased", false, "+442079460000\n", Some(keys(2))), Ok((1, 1, 2)));
}

#[test]
fn no_byte_of_a_set_of_tags_can_be_another() {
    let folder = tempfile::tempdir().unwrap();
    import(
        folder.path(),
        "tenant.own",
        false,
        "+442079460000\n+442079460001,2025-01-02\n+12025550143\n",
        Some(keys(1)),
    )
    .unwrap();
    let whole = fs::read(folder.path().join("tenant.own.set")).unwrap();
    let passes = |bytes: &[u8]| Set::read(bytes.to_vec()).is_ok_and(|set| set.verify().is_ok());
    assert!(passes(&whole));
    for place in 0..whole.len() {
        let mut changed = whole.clone();
        changed[place] ^= 1 << (place % 8);
        assert!(!passes(&changed), "byte {place}");
        assert!(!passes(&whole[..place]), "cut to {place}");
    }
}
