//! Each clause of the lint, by a pack that breaks it: the exact complaint, with file, line and rule.

use ringfence::law::{Law, lint};

/// A pack of a place, with these rules.
pub(crate) fn pack(rules: &str) -> String {
    format!(
        "[pack]\njurisdiction = \"XX\"\ntitle = \"Nowhere\"\nreviewed = 2026-11-21\nzone = \"Europe/Paris\"\n\n{rules}"
    )
}

/// A rule with what every rule has, an allowing and a denying case too.
fn rule(id: &str, kind: &str, more: &str) -> String {
    format!("{}{CASES}", bare(id, kind, more))
}

fn bare(id: &str, kind: &str, more: &str) -> String {
    format!(
        "[[rule]]\nid = \"{id}\"\nkind = \"{kind}\"\n{more}\ncitation = \"Art. 1\"\nconfidence = \"verified\"\nsummary = \"No.\"\n"
    )
}

const CASES: &str = "[[rule.case]]\nsays = \"allow\"\n[[rule.case]]\nsays = \"deny\"\n";

/// The remarks about some rules beside an opt-out rule that has none.
#[track_caller]
fn remarks(rules: &[String]) -> Vec<String> {
    of_text(&pack(&(rules.join("\n") + "\n" + &rule("x.opt_out", "opt_out", ""))))
}

#[track_caller]
fn of_text(text: &str) -> Vec<String> {
    let law = Law::read([("x.toml", text)]).unwrap_or_else(|faults| panic!("{faults:?}"));
    lint(&law).into_iter().map(|remark| format!("{}:{}: {}", remark.file, remark.line, remark.message)).collect()
}

/// The fault that keeps a text from being read at all.
#[track_caller]
fn refused(rules: &[String]) -> Vec<String> {
    let faults = Law::read([("x.toml", pack(&rules.join("\n")).as_str())]).unwrap_err();
    faults.iter().map(ToString::to_string).collect()
}

#[track_caller]
fn only(found: Vec<String>, complaint: &str) {
    assert_eq!(found, [complaint]);
}

const LINE: usize = 7;

fn of(id: &str, what: &str) -> String {
    format!("x.toml:{LINE}: rule `{id}`: {what}")
}

#[test]
fn a_good_pack_has_no_remarks() {
    assert_eq!(remarks(&[rule("x.ban", "ban", "")]), [""; 0]);
}

#[test]
fn uncited() {
    let text = rule("x.ban", "ban", "").replace("Art. 1", " ");
    only(remarks(&[text]), &of("x.ban", "no citation: name the article it stands in"));
    let text = rule("x.ban", "ban", "").replace("citation = \"Art. 1\"\n", "");
    assert!(refused(&[text])[0].contains("missing field `citation`"));
    let text = rule("x.ban", "ban", "").replace("No.", "No");
    only(remarks(&[text]), &of("x.ban", "`summary` must be one plain sentence, ending in a full stop"));
    let text = rule("x.ban", "ban", "unless = [{ relationship = \"contract\" }]");
    only(remarks(&[text]), &of("x.ban", "an `unless` entry has no `note` saying what it is"));
}

#[test]
fn undated() {
    let text = pack(&rule("x.opt_out", "opt_out", "")).replace("reviewed = 2026-11-21\n", "");
    only(of_text(&text), "x.toml:1: [pack] has no `reviewed` date: no marketing contact will be allowed here");
    let text =
        [rule("x.old", "ban", "effective = { until = 2025-12-31 }"), rule("x.new", "ban", "replaces = \"x.old\"")];
    only(remarks(&text), "x.toml:19: rule `x.new`: it replaces `x.old` but has no `effective.from`: say when");
    let text = rule("x.ban", "ban", "effective = { from = 2026-13-01 }");
    assert!(refused(&[text])[0].starts_with("x.toml:10: "), "a day that is none");
    let text = rule("x.ban", "ban", "effective = { from = \"soon\" }");
    assert!(refused(&[text])[0].starts_with("x.toml:10: "), "words are no day");
}

