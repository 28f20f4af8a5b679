//! Another tenant's things: each call as the tenant whose it is, and as another with every role.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;

use futures_util::stream;
use http::StatusCode;
use ringfence::access::{Caller, Role};
use ringfence::engine::{Clock, Failure};
use ringfence::proto::v1::check_service_client::CheckServiceClient;
use ringfence::proto::v1::consent_service_client::ConsentServiceClient;
use ringfence::proto::v1::{self, check_result};
use ringfence::service::now;
use serde_json::{Value, json};
use tonic::Request;

use super::frozen;
use super::house::{House, Somebody, methods};
use super::support::durable;

const NUMBER: &str = "+13055550123";

/// What is asked, by both; and what of an answer is of interest.
struct Asked<'a> {
    house: &'a House,
    own: Somebody,
    other: Somebody,
    text: String,
    seen: BTreeSet<String>,
}

/// A short form of an answer: its status, and what this says of it.
fn short((code, body): &(StatusCode, Value), of: &dyn Fn(&Value) -> String) -> String {
    match *code {
        StatusCode::OK => of(body),
        _ => {
            let reason = body["details"].as_array().and_then(|all| all.iter().find_map(|one| one["reason"].as_str()));
            format!("{} {}", code.as_u16(), reason.unwrap_or_default())
        }
    }
}

impl Asked<'_> {
    fn row(&mut self, call: &str, own: &str, other: &str) {
        self.seen.insert(call.to_owned());
        writeln!(self.text, "{call:40}  {own:28}  {other}").unwrap();
    }

    /// Asks the same as both: the other first, so that what they change shows.
    async fn both(&mut self, call: &str, path: &str, body: Value, of: impl Fn(&Value) -> String) -> Value {
        let other = self.house.ask(path, Some(&self.other.key), &body).await;
        let own = self.house.ask(path, Some(&self.own.key), &body).await;
        let (own_text, other_text) = (short(&own, &of), short(&other, &of));
        self.row(call, &own_text, &other_text);
        own.1
    }

    /// Asks as the one whose it is, for what follows.
    async fn own(&self, path: &str, body: Value) -> Value {
        let (code, answer) = self.house.ask(path, Some(&self.own.key), &body).await;
        assert_eq!(code, StatusCode::OK, "{path}: {answer}");
        answer
    }
}

fn families(decision: &Value) -> String {
    let reasons = decision["reasons"].as_array().cloned().unwrap_or_default();
    let families: BTreeSet<_> =
        reasons.iter().map(|one| one["family"].as_str().unwrap().replace("RULE_FAMILY_", "")).collect();
    let opted_out = families.contains("OPT_OUT");
    format!("opt-out {}", if opted_out { "known" } else { "not known" })
}

fn count(field: &'static str) -> impl Fn(&Value) -> String {
    move |body| format!("{} {field}", body[field].as_array().map_or(0, Vec::len))
}

fn done(_: &Value) -> String {
    "done".to_owned()
}

fn question(number: &str) -> Value {
    json!({
        "number": number, "channel": "CHANNEL_CALL", "purpose": "PURPOSE_MARKETING", "seller": "acme",
        "technology": "TECHNOLOGY_MANUAL", "recipient": "RECIPIENT_CONSUMER", "dryRun": true,
    })
}

