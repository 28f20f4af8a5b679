//! A number has one value: whatever a list writes is what a check of that person asks for, or is rejected.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;
use ringfence::place::Number;
use ringfence::registry::import::{Columns, Intake, Order};
use ringfence::registry::set::{Header, Set};
use ringfence::registry::{Answer, List, Mark, Tagger};

use super::{AS_OF, at, header};

/// Every way in which the number of a check may be written, and some more of other countries: `tests/place.rs` and the
/// tests of the module have them too.
const FORMS: [&str; 40] = [
    "+44 20 7946 0123",
    "+44 (0)20 7946 0123",
    "+4402079460123",
    "004402079460123",
    "00442079460123",
    "0044 20 7946-0123",
    "00 44 (0)20 7946 0123",
    "tel:+44-20-7946-0123",
    "TEL:+442079460123;ext=5",
    "+442079460123 ext. 99",
    "+44.20.7946.0123",
    "＋４４２０７９４６０１２３",
    " +442079460123 ",
    "(+44) 20 7946 0123",
    "442079460123",
    "4402079460123",
    "020 7946 0123",
    "02079460123",
    "2079460123",
    "+4930231250",
    "+49030231250",
    "0049030231250",
    "+490030231250",
    "+33612345678",
    "+330612345678",
    "+33 (0)6 12 34 56 78",
    "+390612345678",
    "+39612345678",
    "+12025550143",
    "+1 (202) 555-0143",
    "+1202555014",
    "+012025550143",
    "+112025550143",
    "001 202 555 0143",
    "+5215512345678",
    "+5491112345678",
    "+54111512345678",
    "+36061234567",
    "+70949123456",
    "+861013800138006",
];

const MARK: Mark = Mark { keys: *b"test", tenant: None };

struct Plain;

impl Tagger for Plain {
    fn mark(&self) -> Mark {
        MARK
    }

    fn of_tenant(&self, _: &str) -> Arc<dyn Tagger> {
        Arc::new(Self)
    }

    fn tag(&self, _: &str, e164_digits: u64) -> u64 {
        e164_digits
    }
}

/// What becomes of a list of this one line, by each road; `None` where it is rejected.
fn imported(id: &str, region: Option<&str>, line: &str) -> [Option<BTreeSet<u64>>; 3] {
    let road = |columns: bool| {
        let own = id.starts_with("tenant.");
        let columns = columns.then(|| Columns { number: "n".to_owned(), date: None });
        let text = if columns.is_some() { format!("n,other\n\"{line}\",x\n") } else { format!("{line}\n") };
        let region = region.map(|region| region.parse().unwrap());
        let order = Order { columns, region, most_rejected: 9, ..Order::new(id, at(AS_OF)) };
        let mut intake = Intake::new(order, own.then(|| Arc::new(Plain) as Arc<dyn Tagger>)).unwrap();
        intake.read("x", text.as_bytes(), &mut |_| {}).unwrap();
        let taken = intake.taken();
        let named = if own { Header { tagged: Some(MARK), ..header(id) } } else { header(id) };
        let set = Set::in_memory(named, taken.builder).unwrap();
        (taken.rejects.count == 0).then(|| set.numbers().map(|number| number.unwrap().0).collect())
    };
    let text = format!("# as_of={AS_OF}\n{line}\n");
    let list = List::read(id, Path::new("x.txt"), text.as_bytes()).ok();
    let kept = list.map(|list| list.set().numbers().map(|number| number.unwrap().0).collect());
    [road(false), road(true), kept]
}

/// What a check makes of these digits when they are written with `+`.
fn settled(digits: u64) -> Option<u64> {
    Number::parse(&format!("+{digits}"), None).ok().map(Number::reveal_digits)
}

