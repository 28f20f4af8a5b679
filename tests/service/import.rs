//! `ImportContacts`: each row whole or refused, nothing twice.

use futures_util::stream;
use v1::import_contacts_request::Entry;

use super::faulty::{Fault, Faulty};
use super::support::engine_over;
use super::*;

fn row(row: u64, entry: Entry) -> v1::ImportContactsRequest {
    v1::ImportContactsRequest { import_id: String::new(), row, entry: Some(entry) }
}

fn stop(number: &str) -> Entry {
    Entry::OptOut(v1::RecordOptOutRequest { request_id: String::new(), ..opt_out(number, "") })
}

fn consent(number: &str) -> Entry {
    Entry::Consent(v1::RecordConsentRequest {
        number: number.to_owned(),
        consent: Some(v1::Consent {
            grade: v1::ConsentGrade::ExpressWritten.into(),
            given_at: stamp("2026-01-02T03:04:05Z"),
            ..Default::default()
        }),
        ..Default::default()
    })
}

fn residence(number: &str, place: &str) -> Entry {
    Entry::Facts(v1::UpdateContactRequest {
        number: number.to_owned(),
        facts: Some(v1::ContactFacts { residence: place.to_owned(), ..Default::default() }),
        update_mask: Some(ringfence::proto::well_known::FieldMask { paths: vec!["residence".to_owned()] }),
        ..Default::default()
    })
}

async fn import(
    served: &Served,
    mut rows: Vec<v1::ImportContactsRequest>,
    id: &str,
) -> Result<v1::ImportContactsResponse, Status> {
    if let Some(first) = rows.first_mut() {
        id.clone_into(&mut first.import_id);
    }
    served.consent().import_contacts(stream::iter(rows)).await.map(tonic::Response::into_inner)
}

async fn contact(served: &Served, number: &str) -> v1::Contact {
    let request = v1::GetContactRequest { number: number.to_owned(), ..Default::default() };
    served.consent().get_contact(request).await.unwrap().into_inner().contact.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_are_recorded_whole_or_refused_and_nothing_twice() {
    let folder = tempfile::tempdir().unwrap();
    let served = serve(durable(folder.path()).await.engine).await;
    let number = |row: u64| format!("+1305555{row:04}");
    let mut rows: Vec<_> = (1..=1_500).map(|at| row(at, stop(&number(at)))).collect();
    rows[9].entry = Some(stop("not a number 13055550001"));
    rows[19].entry = None;
    rows[29].entry = Some(Entry::OptOut(v1::RecordOptOutRequest { number: number(30), ..Default::default() }));
    rows[39].entry = Some(Entry::Consent(v1::RecordConsentRequest { number: number(40), ..Default::default() }));
    rows[49].entry = Some(residence(&number(50), "Atlantis"));
    let told = import(&served, rows.clone(), "crm").await.unwrap();
    assert_eq!((told.import_id.as_str(), told.accepted, told.repeated_rows, told.rejected), ("crm", 1_495, 0, 5));
    let refused: Vec<_> = told.rejections.iter().map(|why| (why.row, why.field.as_str())).collect();
    assert_eq!(refused, [(10, "number"), (20, ""), (30, "scope"), (40, "consent"), (50, "facts.residence")]);
    assert!(told.rejections.iter().all(|why| !why.message.is_empty() && !why.message.contains("30555")));
    assert_eq!(told.receipt_id.len(), 36);
    assert_eq!(contact(&served, &number(1_500)).await.opt_outs.len(), 1);
    // Sent again, nothing is recorded twice; a row that was mended is recorded now.
    rows[9].entry = Some(stop(&number(10)));
    let again = import(&served, rows.clone(), "crm").await.unwrap();
    assert_eq!((again.accepted, again.repeated_rows, again.rejected), (1, 1_495, 4));
    assert_eq!(contact(&served, &number(7)).await.opt_outs.len(), 1);
    // Under another name they are other rows.
    let other = import(&served, rows, "crm-2").await.unwrap();
    assert_eq!((other.accepted, other.repeated_rows), (1_496, 0));
    assert_eq!(contact(&served, &number(7)).await.opt_outs.len(), 2);
}

#[tokio::test]
async fn rows_of_one_number_are_recorded_in_their_order() {
    let served = serve(engine()).await;
    let rows = vec![
        row(1, residence(NUMBER, "US-NY")),
        row(2, consent(NUMBER)),
        row(3, stop(NUMBER)),
        row(4, residence("(305) 555-0123", "US-CA")),
        row(9, residence(NUMBER, "US-FL")),
    ];
    let told = import(&served, rows, "facts").await.unwrap();
    assert_eq!((told.accepted, told.rejected), (4, 1), "a national number without its country is refused");
    let contact = contact(&served, NUMBER).await;
    assert_eq!((contact.consents.len(), contact.opt_outs.len(), contact.version), (1, 1, 4));
    let text = format!("{:?}", contact.dated_facts);
    assert!(text.contains("US-FL") && text.contains("US-NY"), "{text}");
    // I1: the consent was recorded before the opt-out, and reopens nothing.
    assert_eq!(families(&served.decide(notice()).await), ["RULE_FAMILY_OPT_OUT"]);
}

#[tokio::test]
async fn every_refused_row_is_named_or_the_import_ends() {
    let served = serve(engine()).await;
    let nothing = |row| v1::ImportContactsRequest { import_id: String::new(), row, entry: None };
    let mut rows: Vec<_> = (1..=12_000).map(nothing).collect();
    rows.push(row(12_001, stop(NUMBER)));
    rows.extend([nothing(12_002), nothing(12_007)]);
    let told = import(&served, rows, "long").await.unwrap();
    assert_eq!((told.accepted, told.rejected, told.rejections.len()), (1, 12_002, 10_000));
    let named: Vec<_> = told.rejected_rows.iter().map(|rows| (rows.first, rows.last)).collect();
    assert_eq!(named, [(1, 12_000), (12_002, 12_002), (12_007, 12_007)]);
    let refused = import(&served, (1..=110_000).map(|at| nothing(at * 2)).collect(), "odd").await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition, "{refused:?}");
    assert_eq!(refused.get_details_error_info().unwrap().reason, "TOO_MANY_REFUSED");
}

