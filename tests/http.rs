//! The contract as JSON over HTTP: every route, every refusal, and the same answers as over gRPC. In process, without a
//! socket: `tests/clients.rs` brings those.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "tests"
)]

#[path = "service/faulty.rs"]
mod faulty;
mod support;

use std::sync::Arc;

use axum::body::{Body, to_bytes};
use faulty::{Fault, Faulty};
use http::{Request, StatusCode};
use ringfence::engine::Engine;
use ringfence::http::router;
use ringfence::proto::v1;
use ringfence::service::{Calls, Incoming, MESSAGE_BYTES, Readiness};
use ringfence::store::Store;
use serde_json::{Value, json};
use support::{DAY, durable, engine, engine_over, florida, opt_out, stamp};
use tower::Service as _;

const NUMBER: &str = "+13055550123";

/// An answer: status, headers, and the JSON of its body (a string where it is none).
#[derive(Debug)]
struct Answer {
    status: StatusCode,
    headers: http::HeaderMap,
    body: Value,
}

struct Web(axum::Router);

impl Web {
    fn new(engine: Arc<Engine>) -> Self {
        Self(router(Calls::new(engine)))
    }

    async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.0.clone().call(request).await.unwrap();
        let (head, body) = response.into_parts();
        let bytes = to_bytes(body, usize::MAX).await.unwrap();
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        if !head.status.is_success() {
            assert!(!text.contains("3055550"), "a whole number in {text}");
            assert!(!text.contains(faulty::PLACE), "a path in {text}");
        }
        let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
        Answer { status: head.status, headers: head.headers, body }
    }

    async fn get(&self, path: &str) -> Answer {
        self.send(Request::get(path).body(Body::empty()).unwrap()).await
    }

    async fn post(&self, path: &str, body: impl Into<Body>) -> Answer {
        self.send(Request::post(path).body(body.into()).unwrap()).await
    }

    async fn ask(&self, path: &str, body: &impl serde::Serialize) -> Value {
        let answer = self.post(path, serde_json::to_vec(body).unwrap()).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.body);
        assert_eq!(answer.headers["content-type"], "application/json");
        answer.body
    }
}

impl Answer {
    /// A `google.rpc.Status` of this code, with its reason.
    #[track_caller]
    fn is(&self, status: u16, code: i32, reason: &str) {
        assert_eq!((self.status.as_u16(), &self.body["code"]), (status, &json!(code)), "{}", self.body);
        let info = self.detail("ErrorInfo");
        assert_eq!((&info["reason"], &info["domain"]), (&json!(reason), &json!("ringfence")), "{}", self.body);
        assert!(!self.body["message"].as_str().unwrap().is_empty());
    }

    fn detail(&self, name: &str) -> Value {
        let details = self.body["details"].as_array().cloned().unwrap_or_default();
        let kind = format!("type.googleapis.com/google.rpc.{name}");
        details.into_iter().find(|detail| detail["@type"] == kind.as_str()).unwrap_or(Value::Null)
    }

    fn fields(&self) -> Vec<String> {
        let violations = self.detail("BadRequest")["fieldViolations"].as_array().cloned().unwrap_or_default();
        violations.iter().map(|one| one["field"].as_str().unwrap().to_owned()).collect()
    }
}

fn pinned() -> v1::CheckRequest {
    v1::CheckRequest { dry_run: true, at: stamp(DAY), ..florida(NUMBER) }
}

/// A live question that no hour closes.
fn notice() -> v1::CheckRequest {
    support::notice(NUMBER)
}

fn pinned_json(changed: Value) -> Vec<u8> {
    let mut body = serde_json::to_value(pinned()).unwrap();
    for (key, value) in changed.as_object().unwrap() {
        body[key] = value.clone();
    }
    serde_json::to_vec(&body).unwrap()
}

