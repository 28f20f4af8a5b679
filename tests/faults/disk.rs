//! A disk that is full, a limit on the size of files, a volume that may not be written.
//!
//! A real small disk needs a mount, in a namespace of its own. Where the system grants none (not even to a user
//! namespace), those tests say so and leave it to the limit on file sizes, which every system has.

use std::ffi::OsString;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use ringfence::proto::v1;
use tonic::{Code, Status};

use super::clients::{Client, Dice, PATIENCE, consent, counts, notice, number, opt_out};
use super::server::{CAP, House, kill};

/// Contacts written to. Few, so that their records grow.
const NUMBERS: usize = 24;
/// More than fits on any of these disks.
const TOO_MANY: usize = 4_000;

/// A namespace in which a folder is a disk of its own. Ends with the value: the shell in it waits for the end of its
/// input.
struct SmallDisk {
    holder: Child,
    folder: PathBuf,
    enter: Vec<OsString>,
}

impl SmallDisk {
    /// Mounts one over an empty folder; `None` where that is not granted.
    fn over(folder: &Path, size: &str) -> Option<Self> {
        for (flags, more) in [("-m", &[][..]), ("-Urm", &["-U", "--preserve-credentials"][..])] {
            let script = "mount -t tmpfs -o size=$1,mode=755 ringfence \"$2\" && echo ready && exec cat";
            let mut holder = Command::new("unshare")
                .args([flags, "sh", "-c", script, "sh", size])
                .arg(folder)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .spawn()
                .ok()?;
            let mut line = String::new();
            let mut stdout = BufReader::new(holder.stdout.take().unwrap());
            if stdout.read_line(&mut line).is_ok() && line == "ready\n" {
                let id = holder.id().to_string();
                let enter = ["nsenter", "-t", &id, "-m"].into_iter().chain(more.iter().copied());
                return Some(Self { holder, folder: folder.into(), enter: enter.map(Into::into).collect() });
            }
            kill(&mut holder);
        }
        println!("no mount is granted here: this test proves nothing");
        None
    }

    /// A path on it, as this process can reach it.
    fn seen(&self, path: &Path) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root", self.holder.id())).join(path.strip_prefix("/").unwrap())
    }

    fn remount(&self, option: &str) {
        let mut command = Command::new(&self.enter[0]);
        command.args(&self.enter[1..]).args(["mount", "-o", &format!("remount,{option}")]).arg(&self.folder);
        assert!(command.status().unwrap().success());
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        kill(&mut self.holder);
    }
}

/// A house whose data is on a small disk.
fn house_on(size: &str) -> Option<(House, SmallDisk)> {
    let mut house = House::new();
    let volume = house.path().join("volume");
    fs::create_dir(&volume).unwrap();
    let disk = SmallDisk::over(&volume, size)?;
    house.data = volume.join("data");
    house.through.clone_from(&disk.enter);
    Some((house, disk))
}

/// What was acknowledged.
#[derive(Default)]
struct Told {
    allowed: Vec<(usize, v1::Decision)>,
    opt_outs: Vec<(usize, String)>,
    consents: Vec<(usize, String)>,
    refused: usize,
    next: usize,
}

impl Told {
    /// One operation; whether it was answered.
    async fn one(&mut self, client: &mut Client, dice: &mut Dice) -> bool {
        self.next += 1;
        let (index, id) = (dice.below(NUMBERS), format!("id-{}", self.next));
        let status = match dice.below(10) {
            0..3 => match client.check(notice(&number(index), "acme", &id)).await {
                Ok(decision) => {
                    let closed = self.opt_outs.iter().any(|(closed, _)| *closed == index);
                    if decision.verdict() == v1::Verdict::Allow {
                        assert!(!closed, "allowed after an opt-out: {decision:?}");
                        self.allowed.push((index, decision));
                    }
                    return true;
                }
                Err(status) => status,
            },
            // Seldom: an opted-out number reserves nothing any more.
            3 if dice.below(8) == 0 => match client.opt_out(opt_out(&number(index), &id)).await {
                Ok(answer) => {
                    self.opt_outs.push((index, answer.receipt_id));
                    return true;
                }
                Err(status) => status,
            },
            _ => match client.consent(consent(&number(index), &id, &"Yes. ".repeat(1_600))).await {
                Ok(answer) => {
                    self.consents.push((index, answer.receipt_id));
                    return true;
                }
                Err(status) => status,
            },
        };
        unavailable(&status);
        self.refused += 1;
        false
    }

