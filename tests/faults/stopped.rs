//! A process that stands still for a while (SIGSTOP: a frozen container, a machine that swaps): callers with a deadline
//! hear that it passed, and what was asked meanwhile counts once.

use std::time::Duration;

use ringfence::proto::v1;
use tonic::{Code, Request, Status};

use super::clients::{Client, PATIENCE, notice, number, opt_out};
use super::server::{CAP, House};

/// Passes while the server stands still.
const DEADLINE: Duration = Duration::from_millis(300);

fn within<T>(message: T, deadline: Duration) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(deadline);
    request
}

fn late(status: &Status) {
    let code = status.code();
    assert!(matches!(code, Code::DeadlineExceeded | Code::Unavailable | Code::Cancelled), "{status:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_asked_of_a_stopped_server_counts_once() {
    let house = House::new();
    let server = house.start();
    let client = Client::new(server.address());
    let (called, closed) = (number(0), number(1));
    // The connection stands before the server stops.
    let before = client.clone().check(notice(&called, "acme", "before")).await.unwrap();
    assert_eq!(before.verdict(), v1::Verdict::Allow);

    server.signal("STOP");
    let racers: Vec<_> = (0..8)
        .map(|racer| {
            let (mut client, request) = (client.clone(), notice(&called, "acme", &format!("racer-{racer}")));
            tokio::spawn(async move { client.check.check(within(request, DEADLINE)).await.map(drop) })
        })
        .collect();
    let stop = client.clone().consent.record_opt_out(within(opt_out(&closed, "stop"), DEADLINE)).await;
    late(&stop.expect_err("nobody is there to answer"));
    for racer in racers {
        late(&racer.await.unwrap().expect_err("nobody is there to answer"));
    }
    // Asked without a deadline, it is answered when the server goes on.
    let patient = tokio::spawn({
        let (mut client, request) = (client.clone(), notice(&number(2), "acme", "patient"));
        async move { client.check(request).await }
    });
    server.signal("CONT");
    let answer = tokio::time::timeout(PATIENCE, patient).await.unwrap().unwrap().unwrap();
    assert_eq!(answer.verdict(), v1::Verdict::Allow);

    // The same ids again: whichever of them were counted unheard are renewed, not counted twice.
    let mut allowed = vec![before];
    for racer in 0..8 {
        let decision = client.clone().check(notice(&called, "acme", &format!("racer-{racer}"))).await.unwrap();
        if decision.verdict() == v1::Verdict::Allow {
            allowed.push(decision);
        }
    }
    assert_eq!(allowed.len(), CAP);
    let attempts = client.clone().contact(&called).await.attempts;
    assert_eq!(attempts.len(), CAP, "{attempts:?}");
    for decision in &allowed {
        assert_eq!(client.clone().decision(&decision.decision_id).await.unwrap(), *decision);
        assert!(attempts.iter().any(|one| one.decision_id == decision.decision_id));
    }
    let receipt = client.clone().opt_out(opt_out(&closed, "stop")).await.unwrap().receipt_id;
    let opt_outs = client.clone().contact(&closed).await.opt_outs;
    assert_eq!(opt_outs.len(), 1);
    assert_eq!(opt_outs[0].receipt_id, receipt);
    let denied = client.clone().check(notice(&closed, "acme", "after")).await.unwrap();
    assert_eq!(denied.verdict(), v1::Verdict::Deny);
    assert!(server.stop().success());
    house.assert_sound();
}

/// Told to stop, a server answers what is under way, takes nothing new, and ends with 0.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigterm_lets_requests_under_way_finish() {
    let house = House::new();
    let server = house.start();
    let client = Client::new(server.address());
    client.clone().check(notice(&number(0), "acme", "first")).await.unwrap();
    let asked: Vec<_> = (0..40)
        .map(|index| {
            let (mut client, request) = (client.clone(), opt_out(&number(index), "stop"));
            tokio::spawn(async move { (index, client.opt_out(request).await) })
        })
        .collect();
    let ended = tokio::task::spawn_blocking(move || server.stop());
    let mut told = Vec::new();
    for one in asked {
        match one.await.unwrap() {
            (index, Ok(answer)) => told.push((index, answer.receipt_id)),
            (_, Err(status)) => {
                let code = status.code();
                // A stream that the closing connection refuses is told by the client's own library, as it sees fit; what
                // the server itself says carries details.
                let by_transport = status.details().is_empty();
                let closing = matches!(code, Code::Unavailable | Code::Unknown | Code::Cancelled);
                assert!(closing || by_transport && code == Code::Internal, "{status:?}");
            }
        }
    }
    assert!(ended.await.unwrap().success());
    house.assert_sound();
    let server = house.start();
    let mut client = Client::new(server.address());
    for (index, receipt) in told {
        assert_eq!(client.contact(&number(index)).await.opt_outs[0].receipt_id, receipt);
    }
}

