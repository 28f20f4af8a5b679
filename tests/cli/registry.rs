//! `registry put`, `add`, `remove` and `look-up`, over the data folder; `list`, also of a server.

use ringfence::registry::set::{Areas, Builder, Day, Header, write};
use ringfence::time::Instant;

use super::server::serve_with;
use super::{DIGITS, Home, with, with_data};

const LIST: &str = "tenant.litigators";
const NUMBER: &str = "+13055550123";

fn ids(home: &Home) -> Vec<String> {
    let seen = home.run(&["registry", "look-up", NUMBER, "--json"]);
    let answers = seen.json()["answers"].as_array().cloned().unwrap_or_default();
    answers
        .iter()
        .map(|one| format!("{} {}", one["registry"].as_str().unwrap(), one["listing"].as_str().unwrap()))
        .collect()
}

#[test]
fn a_list_of_ones_own_is_begun_filled_looked_into_and_emptied() {
    let home = with_data();
    home.run(&["registry", "add", LIST, NUMBER]).refused(&["no list of this id is known", "--request-id"]);
    let by = ["--who=ann", "--why=Counsel keeps it."];
    let put = |more: &[&str]| home.run(&[&["registry", "put", LIST], &by[..], more].concat());
    put(&["--complete"]).quietly(0).says(&["what is added is all there is", "request "]);
    assert_eq!(ids(&home), ["tenant.litigators LISTING_NOT_LISTED"]);
    let added = home.run(&["registry", "add", LIST, NUMBER, "nobody 2025550143", "--request-id=a-1"]).quietly(1);
    let added = added.says(&["+1305555••23  put on", "nobody ••••••••••  refused", "request a-1"]);
    assert!(DIGITS.iter().all(|digits| !added.out.contains(digits)), "{}", added.out);
    home.run(&["registry", "add", LIST, NUMBER]).quietly(0).says(&["on it already"]);
    assert_eq!(ids(&home), ["tenant.litigators LISTING_LISTED"]);
    let seen = home.run(&["registry", "look-up", NUMBER, "--list", LIST, "--list=uk.tps"]).quietly(1);
    seen.says(&["listed, since 20", "put on by `registry add`", "uk.tps               unknown"]);
    home.run(&["contact", "show", NUMBER]).quietly(0).says(&["list       tenant.litigators, since 20"]);
    home.run(&["registry", "remove", LIST, NUMBER]).quietly(0).says(&["+1305555••23  taken off"]);
    home.run(&["registry", "remove", LIST, NUMBER]).quietly(0).says(&["was not put on"]);
    home.run(&["registry", "look-up", NUMBER]).quietly(0).says(&["not listed"]);
    home.run(&["registry", "add", "us.dnc.national", NUMBER]).refused(&["list", "kept by others"]);
    home.run(&["registry", "add", LIST]).refused(&["NUMBER"]);
}

#[test]
fn what_is_loaded_is_told_with_what_it_covers() {
    let home = with_data();
    home.run(&["registry", "list"]).quietly(0).says(&["us.dnc.national", "National Do Not Call Registry"]);
    std::fs::create_dir(home.path("lists")).unwrap();
    let at = |text| Instant::from_rfc3339(text).unwrap();
    let header = Header {
        areas: Some(Areas::read("202,305").unwrap()),
        full_as_of: Some(at("2026-01-01T06:00:00Z")),
        ..Header::new("us.dnc.national", at("2026-01-10T06:00:00Z"), "", true)
    };
    let mut builder = Builder::default();
    builder.add(12_025_550_143, Day::NONE);
    write(&home.path("lists/us.dnc.national.set"), header, builder).unwrap();
    home.write("lists/uk.tps.txt", "# as_of=2026-01-10T06:00:00Z\n+442079460000\n");
    let lines = [
        "us.dnc.national      1 numbers as of 2026-01-10T06:00:00Z; too old from 2026-02-10T06:00:00.001Z; a SAMPLE",
        "full copy 2026-01-01T06:00:00Z; changes since",
        "areas 202,305; of a number elsewhere it says nothing",
        "us.dnc.fl            NOT LOADED, and asked for by us.fl.",
    ];
    let loaded = ["registry", "list", "--loaded"];
    let here = home.run(&with(&loaded, &["--registries=lists"])).quietly(0).says(&lines);
    let tps = here.out.lines().skip_while(|line| !line.starts_with("uk.tps")).nth(1).unwrap_or_default();
    assert!(!tps.starts_with(' '), "a whole copy has nothing more to tell: {tps}");
    let look_up = |number| {
        let list = ["registry", "look-up", number, "--list=us.dnc.national", "--list=us.dnc.fl", "--registries=lists"];
        home.run(&list).quietly(1).out
    };
    let elsewhere = look_up("+12125550143");
    let said = |list: &str| elsewhere.lines().find(|line| line.trim().starts_with(list)).unwrap().to_owned();
    assert!(
        said("us.dnc.national").contains("unknown: the loaded copy does not speak for this area code"),
        "{elsewhere}"
    );
    assert!(said("us.dnc.fl").contains("unknown: no copy is loaded"), "{elsewhere}");
    assert!(look_up("+12025550144").contains("not listed, copy"));
    let server = serve_with(&home, &["--registries=lists"]);
    assert_eq!(home.run(&with(&loaded, &["--server", &server.url])).quietly(0).says(&lines).out, here.out);
    let json = home.run(&with(&loaded, &["--server", &server.url, "--json"])).quietly(0).json();
    let all = json["registries"].as_array().unwrap();
    let national = all.iter().find(|one| one["registry"] == "us.dnc.national").unwrap();
    assert_eq!((&national["areas"], &national["fullAsOf"]), (&"202,305".into(), &"2026-01-01T06:00:00Z".into()));
}
