//! The life of each kind of request; identity; steps; lists; what is refused.

use ringfence::access::Role;
use ringfence::engine::Failure;
use ringfence::proto::v1::{
    self, Confidence, RequesterRole, RightsRequestKind as Kind, RightsRequestState as State, RightsRequestStep as Step,
    Verdict,
};

use super::support::{DAY, at, clock, durable, engine, florida, opt_out, permit, stamp};
use super::{
    FRENCH, NUMBER, check, dry, fields, kept, listed, notice, opened, request, rules, shown, step, step_at, told,
    verified,
};

#[tokio::test]
async fn an_objection_needs_the_number_alone_and_holds_at_once() {
    let engine = engine();
    assert_eq!(check(&engine, dry(NUMBER)).await.verdict(), Verdict::Allow);
    let asked = request(NUMBER, Kind::Objection, "o-1");
    let objection = opened(&engine, asked.clone()).await;
    assert_eq!((objection.state(), objection.identity_needed), (State::Done, false));
    assert!(objection.closed_at.is_some() && objection.reply.contains("not be contacted for marketing"));
    assert!(objection.reply.contains("attorney general"), "{}", objection.reply);
    let denied = check(&engine, dry(NUMBER)).await;
    assert_eq!(denied.verdict(), Verdict::Deny);
    assert_eq!(check(&engine, notice(NUMBER)).await.verdict(), Verdict::Allow, "a service notice is no marketing");
    assert_eq!(opened(&engine, asked).await, objection, "the same asked again");
    assert_eq!(kept(&engine, NUMBER).await.unwrap().opt_outs.len(), 1, "and recorded once");
    let other = v1::OpenRequestRequest { details: "more".to_owned(), ..request(NUMBER, Kind::Objection, "o-1") };
    let again = engine.open_request(&permit(Role::Privacy), other, clock(DAY)).await;
    assert!(matches!(again, Err(Failure::AlreadyExists(_))));
}

#[tokio::test]
async fn an_objection_in_words_is_answered_by_somebody_and_may_reach_further() {
    let engine = engine();
    let asked = v1::OpenRequestRequest {
        details: "Nothing at all, and tell me why.".to_owned(),
        scope: Some(v1::OptOutScope { everything: true, ..Default::default() }),
        ..request(NUMBER, Kind::Objection, "o-2")
    };
    let objection = opened(&engine, asked).await;
    assert_eq!(objection.state(), State::Open);
    assert!(objection.reply.contains("has stopped already"));
    assert_eq!(check(&engine, notice(NUMBER)).await.verdict(), Verdict::Deny);
    let done = step(&engine, &objection.rights_request_id, Step::Complete, "A friend had given your number.").await;
    let done = done.unwrap();
    assert_eq!(done.state(), State::Done);
    assert!(done.reply.contains("A friend had given"));
}

#[tokio::test]
async fn a_restriction_denies_everything_but_emergencies_until_it_is_lifted() {
    let engine = engine();
    let restriction = opened(&engine, request(NUMBER, Kind::Restriction, "r-1")).await;
    assert_eq!((restriction.state(), restriction.identity_needed), (State::Open, false));
    for asked in [dry(NUMBER), notice(NUMBER)] {
        let denied = check(&engine, asked).await;
        assert!(rules(&denied).contains(&"ringfence.restriction"), "{:?}", rules(&denied));
        assert!(denied.retry_at.is_none());
        let reason = denied.reasons.iter().find(|reason| reason.rule_id == "ringfence.restriction").unwrap();
        assert_eq!(reason.family().as_str_name(), "RULE_FAMILY_OBJECTION");
        assert_eq!(reason.confidence(), Confidence::Policy);
    }
    let urgent = v1::CheckRequest { purpose: v1::Purpose::Emergency.into(), ..dry(NUMBER) };
    assert_eq!(check(&engine, urgent).await.verdict(), Verdict::Allow);
    let demanded = v1::CheckRequest { legally_required: true, ..notice(NUMBER) };
    assert_eq!(check(&engine, demanded).await.verdict(), Verdict::Allow);
    // Asked about a time before it, nothing was restricted.
    let earlier = v1::CheckRequest { at: stamp("2026-11-17T16:00:00Z"), ..notice(NUMBER) };
    assert_eq!(check(&engine, earlier).await.verdict(), Verdict::Allow);
    let id = restriction.rights_request_id;
    let done = step(&engine, &id, Step::Complete, "").await.unwrap();
    assert_eq!(done.state(), State::Done);
    assert!(rules(&check(&engine, notice(NUMBER)).await).contains(&"ringfence.restriction"), "answered is not lifted");
    assert_eq!(fields(step(&engine, &id, Step::LiftRestriction, "").await), ["note"]);
    let lifted = step(&engine, &id, Step::LiftRestriction, "The data were checked; told by letter.").await.unwrap();
    assert!(lifted.lifted_at.is_some());
    assert_eq!(check(&engine, notice(NUMBER)).await.verdict(), Verdict::Allow);
    let late = step_at(&engine, &id, Step::LiftRestriction, "again", "2026-11-18T17:00:00Z").await;
    assert_eq!(fields(late), ["step"]);
}

