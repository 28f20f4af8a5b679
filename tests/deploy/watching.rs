//! Alert rules and dashboard: they speak of metrics that the server has, in expressions that Prometheus reads.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::Stdio;
use std::time::Duration;

use ringfence::contact::{Channel, Purpose, Term as _};
use ringfence::proto::v1;
use ringfence::telemetry::{ListState, Metrics, Refusal, Way};
use serde_json::Value;

use super::redis::until;
use super::{Stopped, clean, good, program, read, root, tool_or_note, yaml, yaml_file};

/// What Prometheus itself adds.
const OWN: [&str; 3] = ["job", "instance", "alertname"];

/// Requests under data-protection law, as a server tells them.
const REQUESTS: &str = "ringfence_rights_requests{tenant=\"default\",urgency=\"overdue\"} 0\n";

/// Each metric by the name that Prometheus knows it by, with its labels.
type Known = BTreeMap<String, BTreeSet<String>>;

/// Everything counted once, so that every metric shows with its labels.
fn metrics() -> String {
    let metrics = Metrics::default();
    let reason = v1::Reason { family: v1::RuleFamily::Cap.into(), jurisdiction: "US".into(), ..Default::default() };
    let decision = v1::Decision { reasons: vec![reason], ..Default::default() };
    let acme = metrics.of("acme");
    acme.opened();
    acme.decided(&decision, Channel::ALL[0]);
    acme.exceptional(Purpose::ALL[0]);
    metrics.answered("Check", "OK");
    acme.answered(0, "OK");
    acme.took(Way::Check, 1, Duration::from_millis(1));
    acme.law("0123456789abcdef+tzdata2026e");
    let list = |id: &str, tenant: Option<&str>| ListState {
        id: id.to_owned(),
        tenant: tenant.map(str::to_owned),
        age: 1.0,
        stale_from: Some(1.0),
    };
    metrics.lists(&[list("us.dnc.national", None), list("tenant.litigators", Some("acme"))], 1);
    metrics.region_up("cn", true);
    acme.self_checked(1);
    metrics.audit_volume("default", Some(1));
    metrics.audit_anchored("default", Some(1));
    metrics.audit_lost_at("default", Some(1));
    metrics.shadow_judged("same");
    metrics.shadow_flip("allow_to_deny", "CAP", "us.cap", "US");
    acme.delivered("dialer", "confirmed");
    let (why, call): (&dyn std::fmt::Display, &dyn std::fmt::Display) = (&"", &"Check");
    acme.refused(&Refusal { reason: "ROLE_MISSING", why, call, caller: "", from: None });
    metrics.cut("flood", [127, 0, 0, 1].into(), "");
    metrics.ready(["store"]);
    metrics.certificate_expires("tls_cert", 1);
    metrics.reload_refused("packs", 0);
    metrics.lane("check", 1, [("full", 0), ("slow", 1), ("deadline", 0)]);
    // Told by the engine alone; that a server tells it is seen below.
    metrics.text() + REQUESTS
}

/// The samples of an exposition in text.
fn known(text: &str) -> Known {
    let mut known = Known::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let name: String = line.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        let labels = line.strip_prefix(&format!("{name}{{")).and_then(|rest| rest.rsplit_once('}'));
        let labels = labels.map(|(labels, _)| labels.split("\",").filter_map(|pair| pair.split_once('=')));
        known.entry(name).or_default().extend(labels.into_iter().flatten().map(|(label, _)| label.to_owned()));
    }
    known
}

/// The words of an expression that are neither in quotes nor numbers.
fn words(expression: &str) -> Vec<String> {
    let bare: String = expression.split('"').step_by(2).collect::<Vec<_>>().join(" ");
    let words = bare.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == '$')).map(str::to_owned);
    words.filter(|word| word.starts_with(|c: char| c.is_alphabetic() || c == '_')).collect()
}

/// The labels that an expression selects or groups by.
fn labels(expression: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let bare: String = expression.split('"').step_by(2).collect::<Vec<_>>().join("\"");
    for part in bare.split('{').skip(1).filter_map(|rest| rest.split('}').next()) {
        found.extend(
            part.split(',').filter_map(|pair| pair.split(['=', '!']).next()).map(|name| name.trim().to_owned()),
        );
    }
    for word in [" by (", " by(", " on (", "ignoring ("] {
        for part in bare.split(word).skip(1).filter_map(|rest| rest.split(')').next()) {
            found.extend(part.split(',').map(|name| name.trim().to_owned()));
        }
    }
    found.retain(|name| !name.is_empty());
    found
}