#[tokio::test]
async fn every_route_answers() {
    let folder = tempfile::tempdir().unwrap();
    let durable = durable(folder.path()).await;
    let web = Web::new(durable.engine);
    let decision = web.ask("/v1/check", &notice()).await["decision"].clone();
    assert_eq!((&decision["verdict"], &decision["number"]), (&json!("VERDICT_ALLOW"), &json!(NUMBER)), "{decision}");
    let id = decision["decisionId"].as_str().unwrap();
    let record = web.get(&format!("/v1/decisions/{id}")).await.body["record"].clone();
    assert_eq!(record["decision"], decision);
    assert_eq!(record["position"]["sequence"], "1", "64 bits are a string");
    let replayed = web.ask("/v1/decisions:replay", &json!({"decisionIds": [id]})).await["results"][0].clone();
    assert_eq!((&replayed["decisionId"], &replayed["replayed"]["identical"]), (&json!(id), &json!(true)), "{replayed}");
    assert_eq!(web.get("/v1/shadow").await.status, StatusCode::NOT_FOUND);

    let listed = web.ask("/v1/decisions:list", &json!({"number": NUMBER, "pageSize": 1})).await;
    assert_eq!((&listed["records"][0]["position"], &listed["nextPageToken"]), (&record["position"], &Value::Null));
    assert_eq!(listed["records"][0]["decision"]["number"], "+1305555••23");

    let report = json!({"number": NUMBER, "attemptId": decision["attemptId"], "outcome": "OUTCOME_NOT_ATTEMPTED"});
    assert_eq!(web.ask("/v1/outcomes:report", &report).await["released"], true);
    let batch = web.ask("/v1/check:batch", &v1::CheckBatchRequest { checks: vec![pinned(), notice()] }).await;
    assert_eq!(batch["results"].as_array().unwrap().len(), 2);

    let receipt = web.ask("/v1/opt-outs:record", &opt_out(NUMBER, "s-1")).await;
    assert_eq!(web.ask("/v1/opt-outs:record", &opt_out(NUMBER, "s-1")).await, receipt);
    let denied = web.ask("/v1/check", &notice()).await["decision"].clone();
    assert_eq!(denied["reasons"][0]["family"], "RULE_FAMILY_OPT_OUT");
    let consent = json!({"grade": "CONSENT_GRADE_EXPRESS", "givenAt": "2026-01-01T00:00:00Z"});
    web.ask("/v1/consents:record", &json!({"number": NUMBER, "requestId": "c-1", "consent": consent})).await;
    let facts = json!({"residence": "US-TX"});
    let update = json!({"number": NUMBER, "requestId": "u-1", "facts": facts, "updateMask": "residence"});
    let version = web.ask("/v1/contacts:update", &update).await["version"].clone();
    let contact = web.ask("/v1/contacts:get", &json!({"number": NUMBER})).await["contact"].clone();
    assert_eq!(contact["version"], version);
    assert_eq!((contact["optOuts"].as_array().unwrap().len(), contact["consents"].as_array().unwrap().len()), (1, 1));

    let inbound = json!({"number": NUMBER, "requestId": "sms-1", "text": "ARRÊT", "seller": "acme"});
    let heard = web.ask("/v1/inbound:process", &inbound).await;
    assert_eq!(heard["meaning"], "INBOUND_MEANING_STOP");
    assert_eq!(heard["optOut"]["scope"], json!({"sellers": ["acme"], "everything": true}));
    assert!(heard["reply"]["text"].as_str().unwrap().starts_with("acme"), "{heard}");
    let by = json!({"who": "ann", "why": "Wrong prices."});
    let asked = |id: &str, more: Value| {
        let mut body = by.clone();
        body["requestId"] = id.into();
        more.as_object().unwrap().iter().for_each(|(key, value)| body[key] = value.clone());
        body
    };
    let frozen = web.ask("/v1/control:freeze", &asked("f-1", json!({"target": {"place": "US-FL"}}))).await;
    let denied = web.ask("/v1/check", &notice()).await["decision"].clone();
    let reason = denied["reasons"].as_array().unwrap().iter().find(|one| one["ruleId"] == "ringfence.freeze").unwrap();
    assert_eq!((&reason["family"], &reason["jurisdiction"]), (&json!("RULE_FAMILY_POLICY"), &json!("US-FL")));
    let listed = web.ask("/v1/control:listFreezes", &json!({})).await;
    assert_eq!(listed["freezes"][0], frozen["freeze"]);
    let id = json!({"freezeId": frozen["freeze"]["freezeId"]});
    assert_eq!(web.ask("/v1/control:unfreeze", &asked("u-1", id)).await["freeze"]["liftedBy"], "ann");
    let snow = json!({"requestId": "e-1", "jurisdiction": "US-NY", "title": "Snow", "source": "EO 60", "who": "ann"});
    let declared = web.ask("/v1/control:declareEmergency", &snow).await["emergency"].clone();
    assert_eq!(declared["ruleIds"], json!(["us.ny.emergency"]));
    assert_eq!(web.ask("/v1/control:listEmergencies", &json!({})).await["emergencies"][0], declared);
    let id = json!({"emergencyId": declared["emergencyId"]});
    assert!(web.ask("/v1/control:endEmergency", &asked("x-1", id)).await["emergency"]["endedAt"].is_string());

    rights(&web).await;

    let packs = web.get("/v1/law/packs").await.body;
    assert_eq!(packs["rulesVersion"], decision["rulesVersion"]);
    let rule = packs["packs"][0]["ruleIds"][0].as_str().unwrap();
    assert_eq!(web.get(&format!("/v1/law/rules/{rule}")).await.body["rule"]["ruleId"], rule);
    let calendar = json!({"place": "FR", "purpose": "PURPOSE_MARKETING", "channel": "CHANNEL_CALL", "days": 1});
    assert_eq!(web.ask("/v1/law/calendar", &calendar).await["timeZones"], json!(["Europe/Paris"]));
}

