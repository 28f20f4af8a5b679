//! Versions of the privacy policy: archived, and seen by the next check on any instance, to the millisecond.

use std::sync::Arc;

use futures_util::StreamExt as _;
use ringfence::access::Role;
use ringfence::engine::{Engine, Failure};
use ringfence::proto::v1::{self, Verdict};
use ringfence::service::Calls;
use ringfence::store::{MemoryStore, Store};

use super::support::{DAY, at, clock, durable, engine, families, opt_out, permit, stamp};
use super::{BERLIN, FLORIDA, check, consent, contact, pair, record, sale};

fn version(name: &str, kind: v1::PolicyChangeKind, effective_at: &str) -> v1::PublishPolicyRequest {
    let material = kind == v1::PolicyChangeKind::Material;
    let text = |language: &str, text: &str| v1::PolicyText {
        language: language.to_owned(),
        text: text.to_owned(),
        digest: String::new(),
    };
    v1::PublishPolicyRequest {
        request_id: format!("p-{name}"),
        version: name.to_owned(),
        effective_at: stamp(effective_at),
        kind: kind.into(),
        reasons: if material { vec![v1::PolicyChangeReason::Recipients.into()] } else { Vec::new() },
        texts: vec![text("en", &format!("Policy {name}.")), text("de", &format!("Richtlinie {name}."))],
        summary: "Partners may call you.".to_owned(),
        who: "ann".to_owned(),
        ..v1::PublishPolicyRequest::default()
    }
}

async fn publish(engine: &Engine, request: v1::PublishPolicyRequest) -> Result<v1::PolicyVersion, Failure> {
    let answer = engine.publish_policy(&permit(Role::Control), request, clock(DAY)).await?;
    Ok(answer.policy.unwrap())
}

const COSMETIC: v1::PolicyChangeKind = v1::PolicyChangeKind::Cosmetic;
const MATERIAL: v1::PolicyChangeKind = v1::PolicyChangeKind::Material;
const EFFECTIVE: &str = "2026-11-18T16:30:00Z";

