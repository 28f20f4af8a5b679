//! The real program: own lists of tenants, in files. One on a tenant's list is denied to it and to nobody else, by whichever
//! road is asked; a file is taken up by the tenant whose it is, and one that was made for another by nobody.

use std::fs;

use ringfence::proto::v1;
use ringfence::proto::v1::check_service_client::CheckServiceClient;
use ringfence::service::now;
use serde_json::{Value, json};

use super::credentials::{Folder, Server, ask, until};
use super::support::{HOUSE_RULES, OWN_LIST as LIST, notice, told_by_own_list};

/// German landlines, which may be told something at any hour.
const OF_ACME: &str = "+4930231250";
const OF_BETA: &str = "+4930231260";
const OF_NOBODY: &str = "+4930231270";

/// A folder with a rule for everybody's own list, and those of two tenants.
fn house() -> Folder {
    let folder = Folder::new();
    fs::create_dir_all(folder.path("lists")).unwrap();
    fs::create_dir_all(folder.path("packs")).unwrap();
    fs::write(folder.path("packs/house.toml"), HOUSE_RULES).unwrap();
    import(&folder, "acme", OF_ACME);
    import(&folder, "beta", OF_BETA);
    folder
}

fn import(folder: &Folder, tenant: &str, numbers: &str) {
    fs::write(folder.path("numbers.txt"), numbers).unwrap();
    let as_of = now().to_string();
    let of = ["registry", "import", LIST, "numbers.txt", "--registries=lists", "--tenant", tenant, "--as-of", &as_of];
    folder.run(&of);
}

fn serve(folder: &Folder) -> Server {
    folder.serve(&[("registries", "lists"), ("packs", "packs")])
}

fn file_of(tenant: &str) -> String {
    format!("lists/tenants/{tenant}/{LIST}.set")
}

/// As an operator would that mistook a folder: beside it, then renamed.
fn copy(folder: &Folder, from: &str, to: &str) {
    let to = folder.path(&file_of(to));
    fs::create_dir_all(to.parent().unwrap()).unwrap();
    fs::copy(folder.path(&file_of(from)), to.with_extension("tmp")).unwrap();
    fs::rename(to.with_extension("tmp"), to).unwrap();
}

fn question(number: &str) -> v1::CheckRequest {
    v1::CheckRequest { dry_run: true, ..notice(number) }
}

fn post(server: &Server, key: &str, path: &str, body: &Value) -> Value {
    let (code, answer) = ask(server.http, "POST", path, Some(key), &body.to_string());
    assert_eq!(code, 200, "{path}: {answer}");
    answer
}

fn decision(server: &Server, key: &str, number: &str) -> Value {
    post(server, key, "/v1/check", &json!(question(number)))["decision"].clone()
}

/// Why the list denies; `None`: the contact is allowed.
fn why(decision: &Value) -> Option<String> {
    told_by_own_list(&serde_json::from_value(decision.clone()).unwrap())
}

fn told(server: &Server, key: &str, number: &str) -> Option<String> {
    why(&decision(server, key, number))
}

/// The same asked by every road.
async fn told_by_all(server: &Server, key: &str, number: &str) -> Option<String> {
    let single = told(server, key, number);
    let batch = post(server, key, "/v1/check:batch", &json!({ "checks": [question(OF_NOBODY), question(number)] }));
    assert_eq!(why(&batch["results"][1]["decision"]), single, "in a batch");
    let endpoint = tonic::transport::Endpoint::from_shared(format!("http://{}", server.grpc)).unwrap();
    let bearer: tonic::metadata::MetadataValue<_> = format!("Bearer {key}").parse().unwrap();
    let mut client = CheckServiceClient::with_interceptor(
        endpoint.connect().await.unwrap(),
        move |mut request: tonic::Request<()>| {
            request.metadata_mut().insert("authorization", bearer.clone());
            Ok(request)
        },
    );
    let asked = v1::CheckStreamRequest { check: Some(question(number)) };
    let mut answers = client.check_stream(tokio_stream::iter([asked])).await.unwrap().into_inner();
    let answer = serde_json::to_value(answers.message().await.unwrap().unwrap()).unwrap();
    assert_eq!(why(&answer["result"]["decision"]), single, "in a stream: {answer}");
    single
}

