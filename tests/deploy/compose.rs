//! compose.yaml and what it mounts.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Stdio;

use serde_json::Value;

use super::redis::{free_port, program as redis_server, until};
use super::{
    Stopped, good, image, is_taken, is_understood, not_run, program, read, root, texts, tool, yaml, yaml_file,
};

/// Made by hand before the first start, as the first lines of the file say.
const BY_HAND: [&str; 1] = ["./compose/scrape-key"];

fn object(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

fn keys(value: &Value) -> BTreeSet<String> {
    object(value).map(|(key, _)| key.clone()).collect()
}

/// A source and a target of a mount.
fn mounts(service: &Value) -> Vec<(String, String)> {
    let all = texts(&service["volumes"]).into_iter().map(|text| {
        // `${REGISTRIES:-./compose/registries}` stands for its default.
        let text = match text.strip_prefix("${").and_then(|rest| rest.split_once(":-")) {
            Some((_, rest)) => rest.replacen('}', "", 1),
            None => text,
        };
        let (source, target) = text.split_once(':').unwrap();
        (source.to_owned(), target.split(':').next().unwrap().to_owned())
    });
    all.collect()
}

#[test]
fn every_service_is_confined() {
    let compose = yaml_file("deploy/compose.yaml");
    for (name, service) in object(&compose["services"]) {
        assert_eq!(service["read_only"], true, "{name}");
        assert_eq!(texts(&service["cap_drop"]), ["ALL"], "{name}");
        assert!(texts(&service["security_opt"]).contains(&"no-new-privileges:true".to_owned()), "{name}");
        for forbidden in ["privileged", "cap_add", "pid", "ipc", "devices"] {
            assert!(service.get(forbidden).is_none(), "{name}: {forbidden}");
        }
        image::is_pinned(service["image"].as_str().unwrap());
        for port in texts(&service["ports"]) {
            assert!(port.starts_with("127.0.0.1:"), "{name}: {port} is published to everybody");
        }
        for (source, target) in mounts(service) {
            assert!(!source.contains("docker.sock") && !target.contains("docker.sock"), "{name}");
        }
    }
}

#[test]
fn what_services_name_is_there() {
    let compose = yaml_file("deploy/compose.yaml");
    let known = |kind: &str| keys(&compose[kind]);
    let (services, volumes, networks, secrets) =
        (known("services"), known("volumes"), known("networks"), known("secrets"));
    let mut used = BTreeSet::new();
    for (name, service) in object(&compose["services"]) {
        for (other, condition) in object(&service["depends_on"]) {
            assert!(services.contains(other), "{name} waits for {other}");
            let condition = condition["condition"].as_str().unwrap();
            let awaited = &compose["services"][other];
            match condition {
                "service_healthy" => assert!(awaited.get("healthcheck").is_some(), "{other} has no health check"),
                "service_completed_successfully" => assert_eq!(awaited["restart"], "no", "{other} never ends"),
                _ => panic!("{name}: {condition}"),
            }
        }
        for network in texts(&service["networks"]) {
            assert!(networks.contains(&network), "{name}: {network}");
        }
        for secret in texts(&service["secrets"]) {
            assert!(secrets.contains(&secret), "{name}: {secret}");
        }
        for (source, _) in mounts(service) {
            match source.strip_prefix("./") {
                Some(path) => assert!(root().join("deploy").join(path).exists(), "{name}: {source} is not there"),
                None => {
                    assert!(volumes.contains(&source), "{name}: {source}");
                    used.insert(source);
                }
            }
        }
    }
    assert_eq!(used, volumes, "volumes that are used, and those there are");
    for (name, secret) in object(&compose["secrets"]) {
        let file = secret["file"].as_str().unwrap();
        let there = root().join("deploy").join(file).exists();
        assert!(
            there || (BY_HAND.contains(&file) && read("deploy/compose.yaml").contains(&file[2..])),
            "{name}: {file}"
        );
    }
    match tool("docker-compose") {
        Some(compose) => {
            let file = root().join("deploy/compose.yaml");
            drop(good(super::clean(compose).arg("-f").arg(file).args(["config", "--quiet"])));
        }
        None => not_run("docker compose config", "there is no docker-compose here"),
    }
    not_run("docker compose up", "it wants a daemon and a network");
}

#[test]
fn the_server_takes_what_compose_tells_it() {
    let service = &yaml_file("deploy/compose.yaml")["services"]["ringfence"];
    let mut variables = image::variables();
    let told = object(&service["environment"]).map(|(k, v)| (k.clone(), v.as_str().unwrap().to_owned()));
    variables.extend(told.collect::<BTreeMap<_, _>>());
    is_taken("deploy/compose.yaml", &variables);
    // What is written is on a volume, and the volumes of the image are mounted.
    let mounted: Vec<_> = mounts(service).into_iter().map(|(_, target)| target).collect();
    for folder in image::volumes() {
        assert!(mounted.contains(&folder), "{folder} would be lost with the container");
    }
    for name in ["RINGFENCE_DATA", "RINGFENCE_KEYS", "RINGFENCE_ACCESS", "RINGFENCE_REGISTRIES"] {
        let path = variables[name].clone();
        assert!(mounted.iter().any(|folder| path.starts_with(folder.as_str())), "{name}={path} is on no volume");
    }
    // Longer than the server takes to drain and to close its log.
    assert_eq!(service["stop_grace_period"], "45s");
}

/// The lines that the file tells people to type.
#[test]
fn the_commands_at_the_top_are_understood() {
    let text = read("deploy/compose.yaml");
    let lines = text.lines().take_while(|line| line.starts_with('#')).filter(|line| line.contains("docker compose "));
    let mut seen = 0;
    for line in lines.filter(|line| line.contains(" ringfence ")) {
        let words: Vec<_> = line.split_whitespace().take_while(|word| !word.starts_with('>')).collect();
        let at = words.iter().position(|word| *word == "ringfence").unwrap() + 1;
        let words: Vec<_> = words[at..].iter().copied().filter(|word| *word != "/usr/bin/ringfence").collect();
        is_understood("deploy/compose.yaml", &words);
        seen += 1;
    }
    assert!(seen >= 2);
}

/// A primary and a replica with the very settings of compose: nothing found wanting.
#[test]
fn the_redis_of_compose_satisfies_the_doctor() {
    let secret = "0123456789abcdef";
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::write(at("auth.conf"), format!("requirepass {secret}\nmasterauth {secret}\n")).unwrap();
    fs::write(at("password"), format!("{secret}\n")).unwrap();
    let ports = [free_port(), free_port()];
    let mut servers = Vec::new();
    for (name, port) in ["primary", "replica"].into_iter().zip(ports) {
        fs::create_dir(at(name)).unwrap();
        let settings = read("deploy/compose/redis.conf");
        assert!(settings.contains("\ndir /data\n") && settings.contains("\ninclude /secrets/redis.conf\n"));
        let settings = settings
            .replace("dir /data", &format!("dir {}", at(name).display()))
            .replace("/secrets/redis.conf", &at("auth.conf").display().to_string());
        fs::write(at(name).join("redis.conf"), settings).unwrap();
        let mut server = super::clean(redis_server());
        server.arg(at(name).join("redis.conf")).args(["--port", &port.to_string(), "--bind", "127.0.0.1"]);
        if name == "replica" {
            server.args(["--replicaof", "127.0.0.1", &ports[0].to_string()]);
        }
        servers.push(Stopped(server.stdout(Stdio::null()).spawn().expect("redis-server starts")));
    }
    let asked = |port: u16, what: &[&str]| {
        let mut client = super::clean("redis-cli");
        client.env("REDISCLI_AUTH", secret).args(["-p", &port.to_string()]).args(what);
        String::from_utf8(client.output().unwrap().stdout).unwrap()
    };
    // The primary counts it once it has heard of it, which is later than the link is up.
    until("the replica follows", || asked(ports[0], &["info", "replication"]).contains("min_slaves_good_slaves:1"));
    let keys = at("keys").display().to_string();
    good(program().args(["keys", "new", "--keys", &keys]));
    let store = format!("redis://127.0.0.1:{}", ports[0]);
    let mut doctor = program();
    doctor.current_dir(folder.path()).env("RINGFENCE_STORE_PASSWORD_FILE", at("password"));
    println!("{}", good(doctor.args(["doctor", "--store", &store, "--keys", &keys])));
}

/// The lines that name an Alertmanager, once they are no comment any more.
#[test]
fn an_alertmanager_is_named_by_lines_that_are_there() {
    let text = read("deploy/compose/prometheus.yml");
    assert!(yaml(&text)[0].get("alerting").is_none(), "nobody is told of an alert that nobody set up");
    let named: String = text
        .lines()
        .map(|line| {
            line.strip_prefix('#')
                .filter(|rest| !rest.starts_with(' ') || rest.starts_with("  "))
                .unwrap_or(line)
                .to_owned()
                + "\n"
        })
        .collect();
    let named = &yaml(&named)[0];
    assert_eq!(named["alerting"]["alertmanagers"][0]["static_configs"][0]["targets"][0], "alertmanager:9093");
    let operations = read("deploy/operations.md");
    assert!(operations.contains("Alertmanager") && operations.contains("`alerting:`"), "the document says so");
}