#[tokio::test]
async fn a_material_version_ends_older_consents_to_the_millisecond_on_every_instance() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let folder = tempfile::tempdir().unwrap();
    let [one, other] = pair(&store, &folder.path().join("keys")).await;
    publish(&one, version("1", COSMETIC, "2020-01-01T00:00:00Z")).await.unwrap();
    record(&one, BERLIN, consent("2026-01-10T10:00:00Z", "1"), "r-1", "2026-01-10T10:00:00Z").await;
    let free = check(&other, sale("acme"), DAY).await;
    assert_eq!(free.verdict(), Verdict::Allow, "{:?}", free.reasons);
    publish(&one, version("2", MATERIAL, EFFECTIVE)).await.unwrap();
    for engine in [&one, &other] {
        let last = check(engine, sale("acme"), "2026-11-18T16:29:59.999Z").await;
        assert_eq!((last.verdict(), last.valid_until), (Verdict::Allow, stamp(EFFECTIVE)), "{:?}", last.reasons);
        let first = check(engine, sale("acme"), EFFECTIVE).await;
        assert_eq!(families(&first), ["RULE_FAMILY_CONSENT"]);
        assert!(first.warnings.iter().any(|warning| warning.code == "consent_overtaken"), "{:?}", first.warnings);
        let asked = v1::CheckRequest { at: stamp("2026-11-18T16:29:59.999Z"), ..sale("acme") };
        assert_eq!(check(engine, asked, "2026-11-18T17:00:00Z").await.verdict(), Verdict::Allow);
    }
    // Whoever asserts a consent is held to it too, and an asserted policy lifts nothing.
    let told = v1::Evidence { consents: vec![consent("2026-01-10T10:00:00Z", "1")], ..v1::Evidence::default() };
    let asked = v1::CheckRequest { number: "+4930231251".to_owned(), evidence: Some(told.clone()), ..sale("acme") };
    assert_eq!(check(&other, asked.clone(), EFFECTIVE).await.verdict(), Verdict::Deny);
    let policy = Some(v1::Policy { current_version: "1".to_owned(), ..v1::Policy::default() });
    let asked = v1::CheckRequest { evidence: Some(v1::Evidence { policy, ..told }), ..asked };
    assert_eq!(check(&other, asked, EFFECTIVE).await.verdict(), Verdict::Deny);
    // What was marked, and who is to be asked again.
    let marked = contact(&other, BERLIN).await.consents.remove(0);
    assert_eq!((marked.overtaken_by.as_str(), marked.overtaken_at), ("2", stamp(EFFECTIVE)));
    // Wherever the contact is shown: in the person's own copy too, and in the tenant's.
    let export = v1::ExportContactRequest { number: BERLIN.into(), request_id: "e".into(), ..Default::default() };
    let own = other.export_contact(&permit(Role::Privacy), export, clock(DAY)).await.unwrap().contact.unwrap();
    let all = v1::ExportContactsRequest::default();
    let all = other.export_contacts(&permit(Role::ReadContacts), all, clock(DAY)).await.unwrap().contacts;
    assert_eq!([&own.consents[..], &all[0].consents[..]], [&[marked.clone()][..], &[marked][..]]);
    let request = v1::ListOvertakenConsentsRequest { version: "2".to_owned(), ..Default::default() };
    let listed = one.overtaken_consents(&permit(Role::ReadContacts), &request, crate::support::READ_AT).await.unwrap();
    assert_eq!(listed.consents.iter().map(|one| one.number.as_str()).collect::<Vec<_>>(), [BERLIN]);
    // Asked again, the person may be called again; under the old text they may not.
    record(&other, BERLIN, consent("2026-11-18T16:10:00Z", "1"), "r-2", "2026-11-18T16:10:00Z").await;
    assert_eq!(check(&one, sale("acme"), EFFECTIVE).await.verdict(), Verdict::Deny);
    record(&other, BERLIN, consent("2026-11-18T16:11:00Z", "2"), "r-3", "2026-11-18T16:11:00Z").await;
    assert_eq!(check(&one, sale("acme"), EFFECTIVE).await.verdict(), Verdict::Allow);
    // Who has consented anew is not asked again, nor who has opted out since.
    let again = async || {
        let listed = one.overtaken_consents(&permit(Role::ReadContacts), &request, at("2026-11-18T17:00:00Z")).await;
        listed.unwrap().consents.into_iter().map(|consent| consent.number).collect::<Vec<_>>()
    };
    assert_eq!(again().await, Vec::<String>::new());
    record(&one, FLORIDA, consent("2026-01-10T10:00:00Z", "1"), "r-4", "2026-01-10T10:00:00Z").await;
    let (survey, acme) = (v1::Purpose::Survey.into(), vec!["Acme".to_owned()]);
    let refuse = async |id: &str, scope: v1::OptOutScope| {
        let said = v1::RecordOptOutRequest { scope: Some(scope), ..opt_out(FLORIDA, id) };
        one.record_opt_out(&permit(Role::WriteConsent), said, clock(DAY)).await.unwrap();
    };
    refuse("o-1", v1::OptOutScope { purposes: vec![survey], ..Default::default() }).await;
    assert_eq!(again().await, [FLORIDA], "of surveys alone");
    refuse("o-2", v1::OptOutScope { everything: true, sellers: acme, ..Default::default() }).await;
    assert_eq!(again().await, Vec::<String>::new());
}