/// What is said of the list: loaded, how many numbers, which version.
fn registry(server: &Server, key: &str) -> Value {
    let all = post(server, key, "/v1/registries:list", &json!({}));
    let found = all["registries"].as_array().unwrap().iter().find(|one| one["registry"] == LIST).cloned();
    found.unwrap_or_else(|| panic!("{all}"))
}

fn listing(server: &Server, key: &str, number: &str) -> Value {
    let asked = json!({ "number": number, "registries": [LIST] });
    post(server, key, "/v1/registries:lookUp", &asked)["answers"][0].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_in_a_file_is_its_tenants_alone_by_every_road() {
    let folder = house();
    let roles = "check,manage-lists";
    let (acme, beta) = (folder.admit("a", "acme", roles), folder.admit("b", "beta", roles));
    let (first, operator) = (folder.admit("d", "default", roles), folder.admit("o", "acme", "operate"));
    let server = serve(&folder);
    for (key, own, others) in [(&acme, OF_ACME, OF_BETA), (&beta, OF_BETA, OF_ACME)] {
        assert!(told_by_all(&server, key, own).await.unwrap().contains("The number is on tenant.litigators"));
        assert_eq!(told_by_all(&server, key, others).await, None);
        assert_eq!(listing(&server, key, own)["listing"], "LISTING_LISTED");
        assert_eq!(listing(&server, key, others)["listing"], "LISTING_NOT_LISTED");
        let known = registry(&server, key);
        assert_eq!((&known["loaded"], &known["numbers"]), (&json!(true), &json!("1")), "{known}");
        assert!(known["importedAt"].as_str().unwrap() >= known["asOf"].as_str().unwrap(), "{known}");
        // The copy that a decision names, which its proof shows, is that of its own.
        let copies = decision(&server, key, others)["registryCopies"].clone();
        let copy = copies.as_array().unwrap().iter().find(|one| one["registry"] == LIST).unwrap();
        assert_eq!(copy["version"], known["version"]);
    }
    assert_ne!(registry(&server, &acme)["version"], registry(&server, &beta)["version"]);
    for number in [OF_ACME, OF_BETA] {
        assert!(told_by_all(&server, &first, number).await.unwrap().contains("none is loaded"));
        assert_eq!(listing(&server, &first, number)["listing"], "LISTING_UNKNOWN");
    }
    assert_ne!(registry(&server, &first)["loaded"], json!(true), "a rule asks for it");
    // Whoever runs the server sees all; a tenant does not.
    let (code, metrics) = ask(server.http, "GET", "/metrics", Some(&operator), "");
    let metrics = metrics.as_str().unwrap();
    for tenant in ["acme", "beta"] {
        let age = format!("ringfence_registry_age_seconds{{registry=\"{LIST}\",tenant=\"{tenant}\"}}");
        assert!(code == 200 && metrics.contains(&age), "{metrics}");
    }
    assert_eq!(ask(server.http, "GET", "/metrics", Some(&beta), "").0, 403);
}

#[test]
fn what_changes_in_one_folder_is_picked_up_by_its_tenant_alone() {
    let folder = house();
    let roles = "check,manage-lists";
    let (acme, beta) = (folder.admit("a", "acme", roles), folder.admit("b", "beta", roles));
    let server = serve(&folder);
    let of_beta = registry(&server, &beta);
    assert_eq!(told(&server, &acme, OF_NOBODY), None);
    import(&folder, "acme", &format!("{OF_ACME}\n{OF_NOBODY}\n"));
    until("the new file is taken up", || told(&server, &acme, OF_NOBODY).is_some());
    assert_eq!((told(&server, &beta, OF_NOBODY), registry(&server, &beta)), (None, of_beta));
    fs::remove_file(folder.path(&file_of("acme"))).unwrap();
    until("a file that is gone is missed", || told(&server, &acme, OF_BETA).is_some_and(|why| why.contains("none is")));
    assert_eq!(told(&server, &beta, OF_ACME), None, "beta has its own");
    // An official list is no tenant's own.
    fs::write(folder.path("lists/tenants/beta/uk.tps.txt"), "# as_of=2026-11-20T04:00:00Z\n+442079460000\n").unwrap();
    until("it is told", || folder.said().contains("is an official list in the folder of one tenant"));
    for key in [&acme, &beta] {
        let seen = post(&server, key, "/v1/registries:lookUp", &json!({"number": "+442079460000"}));
        assert!(!seen.to_string().contains("uk.tps"), "{seen}");
    }
}

#[test]
fn a_file_made_for_one_tenant_is_refused_to_another_and_says_why() {
    let folder = house();
    let roles = "check,manage-lists";
    let (acme, beta) = (folder.admit("a", "acme", roles), folder.admit("b", "beta", roles));
    let operator = folder.admit("o", "default", "operate,check");
    let server = serve(&folder);
    copy(&folder, "acme", "beta");
    until("it is refused", || folder.said().contains("it was made for another tenant"));
    assert_eq!(told(&server, &beta, OF_ACME), None);
    assert!(told(&server, &beta, OF_BETA).is_some(), "the list that was in force stays so");
    let (_, ready) = ask(server.http, "GET", "/readyz", Some(&operator), "");
    let faults = ready["registryFaults"].as_array().unwrap();
    assert!(faults.len() == 1 && faults[0].as_str().unwrap().contains("--tenant"), "{ready}");
    assert!(ask(server.http, "GET", "/readyz", Some(&acme), "").1["registryFaults"].is_null());
    // Nor is the first tenant's another's, or another's the first's.
    fs::copy(folder.path(&file_of("acme")), folder.path(&format!("lists/{LIST}.set"))).unwrap();
    until("both are told", || {
        let (_, ready) = ask(server.http, "GET", "/readyz", Some(&operator), "");
        ready["registryFaults"].as_array().is_some_and(|faults| faults.len() == 2)
    });
    assert!(told(&server, &operator, OF_ACME).unwrap().contains("none is loaded"));
    let file = file_of("beta");
    let inspect = |more: &[&str]| folder.program().args(["registry", "inspect", &file]).args(more).output().unwrap();
    let ran = inspect(&[]);
    assert!(String::from_utf8_lossy(&ran.stdout).contains("ANOTHER TENANT than beta") && !ran.status.success());
    let ran = inspect(&["--tenant=acme"]);
    assert!(String::from_utf8_lossy(&ran.stdout).contains("made for  the tenant acme"), "{ran:?}");
}

#[test]
fn a_tenant_that_comes_later_sees_its_lists_at_once_and_a_folder_of_nobody_is_named() {
    let folder = house();
    let acme = folder.admit("a", "acme", "check");
    let server = serve(&folder);
    until("it is told", || folder.said().contains("no tenant of this name is known"));
    assert!(told(&server, &acme, OF_ACME).is_some());
    let beta = folder.admit("b", "beta", "check");
    until("beta may ask", || {
        ask(server.http, "POST", "/v1/check", Some(&beta), &json!(question(OF_BETA)).to_string()).0 == 200
    });
    // Known by the first question that is answered at all.
    assert!(told(&server, &beta, OF_BETA).unwrap().contains("The number is on tenant.litigators"));
    assert_eq!(told(&server, &beta, OF_ACME), None);
}

#[test]
fn settings_and_doctor_look_into_every_tenants_folder() {
    let folder = house();
    folder.admit("a", "acme", "check");
    copy(&folder, "acme", "gone");
    fs::write(folder.path("lists/tenants/acme/tenant.other.txt"), "no list").unwrap();
    let looked = |command: &[&str]| {
        let mut program = folder.program();
        program.env("RINGFENCE_ACCESS", "ringfence-access.toml").env("RINGFENCE_REGISTRIES", "lists");
        let ran = program.env("RINGFENCE_PACKS", "packs").args(command).output().unwrap();
        String::from_utf8(ran.stdout).unwrap()
    };
    for command in [&["config", "check"][..], &["doctor"]] {
        let said = looked(command);
        for word in ["tenants/beta", "tenants/gone", "no tenant of this name", "tenant.other.txt", "no `as_of`"] {
            assert!(said.contains(word), "{word} in {said}");
        }
        assert!(!said.contains("no keys are known"), "{said}");
    }
    let said = looked(&["doctor"]);
    assert!(said.contains("acme/tenant.litigators") && said.contains("for policy.litigators"), "{said}");
    let refused = folder.refused(&[
        "registry",
        "import",
        LIST,
        "numbers.txt",
        "--registries=lists",
        "--tenant=../acme",
        "--as-of=2026-11-20T04:00:00Z",
    ]);
    assert!(refused.contains("--tenant is not"), "{refused}");
}