    /// Writes until the disk is full, then goes on asking for a while.
    async fn fill(&mut self, client: &mut Client, dice: &mut Dice) {
        while self.one(client, dice).await {
            assert!(self.next < TOO_MANY, "the disk never filled");
        }
        for _ in 0..60 {
            self.one(client, dice).await;
        }
        assert!(self.refused > 10, "refused only {} of 60", self.refused);
    }

    /// Everything acknowledged is there, and no cap is exceeded.
    async fn verify(&self, client: &mut Client) {
        for index in 0..NUMBERS {
            let contact = client.contact(&number(index)).await;
            let counted = contact.attempts.iter().filter(|recorded| counts(recorded)).count();
            assert!(counted <= CAP, "number {index}: {counted}");
            let of = |(at, _): &&(usize, String)| *at == index;
            for (_, receipt) in self.opt_outs.iter().filter(of) {
                assert!(contact.opt_outs.iter().any(|one| one.receipt_id == *receipt), "opt-out {receipt} is lost");
            }
            for (_, receipt) in self.consents.iter().filter(of) {
                assert!(contact.consents.iter().any(|one| one.receipt_id == *receipt), "consent {receipt} is lost");
            }
            for (_, decision) in self.allowed.iter().filter(|(at, _)| *at == index) {
                assert!(contact.attempts.iter().any(|one| one.decision_id == decision.decision_id), "{decision:?}");
                assert_eq!(client.decision(&decision.decision_id).await.unwrap(), *decision);
            }
        }
    }
}

fn unavailable(status: &Status) {
    assert_eq!(status.code(), Code::Unavailable, "{status:?}");
    assert!(!status.message().contains('/'), "a path for a client: {status:?}");
}

fn emergency(number: &str) -> v1::CheckRequest {
    v1::CheckRequest { purpose: v1::Purpose::Emergency.into(), ..notice(number, "acme", "") }
}

