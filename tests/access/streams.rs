//! What goes on for long: ended once whoever began it may no longer, and held up, not refused, where a tenant asks faster
//! than it may.

use std::fs;
use std::time::{Duration, Instant};

use futures_util::stream::{self, Stream};
use hyper_util::rt::TokioIo;
use ringfence::access::{Lane, Limits, Role};
use ringfence::proto::v1::check_service_client::CheckServiceClient;
use ringfence::proto::v1::consent_service_client::ConsentServiceClient;
use ringfence::proto::v1::import_contacts_request::Entry;
use ringfence::proto::v1::{self, check_result};
use ringfence::time::Millis;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status, Streaming};
use tonic_types::StatusExt as _;

use super::certificates::{connected, fingerprint, serve};
use super::credentials::{Folder, Server, until};
use super::house::{House, Somebody};
use super::support::{engine, florida, opt_out};

const ROLES: [Role; 3] = [Role::Check, Role::WriteConsent, Role::ReadContacts];

fn number(row: u64) -> String {
    format!("+1305555{row:04}")
}

fn asked(row: u64) -> v1::CheckStreamRequest {
    v1::CheckStreamRequest { check: Some(v1::CheckRequest { dry_run: true, ..florida(&number(row)) }) }
}

fn stop(row: u64) -> v1::ImportContactsRequest {
    let entry = Entry::OptOut(v1::RecordOptOutRequest { request_id: String::new(), ..opt_out(&number(row), "") });
    let import_id = if row == 1 { "crm".to_owned() } else { String::new() };
    v1::ImportContactsRequest { import_id, row, entry: Some(entry) }
}

/// A request that shows this key, or none.
fn shows<T>(key: Option<&str>, message: T) -> Request<T> {
    let mut request = Request::new(message);
    if let Some(key) = key {
        request.metadata_mut().insert("authorization", format!("Bearer {key}").parse().unwrap());
    }
    request
}

fn reason(status: &Status) -> String {
    status.get_error_details().error_info().map(|info| info.reason.clone()).unwrap_or_default()
}

/// One of each stream, all idle: a check was answered, opt-outs were recorded, and what is followed has begun.
struct Open {
    checks: (mpsc::Sender<v1::CheckStreamRequest>, Streaming<v1::CheckStreamResponse>),
    rows: (mpsc::Sender<v1::ImportContactsRequest>, JoinHandle<Result<v1::ImportContactsResponse, Status>>),
    events: Streaming<v1::WatchOptOutsResponse>,
}

impl Open {
    async fn new(channel: &Channel, key: Option<&str>, first_row: u64) -> Self {
        let (mut check, consent) =
            (CheckServiceClient::new(channel.clone()), ConsentServiceClient::new(channel.clone()));
        let (send, receive) = mpsc::channel(8);
        send.send(asked(1)).await.unwrap();
        let mut answers = check.check_stream(shows(key, ReceiverStream::new(receive))).await.unwrap().into_inner();
        assert!(answers.message().await.unwrap().is_some());
        let request = shows(key, v1::WatchOptOutsRequest::default());
        let mut events = consent.clone().watch_opt_outs(request).await.unwrap().into_inner();
        assert!(events.message().await.unwrap().unwrap().event.is_none(), "it has begun");
        let (row, receive) = mpsc::channel(8);
        let import = shows(key, ReceiverStream::new(receive));
        let mut client = consent;
        let importing =
            tokio::spawn(async move { client.import_contacts(import).await.map(tonic::Response::into_inner) });
        for at in [first_row, first_row + 1] {
            row.send(v1::ImportContactsRequest { import_id: format!("of-{first_row}"), ..stop(at) }).await.unwrap();
        }
        let mut open = Self { checks: (send, answers), rows: (row, importing), events };
        for _ in 0..2 {
            open.event().await.unwrap();
        }
        open
    }