/// Names of an expression that the server does not have.
fn unknown(expression: &str, known: &Known) -> Vec<String> {
    let named: Vec<_> = words(expression).into_iter().filter(|word| word.starts_with("ringfence_")).collect();
    let mut faults: Vec<_> = named.iter().filter(|name| !known.contains_key(*name)).cloned().collect();
    let mut allowed: BTreeSet<_> = OWN.iter().map(|own| (*own).to_owned()).collect();
    allowed.extend(named.iter().filter_map(|name| known.get(name)).flatten().cloned());
    faults.extend(labels(expression).difference(&allowed).map(|label| format!("label {label}")));
    if named.is_empty() && !words(expression).contains(&"up".to_owned()) {
        faults.push("no metric at all".to_owned());
    }
    faults
}

/// What can be said of the form of an expression without Prometheus: brackets and quotes close, and what is called is one
/// of its functions.
fn form(expression: &str) -> Option<String> {
    const CALLED: &str = "rate increase changes histogram_quantile sum max min count topk absent time predict_linear by on ignoring without group_left and or label_values";
    let mut open = Vec::new();
    for (n, part) in expression.split('"').enumerate() {
        let bare = n % 2 == 0;
        for c in part.chars().filter(|_| bare) {
            match c {
                '(' | '[' | '{' => open.push(c),
                ')' | ']' | '}' => {
                    let pair = (open.pop(), c);
                    if !matches!(pair, (Some('('), ')') | (Some('['), ']') | (Some('{'), '}')) {
                        return Some(format!("`{c}` closes nothing"));
                    }
                }
                _ => {}
            }
        }
    }
    if !open.is_empty() || !expression.matches('"').count().is_multiple_of(2) {
        return Some("something is left open".to_owned());
    }
    let bare: String = expression.split('"').step_by(2).collect();
    for (at, _) in bare.match_indices('(') {
        let before = bare[..at].trim_end();
        let name = before.rsplit(|c: char| !(c.is_alphanumeric() || c == '_')).next().unwrap();
        if !name.is_empty() && !name.starts_with(char::is_numeric) && !CALLED.split(' ').any(|known| known == name) {
            return Some(format!("`{name}` is no function known here"));
        }
    }
    None
}

fn rules() -> Vec<Value> {
    let alerts = yaml_file("deploy/alerts.yaml");
    alerts["groups"].as_array().unwrap().iter().flat_map(|group| group["rules"].as_array().unwrap().clone()).collect()
}

/// Every expression of the dashboard, as Prometheus gets it.
fn shown() -> Vec<(String, String, String)> {
    let dashboard: Value = serde_json::from_str(&read("deploy/grafana/dashboard.json")).unwrap();
    let mut found = Vec::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().into_iter().flatten() {
            let text = |name: &str| target[name].as_str().unwrap().to_owned();
            let filled = text("expr").replace("$__rate_interval", "5m").replace("$job", "x").replace("$instance", ".*");
            assert!(!filled.contains('$'), "a variable that the dashboard does not have: {filled}");
            found.push((panel["title"].as_str().unwrap().to_owned(), filled, text("legendFormat")));
        }
    }
    found
}

/// The names in `{{…}}`, without what the templates of alerts put around them.
fn filled_in(text: &str) -> Vec<String> {
    let inner = text.split("{{").skip(1).map(|rest| rest.split("}}").next().unwrap().trim().to_owned());
    inner
        .filter(|name| !name.starts_with("$value"))
        .map(|name| name.trim_start_matches("$labels.").to_owned())
        .collect()
}

