//! Rights, whereabouts and what is said of data: what no other test shows.

use std::collections::{BTreeMap, BTreeSet};

use prost::Message as _;
use prost_types::{DescriptorProto, FileDescriptorSet, field_descriptor_proto::Type};
use ringfence::access::Role;
use ringfence::engine::{Settings, rights};
use ringfence::proto::FILE_DESCRIPTOR_SET;
use ringfence::proto::v1::{
    self, ErasureReason as Ground, RefusalReason, RightsRequestKind as Kind, RightsRequestStep as Step,
};

use super::support::{clock, engine, families, law, permit, stamp};
use super::{CHINA, FLORIDA, NOW, allows, check, consent, engine_with, notice, record, rules, sale};

#[tokio::test]
async fn every_ground_of_erasure_erases_and_what_suppresses_stays() {
    let grounds: Vec<Ground> = (1..).map_while(|number| Ground::try_from(number).ok()).collect();
    assert_eq!(grounds.len(), 6);
    for ground in grounds {
        let engine = engine();
        record(&engine, v1::Consent { wording: "是的".to_owned(), ..consent() }, "c").await.unwrap();
        assert!(allows(&engine, sale()).await);
        let request = v1::EraseContactRequest {
            number: CHINA.to_owned(),
            request_id: "e".to_owned(),
            reason: ground.into(),
            identity_verified_by: "called back on this number, by ann".to_owned(),
            ..v1::EraseContactRequest::default()
        };
        let erased = engine.erase_contact(&permit(Role::Privacy), request, clock(NOW)).await.unwrap();
        assert_eq!((erased.erased_at, erased.kept_opt_outs), (stamp(NOW), 1), "{ground:?}");
        let left = super::kept(&engine).await;
        assert!(left.consents.is_empty() && left.erased_at.is_some(), "{left:?}");
        let denied = check(&engine, sale()).await;
        assert!(families(&denied).contains(&"RULE_FAMILY_OPT_OUT"), "{ground:?}: {:?}", denied.reasons);
    }
}

#[tokio::test]
async fn every_ground_of_refusal_is_told_with_where_to_complain() {
    let officer = rights::Settings {
        officer: "Data protection team".to_owned(),
        contact: "privacy@acme.example".to_owned(),
        ..rights::Settings::default()
    };
    let engine = engine_with(law(), Settings { rights: officer, ..Settings::default() });
    let privacy = permit(Role::Privacy);
    let grounds: Vec<_> = (1..).map_while(|number| RefusalReason::try_from(number).ok()).collect();
    assert!(grounds.contains(&RefusalReason::TradeSecret) && grounds.contains(&RefusalReason::Excessive));
    let mut whys = BTreeSet::new();
    for ground in grounds {
        let asked = v1::OpenRequestRequest {
            number: CHINA.to_owned(),
            request_id: format!("open {ground:?}"),
            kind: Kind::Access.into(),
            identity_verified_by: "called back on this number, by ann".to_owned(),
            ..v1::OpenRequestRequest::default()
        };
        let opened = engine.open_request(&privacy, asked, clock(NOW)).await.unwrap().request.unwrap();
        let asked = v1::ResolveRequestRequest {
            rights_request_id: opened.rights_request_id,
            request_id: format!("refuse {ground:?}"),
            step: Step::Refuse.into(),
            refusal_reason: ground.into(),
            who: "ann".to_owned(),
            ..v1::ResolveRequestRequest::default()
        };
        let refused = engine.resolve_request(&privacy, asked, clock(NOW)).await.unwrap().request.unwrap();
        assert_eq!(refused.refusal_reason(), ground);
        for said in ["cyberspace", "public security", "market", "telecommunications", "court"] {
            assert!(refused.complaint_route.contains(said) && refused.reply.contains(said), "{}", refused.reply);
        }
        let in_charge = "In charge of personal data here: Data protection team, privacy@acme.example.";
        assert!(refused.reply.contains(in_charge), "{}", refused.reply);
        let why = refused.reply.split("because ").nth(1).unwrap().split('.').next().unwrap().to_owned();
        assert!(whys.insert(why), "{ground:?}: {}", refused.reply);
    }
    assert_eq!(whys.len(), 10);
}