#[tokio::test]
async fn two_restrictions_are_lifted_by_two() {
    let engine = engine();
    let one = opened(&engine, request(NUMBER, Kind::Restriction, "r-1")).await.rights_request_id;
    let other = opened(&engine, request(NUMBER, Kind::Restriction, "r-2")).await.rights_request_id;
    step(&engine, &one, Step::LiftRestriction, "done").await.unwrap();
    assert_eq!(check(&engine, notice(NUMBER)).await.verdict(), Verdict::Deny);
    step(&engine, &other, Step::LiftRestriction, "done").await.unwrap();
    assert_eq!(check(&engine, notice(NUMBER)).await.verdict(), Verdict::Allow);
}

/// Whoever was told that everything is closed is told when that is over: of what no opt-out keeps closed, and not before.
#[tokio::test]
async fn the_end_of_a_restriction_is_told_with_number_and_scope() {
    use v1::{OptOutEventKind as Told, Purpose};
    let restricted = async |purposes: &[Purpose], everything: bool| {
        let engine = engine();
        if everything || !purposes.is_empty() {
            let purposes = purposes.iter().map(|purpose| (*purpose).into()).collect();
            let scope = Some(v1::OptOutScope { purposes, everything, ..Default::default() });
            let said = v1::RecordOptOutRequest { scope, ..opt_out(NUMBER, "s-1") };
            engine.record_opt_out(&permit(Role::WriteConsent), said, clock(DAY)).await.unwrap();
        }
        let one = opened(&engine, request(NUMBER, Kind::Restriction, "r-1")).await.rights_request_id;
        let other = opened(&engine, request(NUMBER, Kind::Restriction, "r-2")).await.rights_request_id;
        step(&engine, &one, Step::LiftRestriction, "done").await.unwrap();
        let before = told(&engine).await;
        assert!(before.iter().all(|told| told.kind() == Told::Closed), "the other stands: {before:?}");
        step(&engine, &other, Step::LiftRestriction, "done").await.unwrap();
        told(&engine).await.split_off(before.len())
    };
    let free = restricted(&[], false).await;
    assert_eq!(
        free.iter().map(|told| (told.kind(), told.number.as_str())).collect::<Vec<_>>(),
        [(Told::Reopened, NUMBER)]
    );
    assert!(free[0].scope.as_ref().unwrap().everything);
    assert!(free[0].recorded_at.is_some());
    let partly = restricted(&[Purpose::Marketing, Purpose::Survey], false).await;
    let scope = partly[0].scope.clone().unwrap();
    let named: Vec<Purpose> = scope.purposes().collect();
    assert!(!scope.everything && named.contains(&Purpose::DebtCollection), "{named:?}");
    assert!(
        ![Purpose::Marketing, Purpose::Survey, Purpose::Emergency].iter().any(|one| named.contains(one)),
        "{named:?}"
    );
    assert!(restricted(&[], true).await.is_empty(), "they opted out of everything besides: it stays closed");
}