async fn contacts(asked: &mut Asked<'_>) {
    let scope = json!({ "everything": true });
    asked
        .own(
            "/v1/opt-outs:record",
            json!({"number": NUMBER, "requestId": "o", "scope": scope, "source": "OPT_OUT_SOURCE_PHONE"}),
        )
        .await;
    let scope = json!({ "everything": true });
    let alone = json!({"number": "+13055550126", "requestId": "o", "scope": scope, "source": "OPT_OUT_SOURCE_PHONE"});
    asked.own("/v1/opt-outs:record", alone).await;
    asked.both("CheckService.Check", "/v1/check", question(NUMBER), |body| families(&body["decision"])).await;
    let batch = json!({ "checks": [question(NUMBER)] });
    asked
        .both("CheckService.CheckBatch", "/v1/check:batch", batch, |body| families(&body["results"][0]["decision"]))
        .await;
    // A notice in an emergency is allowed whatever was said, and reserved.
    let reserved = json!({
        "number": NUMBER, "channel": "CHANNEL_CALL", "purpose": "PURPOSE_EMERGENCY", "seller": "acme", "attemptId": "a-1",
        "technology": "TECHNOLOGY_MANUAL",
    });
    asked.own("/v1/check", reserved).await;
    let outcome = json!({ "number": NUMBER, "attemptId": "a-1", "outcome": "OUTCOME_CONNECTED", "startedAt": "2026-11-18T16:00:00Z" });
    asked.both("CheckService.ReportOutcome", "/v1/outcomes:report", outcome, done).await;
    asked
        .both("ConsentService.GetContact", "/v1/contacts:get", json!({"number": NUMBER}), |body| {
            format!("{} opt-outs", body["contact"]["optOuts"].as_array().map_or(0, Vec::len))
        })
        .await;
    // An id of one tenant is free for another.
    let again =
        json!({"number": NUMBER, "requestId": "o", "scope": {"sellers": ["b"]}, "source": "OPT_OUT_SOURCE_PHONE"});
    asked.both("ConsentService.RecordOptOut", "/v1/opt-outs:record", again, done).await;
    let consent = json!({"number": "+13055550124", "requestId": "c", "consent": {
        "grade": "CONSENT_GRADE_EXPRESS", "method": "CONSENT_METHOD_WEB_FORM", "givenAt": "2026-11-01T00:00:00Z"}});
    asked.own("/v1/consents:record", consent).await;
    let other = json!({"number": "+13055550124", "requestId": "c", "consent": {
        "grade": "CONSENT_GRADE_EXPRESS", "method": "CONSENT_METHOD_PAPER", "givenAt": "2026-11-01T00:00:00Z"}});
    asked.both("ConsentService.RecordConsent", "/v1/consents:record", other, done).await;
    asked
        .own(
            "/v1/contacts:update",
            json!({"number": NUMBER, "requestId": "u", "facts": {"age": 40}, "updateMask": "age"}),
        )
        .await;
    let other = json!({"number": NUMBER, "requestId": "u", "facts": {"age": 41}, "updateMask": "age"});
    asked.both("ConsentService.UpdateContact", "/v1/contacts:update", other, done).await;
    asked
        .own("/v1/inbound:process", json!({"number": NUMBER, "requestId": "i", "text": "STOP", "seller": "acme"}))
        .await;
    let other = json!({"number": NUMBER, "requestId": "i", "text": "HELP", "seller": "acme"});
    asked.both("ConsentService.ProcessInbound", "/v1/inbound:process", other, done).await;
}

async fn decisions(asked: &mut Asked<'_>) {
    let id =
        asked.own("/v1/check", question("+13055550125")).await["decision"]["decisionId"].as_str().unwrap().to_owned();
    let path = format!("/v1/decisions/{id}");
    let mut looked = Vec::new();
    for who in [&asked.own.key, &asked.other.key] {
        looked.push(short(&asked.house.get(&path, Some(who)).await, &|_| "found".to_owned()));
    }
    asked.row("AuditService.GetDecision", &looked[0], &looked[1]);
    let listing = json!({ "dryRuns": true, "number": "+13055550125" });
    asked.both("AuditService.ListDecisions", "/v1/decisions:list", listing, count("records")).await;
    asked
        .both("AuditService.Replay", "/v1/decisions:replay", json!({ "decisionIds": [id] }), |body| {
            let result = &body["results"][0];
            result["error"]["code"].as_i64().map_or("judged again".to_owned(), |code| format!("code {code}"))
        })
        .await;
    for engine in asked.house.tenants.all() {
        if engine.tenant() != "default" {
            engine.self_check_now(now).await.unwrap();
        }
    }
    let mut looked = Vec::new();
    for who in [&asked.own.key, &asked.other.key] {
        let answer = asked.house.get("/v1/selfcheck", Some(who)).await;
        looked.push(short(&answer, &|body| {
            let finished = &body["finished"];
            format!(
                "{} contacts, {} alarms",
                finished["contacts"].as_str().unwrap_or("0"),
                finished["alarms"].as_str().unwrap_or("0")
            )
        }));
    }
    asked.row("AuditService.GetSelfCheck", &looked[0], &looked[1]);
}

