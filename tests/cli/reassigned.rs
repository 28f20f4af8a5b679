//! `reassigned`: what is asked of the database, what its answers do to consents, and that none of it shows numbers.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use super::server::serve_with;
use super::{Home, with};

/// One consent of two for the first number, one for each other; the last is Canadian.
const CONSENTS: &str = "number,grade,given_at,withdrawn_at,expires_at,sellers\n\
    +12025550143,express_written,2024-05-01T18:00:00Z,,,acme\n\
    +12025550143,express_written,2025-02-02T03:00:00Z,,,acme\n\
    +12025550143,express,2025-02-02T20:00:00Z,2025-03-01T00:00:00Z,,acme\n\
    +13055550123,express_written,2020-05-01T18:00:00Z,,,acme\n\
    +14155550143,express,2023-01-01T18:00:00Z,,2024-01-01T18:00:00Z,acme\n\
    +16045550123,express,2023-01-01T18:00:00Z,,,acme\n";

const ASKED: [&str; 3] = ["2025550143,2024-05-01", "2025550143,2025-02-01", "3055550123,2020-05-01"];

/// About an informational text to the first number, whatever the hour.
const CHECK: [&str; 10] = [
    "check",
    "+12025550143",
    "--channel=text",
    "--purpose=informational",
    "--technology=autodialer",
    "--recipient=consumer",
    "--line-type=mobile",
    "--seller=acme",
    "--at=2026-11-18T17:00:00Z",
    "--json",
];

fn consented() -> Home {
    let home = Home::new();
    fs::create_dir(home.path("ringfence-data")).unwrap();
    home.write("consents.csv", CONSENTS);
    home.run(&["contact", "import", "consents.csv", "--kind=consent", "--json"]).code(0);
    home
}