#[tokio::test]
async fn sharing_is_refused_at_once() {
    let engine = engine();
    let refused = opened(&engine, request(NUMBER, Kind::NoSharing, "n-1")).await;
    assert_eq!(refused.state(), State::Done);
    let contact = kept(&engine, NUMBER).await.unwrap();
    assert_eq!(contact.no_sharing, Some(true));
    assert_eq!(check(&engine, dry(NUMBER)).await.verdict(), Verdict::Allow, "it says nothing of contacts");
}

#[tokio::test]
async fn access_waits_for_identity_and_is_closed_with_the_last_page() {
    let folder = tempfile::tempdir().unwrap();
    let durable = durable(folder.path()).await;
    let engine = &durable.engine;
    for _ in 0..3 {
        check(engine, florida(NUMBER)).await;
    }
    check(engine, florida("+13055550199")).await;
    let access = opened(engine, request(NUMBER, Kind::Access, "a-1")).await;
    assert_eq!((access.state(), access.identity_needed), (State::AwaitingIdentity, true));
    assert!(access.reply.contains("know that it is you"), "{}", access.reply);
    let id = access.rights_request_id.clone();
    let export = |token: &str| v1::ExportContactRequest {
        number: NUMBER.to_owned(),
        request_id: "e-1".to_owned(),
        rights_request_id: id.clone(),
        page_size: 2,
        page_token: token.to_owned(),
        ..Default::default()
    };
    let privacy = permit(Role::Privacy);
    assert_eq!(fields(engine.export_contact(&privacy, export(""), clock(DAY)).await), ["rights_request_id"]);
    assert_eq!(fields(step(engine, &id, Step::Complete, "").await), ["step"]);
    assert_eq!(fields(step(engine, &id, Step::VerifyIdentity, "").await), ["note"]);
    let proven = step(engine, &id, Step::VerifyIdentity, "called back, by ann").await.unwrap();
    assert_eq!((proven.state(), proven.identity_verified_by.as_str()), (State::Open, "called back, by ann"));
    let first = engine.export_contact(&privacy, export(""), clock(DAY)).await.unwrap();
    let contact = first.contact.as_ref().unwrap();
    assert_eq!((contact.number.as_str(), contact.attempts.len()), (NUMBER, 3));
    assert_eq!((first.requests.len(), first.decisions.len()), (1, 2));
    assert!(!first.next_page_token.is_empty());
    let second = engine.export_contact(&privacy, export(&first.next_page_token), clock(DAY)).await.unwrap();
    assert_eq!((second.decisions.len(), second.next_page_token.as_str()), (1, ""));
    assert_eq!(second.receipt_id, first.receipt_id, "one entry for all pages");
    assert!(second.contact.is_none());
    let numbers = |page: &v1::ExportContactResponse| -> Vec<String> {
        page.decisions.iter().map(|one| one.decision.as_ref().unwrap().number.clone()).collect()
    };
    assert!(numbers(&first).iter().chain(&numbers(&second)).all(|number| number == NUMBER));
    let seqs: Vec<u64> =
        first.decisions.iter().chain(&second.decisions).map(|one| one.position.as_ref().unwrap().sequence).collect();
    assert!(seqs.windows(2).all(|pair| pair[0] > pair[1]), "newest first: {seqs:?}");
    let done = shown(engine, &id).await;
    assert_eq!((done.state(), done.number.as_str()), (State::Done, NUMBER));
    assert!(done.reply.contains("given a copy"));
    // Asked again, the pages are the same and nothing is closed twice.
    let again = engine.export_contact(&privacy, export(&first.next_page_token), clock(DAY)).await.unwrap();
    assert_eq!(again.decisions, second.decisions);
    let other = v1::ExportContactRequest { request_id: "e-2".to_owned(), ..export("") };
    assert_eq!(fields(engine.export_contact(&privacy, other, clock(DAY)).await), ["rights_request_id"]);
}

