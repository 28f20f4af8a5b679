//! What a consent is, what it covers, and what is kept of it.

use ringfence::proto::v1::{self, Channel, ConsentMethod as Method, Purpose, Verdict};

use super::support::{clock, engine, families, permit, stamp};
use super::{
    CHINA, NOW, allows, asking, check, choosing, consent, fields, kept, notice, record, rules, sale, stop, update,
};

/// The question with this consent asserted.
fn with(mut request: v1::CheckRequest, consent: v1::Consent) -> v1::CheckRequest {
    request.evidence.get_or_insert_default().consents.push(consent);
    request
}

#[tokio::test]
async fn what_is_no_consent_is_neither_recorded_nor_believed() {
    let engine = engine();
    assert!(allows(&engine, with(sale(), consent())).await);
    let by = |method: Method| v1::Consent { method: method.into(), ..consent() };
    for (field, none) in [
        ("consent.method", by(Method::PreTickedBox)),
        ("consent.method", by(Method::Silence)),
        ("consent.method", by(Method::ContinuedUse)),
        ("consent.forced", v1::Consent { forced: Some(true), ..consent() }),
        ("consent.notice_given", v1::Consent { notice_given: Some(false), ..consent() }),
    ] {
        let denied = check(&engine, with(sale(), none.clone())).await;
        assert!(families(&denied).contains(&"RULE_FAMILY_CONSENT"), "{field} {none:?}: {:?}", denied.reasons);
        assert_eq!(fields(record(&engine, none, "c").await), [field]);
    }
}

#[tokio::test]
async fn what_the_form_said_is_kept_word_for_word() {
    let engine = engine();
    let said = |id: &str, method: Method| v1::Consent {
        consent_id: id.to_owned(),
        method: method.into(),
        wording: "是的，acme 可以打电话或发短信向我推荐保险，每月最多四次。".to_owned(),
        channels: vec![Channel::Call.into(), Channel::Text.into()],
        purposes: vec![Purpose::Marketing.into()],
        sellers: vec!["acme".to_owned()],
        policy_version: "2026-03".to_owned(),
        obtained_from: "person".to_owned(),
        frequency_cap: Some(v1::FrequencyCap { count: 4, period: "month".to_owned() }),
        capture: Some(v1::ConsentCapture {
            source: "https://acme.example/offer?utm=1".to_owned(),
            campaign: "spring".to_owned(),
            language: "zh-Hans".to_owned(),
            wording_version: "7".to_owned(),
            policy_url: "https://acme.example/privacy/2026-03".to_owned(),
            ..v1::ConsentCapture::default()
        }),
        ..consent()
    };
    let ways = [Method::WebForm, Method::LeadForm, Method::LandingPage];
    for (id, method) in ["a", "b", "c"].into_iter().zip(ways) {
        record(&engine, said(id, method), id).await.unwrap();
    }
    let found = kept(&engine).await.consents;
    assert_eq!(found.len(), 3);
    for (found, (id, method)) in found.into_iter().zip(["a", "b", "c"].into_iter().zip(ways)) {
        assert!(found.recorded_at.is_some() && !found.receipt_id.is_empty());
        assert_eq!(found.consent, Some(said(id, method)));
    }
    assert!(allows(&engine, sale()).await);
}

#[tokio::test]
async fn a_consent_covers_the_channel_purpose_and_seller_it_names() {
    let engine = engine();
    let named = v1::Consent {
        channels: vec![Channel::Text.into()],
        purposes: vec![Purpose::Marketing.into()],
        sellers: vec!["acme".to_owned()],
        ..consent()
    };
    record(&engine, named, "c").await.unwrap();
    let text = asking(Channel::Text, Purpose::Marketing);
    assert!(allows(&engine, text.clone()).await);
    for (what, other) in [
        ("a call", sale()),
        ("a survey", asking(Channel::Text, Purpose::Survey)),
        ("an affiliate", v1::CheckRequest { seller: "acme insurance".to_owned(), ..text }),
    ] {
        let denied = check(&engine, other).await;
        assert!(families(&denied).contains(&"RULE_FAMILY_CONSENT"), "{what}: {:?}", denied.reasons);
        assert_eq!(denied.retry_at, None, "{what}: waiting opens nothing");
    }
}