#[test]
fn without_cases() {
    let none = remarks(&[bare("x.ban", "ban", "")]);
    assert_eq!(
        none,
        [
            of("x.ban", "no case that allows: add a [[rule.case]] with `says = \"allow\"`"),
            of("x.ban", "no case that denies: add a [[rule.case]] with `says = \"deny\"`"),
        ]
    );
    let allows = bare("x.ban", "ban", "") + "[[rule.case]]\nsays = \"allow\"\n";
    only(remarks(&[allows]), &of("x.ban", "no case that denies: add a [[rule.case]] with `says = \"deny\"`"));
    let duty = rule("x.duty", "obligation", "code = \"identify\"");
    only(remarks(&[duty]), &of("x.duty", "a duty denies nothing: its cases can only say allow"));
}

#[test]
fn a_rule_that_is_never_in_force() {
    let at_odds = rule("x.ban", "ban", "effective = { from = 2026-01-02, until = 2026-01-01 }");
    only(refused(&[at_odds]), &of("x.ban", "effective: until 2026-01-01 lies before from 2026-01-02"));
    let unreached = |why: &str| of("x.ban", &format!("it can never be reached: {why}"));
    let old = rule("x.ban", "ban", "effective = { until = 1999-06-30 }\nends = \"given up\"");
    only(remarks(&[old]), &unreached("it ended before 2000, and no question is about a day before"));
    let late = rule("x.ban", "ban", "effective = { from = 2101-01-01 }");
    only(remarks(&[late]), &unreached("it begins after 2099, and no question is about a day after"));
    let both = rule("x.ban", "ban", "posture = \"p\"\noff_posture = \"p\"") + "postures = [\"p\"]\n";
    only(remarks(&[both]), &unreached("the posture that switches it on switches it off too"));
}

#[test]
fn a_rule_that_never_denies() {
    let unreached = |kind: &str, more: &str, why: &str| {
        only(remarks(&[rule("x.r", kind, more)]), &of("x.r", &format!("it can never be reached: {why}")));
    };
    unreached(
        "hours",
        "windows = { daily = \"00:00-24:00\" }",
        "its `windows` are open day and night, so it never denies",
    );
    unreached(
        "cap",
        "limit = 1\nwindow = \"24h\"\ncounts = { only = [\"no_answer\"], except = [\"no_answer\", \"busy\"] }",
        "`only` and `except` leave no outcome to count",
    );
    unreached("minor", "under = 0", "nobody is under 0");
    unreached("cross_border", "bands = [{}]", "its only band needs no mechanism, so it never denies");
    unreached(
        "cross_border",
        "bands = [{ mechanism = \"standard_contract\" }, { below = 5 }]",
        "band 1 has no ceiling, so the bands after it are never read",
    );
    unreached(
        "cross_border",
        "bands = [{ below = 5 }, { below = 5, mechanism = \"standard_contract\" }]",
        "band 2 does not lie above the one before it",
    );
    let words = bare("x.r", "keywords", "");
    only(remarks(&[words]), &of("x.r", "it can never be reached: it lists no word: fill `stop`, `help` or `start`"));
}

