//! What a refusal ends, what it leaves alone, and what may be sent without consent.

use std::sync::Arc;

use ringfence::access::Role;
use ringfence::engine::Settings;
use ringfence::law::{BUILT_IN, Law};
use ringfence::proto::v1::{self, Channel, ExemptionGround as Ground, OptOutSource as Source, Purpose, Verdict};

use super::support::{clock, durable, engine, families, opt_out, permit, stamp};
use super::{CHINA, NOW, allows, asking, check, consent, engine_with, fields, notice, record, sale, stop};

fn of(purposes: &[Purpose]) -> v1::OptOutScope {
    v1::OptOutScope { purposes: purposes.iter().map(|&one| one.into()).collect(), ..v1::OptOutScope::default() }
}

fn everything() -> v1::OptOutScope {
    v1::OptOutScope { everything: true, ..v1::OptOutScope::default() }
}

#[tokio::test]
async fn a_withdrawal_ends_what_comes_after_and_nothing_before() {
    let folder = tempfile::tempdir().unwrap();
    let durable = durable(folder.path()).await;
    let engine = &durable.engine;
    record(engine, consent(), "c").await.unwrap();
    let before = check(engine, v1::CheckRequest { dry_run: false, ..sale() }).await;
    assert_eq!(before.verdict(), Verdict::Allow, "{:?}", before.reasons);
    let said =
        v1::RecordOptOutRequest { at: stamp(NOW), scope: Some(of(&[Purpose::Marketing])), ..opt_out(CHINA, "s") };
    let later = clock("2026-11-18T07:00:01Z");
    engine.record_opt_out(&permit(Role::WriteConsent), said, later).await.unwrap();
    let denied = engine.check(&permit(Role::Check), sale(), later).await.unwrap();
    assert!(families(&denied).contains(&"RULE_FAMILY_OPT_OUT"), "{:?}", denied.reasons);
    assert_eq!(denied.retry_at, None);
    // As of the instant before, and in the log, all is as it was.
    let then = v1::CheckRequest { at: stamp("2026-11-18T06:59:59.999Z"), ..sale() };
    assert_eq!(engine.check(&permit(Role::Check), then, later).await.unwrap().verdict(), Verdict::Allow);
    let logged = engine.decision(&permit(Role::Audit), &before.decision_id).await.unwrap();
    assert_eq!(logged.decision, Some(before));
    // Nothing recorded is taken back either.
    let request = v1::GetContactRequest { number: CHINA.to_owned(), ..v1::GetContactRequest::default() };
    let contact = engine.contact(&permit(Role::ReadContacts), &request).await.unwrap();
    assert_eq!((contact.consents.len(), contact.opt_outs.len(), contact.attempts.len()), (1, 1, 1));
}

#[tokio::test]
async fn whatever_way_an_opt_out_came_in_it_weighs_the_same() {
    let ways = (1..).map_while(|number| Source::try_from(number).ok());
    let mut count = 0;
    for way in ways {
        let engine = engine();
        record(&engine, consent(), "c").await.unwrap();
        let said = v1::RecordOptOutRequest { source: way.into(), ..opt_out(CHINA, "s") };
        let receipt = engine.record_opt_out(&permit(Role::WriteConsent), said, clock(NOW)).await.unwrap();
        assert!(!receipt.receipt_id.is_empty() && receipt.recorded_at.is_some());
        assert!(!allows(&engine, sale()).await && !allows(&engine, notice()).await, "{way:?}");
        assert_eq!(super::kept(&engine).await.opt_outs[0].opt_out.as_ref().unwrap().source(), way);
        count += 1;
    }
    assert_eq!(count, 16);
}

