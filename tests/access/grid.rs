//! Every call by every role: printed, frozen, read in review.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use axum::body::Bytes;
use http::{Method, StatusCode};
use ringfence::access::Role;
use ringfence::service::CLIENT_STREAMS;

use super::frozen;
use super::house::{House, Method as Call, Somebody, empty_call, methods, request, send, served};
use super::support::engine;

const UNIMPLEMENTED: i32 = 12;
const PERMISSION_DENIED: i32 = 7;
const UNAUTHENTICATED: i32 = 16;

/// Nobody, somebody with a key that is not known, and somebody of this tenant with each role alone.
fn columns(house: &mut House, tenant: &str) -> Vec<(String, Option<Somebody>)> {
    let wrong = Somebody { name: "wrong".to_owned(), key: format!("rfk_{}", "A".repeat(43)) };
    let mut columns = vec![("nobody".to_owned(), None), ("wrong key".to_owned(), Some(wrong))];
    for role in Role::ALL {
        columns.push((role.to_string(), Some(house.admit(&format!("{tenant}.{}", role.word()), tenant, [role]))));
    }
    columns
}

fn head(width: usize, columns: &[(String, Option<Somebody>)]) -> String {
    let mut text = " ".repeat(width);
    for (name, _) in columns {
        write!(text, "  {name}").unwrap();
    }
    text + "\n"
}

fn row(width: usize, name: &str, cells: &[(usize, String)]) -> String {
    let mut text = format!("{name:width$}");
    for (width, cell) in cells {
        write!(text, "  {cell:width$}").unwrap();
    }
    text.trim_end().to_owned() + "\n"
}

/// What a call says to somebody.
async fn cell(house: &House, method: &Call, somebody: Option<&Somebody>) -> &'static str {
    match empty_call(house, method, somebody.map(|one| one.key.as_str())).await {
        UNAUTHENTICATED => "401",
        PERMISSION_DENIED => ".",
        UNIMPLEMENTED => panic!("{}: described, and not served", method.short()),
        _ => "yes",
    }
}

/// Calls that anybody may make, known or not.
const OPEN: &str = "grpc.health.v1.Health.";

/// A call that is missing here is missing from the descriptors too: there is no list to forget it in.
#[tokio::test]
async fn every_call_by_every_role() {
    let mut house = House::new(engine());
    let (columns, others) = (columns(&mut house, "acme"), columns(&mut house, "beta"));
    let mut text = format!(
        "# Who may make which call. `yes`: not refused; `401`: UNAUTHENTICATED; `.`: PERMISSION_DENIED. Each column\n\
         # has one role and no other, and each cell is what a key of either of two tenants is told: where they differed both\n\
         # would stand there, as `yes/.`.\n{}",
        head(WIDTH, &columns)
    );
    for method in served() {
        let mut cells = Vec::new();
        for ((name, one), (_, other)) in columns.iter().zip(&others) {
            let (first, second) =
                (cell(&house, &method, one.as_ref()).await, cell(&house, &method, other.as_ref()).await);
            if one.as_ref().is_none_or(|one| one.name == "wrong") {
                let told = if method.short().starts_with(OPEN) { "yes" } else { "401" };
                assert_eq!(first, told, "{}: {name}", method.short());
            }
            cells.push((name.len(), if first == second { first.to_owned() } else { format!("{first}/{second}") }));
        }
        text += &row(WIDTH, &method.short(), &cells);
    }
    frozen("calls.txt", &text);
    told(&text);
}

/// The longest name is that of a call of reflection.
const WIDTH: usize = 62;