#[tokio::test]
async fn processors_and_the_self_check_answer_as_well() {
    let web = Web::new(engine());
    let processor = json!({"name": "gateway", "purpose": "Texts", "contractRef": "C-1", "assessedOn": "2026-05-04"});
    let put = json!({"requestId": "p-1", "processor": processor, "who": "ann"});
    let first = web.ask("/v1/processors:put", &put).await;
    assert_eq!(web.ask("/v1/processors:put", &put).await, first);
    assert_eq!(first["secret"], json!(null), "one that watches has none");
    let receipt = web.ask("/v1/opt-outs:record", &opt_out(NUMBER, "s-1")).await;
    let listed = web.ask("/v1/processors:list", &json!({})).await;
    assert_eq!(listed["processors"], json!([first["processor"]]));
    let status = web.ask("/v1/processors:status", &json!({"number": NUMBER})).await["statuses"][0].clone();
    assert_eq!((&status["state"], &status["pending"]), (&json!("PROCESSOR_STATE_WATCHING"), &json!(1)));
    assert_eq!(status["events"][0]["eventId"], receipt["receiptId"]);
    assert_eq!(status["events"][0].get("confirmed"), None, "not confirmed");
    let forged = json!({"watcher": "gateway", "resumeToken": "AAAA"});
    let refused = web.post("/v1/opt-outs:confirm", forged.to_string()).await;
    refused.is(400, 3, "INVALID_REQUEST");
    let unknown = json!({"requestId": "r-1", "name": "nobody", "who": "ann"});
    web.post("/v1/processors:resume", unknown.to_string()).await.is(404, 5, "NOT_FOUND");
    let remove = json!({"requestId": "x-1", "name": "gateway", "who": "ann", "why": "The contract ended."});
    assert!(web.ask("/v1/processors:remove", &remove).await["processor"]["removedAt"].is_string());
    assert_eq!(web.get("/v1/selfcheck").await.body, json!({}), "no round ran yet");
    assert_eq!(web.get("/readyz").await.body["selfCheckAlarms"], 0);
}

