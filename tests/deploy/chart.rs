//! The chart: its values against their schema, its templates against values and settings; rendered where helm is here.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use ringfence::config::KEYS;
use serde_json::{Value, json};

use super::{clean, good, is_taken, not_run, python, read, root, texts, tool, yaml, yaml_file};

const CHART: &str = "deploy/helm/ringfence";
const TEMPLATES: [&str; 5] =
    ["statefulset.yaml", "services.yaml", "availability.yaml", "networkpolicy.yaml", "monitoring.yaml"];

/// Settings that the chart makes of other values, and those that mean nothing where every instance shares a Redis.
const ITS_OWN: [&str; 21] = [
    "store",
    "store_user",
    "store_password_file",
    "store_ca",
    "store_cert",
    "store_key",
    "data",
    "keys",
    "registries",
    "packs",
    "grpc",
    "http",
    "log",
    "access",
    "tls_cert",
    "tls_key",
    "tls_client_ca",
    "tls_client_crl",
    "insecure_no_tls",
    // Files, which nothing mounts.
    "emergencies",
    "shadow_packs",
];

/// The values with others laid over them, as helm does.
fn laid_over(under: &mut Value, over: &Value) {
    match (under, over) {
        (Value::Object(under), Value::Object(over)) => {
            for (key, value) in over {
                laid_over(under.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
        (under, over) => *under = over.clone(),
    }
}

fn values(over: &Value) -> Value {
    let mut values = yaml_file(&format!("{CHART}/values.yaml"));
    laid_over(&mut values, over);
    values
}

/// What the schema has against each of these values.
fn faults(all: &[Value]) -> Vec<Vec<String>> {
    let script = "import json, sys, jsonschema\n\
        schema = json.load(open(sys.argv[1]))\n\
        jsonschema.Draft7Validator.check_schema(schema)\n\
        validator = jsonschema.Draft7Validator(schema)\n\
        told = lambda e: '/'.join(map(str, e.absolute_path)) + ': ' + e.message\n\
        json.dump([[told(e) for e in validator.iter_errors(v)] for v in json.load(sys.stdin)], sys.stdout)";
    let schema = root().join(CHART).join("values.schema.json");
    serde_json::from_str(&python(script, &[Path::new(&schema)], &json!(all).to_string())).unwrap()
}

#[test]
fn values_are_checked_by_their_schema() {
    let least = yaml_file("tests/deploy/least.yaml");
    let mut before = values(&least);
    laid_over(&mut before, &json!({ "tls": { "secret": "", "endedBefore": true } }));
    let good = [values(&least), values(&yaml_file("tests/deploy/most.yaml")), before];
    assert_eq!(faults(&good), [[""; 0]; 3]);
    let bad = [
        // What the chart cannot choose for anybody.
        json!({ "store": { "url": "" } }),
        json!({ "keys": { "secret": "" } }),
        json!({ "access": { "secret": "" } }),
        json!({ "tls": { "secret": "" } }),
        // What would go wrong later, and quietly.
        json!({ "store": { "url": "redis://fence:secret@db" } }),
        json!({ "store": { "url": "embedded" } }),
        json!({ "image": { "tag": "latest" } }),
        json!({ "image": { "digest": "sha256:12" } }),
        json!({ "settings": { "reserve_second": 5 } }),
        json!({ "settings": { "grpc": "0.0.0.0:1" } }),
        json!({ "replica": 3 }),
        json!({ "replicas": 0 }),
        json!({ "disruptionBudget": { "maxUnavailable": 0 } }),
        json!({ "volume": { "size": "large" } }),
        json!({ "networkPolicy": { "storePorts": [] } }),
        json!({ "monitoring": { "runbookBase": "docs.example" } }),
    ];
    let laid: Vec<_> = bad
        .iter()
        .map(|bad| {
            let mut values = good[0].clone();
            laid_over(&mut values, bad);
            values
        })
        .collect();
    for (bad, faults) in bad.iter().zip(faults(&laid)) {
        assert!(!faults.is_empty(), "the schema takes {bad}");
    }
    let untouched = faults(&[values(&json!({}))]);
    assert!(!untouched[0].is_empty(), "what is required has no default");
}

/// With a store each, instances would allow between them what the caps of one contact do not.
#[test]
fn no_instance_has_a_store_of_its_own() {
    let least = yaml_file("tests/deploy/least.yaml");
    let urls = ["", "embedded", "./data", "redis://fence:secret@db", "redis://localhost:6379", "redis://127.0.0.1"];
    let more = ["rediss://[::1]:6379/0", "redis+cluster://n1:7000,127.0.0.2:7000", "redis+sentinel://localhost/main"];
    let urls: Vec<_> = urls.into_iter().chain(more).collect();
    let shared =
        ["redis://db:6379/1", "rediss+cluster://n1:6379,n2:6379", "redis+sentinel://localhost.example,s2/main"];
    let with = |over: Value| {
        let mut values = values(&least);
        laid_over(&mut values, &over);
        values
    };
    let of_url = |url: &&str| with(json!({ "store": { "url": url } }));
    let of_variable = |name: &str| with(json!({ "extraEnv": [{ "name": name, "value": "embedded" }] }));
    let bad: Vec<_> = urls.iter().map(of_url).chain(["RINGFENCE_STORE", "RINGFENCE_CONFIG"].map(of_variable)).collect();
    for (values, faults) in bad.iter().zip(faults(&bad)) {
        assert!(!faults.is_empty(), "the schema takes {} {}", values["store"], values["extraEnv"]);
    }
    let good: Vec<_> = shared.iter().map(of_url).chain([of_variable("RINGFENCE_STORE_PASSWORD")]).collect();
    for faults in faults(&good) {
        assert!(faults.is_empty(), "{faults:?}");
    }
    // The schema can be skipped; the template then fails, in words.
    let helpers = read(&format!("{CHART}/templates/_helpers.tpl"));
    let (_, store) = helpers.split_once("define \"ringfence.store\"").unwrap();
    let expressions: Vec<_> = store
        .split("regexMatch \"")
        .skip(1)
        .map(|rest| rest.split('"').next().unwrap().replace("\\\\", "\\"))
        .collect();
    let [is_redis, in_the_pod] = expressions.as_slice() else { panic!("{expressions:?}") };
    let script = "import json, re, sys\n\
        redis, pod, urls = json.load(sys.stdin)\n\
        json.dump([bool(re.search(redis, u)) and not re.search(pod, u) for u in urls], sys.stdout)";
    let all: Vec<_> = urls.iter().chain(&shared).collect();
    let taken: Vec<bool> =
        serde_json::from_str(&python(script, &[], &json!([is_redis, in_the_pod, all]).to_string())).unwrap();
    for (url, taken) in all.iter().zip(taken) {
        assert_eq!(taken, shared.contains(url), "the template: {url}");
    }
    assert_eq!(store.matches("fail (").count() + store.matches("fail \"").count(), 3, "each says why");
    let set = read(&format!("{CHART}/templates/statefulset.yaml"));
    assert!(set.contains("RINGFENCE_STORE, value: {{ include \"ringfence.store\" . | quote }}"));
}

/// The keys that `settings` takes are those that the server has. `RINGFENCE_BLESS=1` writes them anew.
#[test]
fn the_schema_knows_every_setting() {
    let path = format!("{CHART}/values.schema.json");
    let text = read(&path);
    let keys = KEYS.iter().map(|(key, ..)| *key).filter(|key| !ITS_OWN.contains(key));
    let line = format!("      \"propertyNames\": {{\"enum\": {}}},", json!(keys.collect::<Vec<_>>()));
    let old = text.lines().find(|line| line.trim_start().starts_with("\"propertyNames\"")).unwrap();
    if std::env::var_os("RINGFENCE_BLESS").is_some() {
        std::fs::write(root().join(&path), text.replace(old, &line)).unwrap();
        return;
    }
    assert!(old == line, "{path}: the settings changed: run again with RINGFENCE_BLESS=1");
}

/// What stands between `{{` and `}}`.
fn actions(template: &str) -> Vec<String> {
    let mut found = Vec::new();
    for rest in template.split("{{").skip(1) {
        let (action, _) = rest.split_once("}}").unwrap_or_else(|| panic!("`{{{{{rest}` is not closed"));
        assert!(!action.contains('\n') || action.starts_with("/*"), "an action on several lines: {action}");
        found.push(action.trim_matches('-').trim().to_owned());
    }
    found
}

/// As far as it goes without helm: what is opened is closed, every value is one of values.yaml, and every include there.
#[test]
fn templates_speak_of_values_that_there_are() {
    let values = values(&json!({}));
    let helpers = read(&format!("{CHART}/templates/_helpers.tpl"));
    for name in TEMPLATES.iter().chain(&["_helpers.tpl", "NOTES.txt"]) {
        let text = read(&format!("{CHART}/templates/{name}"));
        let mut open = 0;
        for action in actions(&text) {
            match action.split(' ').next().unwrap() {
                "if" | "with" | "range" | "define" => open += 1,
                "end" => open -= 1,
                _ => {}
            }
            assert!(open >= 0, "{name}: an end too many at `{action}`");
            for path in action.split(".Values.").skip(1) {
                let path: String = path.chars().take_while(|c| c.is_alphanumeric() || *c == '.').collect();
                let pointer = format!("/{}", path.replace('.', "/"));
                assert!(values.pointer(&pointer).is_some(), "{name}: values.yaml has no `{path}`");
            }
            if let Some(included) = action.split("include \"").nth(1).and_then(|rest| rest.split('"').next()) {
                assert!(helpers.contains(&format!("define \"{included}\"")), "{name}: {included}");
            }
        }
        assert_eq!(open, 0, "{name}: something is not ended");
    }
}

/// Half of the memory is for what peers may send before it is read: a mebibyte for each connection of either listener.
#[test]
fn connections_fit_into_the_memory_that_a_pod_has() {
    let values = values(&json!({}));
    let limit = values["resources"]["limits"]["memory"].as_str().unwrap();
    let mebibytes = 1_024 * limit.strip_suffix("Gi").unwrap().parse::<u64>().unwrap();
    let connections = values["settings"]["connections"].as_u64().unwrap();
    assert!(4 * connections <= mebibytes, "{connections} connections, {limit}");
    let told = read("deploy/operations.md");
    assert!(told.contains(&format!("The chart has {} GiB and {connections} connections", mebibytes / 1_024)));
    let (.., default) = KEYS.iter().find(|(key, ..)| *key == "connections").unwrap();
    let default: u64 = default.parse().unwrap();
    assert_eq!((default, 4 * default / 1_024), (4_096, 16), "as the document reckons");
}

/// What the chart, and the command in the head of the rules, make links of.
#[test]
fn runbooks_become_links() {
    let alerts = read("deploy/alerts.yaml");
    let rules = alerts.lines().filter(|line| line.trim_start().starts_with("- alert: ")).count();
    assert!(rules > 20 && alerts.matches("\n          runbook: \"deploy/operations.md#").count() == rules);
    let template = read(&format!("{CHART}/templates/monitoring.yaml"));
    let part = r#"replace "runbook: \"" (printf "runbook_url: \"%s" .Values.monitoring.runbookBase)"#;
    assert!(template.contains(part), "{template}");
    let command = alerts.lines().find_map(|line| line.strip_prefix("#   sed '")).expect("the command is told");
    let (program, file) = command.split_once("' ").unwrap();
    assert_eq!(file, "alerts.yaml");
    let made = good(clean("sed").arg(program).arg(root().join("deploy/alerts.yaml")));
    let linked = made.matches("\n          runbook_url: \"https://docs.example/deploy/operations.md#").count();
    assert_eq!((linked, made.matches(" runbook: \"deploy").count()), (rules, 0));
}

/// While the store is away no pod is ready, and emergencies are answered still: to whoever asks the pods by their names.
#[test]
fn pods_that_are_not_ready_stay_in_the_service_that_names_each() {
    let text = read(&format!("{CHART}/templates/services.yaml"));
    let (common, each) = text.split_once("\n---\n").unwrap();
    assert!(each.contains("-each\n") && each.contains("\n  publishNotReadyAddresses: true\n"), "{each}");
    assert!(!common.contains("publishNotReadyAddresses"), "{common}");
}

/// Variables that the chart sets, with a value for each.
#[test]
fn the_server_takes_what_the_chart_tells_it() {
    let text = read(&format!("{CHART}/templates/statefulset.yaml"));
    let mut variables = BTreeMap::new();
    for line in text.lines().filter(|line| line.contains("{name: RINGFENCE_")) {
        let name: String = line.split("{name: ").nth(1).unwrap().chars().take_while(|c| *c != ',').collect();
        let value = line.split("value: ").nth(1).unwrap().trim_end_matches('}').trim().trim_matches('"').to_owned();
        variables.insert(name, value);
    }
    assert!(variables.len() > 12, "{variables:?}");
    for (name, value) in [("RINGFENCE_STORE", "redis+sentinel://s1,s2,s3/main"), ("RINGFENCE_STORE_USER", "fence")] {
        variables.insert(name.to_owned(), value.to_owned());
    }
    let settings = yaml_file("tests/deploy/most.yaml")["settings"].as_object().unwrap().clone();
    for (key, value) in settings {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        variables.insert(format!("RINGFENCE_{}", key.to_uppercase()), text);
    }
    let named: BTreeSet<_> = variables.keys().map(|name| name["RINGFENCE_".len()..].to_lowercase()).collect();
    let known: Vec<_> = KEYS.iter().map(|(key, ..)| *key).collect();
    for own in ITS_OWN.iter().filter(|own| known.contains(own) && !["emergencies", "shadow_packs"].contains(own)) {
        assert!(named.contains(*own), "the chart keeps `{own}` from `settings` and does not set it");
    }
    // With TLS there is nothing insecure to admit; the endpoints of the archive take no credentials from here.
    variables.remove("RINGFENCE_INSECURE_NO_TLS");
    is_taken("the chart", &variables);
}

/// What ends TLS before the pods makes every connection: a limit by address would be one of all callers together.
#[test]
fn where_tls_is_ended_before_no_limit_is_by_address() {
    let text = read(&format!("{CHART}/templates/statefulset.yaml"));
    let (_, rest) = text.split_once("{{- else if .Values.tls.endedBefore }}").unwrap();
    let (there, _) = rest.split_once("{{- else }}").unwrap();
    let guarded = "{{- if not (hasKey .Values.settings \"connections_per_address\") }}";
    let (_, guarded) = there.split_once(guarded).expect("a setting of one's own goes before");
    assert!(guarded.contains("{name: RINGFENCE_CONNECTIONS_PER_ADDRESS, value: \"0\"}"), "{there}");
    assert_eq!(text.matches("RINGFENCE_CONNECTIONS_PER_ADDRESS").count(), 1, "where TLS is the pods' own, it stays");
}

/// Restarting what is busy leaves the others more to do: probes may fail for a minute.
#[test]
fn what_is_busy_is_not_restarted_at_once() {
    let text = read(&format!("{CHART}/templates/statefulset.yaml"));
    let probe = text.split("livenessProbe:").nth(1).unwrap().split("readinessProbe:").next().unwrap();
    let of = |key: &str| -> u32 {
        let value = probe.split(&format!("{key}: ")).nth(1).unwrap().lines().next().unwrap();
        value.trim().parse().unwrap()
    };
    assert!(of("periodSeconds") * of("failureThreshold") >= 60);
}

#[test]
fn helm_renders_the_chart() {
    let Some(helm) = tool("helm") else {
        not_run("helm lint, helm template", "there is no helm here; values, schema and templates were checked apart");
        return;
    };
    let chart = root().join(CHART);
    for name in ["least", "most"] {
        let over = root().join(format!("tests/deploy/{name}.yaml"));
        good(clean(&helm).args(["lint", "--strict"]).arg(&chart).arg("--values").arg(&over));
        let rendered = good(clean(&helm).args(["template", "x"]).arg(&chart).arg("--values").arg(&over));
        let all = yaml(&rendered);
        let of = |kind: &str| all.iter().filter(|one| one["kind"] == kind).collect::<Vec<_>>();
        let pods = &of("StatefulSet")[0]["spec"]["template"]["spec"];
        assert_eq!(pods["securityContext"]["runAsNonRoot"], true);
        assert_eq!(pods["automountServiceAccountToken"], false);
        let container = &pods["containers"][0];
        assert_eq!(container["securityContext"]["readOnlyRootFilesystem"], true);
        assert_eq!(texts(&container["securityContext"]["capabilities"]["drop"]), ["ALL"]);
        let mounted = container["volumeMounts"].as_array().unwrap().iter().map(|mount| mount["name"].clone());
        let mut there: BTreeSet<_> =
            pods["volumes"].as_array().unwrap().iter().map(|volume| volume["name"].to_string()).collect();
        there.insert("\"data\"".to_owned());
        assert_eq!(mounted.map(|name| name.to_string()).collect::<BTreeSet<_>>(), there);
        assert_eq!((of("Service").len(), of("PodDisruptionBudget").len(), of("NetworkPolicy").len()), (2, 1, 1));
        assert_eq!(of("HorizontalPodAutoscaler").len(), usize::from(name == "most"));
        assert_eq!(of("PrometheusRule").len(), usize::from(name == "most"));
        let linked =
            rendered.contains("runbook_url: \"https://docs.example/ringfence/deploy/operations.md#ringfencedown\"");
        assert_eq!(linked, name == "most");
    }
    for (own, per_address) in [("", "0"), (",settings.connections_per_address=7", "7")] {
        let over = root().join("tests/deploy/least.yaml");
        let mut render = clean(&helm);
        render.args(["template", "x"]).arg(&chart).arg("--values").arg(&over);
        render.args(["--set", &format!("tls.secret=,tls.endedBefore=true{own}")]);
        let all = yaml(&good(&mut render));
        let pods = all.iter().find(|one| one["kind"] == "StatefulSet").unwrap();
        let env = pods["spec"]["template"]["spec"]["containers"][0]["env"].as_array().unwrap();
        let set: Vec<_> = env.iter().filter(|one| one["name"] == "RINGFENCE_CONNECTIONS_PER_ADDRESS").collect();
        assert_eq!(set, [&json!({ "name": "RINGFENCE_CONNECTIONS_PER_ADDRESS", "value": per_address })]);
    }
}