async fn switches(asked: &mut Asked<'_>) {
    let freeze =
        json!({"requestId": "f", "target": {"seller": "acme"}, "who": "ann", "why": "Wrong prices were quoted."});
    let frozen = asked.own("/v1/control:freeze", freeze).await["freeze"]["freezeId"].clone();
    asked.both("ControlService.ListFreezes", "/v1/control:listFreezes", json!({}), count("freezes")).await;
    let same = json!({"requestId": "f", "target": {"seller": "other"}, "who": "ann", "why": "Another one."});
    asked.both("ControlService.Freeze", "/v1/control:freeze", same, done).await;
    let lift = json!({"requestId": "l", "freezeId": frozen, "who": "ann", "why": "Right again."});
    asked.both("ControlService.Unfreeze", "/v1/control:unfreeze", lift, done).await;
    let state = json!({"requestId": "e", "jurisdiction": "US-NY", "title": "Lake snow", "source": "Executive Order 60", "who": "ann"});
    let declared = asked.own("/v1/control:declareEmergency", state).await["emergency"]["emergencyId"].clone();
    asked.both("ControlService.ListEmergencies", "/v1/control:listEmergencies", json!({}), count("emergencies")).await;
    let same = json!({"requestId": "e", "jurisdiction": "US-LA", "title": "Storm", "source": "Order 61", "who": "ann"});
    asked.both("ControlService.DeclareEmergency", "/v1/control:declareEmergency", same, done).await;
    let end = json!({"requestId": "x", "emergencyId": declared, "who": "ann", "why": "It is over."});
    asked.both("ControlService.EndEmergency", "/v1/control:endEmergency", end, done).await;
}

async fn processors(asked: &mut Asked<'_>) {
    let processor = json!({"name": "dialer", "purpose": "dialing", "contractRef": "C-17", "assessedOn": "2026-05-04"});
    asked.own("/v1/processors:put", json!({"requestId": "p", "processor": processor, "who": "ann"})).await;
    asked.both("ProcessorService.ListProcessors", "/v1/processors:list", json!({}), count("processors")).await;
    asked
        .both(
            "ProcessorService.GetProcessorStatus",
            "/v1/processors:status",
            json!({"name": "dialer"}),
            count("statuses"),
        )
        .await;
    let (own, other) = watched(asked).await;
    asked.row("ConsentService.WatchOptOuts", &own, &other);
    let token = token(asked).await;
    let confirm = json!({"watcher": "dialer", "resumeToken": token});
    asked.both("ProcessorService.ConfirmOptOuts", "/v1/opt-outs:confirm", confirm, done).await;
    asked
        .both(
            "ProcessorService.ResumeProcessor",
            "/v1/processors:resume",
            json!({"requestId": "r", "name": "dialer", "who": "ann"}),
            done,
        )
        .await;
    let same = json!({"requestId": "p", "processor": {"name": "other", "purpose": "dialing", "contractRef": "C", "assessedOn": "2026-05-04"}, "who": "ann"});
    asked.both("ProcessorService.PutProcessor", "/v1/processors:put", same, done).await;
    let remove = json!({"requestId": "q", "name": "dialer", "who": "ann", "why": "The contract ended."});
    asked.both("ProcessorService.RemoveProcessor", "/v1/processors:remove", remove, done).await;
}

/// Over gRPC, as this key.
fn shown<T>(key: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("authorization", format!("Bearer {key}").parse().unwrap());
    request
}