#[tokio::test]
async fn an_id_used_for_something_else_is_refused() {
    let served = serve(engine()).await;
    import(&served, vec![row(1, stop(NUMBER))], "a").await.unwrap();
    let told = import(&served, vec![row(1, consent(NUMBER))], "a").await.unwrap();
    assert_eq!((told.accepted, told.rejected, told.rejections[0].field.as_str()), (0, 1, "request_id"));
    // A request_id of its own counts across imports.
    let own = |id: u64| row(id, Entry::OptOut(opt_out(NUMBER, "mine")));
    assert_eq!(import(&served, vec![own(1)], "b").await.unwrap().accepted, 1);
    assert_eq!(import(&served, vec![own(5)], "c").await.unwrap().repeated_rows, 1);
}

#[tokio::test]
async fn a_faulty_stream_is_refused_and_keeps_what_was_recorded() {
    let served = serve(engine()).await;
    for (rows, id, field) in [
        (vec![], "", "import_id"),
        (vec![row(1, stop(NUMBER))], "", "import_id"),
        (vec![row(1, stop(NUMBER))], &*"x".repeat(101), "import_id"),
        (vec![row(0, stop(NUMBER))], "a", "row"),
        (vec![row(2, stop(NUMBER)), row(2, stop(NUMBER))], "a", "row"),
    ] {
        let status = refusal(import(&served, rows, id).await);
        assert_eq!((status.code(), fields(&status)), (Code::InvalidArgument, vec![field.to_owned()]), "{status:?}");
    }
    let mut rows = vec![row(1, stop(NUMBER)), row(2, stop(NUMBER))];
    rows[1].import_id = "another".to_owned();
    assert_eq!(fields(&refusal(import(&served, rows, "a").await)), ["import_id"]);
}

/// What fails for a reason of ours ends the import; sent again it goes on.
#[tokio::test]
async fn a_store_that_fails_ends_the_import_and_it_is_sent_again() {
    let store = Arc::new(Faulty::new());
    let served = serve(engine_over(Arc::clone(&store) as Arc<dyn ringfence::store::Store>)).await;
    let rows: Vec<_> = (1..=20).map(|at| row(at, stop(&format!("+1305555{at:04}")))).collect();
    for fault in [Fault::Away, Fault::Full, Fault::LostAnswer] {
        store.set(fault);
        assert_eq!(refusal(import(&served, rows.clone(), "a").await).code(), Code::Unavailable);
    }
    store.set(Fault::TooLarge);
    let told = import(&served, vec![row(1, stop(NUMBER))], "b").await.unwrap();
    assert_eq!((told.accepted, told.rejected), (0, 1), "that is the row's own fault");
    store.set(Fault::None);
    let told = import(&served, rows, "a").await.unwrap();
    assert_eq!((told.accepted + told.repeated_rows, told.rejected), (20, 0));
    for at in 1..=20 {
        assert_eq!(contact(&served, &format!("+1305555{at:04}")).await.opt_outs.len(), 1);
    }
}