#[test]
fn a_rule_in_the_shadow_of_another() {
    let wide = rule("x.wide", "ban", "applies = { purpose = [\"marketing\", \"survey\"] }");
    let narrow = rule(
        "x.narrow",
        "ban",
        "applies = { channel = \"call\", purpose = \"marketing\" }\neffective = { from = 2026-01-01 }",
    );
    only(
        remarks(&[narrow.clone(), wide.clone()]),
        &of("x.narrow", "it can never be reached: `x.wide` says the same of all it is about"),
    );
    // Two that are the same: the second one is too many.
    let twin = wide.replace("x.wide", "x.twin");
    only(
        remarks(&[wide.clone(), twin]),
        "x.toml:19: rule `x.twin`: it can never be reached: `x.wide` says the same of all it is about",
    );
    // What has a way out, or ends, hides nothing.
    let way_out = rule("x.wide", "ban", "unless = [{ relationship = \"contract\", note = \"a customer\" }]");
    assert_eq!(remarks(&[narrow.clone(), way_out]), [""; 0]);
    let ends = rule("x.wide", "ban", "effective = { until = 2027-01-01 }\nends = \"announced so\"");
    assert_eq!(remarks(&[narrow, ends]), [""; 0]);
    // Two laws that ask for one duty are two.
    let duty = |id: &str| bare(id, "obligation", "code = \"identify\"") + "[[rule.case]]\nsays = \"allow\"\n";
    let other = duty("x.two").replace("Art. 1", "Art. 2");
    assert_eq!(remarks(&[duty("x.one"), other]), [""; 0]);
    assert_eq!(remarks(&[duty("x.one"), duty("x.two")]).len(), 1);
}

#[test]
fn an_exemption_that_always_applies_or_never() {
    let rule_of = |applies: &str, unless: &str| {
        rule("x.r", "ban", &format!("applies = {{ {applies} }}\nunless = [{{ {unless}, note = \"why\" }}]"))
    };
    let always = of("x.r", "the exemption “why” always applies, so the rule is never reached: narrow one of them");
    only(remarks(&[rule_of("purpose = \"survey\"", "purpose = [\"survey\", \"charity\"]")]), &always);
    only(remarks(&[rule_of("offer = \"telecom\"", "offer = \"telecom\"")]), &always);
    let never = |what: &str| of("x.r", &format!("the exemption “why” can never apply: {what}"));
    only(
        remarks(&[rule_of("purpose = \"survey\"", "purpose = \"charity\"")]),
        &never("the rule is about other purposes"),
    );
    only(remarks(&[rule_of("offer = \"telecom\"", "offer = \"books\"")]), &never("the rule is about other offers"));
    assert_eq!(remarks(&[rule_of("purpose = [\"survey\", \"charity\"]", "purpose = \"survey\"")]), [""; 0]);
    assert_eq!(
        remarks(&[rule_of("purpose = \"survey\"", "purpose = \"survey\", relationship = \"contract\"")]),
        [""; 0]
    );
    let weaker =
        "needs = { grade = \"express\" }\nunless = [{ consent = { grade = \"express_written\" }, note = \"why\" }]";
    only(remarks(&[rule("x.r", "consent", weaker)]), &never("a consent such as it wants satisfies the rule itself"));
    let entry = "{ relationship = \"contract\", note = \"why\" }";
    let twice = rule("x.r", "ban", &format!("unless = [{entry}, {entry}]"));
    only(remarks(&[twice]), &of("x.r", "the exemption “why” stands there twice: take one out"));
}

#[test]
fn a_calendar_that_no_rule_reads_and_a_day_that_never_falls() {
    let days =
        "days = [{ name = \"A\", on = \"01-01\" }, { name = \"B\", on = \"05-01\", from = 2020, until = 2019 }]\n";
    let found = remarks(&[format!("[calendar.feasts]\n{days}")]);
    assert_eq!(
        found,
        [
            "x.toml:7: [calendar.feasts] is declared but no rule reads it: name it in a rule or take it out",
            "x.toml:7: [calendar.feasts] `B` never falls, or only on days already listed: take it out",
        ]
    );
    let read = format!("[calendar.feasts]\n{days}\n{}", rule("x.r", "holidays", "calendar = \"feasts\""));
    assert_eq!(remarks(&[read]).len(), 1);
    let missing = rule("x.r", "holidays", "calendar = \"feasts\"");
    only(refused(&[missing]), &of("x.r", "this pack has no [calendar.feasts]"));
    let twice = "windows = { daily = \"09:00-18:00\" }\ndates = [{ on = \"feasts\", windows = \"closed\" }, { on = \"feasts\", windows = \"10:00-12:00\" }]";
    let twice =
        format!("[calendar.feasts]\ndays = [{{ name = \"A\", on = \"01-01\" }}]\n{}", rule("x.r", "hours", twice));
    only(
        remarks(&[twice]),
        "x.toml:9: rule `x.r`: its second `dates` entry for `feasts` is never read: the first one decides",
    );
}