#[tokio::test]
async fn data_leave_china_only_with_separate_consent_and_a_mechanism() {
    let engine = engine();
    let abroad = |flags: Vec<i32>, mechanism: v1::TransferMechanism| v1::CheckRequest {
        processing_region: "US".to_owned(),
        evidence: Some(v1::Evidence {
            consents: vec![v1::Consent { flags, ..consent() }],
            transfer: Some(v1::Transfer {
                to: "US".to_owned(),
                mechanism: mechanism.into(),
                persons_since_january: Some(150_000),
            }),
            ..v1::Evidence::default()
        }),
        ..sale()
    };
    let separate = || vec![v1::ConsentFlag::CrossBorder.into(), v1::ConsentFlag::Separate.into()];
    let (none, contract) = (v1::TransferMechanism::None, v1::TransferMechanism::StandardContract);
    for (flags, mechanism, denied) in [
        (Vec::new(), none, vec!["cn.export.mechanism", "cn.pipl.art39_separate"]),
        (separate(), none, vec!["cn.export.mechanism"]),
        (Vec::new(), contract, vec!["cn.pipl.art39_separate"]),
        (vec![v1::ConsentFlag::CrossBorder.into()], contract, vec!["cn.pipl.art39_separate"]),
        (separate(), contract, Vec::new()),
    ] {
        let decision = check(&engine, abroad(flags, mechanism)).await;
        let mut found = rules(&decision);
        found.sort_unstable();
        assert_eq!(found, denied);
    }
    record(&engine, consent(), "c").await.unwrap();
    assert!(allows(&engine, v1::CheckRequest { processing_region: "CN".to_owned(), ..sale() }).await);
    // Where the server itself stands abroad, nobody needs to say so.
    let settings = Settings { server_region: Some("US".parse().unwrap()), ..Settings::default() };
    let denied = check(&engine_with(law(), settings), notice()).await;
    assert!(families(&denied).contains(&"RULE_FAMILY_CROSS_BORDER"), "{:?}", denied.reasons);
}

#[tokio::test]
async fn the_law_is_that_of_the_person_wherever_the_caller_sits() {
    let seats = [None, Some("US"), Some("CN"), Some("DE")];
    for seat in seats {
        let settings = Settings { server_region: seat.map(|seat| seat.parse().unwrap()), ..Settings::default() };
        let engine = engine_with(law(), settings);
        for (number, place) in [(CHINA, "CN"), (FLORIDA, "US-FL"), ("+33612345678", "FR")] {
            for processing in ["", "US", "CN", "DE"] {
                let request =
                    v1::CheckRequest { number: number.to_owned(), processing_region: processing.to_owned(), ..sale() };
                assert_eq!(check(&engine, request).await.jurisdictions, [place], "{seat:?} {processing}");
            }
        }
        // A residence adds its law, and takes none away.
        let moved = v1::CheckRequest {
            location: Some(v1::Location { residence: "FR".to_owned(), ..v1::Location::default() }),
            ..sale()
        };
        let mut found = check(&engine, moved).await.jurisdictions;
        found.sort_unstable();
        assert_eq!(found, ["CN", "FR"]);
    }
}

/// What a caller says about a person, and what is kept.
const ABOUT_PEOPLE: [&str; 7] = [
    "CheckRequest",
    "Contact",
    "ProcessInboundRequest",
    "RecordConsentRequest",
    "RecordOptOutRequest",
    "RightsRequest",
    "UpdateContactRequest",
];
const CLASSES: [&str; 5] = ["identifying", "sensitive", "personal", "proof", "service"];

/// The fields that hold a value themselves, by message, of all that is reached from one.
fn reached(messages: &BTreeMap<String, DescriptorProto>, name: &str, found: &mut BTreeSet<(String, String)>) {
    let Some(message) = messages.get(name) else { return };
    for field in &message.field {
        let inner = field.type_name().rsplit('.').next().unwrap().to_owned();
        if field.r#type() == Type::Message && messages.contains_key(&inner) {
            if !found.iter().any(|(seen, _)| *seen == inner) {
                reached(messages, &inner, found);
            }
        } else {
            found.insert((name.to_owned(), field.name().to_owned()));
        }
    }
}

#[test]
fn every_fact_about_a_person_has_its_class() {
    let files = FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).unwrap().file;
    let files = files.into_iter().filter(|file| file.package() == "ringfence.v1");
    let messages: BTreeMap<_, _> =
        files.flat_map(|file| file.message_type).map(|message| (message.name().to_owned(), message)).collect();
    let mut fields = BTreeSet::new();
    for name in ABOUT_PEOPLE {
        reached(&messages, name, &mut fields);
    }
    let text = std::fs::read_to_string("deploy/data-classes.md").unwrap();
    let (mut classed, mut problems) = (BTreeSet::new(), Vec::new());
    for line in text.split("| message | class | fields |").nth(1).unwrap().lines().filter(|line| line.contains('`')) {
        let cells: Vec<_> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        let [message, class, names] = cells[..] else { panic!("not three cells: {line}") };
        assert!(CLASSES.contains(&class), "{line}");
        for name in names.split('`').skip(1).step_by(2) {
            if !classed.insert((message.to_owned(), name.to_owned())) {
                problems.push(format!("{message}.{name} has two classes"));
            }
        }
    }
    problems.extend(fields.difference(&classed).map(|(message, name)| format!("{message}.{name} has no class")));
    problems.extend(classed.difference(&fields).map(|(message, name)| format!("{message}.{name} is not there")));
    assert!(fields.len() > 180 && problems.is_empty(), "deploy/data-classes.md:\n{}", problems.join("\n"));
}