type Followed = tonic::Result<tonic::Streaming<v1::WatchOptOutsResponse>>;

async fn follow(asked: &Asked<'_>, key: &str, request: v1::WatchOptOutsRequest) -> Followed {
    let mut client = ConsentServiceClient::new(asked.house.grpc.clone());
    Ok(client.watch_opt_outs(shown(key, request)).await?.into_inner())
}

async fn token(asked: &Asked<'_>) -> String {
    let mut events = follow(asked, &asked.own.key, v1::WatchOptOutsRequest::default()).await.unwrap();
    events.message().await.unwrap().unwrap().resume_token
}

/// What each is told of all that was recorded, up to an opt-out of its own that is the last; and what becomes of the other's
/// token.
async fn watched(asked: &Asked<'_>) -> (String, String) {
    let token = token(asked).await;
    let mut told = Vec::new();
    for (key, last) in [(&asked.own.key, "+13055550191"), (&asked.other.key, "+13055550192")] {
        let all = v1::WatchOptOutsRequest { from: Some(Default::default()), ..Default::default() };
        let mut events = follow(asked, key, all).await.unwrap();
        let mut client = ConsentServiceClient::new(asked.house.grpc.clone());
        client.record_opt_out(shown(key, super::support::opt_out(last, "last"))).await.unwrap();
        let mut numbers = BTreeSet::new();
        loop {
            // The greeting has no event.
            match events.message().await.unwrap().unwrap().event {
                Some(event) if event.number == last => break,
                Some(event) => {
                    numbers.insert(event.number);
                }
                None => {}
            }
        }
        let resumed = v1::WatchOptOutsRequest { resume_token: token.clone(), ..Default::default() };
        told.push(format!(
            "{} numbers, acme's token {}",
            numbers.len(),
            match follow(asked, key, resumed).await {
                Ok(_) => "taken",
                Err(status) if status.code() == tonic::Code::InvalidArgument => "refused",
                Err(other) => panic!("{other}"),
            }
        ));
    }
    (told[0].clone(), told[1].clone())
}

async fn requests(asked: &mut Asked<'_>) {
    let verified = "called back on this number, by ann";
    let open = json!({"number": NUMBER, "requestId": "r-1", "kind": "RIGHTS_REQUEST_KIND_ACCESS", "identityVerifiedBy": verified});
    let id = asked.own("/v1/requests:open", open).await["request"]["rightsRequestId"].clone();
    asked
        .both("PrivacyService.GetRequest", "/v1/requests:get", json!({"rightsRequestId": id}), |_| "found".to_owned())
        .await;
    asked.both("PrivacyService.ListRequests", "/v1/requests:list", json!({}), count("requests")).await;
    let same = json!({"number": NUMBER, "requestId": "r-1", "kind": "RIGHTS_REQUEST_KIND_ERASURE", "identityVerifiedBy": verified});
    asked.both("PrivacyService.OpenRequest", "/v1/requests:open", same, done).await;
    asked
        .both(
            "PrivacyService.ExportContact",
            "/v1/contacts:export",
            json!({"number": NUMBER, "requestId": "x-1"}),
            |body| format!("{} opt-outs", body["contact"]["optOuts"].as_array().map_or(0, Vec::len)),
        )
        .await;
    let hold =
        json!({"number": NUMBER, "requestId": "h-1", "recordClass": "consents", "reason": "A lawsuit.", "who": "ann"});
    let (code, held) = asked.house.ask("/v1/contacts:placeHold", Some(&asked.own.key), &hold).await;
    assert_eq!(code, StatusCode::OK, "{held}");
    asked.both("PrivacyService.PlaceHold", "/v1/contacts:placeHold", hold, done).await;
    let lift = json!({"number": NUMBER, "requestId": "h-2", "holdId": held["hold"]["holdId"], "who": "ann", "why": "It is over."});
    asked.both("PrivacyService.LiftHold", "/v1/contacts:liftHold", lift, done).await;
    let step = json!({"rightsRequestId": id, "requestId": "s-1", "step": "RIGHTS_REQUEST_STEP_REFUSE", "who": "ann", "note": "No.",
        "refusalReason": "REFUSAL_REASON_NOTHING_KEPT"});
    asked.both("PrivacyService.ResolveRequest", "/v1/requests:resolve", step, done).await;
    // The other erases a number: what the first has of it stays.
    let erase = json!({"number": NUMBER, "requestId": "z-1", "identityVerifiedBy": verified, "reason": "ERASURE_REASON_REQUESTED"});
    let (code, body) = asked.house.ask("/v1/contacts:erase", Some(&asked.other.key), &erase).await;
    assert!(code == StatusCode::OK || code == StatusCode::NOT_FOUND, "{body}");
    let kept = asked.own("/v1/contacts:get", json!({"number": NUMBER})).await;
    let left = kept["contact"]["optOuts"].as_array().map_or(0, Vec::len);
    asked.row("PrivacyService.EraseContact", &format!("{left} opt-outs left"), "erased its own");
}

