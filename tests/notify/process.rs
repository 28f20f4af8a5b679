//! The real program: two servers on one Redis, the one that delivers killed with `kill -9`; and what a client and the
//! command line see.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::receiver::{Answer, Receiver};
use super::{LONG, number};
use crate::redis::Server;
use crate::support::opt_out;
use ringfence::proto::v1;
use ringfence::proto::v1::consent_service_client::ConsentServiceClient;
use tonic::transport::Channel;

/// A server; killed when dropped.
struct Serving {
    child: Child,
    url: String,
}

impl Serving {
    fn start(folder: &Path, name: &str, store: &str) -> Self {
        let mut child = program(folder)
            .args(["serve", "--grpc=127.0.0.1:0", "--http=off", "--store", store, "--data", name])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let address = lines
            .map_while(Result::ok)
            .find_map(|line| line.split_whitespace().find_map(|word| word.parse::<std::net::SocketAddr>().ok()))
            .expect("the server says where it listens");
        Self { child, url: format!("http://{address}") }
    }

    async fn client(&self) -> ConsentServiceClient<Channel> {
        ConsentServiceClient::connect(self.url.clone()).await.unwrap()
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // SIGKILL.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn program(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ringfence"));
    command.current_dir(folder).env_clear().stdin(Stdio::null());
    command
}

fn run(folder: &Path, arguments: &[&str]) -> Output {
    program(folder).args(arguments).output().unwrap()
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

async fn stop(client: &mut ConsentServiceClient<Channel>, n: usize) {
    client.record_opt_out(opt_out(&number(n), &format!("p-{n}"))).await.unwrap();
}

/// Waits until every one of these numbers was told.
async fn all_told(receiver: &Receiver, numbers: std::ops::Range<usize>) {
    let begun = std::time::Instant::now();
    for n in numbers {
        while !receiver.all().iter().any(|got| got.body.contains(&number(n))) {
            assert!(begun.elapsed() < 2 * LONG, "{n} was never told");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_killed_in_the_middle_of_delivering_is_followed_by_another() {
    let redis = Server::start(&[]);
    let folder = tempfile::tempdir().unwrap();
    // The first five are never answered: the one that sent them is killed meanwhile.
    let asked = AtomicUsize::new(0);
    let receiver = Receiver::start(move |_| match asked.fetch_add(1, Ordering::Relaxed) {
        0..5 => Answer::Hang,
        _ => Answer::Status(200),
    })
    .await;
    let one = Serving::start(folder.path(), "one", &redis.url());
    let add = [
        "processor",
        "add",
        "dialer",
        "--url",
        &receiver.url,
        "--purpose=Sales calls",
        "--contract-ref=C-17",
        "--assessed-on=2026-05-04",
        "--who=ann",
        "--server",
        &one.url,
    ];
    let added = run(folder.path(), &add);
    assert!(added.status.success() && text(&added).contains("whsec_"), "{}", text(&added));
    let mut client = one.client().await;
    for n in 0..5 {
        stop(&mut client, n).await;
    }
    // It has begun to tell them, and nobody has confirmed anything.
    receiver.next().await;
    let two = Serving::start(folder.path(), "two", &redis.url());
    let status = ["processor", "status", "--number", &number(0), "--server", &two.url];
    let open = run(folder.path(), &status);
    assert_eq!(open.status.code(), Some(1), "{}", text(&open));
    assert!(text(&open).contains("NOT CONFIRMED"), "{}", text(&open));
    drop(one);
    let mut client = two.client().await;
    for n in 5..10 {
        stop(&mut client, n).await;
    }
    // The other waits until the killed one has been silent long enough.
    all_told(&receiver, 0..10).await;
    let begun = std::time::Instant::now();
    loop {
        let status = run(folder.path(), &["processor", "status", "--server", &two.url]);
        if status.status.code() == Some(0) {
            break;
        }
        assert!(begun.elapsed() < 4 * LONG, "{}", text(&status));
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let confirmed = run(folder.path(), &["processor", "status", "--number", &number(9), "--server", &two.url]);
    assert!(text(&confirmed).contains("confirmed") && !text(&confirmed).contains("NOT"), "{}", text(&confirmed));
    let listed = run(folder.path(), &["processor", "list", "--server", &two.url]);
    assert!(text(&listed).contains("contract C-17, assessed 2026-05-04"), "{}", text(&listed));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_watches_over_the_wire_and_resumes_at_another_instance() {
    let redis = Server::start(&[]);
    let folder = tempfile::tempdir().unwrap();
    let one = Serving::start(folder.path(), "one", &redis.url());
    let two = Serving::start(folder.path(), "two", &redis.url());
    let mut events = one.client().await.watch_opt_outs(v1::WatchOptOutsRequest::default()).await.unwrap().into_inner();
    let token = events.message().await.unwrap().unwrap().resume_token;
    stop(&mut two.client().await, 1).await;
    let told = tokio::time::timeout(LONG, events.message()).await.unwrap().unwrap().unwrap();
    assert_eq!(told.event.unwrap().number, number(1));
    drop(one);
    stop(&mut two.client().await, 2).await;
    for (token, wanted) in [(token, vec![1, 2]), (told.resume_token, vec![2])] {
        let request = v1::WatchOptOutsRequest { resume_token: token, ..Default::default() };
        let mut events = two.client().await.watch_opt_outs(request).await.unwrap().into_inner();
        let mut met = Vec::new();
        while met.len() < wanted.len() {
            let told = tokio::time::timeout(LONG, events.message()).await.unwrap().unwrap().unwrap();
            met.extend(told.event.map(|event| event.number));
        }
        assert_eq!(met, wanted.into_iter().map(number).collect::<Vec<_>>());
    }
    let forged = v1::WatchOptOutsRequest { resume_token: "AAAA".into(), ..Default::default() };
    let refused = two.client().await.watch_opt_outs(forged).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::InvalidArgument);
    assert!(refused.message().contains("resume_token"));
}