/// The rights of the person, each route once.
async fn rights(web: &Web) {
    let open = json!({"number": NUMBER, "requestId": "r-1", "kind": "RIGHTS_REQUEST_KIND_ERASURE"});
    let opened = web.ask("/v1/requests:open", &open).await["request"].clone();
    assert_eq!(opened["state"], "RIGHTS_REQUEST_STATE_AWAITING_IDENTITY");
    let id = opened["rightsRequestId"].clone();
    assert_eq!(web.ask("/v1/requests:get", &json!({"rightsRequestId": id})).await["request"], opened);
    let step = json!({"rightsRequestId": id, "requestId": "v-1", "step": "RIGHTS_REQUEST_STEP_VERIFY_IDENTITY",
        "who": "ann", "note": "called back"});
    assert_eq!(web.ask("/v1/requests:resolve", &step).await["request"]["state"], "RIGHTS_REQUEST_STATE_OPEN");
    assert_eq!(web.ask("/v1/requests:list", &json!({})).await["requests"][0]["rightsRequestId"], id);
    let hold = json!({"number": NUMBER, "requestId": "h-1", "recordClass": "consents", "reason": "A claim.",
        "who": "legal"});
    let held = web.ask("/v1/contacts:placeHold", &hold).await["hold"]["holdId"].clone();
    let lift = json!({"number": NUMBER, "requestId": "l-1", "holdId": held, "who": "legal", "why": "Settled."});
    assert!(web.ask("/v1/contacts:liftHold", &lift).await["recordedAt"].is_string());
    let exported = web.ask("/v1/contacts:export", &json!({"number": NUMBER, "requestId": "e-1"})).await;
    assert!(exported["decisions"].as_array().unwrap().len() > 1 && exported["contact"]["number"] == NUMBER);
    let erase = json!({"number": NUMBER, "requestId": "x-1", "reason": "ERASURE_REASON_REQUESTED",
        "rightsRequestId": id});
    assert!(web.ask("/v1/contacts:erase", &erase).await["erasedAt"].is_string());
    let answer = web.post("/v1/requests:resolve", serde_json::to_vec(&step).unwrap()).await;
    assert_eq!(answer.status, StatusCode::OK, "asked again: {}", answer.body);
}

/// The JSON is the proto3 mapping of the very message that gRPC sends.
#[tokio::test]
async fn the_answer_is_that_of_grpc() {
    let engine = engine();
    let web = Web::new(Arc::clone(&engine));
    let calls = Calls::new(engine);
    for at in [DAY, "2026-11-19T03:00:00Z", "2026-11-22T16:00:00Z"] {
        let request = v1::CheckRequest { at: stamp(at), ..pinned() };
        let direct = calls.check(Incoming::local(None), request.clone()).await.unwrap();
        let mut direct = serde_json::to_value(direct).unwrap();
        let mut told = web.ask("/v1/check", &request).await;
        for answer in [&mut direct, &mut told] {
            assert!(answer["decision"]["decisionId"].take().is_string());
        }
        assert_eq!(told, direct, "{at}");
    }
}