#[test]
fn a_posture_that_nothing_mentions() {
    let case = "[[rule.case]]\nsays = \"allow\"\npostures = [\"p_onn\"]\n";
    let text = rule("x.r", "ban", "off_posture = \"p_on\"") + case;
    let found = remarks(&[text]);
    assert_eq!(
        found,
        [
            of("x.r", "no case of it chooses its posture `p_on`: add one with `postures = [\"p_on\"]`"),
            "x.toml:18: a case of `x.r` chooses the posture `p_onn`, which no rule mentions; did you mean `p_on`?"
                .to_owned(),
        ]
    );
}

#[test]
fn a_list_that_no_rule_reads() {
    let registry = "list = \"fr.bloctel\"\nfresh = \"30 days\"";
    let case = "evidence.registry_checks = [{ registry = \"fr.blocktel\", listed = true }]\n";
    let text = rule("x.r", "registry", registry) + case;
    only(
        remarks(std::slice::from_ref(&text)),
        "x.toml:17: a case of `x.r` asks the list `fr.blocktel`, which no rule here reads; did you mean `fr.bloctel`?",
    );
    assert_eq!(remarks(&[text.replace("blocktel", "bloctel")]), [""; 0]);
}

#[test]
fn words_prefixes_windows_and_examples_that_nothing_reads() {
    let words = bare("x.r", "keywords", "stop = [\"STOP\", \"End\"]\nhelp = [\"END\"]");
    only(
        remarks(&[words]),
        &of("x.r", "the word `END` is listed already, in this rule or an earlier one: take one out"),
    );
    let later = [
        bare("x.one", "keywords", "stop = [\"STOP\"]"),
        bare("x.two", "keywords", "applies = { purpose = \"marketing\" }\nstop = [\"stop\"]"),
    ];
    assert_eq!(remarks(&later).len(), 1);
    let prefixes = rule("x.r", "caller_id", "allowed = [\"+34400\"]\ndenied = [\"+346\"]");
    only(remarks(&[prefixes]), &of("x.r", "`denied` names +346, which `allowed` leaves out already: take it out"));
    let windows = rule("x.r", "cap", "limit = 3\nwindow = [\"24h\", \"24h\"]");
    only(remarks(&[windows]), &of("x.r", "it names one `window` twice: take one out"));
    let stray = rule("x.r", "ban", "windows = { daily = \"09:00-18:00\" }");
    only(refused(&[stray]), &of("x.r", "`windows` means nothing to kind `ban`"));
    let example = pack(&(rule("x.opt_out", "opt_out", "") + "\n")).replace("zone", "example = \"+33612345678\"\nzone");
    let numbered = example.replace("[[rule.case]]", "[[rule.case]]\nnumber = \"+33612345678\"");
    assert_eq!(of_text(&example), [""; 0]);
    only(of_text(&numbered), "x.toml:1: [pack] `example` is declared but no case uses it: take it out");
}

#[test]
fn places_that_nothing_reads() {
    let opt_out = rule("x.opt_out", "opt_out", "");
    let other = pack(&rule("y.opt_out", "opt_out", "")).replace("\"XX\"", "\"XY\"");
    let text = pack(&opt_out).replace("zone", "covers = [\"XY\"]\ninherits = [\"XY\", \"XY\"]\nzone");
    let law = Law::read([("x.toml", text.as_str()), ("y.toml", other.as_str())]).unwrap();
    let found: Vec<_> = lint(&law).into_iter().map(|remark| remark.message).collect();
    assert_eq!(
        found,
        ["`covers` names XY, but y.toml is the law there: take it out", "`inherits` names XY twice: take one out"]
    );
    only(
        of_text(&pack(&rule("x.ban", "ban", ""))),
        "x.toml:1: neither this pack nor a wider one has an `opt_out` rule",
    );
}

