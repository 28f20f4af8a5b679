//! `registry put`, `add`, `remove` and `look-up`, over the data folder.

use super::{DIGITS, Home, with_data};

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