#[tokio::test]
async fn a_fault_of_the_request_is_told_by_its_field() {
    let web = Web::new(engine());
    for (changed, field) in [
        // Read, and refused by what it says.
        (json!({"seller": ""}), "seller"),
        (json!({"dryRun": false}), "at"),
        (json!({"at": "1969-12-31T23:59:59Z"}), "at"),
        (json!({"at": "9999-12-31T23:59:59.999Z"}), "at"),
        (json!({"seller": "s".repeat(10 << 20)}), "seller"),
        (json!({"location": {"timeZone": "Mars/Olympus"}}), "location.time_zone"),
        (json!({"evidence": {"optOuts": [{"scope": {}}]}}), "evidence.opt_outs[0].scope"),
        // Not of the shape of the message.
        (json!({"number": 13_055_550_123_u64}), "number"),
        (json!({"channel": 99}), "channel"),
        (json!({"channel": "CHANNEL_PIGEON"}), "channel"),
        (json!({"dryRun": "yes"}), "dryRun"),
        (json!({"at": "yesterday"}), "at"),
        (json!({"at": "10000-01-01T00:00:00Z"}), "at"),
        (json!({"sellr": "acme"}), "sellr"),
        (json!({"evidence": {"consents": [{"givenAt": 7}]}}), "evidence.consents[0].givenAt"),
        (json!({"evidence": null, "location": {"residence": ["US"]}}), "location.residence"),
    ] {
        let answer = web.post("/v1/check", pinned_json(changed)).await;
        answer.is(400, 3, "INVALID_REQUEST");
        assert_eq!(answer.fields(), [field], "{}", answer.body);
        let message = answer.body["message"].as_str().unwrap();
        assert!(message.starts_with(field) && message.len() < 1_000, "{message}");
    }
    let batch = v1::CheckBatchRequest { checks: vec![pinned(); 1_001] };
    let answer = web.post("/v1/check:batch", serde_json::to_vec(&batch).unwrap()).await;
    answer.is(400, 3, "INVALID_REQUEST");
    assert_eq!(answer.fields(), ["checks"]);
}