/// What was reserved while the server was told to stop is answered, and is there when it is started again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigterm_loses_no_reservation() {
    let house = House::new();
    let server = house.start();
    let client = Client::new(server.address());
    client.clone().check(notice(&number(0), "acme", "first")).await.unwrap();
    let asked: Vec<_> = (1..60)
        .map(|index| {
            let (mut client, request) = (client.clone(), notice(&number(index), "acme", &format!("under-way-{index}")));
            tokio::spawn(async move { (index, client.check(request).await) })
        })
        .collect();
    let ended = tokio::task::spawn_blocking(move || server.stop());
    let (mut allowed, mut unheard) = (Vec::new(), Vec::new());
    for one in asked {
        match one.await.unwrap() {
            (index, Ok(decision)) => {
                assert_eq!(decision.verdict(), v1::Verdict::Allow, "{decision:?}");
                allowed.push((index, decision));
            }
            (index, Err(_)) => unheard.push(index),
        }
    }
    println!("{} answered, {} not taken any more", allowed.len(), unheard.len());
    assert!(ended.await.unwrap().success());
    house.assert_sound();
    let server = house.start();
    let client = Client::new(server.address());
    for (index, decision) in allowed {
        let attempts = client.clone().contact(&number(index)).await.attempts;
        assert!(attempts.iter().any(|one| one.decision_id == decision.decision_id), "{index}: {attempts:?}");
        assert_eq!(client.clone().decision(&decision.decision_id).await.unwrap(), decision);
    }
    // What was not heard of is asked again, and counts once.
    for index in unheard {
        client.clone().check(notice(&number(index), "acme", &format!("under-way-{index}"))).await.unwrap();
        assert_eq!(client.clone().contact(&number(index)).await.attempts.len(), 1);
    }
}

/// Whoever follows health hears that the server stops, and keeps it from nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigterm_is_told_to_whoever_follows_health_and_waits_for_nobody() {
    use tonic_health::pb::HealthCheckRequest;
    use tonic_health::pb::health_check_response::ServingStatus::{NotServing, Serving};
    use tonic_health::pb::health_client::HealthClient;
    let house = House::new();
    let server = house.start();
    let channel = tonic::transport::Endpoint::from_shared(format!("http://{}", server.address())).unwrap();
    let mut client = HealthClient::new(channel.connect().await.unwrap());
    let mut following = Vec::new();
    for service in ["", "ringfence.v1.CheckService"] {
        let request = HealthCheckRequest { service: service.to_owned() };
        let mut told = client.watch(request).await.unwrap().into_inner();
        assert_eq!(told.message().await.unwrap().unwrap().status(), Serving);
        following.push(told);
    }
    let begun = std::time::Instant::now();
    let ended = tokio::task::spawn_blocking(move || server.stop());
    for mut told in following {
        let next = tokio::time::timeout(PATIENCE, told.message()).await.unwrap();
        assert_eq!(next.unwrap().expect("it is told before the end").status(), NotServing);
        assert!(matches!(tokio::time::timeout(PATIENCE, told.message()).await, Ok(Ok(None))), "and then it ends");
    }
    assert!(ended.await.unwrap().success(), "{}", house.said());
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}: {}", begun.elapsed(), house.said());
}