async fn lists(asked: &mut Asked<'_>) {
    let put = |title: &str| json!({"requestId": "n-1", "list": "tenant.own", "title": title, "complete": true, "who": "ann", "why": "Counsel keeps it."});
    asked.own("/v1/lists:put", put("Those who sue")).await;
    let add = |id: &str, number: &str| json!({"requestId": id, "list": "tenant.own", "numbers": [number]});
    asked.own("/v1/lists:add", add("n-2", "+13055550127")).await;
    let own = |body: &Value| {
        let all = body["registries"].as_array().unwrap();
        format!("{} lists of its own", all.iter().filter(|one| one["complete"] == json!(true)).count())
    };
    asked.both("RegistryService.ListRegistries", "/v1/registries:list", json!({}), own).await;
    let look = json!({"number": "+13055550127", "registries": ["tenant.own"]});
    asked
        .both("RegistryService.LookUp", "/v1/registries:lookUp", look, |body| {
            body["answers"][0]["listing"].as_str().unwrap().to_owned()
        })
        .await;
    let outcome = |body: &Value| body["changes"][0]["outcome"].as_str().unwrap().to_owned();
    asked.both("RegistryService.AddToList", "/v1/lists:add", add("n-3", "+13055550128"), outcome).await;
    asked.both("RegistryService.RemoveFromList", "/v1/lists:remove", add("n-4", "+13055550127"), outcome).await;
    asked.both("RegistryService.PutList", "/v1/lists:put", put("Others"), done).await;
}

/// The two streams, which HTTP has not.
async fn streams(asked: &mut Asked<'_>) {
    let (mut told, mut recorded) = (Vec::new(), Vec::new());
    let refused = "+13055550188";
    asked
        .own("/v1/opt-outs:record", json!({"number": refused, "requestId": "s", "scope": {"everything": true}, "source": "OPT_OUT_SOURCE_PHONE"}))
        .await;
    for key in [&asked.own.key, &asked.other.key] {
        let mut client = CheckServiceClient::new(asked.house.grpc.clone());
        let check = serde_json::from_value(question(refused)).unwrap();
        let rows = stream::iter([v1::CheckStreamRequest { check: Some(check) }]);
        let mut answers = client.check_stream(shown(key, rows)).await.unwrap().into_inner();
        let answer = answers.message().await.unwrap().unwrap().result.unwrap().result;
        let Some(check_result::Result::Decision(decision)) = answer else { panic!("{answer:?}") };
        told.push(families(&json!(decision)));
        // The same import of both: what one recorded is not taken for what the other sent.
        let row = v1::ImportContactsRequest {
            import_id: "stops".to_owned(),
            row: 1,
            entry: Some(v1::import_contacts_request::Entry::OptOut(super::support::opt_out("+13055550177", ""))),
        };
        let mut client = ConsentServiceClient::new(asked.house.grpc.clone());
        let done = client.import_contacts(shown(key, stream::iter([row]))).await.unwrap().into_inner();
        recorded.push(format!("{} recorded, {} known before", done.accepted, done.repeated_rows));
    }
    asked.row("CheckService.CheckStream", &told[0], &told[1]);
    asked.row("ConsentService.ImportContacts", &recorded[0], &recorded[1]);
}