#[tokio::test]
async fn what_is_no_json_is_told_by_its_place() {
    let web = Web::new(engine());
    for (body, word) in [
        (&b""[..], "line 1 column 0"),
        (b"{", "line 1 column 1"),
        (b"\n\n{]", "line 3 column 2"),
        (b"[]", "CheckRequest"),
        (b"null", "CheckRequest"),
        (b"{} {}", "trailing"),
        (b"{\"seller\": \"\xff\"}", "line 1"),
        (b"number=%2B13055550123", "line 1"),
    ] {
        let answer = web.post("/v1/check", body.to_vec()).await;
        answer.is(400, 3, "MALFORMED_REQUEST");
        let message = answer.body["message"].as_str().unwrap();
        assert!(message.contains(word), "{}: {message}", String::from_utf8_lossy(body));
    }
    // Deep enough to overflow a stack, were it walked.
    let deep = [b"{\"evidence\":".repeat(100_000), b"[".repeat(100_000)].concat();
    assert_eq!(web.post("/v1/check", deep).await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_body_beyond_the_limit_is_refused() {
    let web = Web::new(engine());
    let answer = web.post("/v1/check", vec![b' '; MESSAGE_BYTES + 1]).await;
    answer.is(413, 11, "TOO_LARGE");
    let fits = [vec![b' '; MESSAGE_BYTES - 4096], serde_json::to_vec(&pinned()).unwrap()].concat();
    assert_eq!(web.post("/v1/check", fits).await.status, StatusCode::OK);
}

#[tokio::test]
async fn another_path_method_or_origin_is_refused() {
    let web = Web::new(engine());
    web.post("/v1/chekc", "{}").await.is(404, 5, "NO_SUCH_PATH");
    web.get("/").await.is(404, 5, "NO_SUCH_PATH");
    web.get("/v1/contacts/+13055550123").await.is(404, 5, "NO_SUCH_PATH");
    web.get("/v1/check").await.is(405, 12, "NO_SUCH_METHOD");
    web.post("/v1/law/packs", "{}").await.is(405, 12, "NO_SUCH_METHOD");
    web.get("/v1/decisions/%FF").await.is(400, 3, "INVALID_REQUEST");
    web.get("/v1/law/rules/%FF").await.is(400, 3, "INVALID_REQUEST");
    web.get("/v1/decisions/+13055550123").await.is(404, 5, "NOT_FOUND");
    web.get("/v1/law/rules/us.nothing").await.is(404, 5, "NOT_FOUND");
    for path in ["/v1/check", "/v1/opt-outs:record", "/metrics", "/nothing"] {
        let request = Request::post(path).header("origin", "https://example.com").body(Body::from("{}")).unwrap();
        web.send(request).await.is(403, 7, "WEB_PAGE");
    }
}

/// A page whose own name was made to lead to this machine sends no `Origin` to what it takes for its own server.
#[tokio::test]
async fn another_name_than_one_of_this_machine_is_refused() {
    let web = Web::new(engine());
    let get = |path: &str, host: &str| Request::get(path).header("host", host).body(Body::empty()).unwrap();
    for path in ["/metrics", "/v1/law/packs", "/v1/shadow", "/readyz", "/nothing"] {
        web.send(get(path, "evil.example:8080")).await.is(403, 7, "HOST_NOT_LOCAL");
    }
    let named = Request::get("http://evil.example/metrics").body(Body::empty()).unwrap();
    web.send(named).await.is(403, 7, "HOST_NOT_LOCAL");
    for host in ["localhost:8080", "127.0.0.1:8080", "[::1]:8080"] {
        assert_eq!(web.send(get("/livez", host)).await.status, StatusCode::OK, "{host}");
    }
}

/// Anybody may ask, as often as they like: it costs the store nothing.
#[tokio::test]
async fn what_is_not_ready_is_told_as_it_was_last_looked_at() {
    let store = Arc::new(Faulty::new());
    let readiness = Arc::<Readiness>::default();
    let engine = engine_over(Arc::clone(&store) as Arc<dyn Store>);
    let web = Web(router(Calls::new(engine).looked_at(Arc::clone(&readiness))));
    let never = web.get("/readyz").await;
    assert!(never.status == 503 && never.body["notReady"]["server"].is_string(), "{}", never.body);
    readiness.note(Vec::new());
    // A store that hangs holds nobody up.
    store.set(Fault::Hang);
    let ready = web.get("/readyz").await;
    assert!(ready.status == 200 && ready.body["ageMs"].as_u64().unwrap() < 5_000, "{}", ready.body);
    readiness.note(vec![("store", "it does not answer".to_owned())]);
    assert_eq!(web.get("/readyz").await.body["notReady"]["store"], "it does not answer");
    readiness.note(Vec::new());
    readiness.stop();
    assert!(web.get("/readyz").await.body["notReady"]["server"].as_str().unwrap().contains("stopping"));
}

#[tokio::test]
async fn what_is_unknown_or_taken_says_so() {
    let web = Web::new(engine());
    let get = web.post("/v1/contacts:get", json!({"number": NUMBER}).to_string()).await;
    get.is(404, 5, "NOT_FOUND");
    web.ask("/v1/opt-outs:record", &opt_out(NUMBER, "s-1")).await;
    let reworded = v1::RecordOptOutRequest { wording: "stop".to_owned(), ..opt_out(NUMBER, "s-1") };
    let answer = web.post("/v1/opt-outs:record", serde_json::to_vec(&reworded).unwrap()).await;
    answer.is(409, 6, "ALREADY_EXISTS");
}

/// I3 over HTTP, and what an orchestrator is told meanwhile.
#[tokio::test]
async fn without_a_store_nothing_but_an_emergency_is_answered() {
    let store = Arc::new(Faulty::new());
    let web = Web::new(engine_over(Arc::clone(&store) as Arc<dyn Store>));
    assert_eq!(web.get("/readyz").await.status, StatusCode::OK);
    store.set(Fault::Away);
    let answer = web.post("/v1/check", serde_json::to_vec(&notice()).unwrap()).await;
    answer.is(503, 14, "STORE_UNAVAILABLE");
    assert_eq!(answer.headers["retry-after"], "1");
    assert_eq!(answer.detail("RetryInfo")["retryDelay"], "0.500s");
    let emergency = v1::CheckRequest { purpose: v1::Purpose::Emergency.into(), ..notice() };
    let decision = web.ask("/v1/check", &emergency).await["decision"].clone();
    assert_eq!((&decision["verdict"], &decision["degraded"]), (&json!("VERDICT_ALLOW"), &json!(true)));
    let ready = web.get("/readyz").await;
    assert_eq!((ready.status, &ready.body["ready"]), (StatusCode::SERVICE_UNAVAILABLE, &json!(false)));
    assert!(ready.body["notReady"]["store"].is_string(), "{}", ready.body);
    assert_eq!(web.get("/livez").await.status, StatusCode::OK, "the process itself is well");
    let measured =
        async |line: &str| web.get("/metrics").await.body.as_str().unwrap().lines().any(|found| found == line);
    for line in ["ringfence_ready 0", "ringfence_not_ready{part=\"store\"} 1", "ringfence_not_ready{part=\"audit\"} 0"]
    {
        assert!(measured(line).await, "{line}");
    }
    store.set(Fault::None);
    assert_eq!(web.get("/readyz").await.body["ready"], true);
    for line in ["ringfence_ready 1", "ringfence_not_ready{part=\"store\"} 0"] {
        assert!(measured(line).await, "{line}");
    }
}

#[tokio::test]
async fn a_deadline_is_kept_and_one_that_passed_reserves_nothing() {
    let store = Arc::new(Faulty::new());
    let web = Web::new(engine_over(Arc::clone(&store) as Arc<dyn Store>));
    let within = |millis: &str| {
        let body = Body::from(serde_json::to_vec(&notice()).unwrap());
        Request::post("/v1/check").header("x-ringfence-timeout-ms", millis).body(body).unwrap()
    };
    web.send(within("0")).await.is(504, 4, "DEADLINE_EXCEEDED");
    for unreadable in ["abc", "-1", "1.5", ""] {
        assert_eq!(web.send(within(unreadable)).await.status, StatusCode::BAD_REQUEST, "{unreadable}");
    }
    let get = web.post("/v1/contacts:get", json!({"number": NUMBER}).to_string()).await;
    get.is(404, 5, "NOT_FOUND");
    store.set(Fault::Hang);
    web.send(within("20")).await.is(504, 4, "DEADLINE_EXCEEDED");
    store.set(Fault::None);
    assert_eq!(web.send(within("60000")).await.status, StatusCode::OK);
}

#[tokio::test]
async fn the_metrics_count_and_tell_no_number() {
    let web = Web::new(engine());
    web.ask("/v1/check", &pinned()).await;
    web.post("/v1/check", pinned_json(json!({"seller": ""}))).await;
    web.post("/v1/check", pinned_json(json!({"number": "12"}))).await;
    web.ask("/v1/check:batch", &json!({"checks": [{}, {}]})).await;
    let answer = web.get("/metrics").await;
    assert_eq!(answer.headers["content-type"], "application/openmetrics-text; version=1.0.0; charset=utf-8");
    let text = answer.body.as_str().unwrap().to_owned();
    for line in [
        r#"ringfence_decisions_total{tenant="default",verdict="allow",channel="call"} 1"#,
        r#"ringfence_place_decisions_total{place="US-FL",verdict="allow",channel="call"} 1"#,
        r#"ringfence_place_decisions_total{place="none",verdict="deny",channel="call"} 1"#,
        r#"ringfence_reasons_total{family="NUMBER",jurisdiction="",channel="call"} 1"#,
        r#"ringfence_requests_total{method="Check",code="OK"} 2"#,
        r#"ringfence_requests_total{method="Check",code="INVALID_ARGUMENT"} 1"#,
        r#"ringfence_check_seconds_count{tenant="default",method="Check"} 3"#,
        r#"ringfence_check_seconds_count{tenant="default",method="CheckBatch"} 2"#,
    ] {
        assert!(text.lines().any(|found| found == line), "`{line}` in {text}");
    }
    assert!(text.ends_with("# EOF\n") && !text.contains("3055550"), "{text}");
}