#[tokio::test]
async fn an_export_of_somebody_unknown_makes_no_record() {
    let folder = tempfile::tempdir().unwrap();
    let durable = durable(folder.path()).await;
    // A denial about a number without a record, sealed under a key of the day.
    check(&durable.engine, dry(NUMBER)).await;
    let asked = v1::ExportContactRequest { number: NUMBER.into(), request_id: "e".into(), ..Default::default() };
    let found = durable.engine.export_contact(&permit(Role::Privacy), asked.clone(), clock(DAY)).await.unwrap();
    assert!(found.contact.is_none() && !found.receipt_id.is_empty());
    assert_eq!(found.decisions.len(), 1);
    assert!(matches!(kept(&durable.engine, NUMBER).await, Err(Failure::NotFound(_))));
    let named = v1::ExportContactRequest { rights_request_id: uuid::Uuid::nil().to_string(), ..asked };
    let refused = durable.engine.export_contact(&permit(Role::Privacy), named, clock(DAY)).await;
    assert!(matches!(refused, Err(Failure::NotFound(_))));
}

/// To an authority, what its paper covers: no more, and never without one.
#[tokio::test]
async fn an_authority_gets_what_its_paper_covers() {
    let folder = tempfile::tempdir().unwrap();
    let durable = durable(folder.path()).await;
    let engine = &durable.engine;
    check(engine, florida(NUMBER)).await;
    check(engine, florida(NUMBER)).await;
    let privacy = permit(Role::Privacy);
    let asked = |id: &str, disclosure: v1::Disclosure| v1::ExportContactRequest {
        number: NUMBER.to_owned(),
        request_id: id.to_owned(),
        disclosure: Some(disclosure),
        ..Default::default()
    };
    let export = async |id: &str, disclosure| engine.export_contact(&privacy, asked(id, disclosure), clock(DAY)).await;
    let paper = v1::Disclosure {
        authority: "Regional Court".to_owned(),
        paper: "order 12 O 345/26 of 2026-11-02".to_owned(),
        covers: "calls of November".to_owned(),
        ..Default::default()
    };
    let wanting = ["disclosure.authority", "disclosure.paper", "disclosure.covers"];
    assert_eq!(fields(export("e-0", v1::Disclosure::default()).await), wanting);
    assert_eq!(fields(export("e-0", v1::Disclosure { paper: "  ".to_owned(), ..paper.clone() }).await), wanting[1..2]);
    let both =
        v1::ExportContactRequest { rights_request_id: uuid::Uuid::nil().to_string(), ..asked("e-0", paper.clone()) };
    assert_eq!(fields(engine.export_contact(&privacy, both, clock(DAY)).await), ["disclosure"]);
    let whole = export("e-1", paper.clone()).await.unwrap();
    assert!(whole.contact.is_some() && whole.decisions.len() == 2 && !whole.receipt_id.is_empty());
    let narrow = v1::Disclosure { decisions_only: true, ..paper.clone() };
    let narrow = export("e-2", narrow).await.unwrap();
    assert!(narrow.contact.is_none() && narrow.decisions.len() == 2);
    let before = v1::Disclosure { until: stamp(DAY), ..paper.clone() };
    assert!(export("e-3", before).await.unwrap().decisions.is_empty(), "of an earlier time there are none");
    let since = v1::Disclosure { from: stamp(DAY), ..paper };
    assert_eq!(export("e-4", since).await.unwrap().decisions.len(), 2);
}

#[tokio::test]
async fn more_time_is_taken_once_and_in_time_and_refusals_say_why_and_where_to_complain() {
    let engine = engine();
    let portability = verified(&engine, FRENCH, Kind::Portability, "p-1").await;
    assert_eq!(portability.clocks[0].due_on, "2026-12-18");
    assert!(portability.reply.contains("2026-12-18") && portability.reply.contains("GDPR art. 12(3)"));
    let id = portability.rights_request_id;
    assert_eq!(fields(step(&engine, &id, Step::Extend, "").await), ["note"]);
    let late = step_at(&engine, &id, Step::Extend, "Many requests.", "2026-12-18T23:00:00Z").await;
    assert_eq!(fields(late), ["step"], "the first period is over");
    let more = step_at(&engine, &id, Step::Extend, "Many requests.", "2026-12-10T12:00:00Z").await.unwrap();
    assert_eq!((more.state(), more.clocks[0].due_on.as_str()), (State::Extended, "2027-02-18"));
    assert!(more.reply.contains("Why: Many requests.") && more.reply.contains("2027-02-18"), "{}", more.reply);
    let twice = step_at(&engine, &id, Step::Extend, "More.", "2026-12-11T12:00:00Z").await;
    assert_eq!(fields(twice), ["step"]);
    let refused = step_at(&engine, &id, Step::Refuse, "See our letter.", "2027-01-10T12:00:00Z").await.unwrap();
    assert_eq!(refused.state(), State::Refused);
    assert!(refused.reply.contains("because we keep nothing about this number. See our letter."));
    assert!(refused.reply.contains("CNIL") && refused.complaint_route.contains("court"));
    // China gives no more time.
    let chinese = verified(&engine, "+8613800138000", Kind::Erasure, "p-2").await;
    assert_eq!(fields(step(&engine, &chinese.rights_request_id, Step::Extend, "Busy.").await), ["step"]);
}

