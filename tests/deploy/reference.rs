//! References that are written from the program: `deploy/config.md` from the settings, `deploy/api.md` from the contract.
//!
//! `RINGFENCE_BLESS=1 cargo test --test deploy` writes them anew.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use prost::Message as _;
use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorProto, FileDescriptorSet};
use ringfence::config::{self, KEYS, PINNED, SECRET_FILES, Sources, VARIABLES};
use ringfence::proto::FILE_DESCRIPTOR_SET;

use super::{read, root};

/// An example for each setting. Those of one line are taken together by the server: what only means something beside
/// another stands beside it.
const EXAMPLES: &[&[(&str, &str)]] = &[
    &[
        ("store", "rediss+sentinel://s1,s2,s3/main"),
        ("store_user", "ringfence"),
        ("store_password_file", "/run/secrets/redis"),
        ("store_ca", "/etc/ringfence/redis-ca.pem"),
        ("store_cert", "/etc/ringfence/redis.pem"),
        ("store_key", "/etc/ringfence/redis.key"),
        ("acks", "all"),
        ("acked_from", "disk"),
        ("sentinel_user", "sentinel"),
        ("sentinel_password_file", "/run/secrets/sentinel"),
        ("event_days", "30"),
    ],
    &[
        ("data", "/var/lib/ringfence"),
        ("keys", "/var/lib/ringfence-keys/keys"),
        ("registries", "/srv/registries"),
        ("packs", "/etc/ringfence/packs"),
        ("emergencies", "/etc/ringfence/emergencies.toml"),
        ("shadow_packs", "/etc/ringfence/next-packs"),
    ],
    &[("grpc", "127.0.0.1:50051"), ("http", "off"), ("region", "US"), ("log", "json")],
    &[
        ("location", "residence"),
        ("trust", "stored"),
        ("verified_only", "true"),
        ("postures", "ca_texts_any_hour"),
        ("reserve_seconds", "120"),
    ],
    &[("webhook_ca", "/etc/ringfence/processors.pem"), ("webhook_private", "true"), ("selfcheck_hours", "12")],
    &[("access", "/etc/ringfence/access.toml"), ("webhook_loopback", "9000,9001")],
    &[
        ("privacy_officer", "Data protection, Acme"),
        ("privacy_contact", "privacy@acme.example"),
        ("request_days", "14"),
    ],
    &[
        ("audit_archive", "s3://acme-audit/ringfence"),
        ("audit_archive_endpoint", "https://objects.example"),
        ("audit_archive_region", "eu-central-1"),
        ("audit_archive_credentials", "/run/secrets/archive"),
        ("audit_archive_virtual_hosts", "true"),
        ("audit_keep_days", "90"),
        ("audit_segment_mib", "256"),
        ("audit_segment_hours", "6"),
    ],
    &[
        ("access", "/etc/ringfence/access.toml"),
        ("tenant_packs", "/etc/ringfence/tenants"),
        ("tls_cert", "/etc/ringfence/tls/tls.crt"),
        ("tls_key", "/etc/ringfence/tls/tls.key"),
        ("tls_client_ca", "/etc/ringfence/tls/clients.pem"),
        ("tls_client_crl", "/etc/ringfence/tls/clients.crl"),
        ("tenant_rate", "5000"),
        ("tenant_at_once", "500"),
        ("connections", "1024"),
        ("connections_per_address", "64"),
        ("streams", "128"),
        ("header_bytes", "8192"),
        ("idle_seconds", "120"),
        ("receive_seconds", "10"),
        ("checks_at_once", "2048"),
        ("slow_check_ms", "50"),
        ("otlp_endpoint", "http://127.0.0.1:4317"),
        ("otlp_percent", "5"),
    ],
    &[("access", "/etc/ringfence/access.toml"), ("insecure_no_tls", "true")],
    &[("keep_months", "24"), ("sweep_hours", "6")],
];

