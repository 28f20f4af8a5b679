//! Entries found and read again, whatever form their segment has.

use ringfence::audit::{Archive, Entries, Order, Select, writer_of};

use super::packed::{House, later};
use super::*;

fn select(order: Order) -> Select {
    let kinds = vec![0, 1, 2, 3, 4];
    Select { tag: None, campaign: None, millis: 0..=u64::MAX, kinds, order, after: None, most: 3 }
}

/// Every page until none is left; the places found.
async fn pages(log: &Log, mut asked: Select) -> Vec<u64> {
    let mut seqs = Vec::new();
    loop {
        let page = log.select(asked.clone()).await.unwrap();
        assert!(page.found.len() <= asked.most);
        seqs.extend(page.found.iter().map(|found| found.seq));
        match page.resume {
            Some(place) => asked.after = Some(place),
            None => return seqs,
        }
    }
}

/// The same answers in whatever form the segments are; with damaged indexes and with none.
#[tokio::test(flavor = "multi_thread")]
async fn entries_are_selected_whatever_form_their_segment_has() {
    let (house, _) = House::filled(40).await;
    let wanted = |fits: &dyn Fn(usize) -> bool| (0..40).filter(|n| fits(*n)).map(|n| n as u64 + 1).collect::<Vec<_>>();
    let since = now().millis() as u64;
    let check = async |log: &Log, state: &str| {
        let cases: [(Select, Vec<u64>); 6] = [
            (select(Order::OldestFirst), wanted(&|_| true)),
            (Select { tag: Some([8; 32]), ..select(Order::OldestFirst) }, wanted(&|n| n == 8)),
            (Select { campaign: Some([3; 16]), ..select(Order::OldestFirst) }, wanted(&|n| n % 3 == 0 && n % 7 == 3)),
            (Select { campaign: Some([6; 16]), tag: Some([6; 32]), ..select(Order::OldestFirst) }, wanted(&|n| n == 6)),
            (Select { kinds: vec![2, 4], ..select(Order::OldestFirst) }, wanted(&|n| [2, 4].contains(&(n % 5)))),
            (
                Select { millis: since + 5..=since + 21, ..select(Order::OldestFirst) },
                wanted(&|n| (5..=21).contains(&n)),
            ),
        ];
        for (asked, expected) in cases {
            assert_eq!(pages(log, asked.clone()).await, expected, "{state}: {asked:?}");
            let newest = Select { order: Order::NewestFirst, ..asked };
            let mut turned = expected.clone();
            turned.reverse();
            assert_eq!(pages(log, newest).await, turned, "{state}");
        }
        assert_eq!(pages(log, Select { tag: Some([77; 32]), ..select(Order::NewestFirst) }).await, [0; 0]);
    };
    let (log, keeper) = house.open(true).await;
    check(&log, "plain").await;
    keeper.tick(Instant::from_millis(0)).await.unwrap();
    check(&log, "compressed").await;
    for (at, path) in house.names(".idx").iter().enumerate() {
        let mut bytes = fs::read(path).unwrap();
        let length = bytes.len();
        match at % 3 {
            0 => bytes[40] ^= 1,
            1 => bytes[length - 10] ^= 1,
            _ => bytes.truncate(length / 2),
        }
        fs::write(path, bytes).unwrap();
    }
    check(&log, "damaged indexes").await;
    keeper.tick(later()).await.unwrap();
    check(&log, "archived").await;
    house.names(".idx").iter().for_each(|path| fs::remove_file(path).unwrap());
    check(&log, "no indexes").await;
    assert!(!house.names(".idx").is_empty(), "made anew");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_altered_entry_is_never_listed_nor_passed_over() {
    let (house, _) = House::filled(12).await;
    let path = segments(house.folder.path())[1].clone();
    let (log, _keeper) = house.open(false).await;
    let mut bytes = fs::read(&path).unwrap();
    // Within the tag of an entry: it would not be looked for any more.
    bytes[HEADER + 52 + 30] ^= 1;
    fs::write(&path, &bytes).unwrap();
    let mut asked = Select { most: 100, ..select(Order::OldestFirst) };
    let mut error = None;
    for _ in 0..10 {
        match log.select(asked.clone()).await {
            Ok(page) => match page.resume {
                Some(place) => asked.after = Some(place),
                None => break,
            },
            Err(refused) => {
                error = Some(refused.to_string());
                break;
            }
        }
    }
    assert!(error.is_some_and(|error| error.contains("audit verify")));
}

/// What replay and the exports of a person's data go by.
#[tokio::test(flavor = "multi_thread")]
async fn every_entry_is_read_in_order_whatever_form_its_segment_has() {
    let (house, ids) = House::filled(30).await;
    let read = async |archived: bool| {
        let writer = writer_of(house.folder.path()).unwrap().unwrap();
        let archive = archived.then(|| Archive::open(&house.settings(), writer).unwrap());
        let folder = house.folder.path().to_owned();
        let read = move || -> Result<Vec<Entry>, LogError> {
            let mut entries = Entries::open(&folder, archive)?;
            let (mut found, mut bytes) = (Vec::new(), 0);
            while let Some((one, length)) = entries.next_entry()? {
                assert_eq!(one.seq, found.len() as u64 + 1);
                found.push(one.entry);
                bytes += length;
            }
            assert!(bytes > 0 && bytes < entries.total_bytes(), "headers count as well");
            Ok(found)
        };
        tokio::task::spawn_blocking(read).await.unwrap()
    };
    let about = async |log: &Log| {
        let found = log.about([12; 32], u64::MAX, 10, &[0, 1, 2, 3, 4]).await.unwrap();
        assert_eq!(found.iter().map(|one| one.entry.id).collect::<Vec<_>>(), [ids[12]]);
        assert!(log.about([12; 32], 13, 10, &[0, 1, 2, 3, 4]).await.unwrap().is_empty(), "before itself");
    };
    let whole = read(false).await.unwrap();
    assert_eq!(whole.iter().map(|one| one.id).collect::<Vec<_>>(), ids);
    let (log, keeper) = house.open(false).await;
    about(&log).await;
    keeper.tick(later()).await.unwrap();
    assert!(!house.names(".log.zst").is_empty());
    about(&log).await;
    drop((log, keeper));
    assert_eq!(read(false).await.unwrap(), whole);
    let (log, keeper) = house.open(true).await;
    keeper.tick(later()).await.unwrap();
    assert!(house.names(".log.zst").is_empty());
    about(&log).await;
    drop((log, keeper));
    assert_eq!(read(true).await.unwrap(), whole);
    let refused = read(false).await.unwrap_err();
    assert!(matches!(&refused, LogError::Missing { .. }) && refused.to_string().contains("--archive"), "{refused}");
}