/// Asks until it works again.
async fn until_it_works(client: &mut Client, number: &str) {
    let trying = async {
        while let Err(status) = client.opt_out(opt_out(number, "well-again")).await {
            unavailable(&status);
        }
    };
    tokio::time::timeout(PATIENCE, trying).await.expect("works again once there is room");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_refuses_grants_nothing_and_recovers_by_itself() {
    let Some((house, disk)) = house_on("12m") else { return };
    let ballast = disk.seen(&house.path().join("volume/ballast"));
    fs::write(&ballast, vec![1; 4 << 20]).unwrap();
    let mut server = house.start();
    let mut client = Client::new(server.address());
    let (mut told, mut dice) = (Told::default(), Dice::new(7));
    told.fill(&mut client, &mut dice).await;
    let answer = client.check(emergency(&number(3))).await.expect("an emergency needs no disk");
    assert_eq!(answer.verdict(), v1::Verdict::Allow, "{answer:?}");
    server.assert_alive();

    fs::remove_file(&ballast).unwrap();
    until_it_works(&mut client, &number(NUMBERS)).await;
    told.verify(&mut client).await;
    // Once more without cleaning up, and the same again.
    server.kill();
    let server = house.start();
    let mut client = Client::new(server.address());
    told.verify(&mut client).await;
    let decision = client.check(notice(&number(NUMBERS + 1), "acme", "")).await.unwrap();
    assert_eq!(decision.verdict(), v1::Verdict::Allow);
    assert!(server.stop().success());
    house.assert_sound();
    assert!(house.said().contains("the disk is full"), "{}", house.said());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_while_the_disk_is_full_nothing_is_lost() {
    let Some((house, disk)) = house_on("10m") else { return };
    let ballast = disk.seen(&house.path().join("volume/ballast"));
    fs::write(&ballast, vec![1; 3 << 20]).unwrap();
    let server = house.start();
    let mut client = Client::new(server.address());
    let (mut told, mut dice) = (Told::default(), Dice::new(11));
    told.fill(&mut client, &mut dice).await;
    server.kill();
    // With the disk still full it either serves, and grants nothing that it cannot keep, or says why not.
    let said = house.said().len();
    match house.try_start() {
        Ok(server) => {
            let mut client = Client::new(server.address());
            for _ in 0..20 {
                told.one(&mut client, &mut dice).await;
            }
        }
        Err(status) => {
            let said = house.said().split_off(said);
            assert_eq!(status.code(), Some(2), "{said}");
            assert!(said.contains("error: ") && said.contains("disk is full"), "{said}");
        }
    }
    fs::remove_file(&ballast).unwrap();
    let server = house.start();
    let mut client = Client::new(server.address());
    told.verify(&mut client).await;
    until_it_works(&mut client, &number(NUMBERS)).await;
    assert!(server.stop().success());
    house.assert_sound();
}

/// A limit on the size of files (`ulimit -f`) is met by store or log at some length; without it everything is there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_limit_on_file_sizes_refuses_and_loses_nothing() {
    let mut house = House::new();
    // Without the trap the signal of the limit would end the process, which is what `kill.rs` is about.
    let script = "trap '' XFSZ; ulimit -f 5000 || exit 9; exec \"$@\"";
    house.through = ["sh", "-c", script, "sh"].map(Into::into).into();
    let mut server = house.start();
    let mut client = Client::new(server.address());
    let (mut told, mut dice) = (Told::default(), Dice::new(13));
    told.fill(&mut client, &mut dice).await;
    server.assert_alive();
    server.kill();
    house.through.clear();
    let server = house.start();
    let mut client = Client::new(server.address());
    told.verify(&mut client).await;
    until_it_works(&mut client, &number(NUMBERS)).await;
    assert!(server.stop().success());
    house.assert_sound();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_volume_that_may_not_be_written_is_named() {
    let Some((house, disk)) = house_on("12m") else { return };
    disk.remount("ro");
    let fresh = house.refused();
    assert!(fresh.contains(house.data.to_str().unwrap()) && fresh.contains("cannot be written"), "{fresh}");
    assert!(fresh.contains("--data"), "{fresh}");
    disk.remount("rw");
    let server = house.start();
    let mut client = Client::new(server.address());
    let receipt = client.opt_out(opt_out(&number(0), "stop")).await.unwrap().receipt_id;
    assert!(server.stop().success());
    disk.remount("ro");
    let again = house.refused();
    assert!(again.contains(house.data.to_str().unwrap()) && again.contains("cannot be written"), "{again}");
    disk.remount("rw");
    let server = house.start();
    assert_eq!(Client::new(server.address()).contact(&number(0)).await.opt_outs[0].receipt_id, receipt);
}

/// Keys that did not fit on the disk leave nothing behind that would stop the next start.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_first_start_on_a_full_disk_can_be_tried_again() {
    let Some((house, disk)) = house_on("4m") else { return };
    let ballast = disk.seen(&house.path().join("volume/ballast"));
    for left in [0, 64, 1_024, 1_536] {
        fs::write(&ballast, vec![1; (4_096 - left) << 10]).unwrap();
        let keys = house.path().join("volume/keys");
        let output = house.serve_with(&house.data, &keys).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut child = output.unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        kill(&mut child);
    }
    fs::remove_file(&ballast).unwrap();
    let mut child = house
        .serve_with(&house.data, &house.path().join("volume/keys"))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    kill(&mut child);
    let mut said = String::new();
    std::io::Read::read_to_string(&mut child.stderr.take().unwrap(), &mut said).unwrap();
    assert!(line.contains("serving"), "{line}{said}");
}