/// "No more than four texts a month": the fifth waits for the first of the next month in China.
#[tokio::test]
async fn the_frequency_promised_on_the_form_is_a_cap() {
    let engine = engine();
    let promised = v1::Consent {
        channels: vec![Channel::Text.into()],
        frequency_cap: Some(v1::FrequencyCap { count: 4, period: "month".to_owned() }),
        ..consent()
    };
    record(&engine, promised, "c").await.unwrap();
    let text = v1::CheckRequest { dry_run: false, ..asking(Channel::Text, Purpose::Marketing) };
    for _ in 0..4 {
        assert!(allows(&engine, text.clone()).await);
    }
    let fifth = check(&engine, text.clone()).await;
    assert!(families(&fifth).iter().all(|family| *family == "RULE_FAMILY_CAP"), "{:?}", fifth.reasons);
    assert!(rules(&fifth).contains(&"ringfence.consent.promised_frequency"), "{:?}", fifth.reasons);
    assert_eq!(fifth.retry_at, stamp("2026-12-01T00:00:00Z"), "from eight in the morning of 1 December");
    // The promise binds what rests on it, and nothing else.
    assert!(allows(&engine, notice()).await);
}

/// An answer needs number, channel, purpose and seller; an opt-out the number and what it closes.
#[tokio::test]
async fn nothing_optional_is_asked_for() {
    let engine = engine();
    let bare = v1::CheckRequest {
        number: CHINA.to_owned(),
        channel: Channel::Text.into(),
        purpose: Purpose::Informational.into(),
        seller: "acme".to_owned(),
        ..v1::CheckRequest::default()
    };
    assert!(allows(&engine, bare.clone()).await, "a notice");
    let sold = v1::CheckRequest { purpose: Purpose::Marketing.into(), ..bare };
    assert_eq!(check(&engine, with(sold, consent())).await.verdict(), Verdict::Allow, "age, name, address: nothing");
    let request = v1::RecordOptOutRequest {
        number: CHINA.to_owned(),
        request_id: "s".to_owned(),
        scope: Some(v1::OptOutScope { everything: true, ..v1::OptOutScope::default() }),
        ..v1::RecordOptOutRequest::default()
    };
    let write = permit(ringfence::access::Role::WriteConsent);
    let receipt = engine.record_opt_out(&write, request, clock(NOW)).await.unwrap();
    assert!(!receipt.receipt_id.is_empty() && receipt.recorded_at == stamp(NOW));
    assert!(!allows(&engine, notice()).await);
}

#[tokio::test]
async fn a_number_handed_on_starts_without_consent() {
    let engine = engine();
    assert!(!allows(&engine, sale()).await, "a number nobody knows anything of");
    let separate = vec![v1::ConsentFlag::ThirdParty.into(), v1::ConsentFlag::Separate.into()];
    let listed = |flags: Vec<i32>, sellers: &[&str], from: &str| v1::Consent {
        flags,
        sellers: sellers.iter().map(|&one| one.to_owned()).collect(),
        obtained_from: from.to_owned(),
        ..consent()
    };
    for (why, bought) in [
        ("no consent to passing it on", listed(Vec::new(), &["acme"], "third_party")),
        ("it names no seller", listed(separate.clone(), &[], "third_party")),
        ("it names another seller", listed(separate.clone(), &["list broker"], "third_party")),
        ("of an origin that nobody can tell", listed(Vec::new(), &["acme"], "a friend")),
    ] {
        let denied = check(&engine, with(sale(), bought.clone())).await;
        assert!(families(&denied).contains(&"RULE_FAMILY_CONSENT"), "{why}: {:?}", denied.reasons);
        record(&engine, bought, why).await.unwrap();
        assert!(!allows(&engine, sale()).await, "{why}, recorded");
    }
    let warranted = v1::Consent {
        capture: Some(v1::ConsentCapture { given_by: "the person, to a friend".to_owned(), ..Default::default() }),
        ..listed(separate, &["acme"], "third_party")
    };
    record(&engine, warranted, "warranted").await.unwrap();
    assert!(allows(&engine, sale()).await);
    let found = kept(&engine).await.consents.pop().unwrap().consent.unwrap();
    assert_eq!((found.obtained_from.as_str(), found.evidence_ref.as_str()), ("third_party", "form-1"));
}