#[tokio::test]
async fn notices_survive_a_refusal_of_marketing_and_legal_ones_every_refusal() {
    let engine = engine();
    record(&engine, consent(), "c").await.unwrap();
    // A breach is told by call and by text: the law demands it, and says so with its reason.
    let told = |channel: Channel| v1::CheckRequest {
        legally_required: true,
        exemption: Some(v1::ExemptionClaim {
            ground: Ground::LegalDuty.into(),
            reason: "Notice of a personal-information incident, PIPL art. 57".to_owned(),
            evidence_ref: "incident-7".to_owned(),
        }),
        ..asking(channel, Purpose::Informational)
    };
    stop(&engine, of(&[Purpose::Marketing]), "s-1").await;
    assert!(!allows(&engine, sale()).await);
    assert!(allows(&engine, notice()).await, "the service is suspended tonight");
    stop(&engine, everything(), "s-2").await;
    assert!(!allows(&engine, notice()).await);
    for channel in [Channel::Call, Channel::Text] {
        assert!(allows(&engine, told(channel)).await);
    }
    let danger = asking(Channel::Call, Purpose::Emergency);
    assert!(allows(&engine, danger).await);
    let sold = v1::CheckRequest { legally_required: true, ..sale() };
    let refused = engine.check(&permit(Role::Check), sold, clock(NOW)).await;
    assert_eq!(fields(refused), ["legally_required"], "no law demands marketing");
}

#[tokio::test]
async fn a_claimed_exemption_has_reason_and_proof_and_opens_no_marketing() {
    let folder = tempfile::tempdir().unwrap();
    let engine = durable(folder.path()).await.engine;
    let claim = |ground: i32| v1::ExemptionClaim {
        ground,
        reason: "The order that the person placed".to_owned(),
        evidence_ref: "order-7".to_owned(),
    };
    let claiming = |claim: v1::ExemptionClaim, request| v1::CheckRequest { exemption: Some(claim), ..request };
    let ask = async |request| engine.check(&permit(Role::Check), request, clock(NOW)).await;
    let grounds: Vec<i32> = (1..).map_while(|number| Ground::try_from(number).ok()).map(i32::from).collect();
    assert_eq!(grounds.len(), 12);
    for ground in grounds {
        let decision = ask(claiming(claim(ground), notice())).await.unwrap();
        assert_eq!(decision.verdict(), Verdict::Allow);
        let logged = engine.decision(&permit(Role::Audit), &decision.decision_id).await.unwrap();
        assert_eq!(logged.request.unwrap().exemption, Some(claim(ground)), "kept with the decision");
        assert_eq!(fields(ask(claiming(claim(ground), sale())).await), ["exemption"]);
        // It loosens nothing: who refused everything is not told.
        let refused = v1::Evidence {
            opt_outs: vec![v1::OptOut { scope: Some(everything()), at: stamp(NOW), ..v1::OptOut::default() }],
            ..v1::Evidence::default()
        };
        let denied = ask(v1::CheckRequest { evidence: Some(refused), ..claiming(claim(ground), notice()) }).await;
        assert_eq!(denied.unwrap().verdict(), Verdict::Deny);
    }
    let bare = v1::ExemptionClaim::default();
    let missing = ["exemption.ground", "exemption.reason", "exemption.evidence_ref"];
    assert_eq!(fields(ask(claiming(bare, notice())).await), missing);
    // Own terms, own property, the safety of affiliates: what no law names has no number here.
    assert_eq!(fields(ask(claiming(claim(13), notice())).await), ["exemption.ground"]);
}