/// What policies and transfers did to a decision stands in its entry: judged again it is the same to the byte, whatever was
/// published since.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_decision_judged_again_sees_the_policies_and_transfers_of_then() {
    let folder = tempfile::tempdir().unwrap();
    let durable = durable(folder.path()).await;
    let engine = &durable.engine;
    record(engine, BERLIN, consent("2026-01-10T10:00:00Z", "1"), "r-1", "2026-01-10T10:00:00Z").await;
    let mut ids = vec![check(engine, sale("acme"), DAY).await];
    publish(engine, version("1", COSMETIC, "2020-01-01T00:00:00Z")).await.unwrap();
    ids.push(check(engine, sale("acme"), DAY).await);
    engine.transfer_seller(&permit(Role::Control), transfer("acme", "borealis", true), clock(DAY)).await.unwrap();
    ids.push(check(engine, sale("borealis"), DAY).await);
    publish(engine, version("2", MATERIAL, DAY)).await.unwrap();
    ids.push(check(engine, sale("acme"), DAY).await);
    ids.push(check(engine, sale("borealis"), DAY).await);
    let told = v1::Evidence { consents: vec![consent("2026-01-10T10:00:00Z", "1")], ..v1::Evidence::default() };
    let asserted = v1::CheckRequest { number: "+4930231251".to_owned(), evidence: Some(told), ..sale("acme") };
    ids.push(check(engine, asserted, DAY).await);
    let verdicts: Vec<_> = ids.iter().map(v1::Decision::verdict).collect();
    use Verdict::{Allow, Deny};
    assert_eq!(verdicts, [Allow, Allow, Allow, Deny, Deny, Deny]);
    publish(engine, version("3", MATERIAL, "2026-11-19T16:00:00Z")).await.unwrap();
    let asked = v1::ReplayRequest {
        decision_ids: ids.iter().map(|one| one.decision_id.clone()).collect(),
        ..v1::ReplayRequest::default()
    };
    let mut judged = Vec::new();
    for _ in 0..50 {
        // Denials are in the log within a second.
        judged = engine.replay(&permit(Role::Audit), &asked, crate::support::READ_AT).await.unwrap();
        if judged.iter().all(|(_, one)| one.is_ok()) {
            break;
        }
        durable.reconciler.tick(at(DAY)).await.unwrap();
    }
    for (id, one) in judged {
        let one = one.unwrap();
        assert!(one.identical, "{id}: {:?} {:?}", one.original, one.decision);
    }
}

/// Who follows opt-outs is told of a material change, and of no other.
#[tokio::test]
async fn a_material_version_is_told_to_who_follows_opt_outs() {
    let engine = engine();
    let request = v1::WatchOptOutsRequest { sellers: vec!["acme".to_owned()], ..Default::default() };
    let beat = std::time::Duration::from_secs(60);
    let watched = engine.watch_opt_outs(&permit(Role::ReadContacts), request, ringfence::service::now, beat).await;
    let mut events = Box::pin(watched.unwrap());
    assert!(events.next().await.unwrap().unwrap().event.is_none(), "where it stands");
    publish(&engine, version("1", COSMETIC, "2020-01-01T00:00:00Z")).await.unwrap();
    let marketing = vec![v1::Purpose::Marketing.into()];
    let narrow = v1::PublishPolicyRequest { purposes: marketing.clone(), ..version("2", MATERIAL, EFFECTIVE) };
    publish(&engine, narrow).await.unwrap();
    let event = events.next().await.unwrap().unwrap().event.unwrap();
    assert_eq!(event.kind(), v1::OptOutEventKind::PolicyChanged);
    assert_eq!((event.number.as_str(), event.policy_version.as_str()), ("", "2"));
    assert_eq!(event.effective_at, stamp(EFFECTIVE));
    assert_eq!(event.scope.as_ref().unwrap().purposes, marketing);
}

fn transfer(from: &str, to: &str, keeps_terms: bool) -> v1::TransferSellerRequest {
    v1::TransferSellerRequest {
        request_id: format!("t-{from}-{to}"),
        from_seller: from.to_owned(),
        to_seller: to.to_owned(),
        recipient_name: "Borealis GmbH".to_owned(),
        recipient_contact: "privacy@example.com".to_owned(),
        keeps_terms,
        who: "ann".to_owned(),
        why: "Merger.".to_owned(),
    }
}

#[tokio::test]
async fn a_change_for_one_purpose_leaves_the_others_alone() {
    let engine = engine();
    record(&engine, BERLIN, consent("2026-01-10T10:00:00Z", ""), "r-1", "2026-01-10T10:00:00Z").await;
    let survey = v1::PublishPolicyRequest { purposes: vec![v1::Purpose::Survey.into()], ..version("2", MATERIAL, DAY) };
    publish(&engine, survey).await.unwrap();
    assert_eq!(check(&engine, sale("acme"), DAY).await.verdict(), Verdict::Allow);
    let marketing = vec![v1::Purpose::Marketing.into()];
    publish(&engine, v1::PublishPolicyRequest { purposes: marketing, ..version("3", MATERIAL, DAY) }).await.unwrap();
    assert_eq!(check(&engine, sale("acme"), DAY).await.verdict(), Verdict::Deny);
}