#[tokio::test]
async fn separate_consent_is_asked_for_where_the_tenant_chooses_so() {
    let separate = v1::Consent { flags: vec![v1::ConsentFlag::Separate.into()], ..consent() };
    let (usual, strict) = (engine(), choosing("cn_separate_consent"));
    let implied = v1::Consent { grade: v1::ConsentGrade::Implied.into(), ..separate.clone() };
    assert!(!allows(&usual, with(sale(), implied)).await, "express is the floor");
    assert!(allows(&usual, with(sale(), consent())).await);
    assert_eq!(rules(&check(&strict, with(sale(), consent())).await), ["cn.marketing.separate"]);
    assert!(allows(&strict, with(sale(), separate)).await);
}

#[tokio::test]
async fn a_child_is_contacted_only_with_the_guardians_consent() {
    let engine = engine();
    record(&engine, consent(), "ticked").await.unwrap();
    assert!(allows(&engine, sale()).await);
    // Learnt later, to the day: fourteen tomorrow.
    let born = |date: &str| v1::ContactFacts { birth_date: date.to_owned(), ..v1::ContactFacts::default() };
    update(&engine, "birth_date", born("2012-11-19")).await;
    for request in [sale(), notice()] {
        let denied = check(&engine, request).await;
        let reason = denied.reasons.iter().find(|reason| reason.rule_id == "cn.pipl.art31_minor14").unwrap();
        assert_eq!(reason.family().as_str_name(), "RULE_FAMILY_MINOR");
        assert!(reason.remedy.contains("erase what was collected by mistake"), "{}", reason.remedy);
    }
    let guardian = v1::Consent { flags: vec![v1::ConsentFlag::Guardian.into()], ..consent() };
    record(&engine, guardian, "mother").await.unwrap();
    assert!(allows(&engine, sale()).await);
}

#[tokio::test]
async fn from_fourteen_to_seventeen_the_tenant_chooses() {
    let guardian = v1::Consent { flags: vec![v1::ConsentFlag::Guardian.into()], ..consent() };
    let aged = |age: u32, consent: v1::Consent| {
        let mut request = with(sale(), consent);
        request.evidence.as_mut().unwrap().age = Some(age);
        request
    };
    let (usual, strict) = (engine(), choosing("cn_guardian_under_18"));
    for age in [14, 17] {
        assert!(allows(&usual, aged(age, consent())).await, "{age}: own consent");
        assert!(allows(&usual, aged(age, guardian.clone())).await, "{age}: the guardian's");
        assert_eq!(rules(&check(&strict, aged(age, consent())).await), ["cn.minor.14_17"]);
        assert!(allows(&strict, aged(age, guardian.clone())).await);
    }
    assert!(allows(&strict, aged(18, consent())).await);
}

#[tokio::test]
async fn a_changed_policy_asks_anew_and_leaves_the_service_alone() {
    let engine = engine();
    let under = |version: &str, given: &str| v1::Consent {
        policy_version: version.to_owned(),
        given_at: stamp(given),
        ..consent()
    };
    record(&engine, under("3", "2026-06-01T02:00:00Z"), "c-3").await.unwrap();
    let policy = |material: Option<bool>| v1::ContactFacts {
        policy: Some(v1::Policy {
            current_version: "4".to_owned(),
            material,
            effective_at: stamp("2026-09-01T00:00:00Z"),
        }),
        ..v1::ContactFacts::default()
    };
    update(&engine, "policy", policy(Some(false))).await;
    assert!(allows(&engine, sale()).await, "a cosmetic change");
    // A change that nobody called cosmetic is material: going on accepts nothing.
    for material in [None, Some(true)] {
        update(&engine, "policy", policy(material)).await;
        let denied = check(&engine, sale()).await;
        assert!(rules(&denied).contains(&"cn.pipl.art14_consent"), "{:?}", denied.reasons);
        assert!(denied.reasons.iter().any(|reason| reason.remedy.contains("ask again")), "{:?}", denied.reasons);
    }
    let went_on = v1::Consent { method: Method::ContinuedUse.into(), ..under("4", "2026-10-01T02:00:00Z") };
    assert_eq!(fields(record(&engine, went_on, "went on").await), ["consent.method"]);
    // Who refuses keeps the service: what is no marketing goes on.
    let marketing = v1::OptOutScope { purposes: vec![Purpose::Marketing.into()], ..v1::OptOutScope::default() };
    assert!(allows(&engine, notice()).await);
    stop(&engine, marketing, "no").await;
    assert!(allows(&engine, notice()).await);
    assert!(!allows(&engine, sale()).await);
}