async fn keeping(asked: &mut Asked<'_>) {
    let publish = |summary: &str| {
        json!({"requestId": "k-1", "version": "2027-01", "effectiveAt": "2027-01-01T00:00:00Z", "kind": "POLICY_CHANGE_KIND_MATERIAL",
            "reasons": ["POLICY_CHANGE_REASON_RECIPIENTS"], "texts": [{"language": "en", "text": "Policy."}], "summary": summary, "who": "ann"})
    };
    asked.own("/v1/policies:publish", publish("Partners.")).await;
    let version = json!({"version": "2027-01"});
    asked.both("PolicyService.GetPolicy", "/v1/policies:get", version, |_| "found".to_owned()).await;
    asked.both("PolicyService.ListPolicies", "/v1/policies:list", json!({}), count("policies")).await;
    let listed = "/v1/policies:listOvertakenConsents";
    asked.both("PolicyService.ListOvertakenConsents", listed, json!({}), count("consents")).await;
    asked.both("PolicyService.PublishPolicy", "/v1/policies:publish", publish("Others."), done).await;
    let transfer = |to: &str| {
        json!({"requestId": "k-2", "fromSeller": "old", "toSeller": to, "recipientName": "N", "recipientContact": "n@example.com",
            "why": "Merger.", "who": "ann"})
    };
    asked.own("/v1/sellers:transfer", transfer("new")).await;
    asked.both("PolicyService.ListSellerTransfers", "/v1/sellers:listTransfers", json!({}), count("transfers")).await;
    asked.both("PolicyService.TransferSeller", "/v1/sellers:transfer", transfer("other"), done).await;
    let hold = |why: &str| json!({"requestId": "k-3", "why": why, "who": "ann"});
    let placed = asked.own("/v1/retention:placeHold", hold("Doe v. acme")).await["hold"]["holdId"].clone();
    asked.both("RetentionService.ListRetentionHolds", "/v1/retention:listHolds", json!({}), count("holds")).await;
    asked.both("RetentionService.PlaceRetentionHold", "/v1/retention:placeHold", hold("Another."), done).await;
    let release = json!({"requestId": "k-4", "holdId": placed, "who": "ann", "why": "Settled."});
    asked.both("RetentionService.ReleaseRetentionHold", "/v1/retention:releaseHold", release, done).await;
    let seen = |body: &Value| format!("{} records", body["recordsSeen"]);
    asked.both("RetentionService.SweepContacts", "/v1/retention:sweep", json!({"dryRun": true}), seen).await;
    asked.both("RetentionService.ExportContacts", "/v1/retention:export", json!({}), count("contacts")).await;
    incidents(asked).await;
    // The end of one tenant's service is the end of no other's.
    let end = json!({"requestId": "k-9", "who": "ann", "why": "It closes.", "contact": "privacy@example.com"});
    asked.own("/v1/retention:offBoard", end).await;
    let frozen = asked.house.ask("/v1/control:listFreezes", Some(&asked.other.key), &json!({})).await.1;
    let left = frozen["freezes"].as_array().map_or(0, Vec::len);
    asked.row("RetentionService.OffBoard", "ended", &format!("{left} freezes of its own"));
}