#[test]
fn alerts_and_dashboard_name_metrics_that_there_are() {
    let known = known(&metrics());
    assert!(known.len() > 20 && known["ringfence_check_seconds_bucket"].contains("le"), "{known:?}");
    for rule in rules() {
        let (name, expression) = (rule["alert"].as_str().unwrap(), rule["expr"].as_str().unwrap());
        assert_eq!(unknown(expression, &known), [""; 0], "{name}");
        assert_eq!(form(expression), None, "{name}: {expression}");
    }
    for (title, expression, legend) in shown() {
        assert_eq!(unknown(&expression, &known), [""; 0], "{title}");
        assert_eq!(form(&expression), None, "{title}: {expression}");
        for name in filled_in(&legend) {
            let kept = labels(&expression).contains(&name) || (name == "instance" && !expression.contains("sum("));
            assert!(kept, "{title}: the expression keeps no {name}");
        }
    }
    // What the check finds, so that its silence says something.
    assert_eq!(unknown("rate(ringfence_typo_total[5m])", &known), ["ringfence_typo_total"]);
    assert_eq!(unknown("ringfence_decisions_total{verdct=\"x\"}", &known), ["label verdct"]);
    assert!(form("sum(rate(x[5m])").is_some() && form("ratte(x[5m])").is_some() && form("x]").is_some());
}

#[test]
fn every_metric_is_watched() {
    let mut watched: String = rules().iter().map(|rule| rule["expr"].as_str().unwrap().to_owned() + "\n").collect();
    watched.extend(shown().into_iter().map(|(_, expression, _)| expression + "\n"));
    for name in known(&metrics()).into_keys() {
        let of_histogram = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end));
        let name = of_histogram.map_or(name.clone(), |base| format!("{base}_bucket"));
        assert!(words(&watched).contains(&name), "{name} stands in no alert and no panel");
    }
}

#[test]
fn every_alert_says_what_and_what_to_do() {
    let operations = read("deploy/operations.md");
    let mut names = BTreeSet::new();
    for rule in rules() {
        let name = rule["alert"].as_str().unwrap().to_owned();
        for key in ["summary", "description"] {
            assert!(rule["annotations"][key].as_str().is_some_and(|text| !text.is_empty()), "{name}: {key}");
        }
        assert!(["page", "ticket"].contains(&rule["labels"]["severity"].as_str().unwrap()), "{name}");
        let expression = rule["expr"].as_str().unwrap();
        for (_, text) in rule["annotations"].as_object().unwrap() {
            for label in filled_in(text.as_str().unwrap()) {
                let grouped = expression.contains("by (");
                assert!(!grouped || labels(expression).contains(&label), "{name}: `{label}` is not among its labels");
            }
        }
        assert_eq!(rule["annotations"]["runbook"], format!("deploy/operations.md#{}", name.to_lowercase()));
        assert!(operations.contains(&format!("\n### {name}\n")), "deploy/operations.md does not speak of {name}");
        assert!(names.insert(name.clone()), "{name} stands twice");
    }
    let spoken_of = operations.lines().filter_map(|line| line.strip_prefix("### Ringfence"));
    assert!(
        spoken_of.map(|rest| format!("Ringfence{rest}")).all(|name| names.contains(&name)),
        "an alert that is none"
    );
}

#[test]
fn prometheus_reads_the_rules_and_fires_them() {
    let Some(promtool) = tool_or_note("promtool", "rules read, and fired, by Prometheus") else { return };
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    write("alerts.yaml", &read("deploy/alerts.yaml"));
    write("scrape-key", "key");
    write("prometheus.yml", &read("deploy/compose/prometheus.yml").replace("/run/secrets/", ""));
    write("fired.yaml", &read("tests/deploy/alerts.yaml"));
    let shown = shown()
        .into_iter()
        .enumerate()
        .map(|(n, (_, expression, _))| serde_json::json!({ "record": format!("shown:panel{n}"), "expr": expression }));
    let shown = serde_json::json!({ "groups": [{ "name": "shown", "rules": shown.collect::<Vec<_>>() }] });
    write("shown.yaml", &shown.to_string());
    let run = |arguments: &[&str]| good(clean(&promtool).current_dir(folder.path()).args(arguments));
    run(&["check", "config", "prometheus.yml"]);
    run(&["check", "rules", "alerts.yaml", "shown.yaml"]);
    run(&["test", "rules", "fired.yaml"]);
    // Every alert is fired by some series.
    let fired = yaml(&read("tests/deploy/alerts.yaml")).remove(0);
    let tests = fired["tests"].as_array().unwrap().iter().flat_map(|test| test["alert_rule_test"].as_array().unwrap());
    let fired: BTreeSet<_> = tests
        .filter(|test| !test["exp_alerts"].as_array().unwrap().is_empty())
        .map(|test| test["alertname"].as_str().unwrap().to_owned())
        .collect();
    for rule in rules() {
        assert!(fired.contains(rule["alert"].as_str().unwrap()), "nothing fires {}", rule["alert"]);
    }
}