#[tokio::test]
async fn a_refusal_may_be_narrow_and_closes_no_less_than_it_says() {
    let texts = v1::OptOutScope { channels: vec![Channel::Text.into()], ..v1::OptOutScope::default() };
    let renewal = v1::OptOutScope { subjects: vec!["renewal".to_owned()], ..v1::OptOutScope::default() };
    let spring = v1::OptOutScope { campaigns: vec!["spring".to_owned()], ..v1::OptOutScope::default() };
    let of_campaign = |campaign: &str| v1::CheckRequest { campaign: campaign.to_owned(), ..sale() };
    let seller = v1::OptOutScope { sellers: vec!["acme".to_owned()], ..v1::OptOutScope::default() };
    let text = || asking(Channel::Text, Purpose::Marketing);
    let about = |subject: &str| v1::CheckRequest { subject: subject.to_owned(), ..sale() };
    let survey = || asking(Channel::Call, Purpose::Survey);
    let other = || v1::CheckRequest { seller: "borealis".to_owned(), ..sale() };
    for (scope, closed, open) in [
        (texts, vec![text()], vec![sale(), notice()]),
        (of(&[Purpose::Survey]), vec![survey()], vec![sale(), text(), notice()]),
        (renewal, vec![sale(), text(), notice(), about("")], vec![about("roof")]),
        (spring, vec![of_campaign("spring"), sale(), notice()], vec![of_campaign("autumn")]),
        (seller, vec![sale(), text(), notice(), survey()], vec![other()]),
        (everything(), vec![sale(), text(), notice(), survey(), other()], Vec::new()),
    ] {
        let engine = engine();
        record(&engine, consent(), "c").await.unwrap();
        stop(&engine, scope.clone(), "s").await;
        for request in closed {
            let denied = check(&engine, request).await;
            assert_eq!(denied.verdict(), Verdict::Deny, "{scope:?}");
        }
        for request in open {
            let allowed = check(&engine, request).await;
            assert_eq!(allowed.verdict(), Verdict::Allow, "{scope:?}: {:?}", allowed.reasons);
        }
    }
}

/// The built-in packs without what denies, so that a marketing text to each place is allowed.
fn duties_alone() -> Arc<Law> {
    let texts: Vec<(&str, String)> = BUILT_IN
        .iter()
        .map(|(file, text)| {
            let mut pack: toml::Table = toml::from_str(text).unwrap();
            if let Some(rules) = pack.get_mut("rule").and_then(toml::Value::as_array_mut) {
                rules.retain(|rule| rule["kind"].as_str() == Some("obligation"));
            }
            (*file, toml::to_string(&pack).unwrap())
        })
        .collect();
    Arc::new(Law::read(texts.iter().map(|(file, text)| (*file, text.as_str()))).unwrap())
}

/// Duties of which the wording that refuses is a part.
const WAYS_TO_REFUSE: [&str; 8] = [
    "opt_out_wording",
    "include_opt_out",
    "identify_sender_and_refusal",
    "identify_sender_and_unsubscribe",
    "identify_sender_and_contact",
    "label_advertisement",
    "legal_basis_and_refusal",
    "offer_opt_out",
];

#[tokio::test]
async fn every_allowed_marketing_text_carries_a_way_to_refuse() {
    let law = duties_alone();
    let places: Vec<_> = law
        .packs()
        .iter()
        .filter_map(|pack| Some((pack.jurisdiction().to_string(), pack.example()?.to_owned())))
        .collect();
    let engine = engine_with(Arc::clone(&law), Settings::default());
    assert!(places.len() > 90, "{}", places.len());
    let mut without = Vec::new();
    for (place, number) in places {
        let residence = if place == "EU" { "DE".to_owned() } else { place.clone() };
        let request = v1::CheckRequest {
            number,
            technology: v1::Technology::Autodialer.into(),
            line_type: v1::LineType::Mobile.into(),
            location: Some(v1::Location { residence, ..v1::Location::default() }),
            ..asking(Channel::Text, Purpose::Marketing)
        };
        let allowed = check(&engine, request).await;
        assert_eq!(allowed.verdict(), Verdict::Allow, "{place}: {:?}", allowed.reasons);
        if !allowed.obligations.iter().any(|duty| WAYS_TO_REFUSE.contains(&duty.code.as_str())) {
            without.push(place);
        }
    }
    assert!(without.is_empty(), "marketing texts without a way to refuse: {without:?}");
}