/// An example for each key of a `[[pinned]]` table, as it stands in the file.
const PINNED_EXAMPLE: &str = r#"[[pinned]]
name = "cn"
places = ["CN"]
at = "CN"
store = "rediss+sentinel://s1.cn,s2.cn,s3.cn/main"
store_user = "ringfence"
store_password_file = "/run/secrets/redis-cn"
store_ca = "/etc/ringfence/cn-ca.pem"
store_cert = "/etc/ringfence/cn.pem"
store_key = "/etc/ringfence/cn.key"
acks = 1
acked_from = "disk"
sentinel_user = "sentinel"
sentinel_password_file = "/run/secrets/sentinel-cn"
data = "/mnt/cn/ringfence"
"#;

/// Settings whose files are read again while the server runs.
const READ_AGAIN: [&str; 17] = [
    "keys",
    "registries",
    "packs",
    "emergencies",
    "shadow_packs",
    "store_password_file",
    "sentinel_password_file",
    "access",
    "tls_cert",
    "tls_key",
    "tls_client_ca",
    "tls_client_crl",
    "store_ca",
    "store_cert",
    "store_key",
    "webhook_ca",
    "tenant_packs",
];

/// Compares a document with what the program says now, or writes it where `RINGFENCE_BLESS` is set.
#[track_caller]
fn kept(path: &str, text: &str) {
    if std::env::var_os("RINGFENCE_BLESS").is_some() {
        std::fs::write(root().join(path), text).unwrap();
        return;
    }
    let kept = read(path);
    let line = kept.lines().zip(text.lines()).take_while(|(a, b)| a == b).count();
    assert!(kept == text, "{path} is stale from line {} on: run again with RINGFENCE_BLESS=1", line + 1);
}

/// A text as the cell of a table.
fn cell(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}

#[test]
fn the_reference_of_settings_is_fresh() {
    let examples: BTreeMap<_, _> = EXAMPLES.iter().rev().flat_map(|together| together.iter().copied()).collect();
    let mut text = read("tests/deploy/config-head.md");
    for (key, what, default) in KEYS {
        let example = examples.get(key).unwrap_or_else(|| panic!("tests/deploy/reference.rs: `{key}` has no example"));
        let default = if default.is_empty() { "none".to_owned() } else { format!("`{default}`") };
        let secret = if SECRET_FILES.contains(key) { "names a secret file" } else { "no" };
        let change = if READ_AGAIN.contains(key) { "its file is read again" } else { "at the start" };
        let what = cell(what);
        writeln!(text, "| `{key}` | {what} | {default} | `{example}` | {secret} | {change} |").unwrap();
    }
    text.push_str(
        "\n## Regions\n\nEach region beside the default store is a table `[[pinned]]` of the file, with these keys; no \
         variable stands\nfor any of them. What they mean: [regions.md](regions.md).\n\n| key of `[[pinned]]` | what | default \
         | example | secret |\n|---|---|---|---|---|\n",
    );
    for (key, what, default) in PINNED {
        let line = PINNED_EXAMPLE.lines().find_map(|line| line.strip_prefix(&format!("{key} = ")));
        let example = line.unwrap_or_else(|| panic!("tests/deploy/reference.rs: `{key}` of [[pinned]] has no example"));
        let default = if default.is_empty() { "none".to_owned() } else { format!("`{default}`") };
        let secret = if SECRET_FILES.contains(&key) { "names a secret file" } else { "no" };
        writeln!(text, "| `{key}` | {} | {default} | `{example}` | {secret} |", cell(what)).unwrap();
    }
    text.push_str("\n## Variables that are no settings\n\n| variable | what | secret |\n|---|---|---|\n");
    for (name, what, secret) in VARIABLES {
        writeln!(text, "| `{name}` | {} | {} |", cell(what), if secret { "**yes**" } else { "no" }).unwrap();
    }
    text.push_str(&read("tests/deploy/config-foot.md"));
    kept("deploy/config.md", &text);
}