async fn incidents(asked: &mut Asked<'_>) {
    let open = |title: &str| {
        json!({"requestId": "k-5", "title": title, "whatHappened": "It was lost.", "possibleEffects": "Calls.", "measures": "Locked.",
            "advice": "Beware.", "contact": "privacy@example.com", "places": ["DE"], "who": "ann"})
    };
    let id = asked.own("/v1/incidents:open", open("Laptop")).await["incident"]["incidentId"].clone();
    asked
        .both("IncidentService.GetIncident", "/v1/incidents:get", json!({"incidentId": id}), |_| "found".to_owned())
        .await;
    asked.both("IncidentService.ListIncidents", "/v1/incidents:list", json!({}), count("incidents")).await;
    asked.both("IncidentService.OpenIncident", "/v1/incidents:open", open("Another"), done).await;
    let update = json!({"requestId": "k-6", "incidentId": id, "measures": "Wiped.", "who": "ann"});
    asked.both("IncidentService.UpdateIncident", "/v1/incidents:update", update, done).await;
    let add = json!({"requestId": "k-7", "incidentId": id, "numbers": [NUMBER]});
    asked.both("IncidentService.AddAffectedContacts", "/v1/incidents:addAffected", add, done).await;
    let told = json!({"requestId": "k-8", "incidentId": id, "numbers": [NUMBER]});
    asked.both("IncidentService.MarkContactsTold", "/v1/incidents:markTold", told, done).await;
    let notices = json!({"incidentId": id, "history": true});
    asked.both("IncidentService.ListNotices", "/v1/incidents:listNotices", notices, count("notices")).await;
}

#[tokio::test]
async fn nothing_of_one_tenant_is_found_by_another() {
    let folder = tempfile::tempdir().unwrap();
    let durable = durable(folder.path()).await;
    let mut house = House::new(Arc::clone(&durable.engine));
    let (own, other) = (house.admit("own", "acme", Role::ALL), house.admit("other", "beta", Role::ALL));
    let text = "# What a tenant that records things is answered about them, and what another is that asks the same, with every\n\
                # role.\n"
        .to_owned();
    let mut asked = Asked { house: &house, own, other, text, seen: BTreeSet::new() };
    contacts(&mut asked).await;
    decisions(&mut asked).await;
    switches(&mut asked).await;
    processors(&mut asked).await;
    requests(&mut asked).await;
    lists(&mut asked).await;
    streams(&mut asked).await;
    keeping(&mut asked).await;
    for (call, why) in EXCUSED {
        asked.row(call, why, why);
    }
    let missing: Vec<_> = methods().iter().map(|one| one.short()).filter(|call| !asked.seen.contains(call)).collect();
    assert!(missing.is_empty(), "not asked as another tenant: {missing:?}");
    frozen("tenants.txt", &asked.text);
}

/// Calls that no tenant's things are behind.
const EXCUSED: &[(&str, &str)] = &[
    ("LawService.Calendar", "the law is public"),
    ("LawService.GetRule", "the law is public"),
    ("LawService.ListPacks", "the law is public"),
];

#[tokio::test]
async fn an_engine_answers_no_permit_of_another_tenant() {
    let folder = tempfile::tempdir().unwrap();
    let durable = durable(folder.path()).await;
    let other = durable.engine.for_tenant("beta").unwrap();
    let clock = || Clock::at(now());
    let permit = |role| Caller::local_of("acme").permit(role).unwrap();
    let asked = v1::GetContactRequest { number: NUMBER.to_owned(), ..Default::default() };
    assert!(matches!(
        other.contact(&permit(Role::ReadContacts), &asked, crate::support::READ_AT).await,
        Err(Failure::Internal(_))
    ));
    let asked = super::support::florida(NUMBER);
    assert!(matches!(other.check(&permit(Role::Check), asked, clock()).await, Err(Failure::Internal(_))));
    let asked = super::support::opt_out(NUMBER, "o");
    let refused = other.record_opt_out(&permit(Role::WriteConsent), asked, clock()).await;
    assert!(matches!(refused, Err(Failure::Internal(_))));
    let asked = v1::ListFreezesRequest::default();
    assert!(matches!(other.list_freezes(&permit(Role::Control), &asked, now()).await, Err(Failure::Internal(_))));
    let asked = v1::ListDecisionsRequest::default();
    assert!(matches!(other.decisions(&permit(Role::Audit), &asked, clock()).await, Err(Failure::Internal(_))));
}