#[test]
fn a_gap_and_an_overlap_on_the_time_axis() {
    let old = |until: &str| rule("x.old", "ban", &format!("effective = {{ until = {until} }}"));
    let new = |more: &str| {
        rule("x.new", "ban", &format!("effective = {{ from = 2026-01-01 }}\nreplaces = \"x.old\"\n{more}"))
    };
    let complaint = |what: &str| format!("x.toml:19: rule `x.new`: {what}");
    assert_eq!(remarks(&[old("2025-12-31"), new("")]), [""; 0]);
    only(
        remarks(&[old("2025-12-30"), new("")]),
        &complaint(
            "a gap: `x.old` ends on 2025-12-30 and this begins on 2026-01-01; mend a date, or say in `gap` why nothing held",
        ),
    );
    only(
        remarks(&[old("2026-01-01"), new("")]),
        &complaint(
            "an overlap: `x.old` ends on 2026-01-01 and this begins on 2026-01-01; mend a date, or say in `overlap` why both hold",
        ),
    );
    assert_eq!(remarks(&[old("2025-12-30"), new("gap = \"annulled for a day\"")]), [""; 0]);
    assert_eq!(remarks(&[old("2026-01-31"), new("overlap = \"a month of grace\"")]), [""; 0]);
    only(
        remarks(&[old("2025-12-31"), new("gap = \"none\"")]),
        &complaint("it begins on the day after `x.old` ends: `gap` and `overlap` explain nothing, take them out"),
    );
    only(
        remarks(&[rule("x.old", "ban", "applies = { channel = \"text\" }"), new("")]),
        &complaint("it replaces `x.old`, which has no `effective.until`: both hold from 2026-01-01"),
    );
}

#[test]
fn a_series_that_is_not_told_to_its_end() {
    let ends =
        "it ends and nothing follows: name it in the `replaces` of its successor, or say in `ends` why there is none";
    let old = |more: &str| rule("x.old", "ban", &format!("effective = {{ until = 2025-12-31 }}\n{more}"));
    only(remarks(&[old("")]), &of("x.old", ends));
    assert_eq!(remarks(&[old("ends = \"repealed\"")]), [""; 0]);
    only(
        remarks(&[rule("x.old", "ban", "ends = \"repealed\"")]),
        &of("x.old", "`ends` says why it ends, but it has no `effective.until`"),
    );
    only(
        remarks(&[
            old("ends = \"repealed\""),
            rule("x.new", "ban", "effective = { from = 2026-01-01 }\nreplaces = \"x.old\""),
        ]),
        &of("x.old", "`ends` says that nothing follows, but `x.new` replaces it"),
    );
    only(
        remarks(&[rule("x.new", "ban", "effective = { from = 2026-01-01 }\nreplaces = \"x.opt_uot\"")]),
        &of("x.new", "`replaces` names `x.opt_uot`, which this pack does not have; did you mean `x.opt_out`?"),
    );
    only(
        remarks(&[rule("x.new", "ban", "gap = \"why\"")]),
        &of("x.new", "`gap` and `overlap` are about what it replaces, and it replaces nothing: take them out"),
    );
    let promised = [
        rule("x.cap_2023", "ban", "effective = { until = 2025-12-31 }\nends = \"repealed\""),
        rule("x.cap", "ban", "effective = { from = 2026-01-01 }"),
    ];
    only(
        remarks(&promised),
        "x.toml:20: rule `x.cap`: `x.cap_2023` reads as an older version of it: name that in `replaces`, or give it another id",
    );
}
