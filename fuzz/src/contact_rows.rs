//! `contact import`: consents and opt-outs from CSV or lines of JSON. The first byte says which, and what empty cells stand
//! for. Rows are recorded whole or refused in words; what is handed back reads as it did; sent again nothing is recorded
//! twice; and who opted out of everything, and never consented, is denied.

use ringfence::access::Role;
use ringfence::cli::Command;
use ringfence::proto::v1;
use v1::import_contacts_request::Entry;

use super::{house, refused};

/// The columns that are added to rows handed back.
const ADDED: [&str; 3] =
    ["--ignore-column=ringfence_line", "--ignore-column=ringfence_field", "--ignore-column=ringfence_reason"];

struct Commands {
    json: Command,
    csv: Command,
    filled: Command,
    again: Command,
    filled_again: Command,
}

impl Commands {
    fn new() -> Self {
        let csv = ["contact", "import", "FILE", "--format=csv"];
        let fill = ["--kind=opt-out", "--everything", "--seller=acme", "--default-region=US"];
        let of = |more: &[&str]| house::command("rows", &[&csv, more].concat());
        Self {
            json: house::command("rows", &["contact", "import", "FILE", "--format=jsonl", "--default-region=US"]),
            csv: of(&[]),
            filled: of(&fill),
            again: of(&ADDED),
            filled_again: of(&[&fill[..], &ADDED].concat()),
        }
    }
}

pub fn run(bytes: &[u8]) {
    thread_local! {
        static COMMANDS: Commands = Commands::new();
    }
    let Some((form, text)) = bytes.split_first() else { return };
    COMMANDS.with(|commands| {
        let (command, again) = match form % 3 {
            0 => (&commands.csv, Some(&commands.again)),
            1 => (&commands.filled, Some(&commands.filled_again)),
            _ => (&commands.json, None),
        };
        let path = house::file("rows", text);
        let Some(rows) = refused::rows(command, &path) else { return };
        if let Some(again) = again {
            refused::again(&rows, again, |text| drop(house::file("rows", text)));
        }
        let engine = house::engine();
        let accepted = refused::recorded(&engine, &rows.rows);
        if accepted.iter().any(|row| !matches!(row.entry, Some(Entry::OptOut(_)))) {
            return;
        }
        for row in accepted {
            let Some(Entry::OptOut(stop)) = row.entry else { continue };
            let scope = stop.scope.unwrap_or_default();
            let all =
                v1::OptOutScope { everything: true, sellers: scope.sellers.clone(), ..v1::OptOutScope::default() };
            let reaches = scope.sellers.is_empty() || scope.sellers.iter().any(|seller| seller == "acme");
            if scope == all && reaches {
                denied(&engine, &stop.number, &stop.default_region);
            }
        }
    });
}

/// I1: the opt-out is seen.
fn denied(engine: &ringfence::engine::Engine, number: &str, default_region: &str) {
    let asked = v1::CheckRequest {
        number: number.to_owned(),
        default_region: default_region.to_owned(),
        channel: v1::Channel::Text.into(),
        purpose: v1::Purpose::Informational.into(),
        seller: "acme".to_owned(),
        dry_run: true,
        ..v1::CheckRequest::default()
    };
    let answer = house::wait(engine.check(&house::permit(Role::Check), asked.clone(), house::clock()));
    let answer = answer.expect("an answer");
    house::decision(&answer, &asked);
    assert_eq!(answer.verdict(), v1::Verdict::Deny);
}

pub fn seeds() -> Vec<Vec<u8>> {
    let texts: [(u8, &str); 7] = [
        (1, "number,wording\r\n+12025550143,\"two\r\nlines\"\r\n202 555 0144,\r\n"),
        (
            0,
            "kind,number,seller,grade,given_at,channels,everything,source,method\n\
             consent,+12025550143,acme,express_written,2026-01-02T03:04:05Z,call;text,,,web_form\n\
             opt_out,+4930231250,acme,,,,,text_reply,\nopt_out,abc,acme,,,,,,\n\
             consent,+12025550143,acme,mighty,2026-01-02T03:04:05Z,,,,\n",
        ),
        (1, "number\n+12025550143\n202 555 0144\n"),
        (1, "Phone;Opt-out ID;wording\n+12025550143;a;\"no; more\"\n\n+442079460000;b;\n"),
        (
            2,
            "{\"optOut\":{\"number\":\"+12025550143\",\"scope\":{\"everything\":true},\"at\":\"2026-01-02T03:04:05Z\"}}\n\
             {\"consent\":{\"number\":\"2025550144\",\"consent\":{\"grade\":\"CONSENT_GRADE_EXPRESS\",\"sellers\":[\"acme\"]}}}\n",
        ),
        (
            2,
            "{\"facts\":{\"number\":\"+12025550143\",\"facts\":{\"residence\":\"US-FL\"},\"updateMask\":\"residence\"}}\n\n{}\n",
        ),
        (
            0,
            "kind\tphone\tflags\tpurposes\tproducts\tnotice_given\tforced\texpires_at\twithdrawn_at\n\
             consent\t+33123456789\tseparate;night\tmarketing\tloans\tyes\tno\t2027-01-02T03:04:05+01:00\t\n",
        ),
    ];
    texts.map(|(form, text)| [&[form], text.as_bytes()].concat()).into()
}