/// What sets the program up by the environment stands in the list: those that only tests and benches read are left out.
#[test]
fn every_variable_of_the_program_is_in_the_reference() {
    const OF_TESTS: [&str; 3] = ["RINGFENCE_BENCH_", "RINGFENCE_BLESS", "RINGFENCE_SOAK_"];
    let mut missing = BTreeMap::new();
    let mut folders = vec![root().join("src")];
    while let Some(folder) = folders.pop() {
        for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            if path.extension().is_none_or(|extension| extension != "rs") || path.ends_with("config/sources.rs") {
                continue;
            }
            let code = std::fs::read_to_string(&path).unwrap();
            for rest in code.split("\"RINGFENCE_").skip(1) {
                let name = format!("RINGFENCE_{}", rest.split('"').next().unwrap());
                let key = name["RINGFENCE_".len()..].to_lowercase();
                let known = VARIABLES.iter().any(|(known, ..)| *known == name)
                    || KEYS.iter().any(|(known, ..)| *known == key)
                    || OF_TESTS.iter().any(|prefix| name.starts_with(prefix));
                // `RINGFENCE_` alone, or with what is filled in, is the name of any setting.
                if !known && !key.is_empty() && !key.contains(['{', ' ']) {
                    missing.insert(name, path.clone());
                }
            }
        }
    }
    assert!(missing.is_empty(), "stand in no reference: {missing:?}");
}

#[test]
fn the_server_takes_the_example_of_a_region() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ringfence.toml");
    std::fs::write(&file, PINNED_EXAMPLE).unwrap();
    let taken = config::resolve(&Sources { file: Some(&file), env: &|_| None, flag: &|_| None });
    assert_eq!(taken.err().unwrap_or_default(), [""; 0]);
}

#[test]
fn the_server_takes_every_example() {
    for together in EXAMPLES {
        let known = |key: &str| KEYS.iter().any(|(known, ..)| *known == key);
        let env = |name: &str| {
            let key = name.strip_prefix("RINGFENCE_")?.to_lowercase();
            together.iter().find(|(named, _)| *named == key && known(named)).map(|(_, example)| (*example).to_owned())
        };
        let faults = config::resolve(&Sources { file: None, env: &env, flag: &|_| None }).err().unwrap_or_default();
        assert!(faults.is_empty(), "{}", faults.join("\n"));
    }
}

/// The comments of a file, by where they stand.
struct Comments(BTreeMap<Vec<i32>, String>);

impl Comments {
    fn of(file: &FileDescriptorProto) -> Self {
        let all = file.source_code_info.iter().flat_map(|info| &info.location);
        Self(all.map(|at| (at.path.clone(), at.leading_comments().trim().to_owned())).collect())
    }

    fn at(&self, path: &[i32]) -> &str {
        self.0.get(path).map_or("", String::as_str)
    }
}

/// A paragraph for each one of the comment.
fn paragraphs(comment: &str) -> String {
    let lines: Vec<_> = comment.lines().map(str::trim).collect();
    let all = lines.split(|line| line.is_empty()).map(|lines| lines.join(" ")).filter(|text| !text.is_empty());
    all.map(|text| format!("{text}\n\n")).collect()
}

/// By which paths over HTTP a method is called, read off the routes.
fn paths() -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for line in read("src/http/mod.rs").lines().filter_map(|line| line.trim().strip_prefix(".route(\"")) {
        let (path, rest) = line.split_once('"').unwrap();
        let Some((verb, name)) = rest.trim_start_matches(", ").split_once("(json::") else { continue };
        let name = name.split(')').next().unwrap();
        let method: String =
            name.split('_').map(|word| word[..1].to_uppercase() + &word[1..]).collect::<Vec<_>>().concat();
        found.insert(method, format!("{} {path}", verb.to_uppercase()));
    }
    found
}

fn named(full: &str) -> String {
    let name = full.rsplit('.').next().unwrap();
    match full.strip_prefix(".ringfence.v1.") {
        Some(_) => format!("[{name}](#{})", name.to_lowercase()),
        None => format!("`{}`", full.trim_start_matches('.')),
    }
}

fn kind(field: &FieldDescriptorProto) -> String {
    let one = match field.r#type() {
        Type::Message | Type::Enum => named(field.type_name()),
        scalar => format!("`{}`", scalar.as_str_name().trim_start_matches("TYPE_").to_lowercase()),
    };
    match (field.label(), field.proto3_optional()) {
        (Label::Repeated, _) => format!("list of {one}"),
        (_, true) => format!("optional {one}"),
        _ => one,
    }
}