#[test]
fn whatever_a_list_writes_is_what_a_check_asks_for() {
    let lists =
        [("uk.tps", "GB"), ("us.dnc.national", "US"), ("fr.bloctel", "FR"), ("it.rpo", "IT"), ("mx.reus", "MX")];
    for form in FORMS {
        for (id, region) in lists {
            let asked = [None, Some(region)].map(|region| Number::parse(form, region).ok().map(Number::reveal_digits));
            for (road, held) in imported(id, None, form).into_iter().enumerate() {
                let Some(held) = held else { continue };
                let held_asked = asked.iter().flatten().all(|asked| held.contains(asked));
                assert!(held_asked, "{id} by road {road}: {form} is {asked:?}, and the list holds {held:?}");
                assert!(held.iter().all(|number| settled(*number) == Some(*number)), "{id}: {form} is {held:?}");
            }
        }
        for region in [None, Some("GB"), Some("US"), Some("DE")] {
            let asked = Number::parse(form, region).ok().map(Number::reveal_digits);
            for (road, held) in imported("tenant.own", region, form).into_iter().enumerate() {
                // Lists kept as text have no region.
                if let (Some(held), false) = (held, road == 2 && region.is_some()) {
                    assert!(asked.is_none_or(|asked| held.contains(&asked)), "{region:?} by {road}: {form}: {held:?}");
                    assert!(held.iter().all(|number| settled(*number) == Some(*number)), "{form} is {held:?}");
                }
            }
        }
    }
    // Most of them are taken, and not refused to be safe.
    for form in ["+4402079460123", "004402079460123", "+44 (0)20 7946 0123", "02079460123", "4402079460123"] {
        let [line, column, _] = imported("uk.tps", None, form);
        assert_eq!([line, column], [const { 442_079_460_123_u64 }; 2].map(|one| Some(BTreeSet::from([one]))), "{form}");
    }
    let text = format!("# as_of={AS_OF}\n+4402079460123\n");
    let list = List::read("uk.tps", Path::new("x.txt"), text.as_bytes()).unwrap();
    assert_eq!(list.look_up(442_079_460_123), Answer::Listed { since: None });
    for (id, wrong) in
        [("us.dnc.national", "+1202555014"), ("us.dnc.national", "+012025550143"), ("uk.tps", "+44207946")]
    {
        assert_eq!(imported(id, None, wrong), [None, None, None], "{wrong}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3_000, ..ProptestConfig::default() })]

    #[test]
    fn no_digits_are_held_that_no_check_asks_for(
        code in prop::sample::select(vec!["1", "7", "30", "33", "39", "44", "49", "52", "54", "55", "61", "86", "91", "351", "36", "370"]),
        zeros in "0{0,3}",
        rest in "[0-9]{4,11}",
        plus in prop::sample::select(vec!["+", "00"]),
    ) {
        let line = format!("{plus}{code}{zeros}{rest}");
        for held in imported("tenant.own", None, &line).into_iter().flatten() {
            let asked = Number::parse(&line, None).map(Number::reveal_digits);
            prop_assert_eq!(held.iter().copied().map(Ok).collect::<Vec<_>>(), vec![asked]);
            prop_assert!(held.iter().all(|number| settled(*number) == Some(*number)));
        }
    }

    #[test]
    fn ten_digits_of_a_north_american_list_are_what_a_check_reads(ten in 2_000_000_000..10_000_000_000_u64) {
        for form in [format!("{ten}"), format!("1{ten}"), format!("{},{:07}", ten / 10_000_000, ten % 10_000_000)] {
            for held in [imported("us.dnc.national", None, &form)[0].clone(), imported("us.dnc.national", None, &form)[2].clone()].into_iter().flatten() {
                let asked = Number::parse(&ten.to_string(), Some("US")).unwrap().reveal_digits();
                prop_assert_eq!(held, BTreeSet::from([asked]));
            }
        }
    }
}

#[test]
fn own_lists_read_national_numbers_where_a_region_is_given() {
    let [line, column, _] = imported("tenant.own", Some("US"), "(202) 555-0143");
    assert_eq!((line, column), (Some(BTreeSet::from([12_025_550_143])), Some(BTreeSet::from([12_025_550_143]))));
    assert_eq!(imported("tenant.own", None, "2025550143")[0], None);
    assert_eq!(imported("tenant.own", Some("GB"), "020 7946 0123")[0], Some(BTreeSet::from([442_079_460_123])));
    assert_eq!(imported("tenant.own", Some("GB"), "+12025550143")[0], Some(BTreeSet::from([12_025_550_143])));
}