    /// The next event, signs of life passed over.
    async fn event(&mut self) -> Result<v1::OptOutEvent, Status> {
        loop {
            if let Some(event) = self.events.message().await?.expect("it does not end by itself").event {
                return Ok(event);
            }
        }
    }

    /// How the three end, though nothing more is sent.
    async fn end(mut self) -> [Status; 3] {
        let checks = self.checks.1.message().await.expect_err("the stream of checks ends");
        let rows = (&mut self.rows.1).await.unwrap().expect_err("the import ends");
        let events = self.event().await.expect_err("following ends");
        [checks, rows, events]
    }

    /// That the three go on.
    async fn goes_on(mut self, row: u64) {
        let sent = self.checks.0.send(asked(1)).await;
        assert!(self.checks.1.message().await.unwrap().is_some());
        sent.unwrap();
        self.rows.0.send(v1::ImportContactsRequest { import_id: String::new(), ..stop(row) }).await.unwrap();
        self.event().await.unwrap();
        drop(self.rows.0);
        assert_eq!(self.rows.1.await.unwrap().unwrap().accepted, 3);
    }
}

async fn channel(server: &Server) -> Channel {
    Endpoint::from_shared(format!("http://{}", server.grpc)).unwrap().connect().await.unwrap()
}

#[track_caller]
fn all_are(ended: &[Status; 3], code: Code, why: &str) {
    for status in ended {
        assert_eq!((status.code(), reason(status).as_str()), (code, why), "{status:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_of_whoever_may_no_longer_end_and_those_of_others_go_on() {
    let folder = Folder::new();
    let roles = "check,write-consent,read-contacts";
    let (key, stays) = (folder.admit("gateway", "acme", roles), folder.admit("stays", "beta", roles));
    let reader = folder.admit("reader", "acme", "read-contacts");
    let path = folder.path("ringfence-access.toml");
    let good = fs::read_to_string(&path).unwrap();
    // The file with another entry in place of the first.
    let at: Vec<_> = good.match_indices("[[caller]]").map(|(at, _)| at).collect();
    let entry = good[at[0]..at[1]].trim_end();
    // Renamed into its place: of half a file the others would be missing.
    let put = |entry: &str| {
        let new = path.with_extension("new");
        fs::write(&new, format!("{}{entry}\n\n{}", &good[..at[0]], &good[at[1]..])).unwrap();
        fs::set_permissions(&new, fs::metadata(&path).unwrap().permissions()).unwrap();
        fs::rename(&new, &path).unwrap();
    };
    let server = folder.serve(&[]);
    let channel = channel(&server).await;
    let stays = Open::new(&channel, Some(&stays), 100).await;
    let opened = async |row: u64| {
        put(entry);
        // On a connection of its own: one that brings so many refusals is ended.
        let mut client = CheckServiceClient::new(self::channel(&server).await);
        while client.check(shows(Some(&key), asked(1).check.unwrap())).await.is_err() {}
        Open::new(&channel, Some(&key), row).await
    };

    let open = opened(1).await;
    let roles = entry.lines().find(|line| line.starts_with("roles")).unwrap();
    put(&entry.replace(roles, "roles = [\"audit\"]"));
    all_are(&open.end().await, Code::PermissionDenied, "ROLE_MISSING");

    // Some time after the file is read, while nothing is sent; or, on a slow machine, as soon as it is.
    let open = opened(3).await;
    put(&format!("{entry}\nexpires = \"{}\"", ringfence::service::now().plus(Millis::seconds(4))));
    all_are(&open.end().await, Code::Unauthenticated, "CREDENTIALS_EXPIRED");

    let open = opened(5).await;
    put("");
    all_are(&open.end().await, Code::Unauthenticated, "CREDENTIALS_UNKNOWN");

    let open = opened(7).await;
    folder.run(&["access", "revoke", "gateway"]);
    all_are(&open.end().await, Code::Unauthenticated, "CREDENTIALS_REVOKED");

    stays.goes_on(102).await;
    // What was recorded stays so.
    for row in 1..=8 {
        let request = v1::GetContactRequest { number: number(row), ..Default::default() };
        let contact = ConsentServiceClient::new(channel.clone()).get_contact(shows(Some(&reader), request)).await;
        assert_eq!(contact.unwrap().into_inner().contact.unwrap().opt_outs.len(), 1, "row {row}");
    }
    for method in ["CheckStream", "ImportContacts", "WatchOptOuts"] {
        let is_told = |line: &&str| line.contains("an open stream is ended") && line.contains(method);
        until(method, || folder.said().lines().filter(is_told).count() == 4);
    }
    let said = folder.said();
    assert!(!said.contains(&key[4..]), "a secret is in the log");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_is_taken_out_of_the_file_ends_its_streams() {
    let folder = Folder::new();
    let by_print = fingerprint("client");
    let new = ["access", "new", "gateway", "--tenant", "acme", "--role", "check,write-consent,read-contacts"];
    folder.run(&[&new[..], &["--certificate", by_print.as_str()]].concat());
    let server = serve(&folder, true);
    let address = server.grpc;
    let dial = tower::service_fn(move |_: http::Uri| async move {
        Ok::<_, std::io::Error>(TokioIo::new(connected(address, Some("client")).await?))
    });
    let channel = Endpoint::from_static("http://localhost").connect_with_connector(dial).await.unwrap();
    let open = Open::new(&channel, None, 1).await;
    fs::write(folder.path("ringfence-access.toml"), "").unwrap();
    all_are(&open.end().await, Code::Unauthenticated, "CREDENTIALS_UNKNOWN");
}

type Check = CheckServiceClient<axum::Router>;
type Consent = ConsentServiceClient<axum::Router>;

/// A house where the first may ask so many calls a second, and the other tenant as many as it likes.
fn house(rate: u32) -> (House, [Somebody; 2], Check, Consent) {
    let mut house = House::limited(engine(), Limits::NONE);
    let callers = [house.admit("gateway", "acme", ROLES), house.admit("other", "beta", [Role::Control])];
    limit(&mut house, rate);
    let (check, consent) = (CheckServiceClient::new(house.grpc.clone()), ConsentServiceClient::new(house.grpc.clone()));
    (house, callers, check, consent)
}

/// Nobody is admitted after this.
fn limit(house: &mut House, rate: u32) {
    let text = house.text().split("\n[[limit]]").next().unwrap().to_owned();
    house.put(format!("{text}\n[[limit]]\ntenant = \"acme\"\nrate = {rate}\n"));
}

/// How many checks are under way.
fn under_way(house: &House) -> u32 {
    let lanes = house.calls.gate().state().lanes;
    lanes.into_iter().find(|(lane, ..)| *lane == Lane::Check).unwrap().1
}

/// Rows, and then silence.
fn then_silence(rows: impl IntoIterator<Item = u64>) -> impl Stream<Item = v1::CheckStreamRequest> + Send {
    let rows: Vec<_> = rows.into_iter().map(asked).collect();
    stream::StreamExt::chain(stream::iter(rows), stream::pending())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_that_asks_faster_than_it_may_is_held_up_and_loses_no_row() {
    let (house, [caller, other], mut check, mut consent) = house(50);
    let key = Some(caller.key.as_str());
    const ROWS: u64 = 120;
    let begun = Instant::now();
    let answers = check.check_stream(shows(key, stream::iter((1..=ROWS).map(asked)))).await.unwrap();
    let mut answers = answers.into_inner();
    for row in 1..=ROWS {
        let answer = answers.message().await.unwrap().expect("an answer to each row").result.unwrap();
        let Some(check_result::Result::Decision(decision)) = &answer.result else { panic!("{row}: {answer:?}") };
        assert_eq!(decision.number, number(row));
        // Others are answered meanwhile.
        let path = "/v1/control:listFreezes";
        assert_eq!(house.ask(path, Some(&other.key), &serde_json::json!({})).await.0, http::StatusCode::OK);
    }
    assert_eq!(answers.message().await.unwrap(), None);
    // What begins a stream is a call like any other, and the tenant has just used up what it may ask.
    let told = loop {
        match consent.import_contacts(shows(key, stream::iter((1..=ROWS).map(stop)))).await {
            Ok(told) => break told.into_inner(),
            Err(status) => assert_eq!(status.code(), Code::ResourceExhausted, "{status:?}"),
        }
        tokio::task::yield_now().await;
    };
    assert_eq!((told.accepted, told.repeated_rows, told.rejected), (ROWS, 0, 0));
    // A second's worth at once, all others at the rate.
    assert!(begun.elapsed() >= Duration::from_millis(3_700), "{:?}", begun.elapsed());
}

/// What an earlier run recorded costs nothing: so a rerun comes further, however little the tenant may ask.
#[tokio::test(flavor = "multi_thread")]
async fn an_import_that_is_sent_again_is_not_charged_for_what_was_recorded() {
    let (mut house, [caller, _], _, mut consent) = house(0);
    let key = Some(caller.key.as_str());
    const ROWS: u64 = 2_000;
    let import = |rows: u64| shows(key, stream::iter((1..=rows).map(stop)));
    let told = consent.import_contacts(import(ROWS)).await.unwrap().into_inner();
    assert_eq!(told.accepted, ROWS);
    limit(&mut house, 3);
    let again = tokio::time::timeout(Duration::from_secs(100), consent.import_contacts(import(ROWS + 1)));
    let told = again.await.expect("charged, it would take ten minutes").unwrap().into_inner();
    assert_eq!((told.accepted, told.repeated_rows), (1, ROWS));
}

/// While rows wait for the rate they take no place of others, and wait no longer than there is somebody to answer.
#[tokio::test(flavor = "multi_thread")]
async fn rows_that_wait_hold_nothing_and_wait_for_nobody_who_is_gone() {
    for why in ["deadline", "stop", "revoked", "expired"] {
        let mut house = House::limited(engine(), Limits::NONE);
        let until = (why == "expired").then(|| Millis::seconds(4));
        let caller = house.admit_until("gateway", "acme", ROLES, until);
        limit(&mut house, 2);
        let mut client = CheckServiceClient::new(house.grpc.clone());
        let mut request = shows(Some(caller.key.as_str()), then_silence(1..=400));
        if why == "deadline" {
            request.set_timeout(Duration::from_secs(4));
        }
        let mut answers = client.check_stream(request).await.unwrap().into_inner();
        assert!(answers.message().await.unwrap().is_some(), "one was left of the first second");
        assert_eq!(under_way(&house), 0, "{why}");
        match why {
            "stop" => house.tenants.all().iter().for_each(|engine| engine.stop_following()),
            "revoked" => {
                house.put(format!("{}\n[[revoked]]\nname = \"gateway\"\nat = \"2026-01-01T00:00:00Z\"\n", house.text()))
            }
            _ => {}
        }
        let ended = loop {
            match answers.message().await {
                Ok(answer) => assert!(answer.is_some(), "{why}: it ends with an error"),
                Err(status) => break status,
            }
        };
        let expected = match why {
            "deadline" => (Code::DeadlineExceeded, "DEADLINE_EXCEEDED"),
            "stop" => (Code::Unavailable, "STOPPING"),
            "revoked" => (Code::Unauthenticated, "CREDENTIALS_REVOKED"),
            _ => (Code::Unauthenticated, "CREDENTIALS_EXPIRED"),
        };
        assert_eq!((ended.code(), reason(&ended).as_str()), expected, "{ended:?}");
        drop(answers);
        assert_eq!(house.access.quotas.of("acme").under_way(), 0, "{why}");
    }
}