fn message(text: &mut String, message: &DescriptorProto, at: &[i32], comments: &Comments) {
    assert!(message.nested_type.is_empty() && message.enum_type.is_empty(), "{}: nothing is nested", message.name());
    write!(text, "### {}\n\n{}", message.name(), paragraphs(comments.at(at))).unwrap();
    if message.field.is_empty() {
        return;
    }
    text.push_str("| field | no. | type | what |\n|---|---|---|---|\n");
    for (n, field) in message.field.iter().enumerate() {
        let what = cell(comments.at(&[at, &[2, i32::try_from(n).unwrap()]].concat()));
        let choice = field.oneof_index.filter(|_| !field.proto3_optional());
        let choice = choice.map(|n| format!("One of `{}`. ", message.oneof_decl[usize::try_from(n).unwrap()].name()));
        let (name, number, kind) = (field.name(), field.number(), kind(field));
        writeln!(text, "| `{name}` | {number} | {kind} | {}{what} |", choice.unwrap_or_default()).unwrap();
    }
    text.push('\n');
}

fn enumeration(text: &mut String, enumeration: &EnumDescriptorProto, at: &[i32], comments: &Comments) {
    write!(text, "### {}\n\n{}", enumeration.name(), paragraphs(comments.at(at))).unwrap();
    text.push_str("| value | no. | what |\n|---|---|---|\n");
    for (n, value) in enumeration.value.iter().enumerate() {
        let what = cell(comments.at(&[at, &[2, i32::try_from(n).unwrap()]].concat()));
        writeln!(text, "| `{}` | {} | {what} |", value.name(), value.number()).unwrap();
    }
    text.push('\n');
}

#[test]
fn the_reference_of_the_api_is_fresh() {
    let mut files = FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).unwrap().file;
    files.retain(|file| file.package() == "ringfence.v1");
    let paths = paths();
    assert!(paths.len() > 20, "{paths:?}");
    let (mut services, mut rest) = (Vec::new(), String::new());
    let number = |n: usize| i32::try_from(n).unwrap();
    for file in &files {
        let comments = Comments::of(file);
        for (n, service) in file.service.iter().enumerate() {
            let mut text = format!("## {}\n\n{}", service.name(), paragraphs(comments.at(&[6, number(n)])));
            for (m, method) in service.method.iter().enumerate() {
                let stream = |streamed: bool| if streamed { "stream of " } else { "" };
                let (asked, answered) = (named(method.input_type()), named(method.output_type()));
                let (from, to) = (stream(method.client_streaming()), stream(method.server_streaming()));
                let path = paths.get(method.name()).map_or_else(|| "gRPC only".to_owned(), |path| format!("`{path}`"));
                let what = paragraphs(comments.at(&[6, number(n), 2, number(m)]));
                let name = format!("### {}.{}", service.name(), method.name());
                write!(text, "{name}\n\n{from}{asked} → {to}{answered} · {path}\n\n{what}").unwrap();
            }
            services.push((service.name().to_owned(), text));
        }
        let about = paragraphs(comments.at(&[12]));
        if !(file.message_type.is_empty() && file.enum_type.is_empty()) {
            write!(rest, "## {}\n\n{about}", file.name()).unwrap();
        }
        for (n, one) in file.message_type.iter().enumerate() {
            message(&mut rest, one, &[4, number(n)], &comments);
        }
        for (n, one) in file.enum_type.iter().enumerate() {
            enumeration(&mut rest, one, &[5, number(n)], &comments);
        }
    }
    services.sort();
    let mut text = read("tests/deploy/api-head.md");
    // What a caller of HTTP cannot guess.
    let deadline = format!("`{}`", ringfence::service::TIMEOUT_HEADER);
    assert!(text.contains(&deadline) && read("README.md").contains(&deadline), "{deadline} is not told");
    for (name, _) in &services {
        writeln!(text, "- [{name}](#{})", name.to_lowercase()).unwrap();
    }
    text.push('\n');
    text.extend(services.into_iter().map(|(_, service)| service));
    text.push_str(&rest);
    kept("deploy/api.md", &format!("{}\n", text.trim_end()));
}