fn lines(home: &Home, file: &str) -> Vec<String> {
    let mut lines: Vec<_> = home.read(file).lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

/// The rule that denies, among those of reassigned numbers and consent; empty where none does.
fn denied(home: &Home, at: &[&str]) -> Vec<String> {
    let answer = home.run(&with(&CHECK, at)).json();
    let reasons = answer["reasons"].as_array().cloned().unwrap_or_default();
    reasons.iter().map(|reason| reason["ruleId"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn what_still_covers_is_asked_about_and_what_is_answered_counts_at_once() {
    let home = consented();
    let query = ["reassigned", "query", "--out=ask.csv", "--json"];
    let told = home.run(&query).code(0).json();
    assert_eq!(
        (&told["rows"], &told["numbers"], &told["beforeTheDatabase"]),
        (&3.into(), &2.into(), &1.into()),
        "{told}"
    );
    assert_eq!(lines(&home, "ask.csv"), ASKED);
    assert_eq!(fs::metadata(home.path("ask.csv")).unwrap().permissions().mode() & 0o777, 0o600);
    home.run(&query).refused(&["ask.csv", "is there already"]);
    // By as many files as it takes, and whole or not at all.
    home.run(&["reassigned", "query", "--out=few.csv", "--most-rows=2"]).code(0).says(&["few.csv", "few-2.csv"]);
    assert_eq!((lines(&home, "few.csv").len(), lines(&home, "few-2.csv").len()), (2, 1));
    assert!(denied(&home, &[]).is_empty());

    // The database's own words, without a line that names the columns; what is no answer is refused.
    home.write(
        "answers.csv",
        "2025550143,2024-05-01,yes\n2025550143,02/01/2025,no\n3055550123,2020-05-01,no_data\n\
         3055550123,2020-05-01,perhaps\n3055550123,,no\n3055550123,2027-01-01,no\n+442079460018,2020-05-01,no\n\
         3055550123,2020-5-1,yes\n",
    );
    let import = ["reassigned", "import", "answers.csv", "--checked-at=2025-06-10T15:00:00Z", "--json"];
    let told = home.run(&with(&import, &["--rejected=bad.csv"])).code(1).json();
    assert_eq!(
        (&told["accepted"], &told["repeated"], &told["yes"], &told["no"], &told["no_data"]),
        (&3.into(), &0.into(), &1.into(), &1.into(), &1.into())
    );
    let refused: Vec<_> = told["rejections"].as_array().unwrap().iter().collect();
    let refused: Vec<_> = refused.iter().map(|w| (w["line"].as_u64().unwrap(), w["field"].as_str().unwrap())).collect();
    assert_eq!(refused, [(4, "answer"), (5, "date"), (6, "date"), (7, "number"), (8, "date")]);
    assert_eq!(
        home.read("bad.csv").lines().next().unwrap(),
        "3055550123,2020-05-01,perhaps,4,answer,is none of yes, no and no_data"
            .replace("is none of yes, no and no_data", "\"is none of yes, no and no_data\"")
    );
    // Again: nothing twice.
    let told = home.run(&import).code(1).json();
    assert_eq!((&told["accepted"], &told["repeated"]), (&0.into(), &3.into()));

    // The first consent is gone with its giver; the second was given since a date about which the answer was no.
    assert!(denied(&home, &[]).is_empty());
    let shown = home.run(&["contact", "show", "+12025550143"]).quietly(0);
    let shown = shown.says(&["reassigned no about 2025-02-01", "reassigned yes about 2024-05-01", "by answers.csv"]);
    assert!(!shown.out.contains("2025550143"));
    home.run(&["reassigned", "query", "--out=again.csv"]).code(0);
    assert_eq!(lines(&home, "again.csv"), ASKED[1..]);
    home.run(&["reassigned", "query", "--out=none.csv", "--not-asked-since=2025-06-01T00:00:00Z"]).code(0);
    assert!(lines(&home, "none.csv").is_empty());

    // Given up again: no consent is left. What the database cannot say later brings none back.
    for (file, answer, at) in [("july.csv", "yes", "2025-07-10"), ("august.csv", "no_data", "2025-08-10")] {
        home.write(file, format!("Phone Number;Ref;Date;Response\n(202) 555-0143;7;2025-02-01;{answer}\n"));
        let at = format!("--checked-at={at}T15:00:00Z");
        home.run(&["reassigned", "import", file, &at, "--json"]).code(0);
        assert_eq!(denied(&home, &[]), ["us.rnd.reassigned", "us.tcpa.consent.mobile_nonmarketing"]);
    }
    home.run(&["audit", "verify"]).quietly(0).says(&["SOUND"]);
    home.run(&["audit", "replay"]).code(0);
}

#[test]
fn a_server_is_asked_and_told_alike() {
    let home = consented();
    let server = serve_with(&home, &[]);
    let at = ["--server", server.url.as_str()];
    home.run(&with(&["reassigned", "query", "--out=ask.csv"], &at)).code(0).says(&["3 rows for 2 numbers"]);
    assert_eq!(lines(&home, "ask.csv"), ASKED);
    // A pipe is no terminal.
    let piped = home.run(&with(&["reassigned", "query", "--out=-"], &at));
    assert_eq!((piped.code, piped.out.lines().count()), (Some(0), 3));
    home.write("answers.csv", "number,date,answer\n2025550143,2024-05-01,yes\n2025550143,,yes\n");
    let import = with(&["reassigned", "import", "answers.csv", "--checked-at=2025-06-10T15:00:00Z"], &at);
    home.run(&import).code(0).says(&["2 recorded"]);
    assert_eq!(denied(&home, &at), ["us.rnd.reassigned", "us.tcpa.consent.mobile_nonmarketing"]);
    home.run(&["reassigned", "import", "answers.csv", "--checked-at=2999-01-01T00:00:00Z"]).refused(&["--checked-at"]);
    home.write("what.csv", "number,when,answer\n2025550143,2024-05-01,yes\n");
    home.run(&["reassigned", "import", "what.csv", "--checked-at=2025-06-10T15:00:00Z"])
        .refused(&["what.csv", "--date-column"]);
}