/// What a real server tells is what the names above were taken from.
#[test]
fn a_server_tells_the_metrics_that_are_known() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = program();
    server.current_dir(folder.path()).args(["serve", "--sample", "--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0"]);
    let mut server = Stopped(server.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap());
    let mut said = BufReader::new(server.0.stdout.take().unwrap()).lines().map_while(Result::ok);
    let address = said.find_map(|line| line.trim().strip_prefix("HTTP  http://").map(str::to_owned)).unwrap();
    // The first question is answered by then.
    said.find(|line| line.starts_with("Ask it yourself")).unwrap();
    let scrape = || {
        let mut wire = TcpStream::connect(&address).unwrap();
        wire.write_all(b"GET /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").unwrap();
        let mut text = String::new();
        wire.read_to_string(&mut text).unwrap();
        text
    };
    until("requests are counted, and the volume is looked at", || {
        let text = scrape();
        text.contains(REQUESTS) && text.contains("ringfence_audit_volume_free_bytes{")
    });
    let text = scrape();
    let ready = program().args(["ready", "--http", &address]).output().unwrap();
    let json = program().args(["ready", "--json", "--http", &address]).output().unwrap();
    drop(server);
    assert_eq!((ready.status.code(), ready.stdout.as_slice()), (Some(0), &b"ready\n"[..]));
    assert_eq!(serde_json::from_slice::<Value>(&json.stdout).unwrap()["ready"], true);
    let gone = program().args(["ready", "--http", &address]).output().unwrap();
    assert_eq!(gone.status.code(), Some(2), "nobody answers any more");
    let (_, body) = text.split_once("\r\n\r\n").unwrap();
    let lines: String =
        body.lines().filter(|line| line.starts_with("ringfence_")).map(|line| format!("{line}\n")).collect();
    let (told, all) = (known(&lines), known(&metrics()));
    assert!(told.len() > 15 && told.contains_key("ringfence_decisions_total"), "{text}");
    assert!(told.contains_key("ringfence_audit_volume_free_bytes"), "the volume of the log is looked at:\n{text}");
    assert!(told.contains_key("ringfence_audit_anchored_timestamp_seconds"), "its head is anchored:\n{text}");
    for (name, known) in &all {
        assert!(told.get(name).is_none_or(|labels| labels.is_subset(known)), "{name}: {:?}, {known:?}", told[name]);
    }
}

#[test]
fn the_dashboard_loads_as_it_is() {
    let dashboard: Value = serde_json::from_str(&read("deploy/grafana/dashboard.json")).unwrap();
    assert!(
        dashboard.get("__inputs").is_none() && dashboard.get("id").is_none(),
        "it asks for nothing when it is loaded"
    );
    let panels = dashboard["panels"].as_array().unwrap();
    let ids: BTreeSet<_> = panels.iter().map(|panel| panel["id"].as_u64().unwrap()).collect();
    assert_eq!(ids.len(), panels.len());
    let mut taken = BTreeSet::new();
    for panel in panels {
        let at = |key: &str| panel["gridPos"][key].as_u64().unwrap();
        assert!(at("x") + at("w") <= 24, "{}", panel["title"]);
        for (x, y) in (at("x")..at("x") + at("w")).flat_map(|x| (at("y")..at("y") + at("h")).map(move |y| (x, y))) {
            assert!(taken.insert((x, y)), "{} lies over another", panel["title"]);
        }
        let row = panel["type"] == "row";
        assert!(row || panel["datasource"]["uid"] == "${datasource}", "{}", panel["title"]);
        assert!(row || panel["description"].as_str().is_some_and(|text| text.len() > 10), "{}", panel["title"]);
    }
    let job = &yaml_file("deploy/compose/prometheus.yml")["scrape_configs"][0]["job_name"];
    assert_eq!(job, "ringfence", "the job that alerts and dashboard go by");
    assert!(root().join("deploy/helm/ringfence/files/dashboard.json").exists(), "the chart carries it");
}