#[tokio::test]
async fn what_is_published_stands_and_what_is_asked_wrongly_is_refused() {
    let engine = engine();
    let first = publish(&engine, version("1", COSMETIC, DAY)).await.unwrap();
    assert_eq!(publish(&engine, version("1", COSMETIC, DAY)).await.unwrap(), first, "the same request");
    let again = v1::PublishPolicyRequest { request_id: "p-x".to_owned(), ..version("1", COSMETIC, DAY) };
    assert!(matches!(publish(&engine, again).await, Err(Failure::AlreadyExists(_))));
    let changed = v1::PublishPolicyRequest { summary: "Other.".to_owned(), ..version("1", COSMETIC, DAY) };
    assert!(matches!(publish(&engine, changed).await, Err(Failure::AlreadyExists(_))));
    let fields = |failure: Failure| match failure {
        Failure::Invalid(violations) => violations.into_iter().map(|v| v.field).collect::<Vec<_>>(),
        other => panic!("{other:?}"),
    };
    let base = || version("2", MATERIAL, DAY);
    let risk = vec![v1::PolicyChangeReason::HighRisk.into()];
    for (request, field) in [
        (v1::PublishPolicyRequest { version: String::new(), ..base() }, "version"),
        (v1::PublishPolicyRequest { kind: 0, ..base() }, "kind"),
        (v1::PublishPolicyRequest { reasons: Vec::new(), ..base() }, "reasons"),
        (v1::PublishPolicyRequest { reasons: vec![77], ..base() }, "reasons"),
        (v1::PublishPolicyRequest { reasons: risk, ..base() }, "assessment_ref"),
        (v1::PublishPolicyRequest { texts: Vec::new(), ..base() }, "texts"),
        (v1::PublishPolicyRequest { summary: String::new(), ..base() }, "summary"),
        (v1::PublishPolicyRequest { who: String::new(), ..base() }, "who"),
        (v1::PublishPolicyRequest { effective_at: stamp("2020-01-01T00:00:00Z"), ..base() }, "effective_at"),
    ] {
        assert_eq!(fields(publish(&engine, request).await.unwrap_err()), [field]);
    }
    let mut twice = base();
    twice.texts[1].language = "EN".to_owned();
    assert_eq!(fields(publish(&engine, twice).await.unwrap_err()), ["texts[1].language"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn versions_are_archived_and_read_back_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    {
        let durable = durable(folder.path()).await;
        publish(&durable.engine, version("1", COSMETIC, "2020-01-01T00:00:00Z")).await.unwrap();
        publish(&durable.engine, version("2", MATERIAL, EFFECTIVE)).await.unwrap();
    }
    let durable = durable(folder.path()).await;
    let engine = &durable.engine;
    let get = async |name: &str, language: &str, now: &str| {
        let request = v1::GetPolicyRequest { version: name.to_owned(), language: language.to_owned() };
        engine.policy(&permit(Role::ReadLaw), &request, at(now)).await
    };
    let texts = |policy: v1::PolicyVersion| policy.texts.into_iter().map(|text| text.text).collect::<Vec<_>>();
    assert_eq!(texts(get("1", "", DAY).await.unwrap()), ["Policy 1.", "Richtlinie 1."]);
    assert_eq!(texts(get("2", "DE", DAY).await.unwrap()), ["Richtlinie 2."]);
    assert_eq!(get("", "en", DAY).await.unwrap().version, "1", "in force now");
    assert_eq!(get("", "en", EFFECTIVE).await.unwrap().version, "2");
    for (name, language) in [("3", ""), ("1", "fr")] {
        assert!(matches!(get(name, language, DAY).await, Err(Failure::NotFound(_))));
    }
    let list = v1::ListPoliciesRequest { page_size: 1, page_token: String::new() };
    let page = engine.list_policies(&permit(Role::ReadLaw), &list).await.unwrap();
    assert_eq!((page.policies[0].version.as_str(), page.next_page_token.as_str()), ("2", "2"));
    // Nothing of it lies in the store in the clear.
    let stored = durable.store.meta_list("policy/").await.unwrap();
    assert_eq!(stored.len(), 4);
    assert!(stored.iter().all(|(_, value)| !value.bytes.windows(6).any(|bytes| bytes == b"Policy")));
    durable.reconciler.tick(at(DAY)).await.unwrap();
}

#[tokio::test]
async fn what_binds_follows_a_seller_to_its_successor() {
    let engine = engine();
    record(&engine, BERLIN, consent("2026-01-10T10:00:00Z", ""), "r-1", "2026-01-10T10:00:00Z").await;
    assert_eq!(check(&engine, sale("borealis"), DAY).await.verdict(), Verdict::Deny);
    let pass = async |request| engine.transfer_seller(&permit(Role::Control), request, clock(DAY)).await.unwrap();
    pass(transfer("acme", "cirrus", false)).await;
    assert_eq!(check(&engine, sale("cirrus"), DAY).await.verdict(), Verdict::Deny, "asked anew");
    pass(transfer("acme", "borealis", true)).await;
    let allowed = check(&engine, sale("borealis"), DAY).await;
    assert_eq!(allowed.verdict(), Verdict::Allow, "{:?}", allowed.reasons);
    let marked = contact(&engine, BERLIN).await.consents.remove(0).transferred_to;
    assert_eq!(marked.iter().map(|one| one.seller.as_str()).collect::<Vec<_>>(), ["cirrus", "borealis"]);
    assert_eq!(marked[1].recipient_name, "Borealis GmbH");
    let mut said = opt_out(BERLIN, "o-1");
    said.scope = Some(v1::OptOutScope { sellers: vec!["acme".to_owned()], ..v1::OptOutScope::default() });
    engine.record_opt_out(&permit(Role::WriteConsent), said, clock(DAY)).await.unwrap();
    assert_eq!(check(&engine, sale("borealis"), DAY).await.verdict(), Verdict::Deny);
    let list = v1::ListSellerTransfersRequest::default();
    assert_eq!(engine.list_seller_transfers(&permit(Role::ReadLaw), &list).await.unwrap().transfers.len(), 2);
}

/// The same over gRPC and over HTTP.
#[tokio::test]
async fn the_life_of_a_policy_over_grpc_and_http() {
    use tower::Service as _;
    let engine = engine();
    let (routes, _health) = ringfence::service::routes(Calls::new(Arc::clone(&engine))).unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let incoming = tonic::transport::server::TcpIncoming::from(listener);
    tokio::spawn(tonic::transport::Server::builder().add_routes(routes).serve_with_incoming(incoming));
    let mut client =
        v1::policy_service_client::PolicyServiceClient::connect(format!("http://{address}")).await.unwrap();
    let published = client.publish_policy(version("1", COSMETIC, DAY)).await.unwrap().into_inner().policy.unwrap();
    let mut web = ringfence::http::router(Calls::new(engine));
    let body =
        serde_json::to_vec(&v1::GetPolicyRequest { version: "1".to_owned(), language: "en".to_owned() }).unwrap();
    let request = http::Request::post("/v1/policies:get").body(axum::body::Body::from(body)).unwrap();
    let answer = web.call(request).await.unwrap();
    assert_eq!(answer.status(), 200);
    let bytes = axum::body::to_bytes(answer.into_body(), usize::MAX).await.unwrap();
    let read: v1::GetPolicyResponse = serde_json::from_slice(&bytes).unwrap();
    let read = read.policy.unwrap();
    assert_eq!((read.texts[0].text.as_str(), &read.texts[0].digest), ("Policy 1.", &published.texts[0].digest));
    let twice = v1::PublishPolicyRequest { request_id: "other".to_owned(), ..version("1", COSMETIC, DAY) };
    assert_eq!(client.publish_policy(twice).await.unwrap_err().code(), tonic::Code::AlreadyExists);
    let listed = client.list_policies(v1::ListPoliciesRequest::default()).await.unwrap().into_inner().policies;
    assert_eq!((listed.len(), listed[0].texts[0].text.as_str()), (1, ""));
}