#[tokio::test]
async fn who_speaks_for_somebody_else_shows_that_he_may() {
    let engine = engine();
    let asked = v1::OpenRequestRequest {
        requester: RequesterRole::Guardian.into(),
        ..request(FRENCH, Kind::Restriction, "g-1")
    };
    let guarded = opened(&engine, asked).await;
    assert_eq!(guarded.state(), State::AwaitingIdentity);
    assert!(guarded.reply.starts_with("As parent or guardian you asked on 2026-11-18"), "{}", guarded.reply);
    // What tightens holds whoever asked.
    assert!(rules(&check(&engine, notice(FRENCH)).await).contains(&"ringfence.restriction"));
    let asked =
        v1::OpenRequestRequest { requester: RequesterRole::Guardian.into(), ..request(FRENCH, Kind::Objection, "g-2") };
    assert_eq!(opened(&engine, asked).await.state(), State::Done);
}

#[tokio::test]
async fn the_list_shows_what_is_due_first_first_and_no_number() {
    let engine = engine();
    let chinese = verified(&engine, "+8613800138000", Kind::Access, "l-1").await;
    let french = verified(&engine, FRENCH, Kind::Access, "l-2").await;
    let objection = opened(&engine, request(NUMBER, Kind::Objection, "l-3")).await;
    let late = v1::OpenRequestRequest {
        received_at: stamp("2026-10-01T12:00:00Z"),
        ..request(FRENCH, Kind::Complaint, "l-4")
    };
    let late = opened(&engine, late).await;
    let ids = |list: &v1::ListRequestsResponse| -> Vec<String> {
        list.requests.iter().map(|one| one.rights_request_id.clone()).collect()
    };
    let all = listed(&engine, v1::ListRequestsRequest::default()).await;
    let [c, f, o, l] = [&chinese, &french, &objection, &late].map(|one| one.rights_request_id.clone());
    assert_eq!(ids(&all)[..2], [l.clone(), c.clone()], "overdue, then fifteen days");
    assert_eq!((all.requests.len(), all.overdue, all.due_soon), (4, 1, 0));
    assert!(all.requests.iter().all(|one| one.number.is_empty() && one.reply.is_empty() && one.who.is_empty()));
    let open = listed(&engine, v1::ListRequestsRequest { state: State::Open.into(), ..Default::default() }).await;
    assert_eq!(ids(&open), [l.clone(), c.clone(), f.clone()]);
    let done = listed(&engine, v1::ListRequestsRequest { state: State::Done.into(), ..Default::default() }).await;
    assert_eq!(ids(&done), std::slice::from_ref(&o));
    let soon = v1::ListRequestsRequest { due_before: stamp("2026-12-05T00:00:00Z"), ..Default::default() };
    assert_eq!(ids(&listed(&engine, soon).await), [l.clone(), c.clone()]);
    let mut paged = Vec::new();
    let mut token = String::new();
    loop {
        let asked = v1::ListRequestsRequest { page_size: 1, page_token: token, ..Default::default() };
        let page = listed(&engine, asked).await;
        paged.extend(ids(&page));
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    assert_eq!(paged, ids(&all));
    let metrics = |text: &str| engine.metrics().text().contains(text);
    let pressing = engine.pressing(at("2026-11-28T00:00:00Z")).await.unwrap();
    assert_eq!((pressing.overdue, pressing.due_soon, pressing.later), (1, 1, 1));
    assert!(metrics("ringfence_rights_requests{tenant=\"default\",urgency=\"overdue\"} 1"));
}

#[tokio::test]
async fn a_recorded_residence_adds_its_clock() {
    let engine = engine();
    let update = v1::UpdateContactRequest {
        number: NUMBER.to_owned(),
        request_id: "u".to_owned(),
        facts: Some(v1::ContactFacts { residence: "CN".to_owned(), ..Default::default() }),
        update_mask: Some(ringfence::proto::well_known::FieldMask { paths: vec!["residence".to_owned()] }),
        ..Default::default()
    };
    engine.update_contact(&permit(Role::WriteConsent), update, clock(DAY)).await.unwrap();
    let access = verified(&engine, NUMBER, Kind::Access, "x").await;
    assert_eq!(access.rule_id, "cn.rights.clock15");
    assert!(access.jurisdictions.contains(&"US-FL".to_owned()), "{:?}", access.jurisdictions);
}

#[tokio::test]
async fn faulty_requests_name_every_field() {
    let engine = engine();
    let privacy = permit(Role::Privacy);
    let bad = v1::OpenRequestRequest {
        number: "12".to_owned(),
        kind: 99,
        requester: 77,
        identity_verified_at: stamp(DAY),
        details: "x".repeat(9_000),
        scope: Some(v1::OptOutScope::default()),
        ..Default::default()
    };
    let named = fields(engine.open_request(&privacy, bad, clock(DAY)).await);
    for field in ["number", "request_id", "kind", "requester", "identity_verified_by", "details", "scope"] {
        assert!(named.iter().any(|one| one == field), "{field} of {named:?}");
    }
    let wrong = v1::OpenRequestRequest {
        scope: Some(v1::OptOutScope { everything: true, ..Default::default() }),
        ..request(NUMBER, Kind::Access, "x")
    };
    assert_eq!(fields(engine.open_request(&privacy, wrong, clock(DAY)).await), ["scope"]);
    let nobody = step(&engine, "nobody", Step::Complete, "").await;
    assert_eq!(fields(nobody), ["rights_request_id"]);
    let unknown = step(&engine, &uuid::Uuid::nil().to_string(), Step::Complete, "").await;
    assert!(matches!(unknown, Err(Failure::NotFound(_))));
    let list = v1::ListRequestsRequest { page_token: "zz".to_owned(), ..Default::default() };
    assert_eq!(fields(engine.list_requests(&privacy, &list, clock(DAY)).await), ["page_token"]);
    let list = v1::ListRequestsRequest { page_size: 2_000, ..Default::default() };
    assert_eq!(fields(engine.list_requests(&privacy, &list, clock(DAY)).await), ["page_size"]);
    let erase = v1::EraseContactRequest { number: NUMBER.into(), request_id: "e".into(), ..Default::default() };
    assert_eq!(fields(engine.erase_contact(&privacy, erase.clone(), clock(DAY)).await), ["reason"]);
    let erase = v1::EraseContactRequest { reason: v1::ErasureReason::Requested.into(), ..erase };
    assert_eq!(fields(engine.erase_contact(&privacy, erase, clock(DAY)).await), ["identity_verified_by"]);
    let hold = v1::PlaceHoldRequest {
        number: NUMBER.into(),
        record_class: "orders".into(),
        until: stamp("2020-01-01T00:00:00Z"),
        ..Default::default()
    };
    let named = fields(engine.place_hold(&privacy, hold, clock(DAY)).await);
    assert_eq!(named, ["request_id", "record_class", "until", "reason", "who"]);
}

#[tokio::test]
async fn an_opt_out_recorded_before_is_shown_with_its_words_in_the_export() {
    let engine = engine();
    let said = v1::RecordOptOutRequest { wording: "Leave me alone".to_owned(), ..opt_out(NUMBER, "s-1") };
    engine.record_opt_out(&permit(Role::WriteConsent), said, clock(DAY)).await.unwrap();
    let asked = v1::ExportContactRequest { number: NUMBER.into(), request_id: "e".into(), ..Default::default() };
    let found = engine.export_contact(&permit(Role::Privacy), asked, clock(DAY)).await.unwrap();
    assert_eq!(found.contact.unwrap().opt_outs[0].wording, "Leave me alone");
}
