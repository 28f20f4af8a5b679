//! `reassigned`: what is asked of the database, what its answers do to consents, and that none of it shows numbers. And the
//! lists that tell the kind of a line.

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

/// About an informational call by a machine, whatever the hour.
const CHECK: [&str; 9] = [
    "check",
    "--channel=call",
    "--purpose=informational",
    "--technology=autodialer",
    "--recipient=consumer",
    "--seller=acme",
    "--at=2025-11-18T17:00:00Z",
    "--json",
    "--server",
];

const NUMBER: &str = "+12025550143";
const NO_CONSENT: &str = "us.tcpa.consent.mobile_nonmarketing";

fn lines(home: &Home, file: &str) -> Vec<String> {
    let mut lines: Vec<_> = home.read(file).lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

/// The rules that deny.
fn denied(home: &Home, server: &str, number: &str, line: &str) -> Vec<String> {
    let answer = home.run(&with(&CHECK, &[server, number, line])).json();
    let reasons = answer["reasons"].as_array().cloned().unwrap_or_default();
    reasons.iter().map(|reason| reason["ruleId"].as_str().unwrap().to_owned()).collect()
}

/// A list in the folder, from a file of these lines.
fn list(home: &Home, id: &str, text: &str) {
    home.write("list.csv", text);
    home.run(&["registry", "import", id, "list.csv", "--registries=lists", "--as-of=2025-11-15T00:00:00Z"]).code(0);
}

#[test]
fn what_still_covers_is_asked_about_and_what_is_answered_counts_at_once() {
    let home = Home::new();
    fs::create_dir(home.path("ringfence-data")).unwrap();
    fs::create_dir(home.path("lists")).unwrap();
    list(&home, "us.line.wireless_blocks", "NPA,NXX,X,type\n\"212\",\"555\",\"1\",\"PCS\",\n");
    list(&home, "us.line.ported_to_wireline", "2125551200\n2125551300\n");
    list(&home, "us.line.ported_to_wireless", "2125550300\n2125551300\n");
    let server = serve_with(&home, &["--registries=lists"]);
    let url = server.url.as_str();
    let at = ["--server", url];
    kinds_of_lines(&home, url);

    home.write("consents.csv", CONSENTS);
    home.run(&with(&["contact", "import", "consents.csv", "--kind=consent"], &at)).code(0);
    let query = with(&["reassigned", "query", "--out=ask.csv", "--json"], &at);
    let told = home.run(&query).code(0).json();
    assert_eq!((&told["rows"], &told["numbers"], &told["beforeTheDatabase"]), (&3.into(), &2.into(), &1.into()));
    assert_eq!(lines(&home, "ask.csv"), ASKED);
    assert_eq!(fs::metadata(home.path("ask.csv")).unwrap().permissions().mode() & 0o777, 0o600);
    home.run(&query).refused(&["ask.csv", "is there already"]);
    // In as many files as it takes; a pipe is no terminal.
    let few = with(&["reassigned", "query", "--out=few.csv", "--most-rows=2"], &at);
    home.run(&few).code(0).says(&["few.csv", "few-2.csv"]);
    assert_eq!((lines(&home, "few.csv").len(), lines(&home, "few-2.csv").len()), (2, 1));
    assert_eq!(home.run(&with(&["reassigned", "query", "--out=-"], &at)).code(0).out.lines().count(), 3);
    assert!(denied(&home, url, NUMBER, "--line-type=mobile").is_empty());

    // The database's own words, without a line that names the columns; what is no answer is refused.
    home.write(
        "answers.csv",
        "2025550143,2024-05-01,yes\n2025550143,02/01/2025,no\n3055550123,2020-05-01,no_data\n\
         3055550123,2020-05-01,perhaps\n3055550123,,no\n3055550123,2027-01-01,no\n+442079460018,2020-05-01,no\n\
         3055550123,2020-5-1,yes\n",
    );
    let import = with(&["reassigned", "import", "answers.csv", "--checked-at=2025-06-10T15:00:00Z", "--json"], &at);
    let told = home.run(&with(&import, &["--rejected=bad.csv"])).code(1).json();
    let counts = ["accepted", "repeated", "yes", "no", "no_data"].map(|count| told[count].as_u64().unwrap());
    assert_eq!(counts, [3, 0, 1, 1, 1]);
    let refused: Vec<_> = told["rejections"].as_array().unwrap().iter().collect();
    let refused: Vec<_> = refused.iter().map(|w| (w["line"].as_u64().unwrap(), w["field"].as_str().unwrap())).collect();
    assert_eq!(refused, [(4, "answer"), (5, "date"), (6, "date"), (7, "number"), (8, "date")]);
    assert!(home.read("bad.csv").starts_with("3055550123,2020-05-01,perhaps,4,answer,"));
    // Again: nothing twice.
    let told = home.run(&import).code(1).json();
    assert_eq!((&told["accepted"], &told["repeated"]), (&0.into(), &3.into()));

    // The first consent is gone with its giver; the second was given since a date about which the answer was no.
    assert!(denied(&home, url, NUMBER, "--line-type=mobile").is_empty());
    let shown = home.run(&with(&["contact", "show", NUMBER], &at)).quietly(0);
    let shown = shown.says(&["reassigned no about 2025-02-01", "reassigned yes about 2024-05-01", "by answers.csv"]);
    assert!(!shown.out.contains("2025550143"));
    home.run(&with(&["reassigned", "query", "--out=again.csv"], &at)).code(0);
    assert_eq!(lines(&home, "again.csv"), ASKED[1..]);
    let none = with(&["reassigned", "query", "--out=none.csv", "--not-asked-since=2025-06-01T00:00:00Z"], &at);
    home.run(&none).code(0);
    assert!(lines(&home, "none.csv").is_empty());

    // Given up again: no consent is left. What the database cannot say later brings none back.
    for (file, answer, asked) in [("july.csv", "yes", "2025-07-10"), ("august.csv", "no_data", "2025-08-10")] {
        home.write(file, format!("Phone Number;Ref;Date;Response\n(202) 555-0143;7;2025-02-01;{answer}\n"));
        let asked = format!("--checked-at={asked}T15:00:00Z");
        home.run(&with(&["reassigned", "import", file, &asked], &at)).code(0).says(&["1 recorded"]);
        let denied = denied(&home, url, NUMBER, "--line-type=mobile");
        assert!(denied.iter().any(|rule| rule == "us.rnd.reassigned"), "{denied:?}");
        assert!(denied.iter().any(|rule| rule == NO_CONSENT), "{denied:?}");
    }
    home.run(&["reassigned", "import", "july.csv", "--checked-at=2999-01-01T00:00:00Z"]).refused(&["--checked-at"]);
    // An open quote: a yes among what it swallows would be lost.
    home.write("quote.csv", "number,date,answer,note\n2025550143,2024-05-01,no,\"a\n3055550123,2020-05-01,yes,b\n2025550143,2025-02-01,no,\"c\"\n");
    let quote = with(&["reassigned", "import", "quote.csv", "--checked-at=2025-06-10T15:00:00Z", "--json"], &at);
    let told = home.run(&quote).code(1).json();
    assert_eq!(
        (&told["accepted"], &told["rejected"], &told["rejections"][0]["line"]),
        (&0.into(), &1.into(), &2.into())
    );
    assert!(told["rejections"][0]["message"].as_str().unwrap().contains("quote"), "{told}");
    home.write("short.csv", "number,date,answer,note\n2025550143,2024-05-01,no\n");
    let short = with(&["reassigned", "import", "short.csv", "--checked-at=2025-06-10T15:00:00Z"], &at);
    let told = home.run(&short).code(1).says(&["1 refused"]);
    assert!(told.err.contains("line 2: has 3 fields"), "{}", told.err);
    home.write("what.csv", "number,when,answer\n2025550143,2024-05-01,yes\n");
    let what = ["reassigned", "import", "what.csv", "--checked-at=2025-06-10T15:00:00Z"];
    home.run(&what).refused(&["what.csv", "--date-column"]);
    drop(server);
    // With every answer, and what the lists of lines said.
    home.run(&["audit", "replay"]).code(0).says(&["REPRODUCED"]);
}

/// Asserted to be landlines: a block given to wireless carriers says otherwise, but for what was ported since.
fn kinds_of_lines(home: &Home, url: &str) {
    for (number, mobile) in [
        ("+12125550100", false),
        ("+12125551100", true),
        ("+12125551200", false),
        ("+12125551300", true),
        ("+12125550300", true),
    ] {
        let denied = denied(home, url, number, "--line-type=landline");
        assert_eq!(denied.iter().any(|rule| rule == NO_CONSENT), mobile, "{number}: {denied:?}");
    }
    let answer = home.run(&with(&CHECK, &[url, "+12125551200"])).json();
    let copies = answer["registryCopies"].as_array().unwrap();
    let lines: Vec<_> =
        copies.iter().filter(|copy| copy["registry"].as_str().unwrap().starts_with("us.line.")).collect();
    assert_eq!(lines.len(), 3, "{answer}");
    assert!(
        lines
            .iter()
            .all(|copy| copy["asOf"] == "2025-11-15T00:00:00Z" && !copy["version"].as_str().unwrap().is_empty())
    );
}

/// Rows go by their lines: none may have that of another, and the import fail for it.
#[test]
fn lines_may_end_as_windows_or_an_old_mac_ends_them() {
    let home = Home::new();
    fs::create_dir(home.path("ringfence-data")).unwrap();
    for (file, end) in [("dos.csv", "\r\n"), ("mac.csv", "\r")] {
        let rows = ["2025550143,2024-05-01,no", "3055550123,2025-02-01,yes", "3055550123,2025-02-01,perhaps", ""];
        home.write(file, rows.join(end));
        let import = ["reassigned", "import", file, "--checked-at=2025-06-10T15:00:00Z", "--json"];
        let told = home.run(&import).code(1).json();
        assert_eq!((&told["accepted"], &told["rejections"][0]["line"]), (&2.into(), &3.into()), "{file}: {told}");
    }
}