/// The calls of each role by the grid, as the document tells them: those that every role may make stand at `read-law`.
fn told(grid: &str) {
    let mut lines = grid.lines().filter(|line| !line.starts_with('#'));
    let columns: Vec<_> = lines.next().unwrap().split("  ").map(str::trim).filter(|name| !name.is_empty()).collect();
    let everybody = [Role::ReadLaw.word()];
    let mut calls = BTreeMap::<&str, BTreeMap<&str, Vec<&str>>>::new();
    // Health and reflection are no part of the contract: the text beside the table speaks of them.
    for line in lines.filter(|line| !line.starts_with("grpc.")) {
        let mut cells = line.split_whitespace();
        let (service, name) = cells.next().unwrap().split_once('.').unwrap();
        let may: Vec<_> = columns.iter().zip(cells).filter(|(_, cell)| *cell == "yes").map(|(role, _)| *role).collect();
        assert!(!may.is_empty(), "{service}.{name}: nobody may");
        let roles: &[&str] = if may.len() == Role::ALL.len() { &everybody } else { &may };
        for role in roles {
            calls.entry(*role).or_default().entry(service).or_default().push(name);
        }
    }
    let cell = |role: &str| {
        let of = calls.get(role).into_iter().flatten();
        let text: Vec<_> = of.map(|(service, names)| format!("{service}: {}", names.join(", "))).collect();
        if text.is_empty() { "none of the contract".to_owned() } else { text.join("; ") }
    };
    let document = std::fs::read_to_string("deploy/access.md").unwrap();
    let mut left: BTreeSet<_> = Role::ALL.iter().map(|role| role.word()).collect();
    let now = document.lines().map(|line| {
        let role = line.strip_prefix("| `").and_then(|rest| rest.split('`').next());
        let Some(role) = role.filter(|role| left.remove(*role)) else { return line.to_owned() };
        let cells: Vec<_> = line.trim_matches('|').split(" | ").collect();
        assert_eq!(cells.len(), 3, "a row of a role has its name, what it allows, and its calls: {line}");
        format!("|{} | {} | {} |", cells[0], cells[1], cell(role))
    });
    let now = now.collect::<Vec<_>>().join("\n") + "\n";
    assert!(left.is_empty(), "deploy/access.md does not speak of {left:?}");
    if std::env::var_os("RINGFENCE_BLESS").is_some() {
        std::fs::write("deploy/access.md", now).unwrap();
        return;
    }
    let differs = document.lines().zip(now.lines()).find(|(kept, now)| kept != now);
    assert!(
        differs.is_none(),
        "deploy/access.md tells other calls than the grid; run again with RINGFENCE_BLESS=1: {differs:?}"
    );
}

/// The paths of HTTP, as the sources have them.
fn paths() -> Vec<(String, bool)> {
    let text = std::fs::read_to_string("src/http/mod.rs").unwrap();
    let mut paths: Vec<_> = text
        .split(".route(")
        .skip(1)
        .map(|rest| {
            let mut parts = rest.split('"').skip(1);
            (parts.next().unwrap().to_owned(), parts.next().unwrap().starts_with(", get("))
        })
        .collect();
    paths.sort();
    assert!(paths.len() > 30);
    paths
}

#[tokio::test]
async fn every_path_by_every_role() {
    let mut house = House::new(engine());
    let columns = columns(&mut house, "acme");
    let mut text =
        format!("# The same of HTTP. `yes`: not refused; `401`, `403`: as HTTP says it.\n{}", head(36, &columns));
    for (path, is_get) in paths() {
        let mut cells = Vec::new();
        for (name, somebody) in &columns {
            let path = path.replace("{decision_id}", "x").replace("{rule_id}", "x");
            let mut request = request(&path, somebody.as_ref().map(|one| one.key.as_str()), Bytes::from_static(b"{}"));
            if is_get {
                *request.method_mut() = Method::GET;
            }
            let (code, headers, body) = send(&house.http, request).await;
            assert_ne!(code, StatusCode::METHOD_NOT_ALLOWED, "{path}");
            assert_eq!(code == StatusCode::UNAUTHORIZED, headers.contains_key("www-authenticate"), "{path}");
            let body = String::from_utf8_lossy(&body);
            let cell = match code {
                StatusCode::UNAUTHORIZED => "401",
                StatusCode::FORBIDDEN => "403",
                // What is not ready, and why: only for who operates the server.
                _ if body.contains("rulesVersion") && path == "/readyz" => "all",
                _ => "yes",
            };
            cells.push((name.len(), cell.to_owned()));
        }
        text += &row(36, &path, &cells);
    }
    frozen("paths.txt", &text);
}

#[tokio::test]
async fn an_emergency_is_asserted_by_those_alone_who_may() {
    use serde_json::json;
    let mut house = House::new(engine());
    let plain = house.admit("plain", "acme", [Role::Check]);
    let may = house.admit("may", "acme", [Role::Check, Role::AssertExceptional]);
    let question = json!({
        "number": "+13055550123", "channel": "CHANNEL_CALL", "purpose": "PURPOSE_EMERGENCY", "seller": "acme",
        "technology": "TECHNOLOGY_MANUAL", "dryRun": true,
    });
    let (code, body) = house.ask("/v1/check", Some(&plain.key), &question).await;
    assert_eq!(code, StatusCode::FORBIDDEN, "{body}");
    assert!(body["message"].as_str().unwrap().contains("assert-emergencies"), "{body}");
    assert_eq!(house.ask("/v1/check", Some(&may.key), &question).await.0, StatusCode::OK);
}

#[test]
fn calls_whose_messages_come_over_time_are_those_that_stream() {
    let mut streams: Vec<_> = methods().iter().filter(|one| one.client_stream).map(|one| one.path()).collect();
    let ours = CLIENT_STREAMS.iter().filter(|path| path.starts_with("/ringfence"));
    let mut listed: Vec<_> = ours.map(|path| (*path).to_owned()).collect();
    streams.sort();
    listed.sort();
    assert_eq!(listed, streams);
}
