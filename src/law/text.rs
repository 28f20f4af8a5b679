//! A pack as it stands in its TOML file. Unknown keys are refused; what a key means stands in [`super::rule`].

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::Spanned;
use toml::value::Datetime;

/// One file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PackText {
    pub pack: HeadText,
    #[serde(default)]
    pub calendar: BTreeMap<String, CalendarText>,
    #[serde(default)]
    pub rule: Vec<Spanned<RuleText>>,
}

/// `[pack]`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HeadText {
    /// The ISO code, `EU`, or `ZZ` for a tenant's policy about every place.
    pub jurisdiction: String,
    pub title: String,
    /// The day a reviewer last compared it with its sources.
    pub reviewed: Option<Datetime>,
    /// The zone in which its dates begin.
    pub zone: String,
    /// Further places this pack alone is the law of.
    #[serde(default)]
    pub covers: Vec<String>,
    /// Wider packs whose rules apply too, apart from the country of a subdivision.
    #[serde(default)]
    pub inherits: Vec<String>,
    /// The places under it need packs of their own; this one alone allows nothing there.
    #[serde(default)]
    pub parts_need_packs: bool,
    /// A tenant's own rules: every reason is of family POLICY.
    #[serde(default)]
    pub policy: bool,
    /// The counties or parishes, where declarations of emergency name them.
    #[serde(default)]
    pub counties: Vec<String>,
    /// A number that stands in its cases where a case names none.
    pub example: Option<String>,
}

/// `[calendar.NAME]`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CalendarText {
    #[serde(rename = "title")]
    pub _title: Option<String>,
    #[serde(rename = "citation")]
    pub _citation: Option<String>,
    pub days: Vec<DayText>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DayText {
    pub name: String,
    pub on: String,
    pub from: Option<i16>,
    pub until: Option<i16>,
    #[serde(default)]
    pub moves: BTreeMap<String, i8>,
    pub keeps_date: Option<bool>,
}

/// `[[rule]]`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RuleText {
    pub id: String,
    pub kind: String,
    #[serde(default)]
    pub applies: AppliesText,
    #[serde(default)]
    pub unless: Vec<ExemptionText>,
    #[serde(default)]
    pub effective: EffectiveText,
    pub citation: String,
    pub summary: String,
    pub confidence: String,
    pub remedy: Option<String>,
    /// Why the pack reads the law so; for reviewers.
    #[serde(rename = "note")]
    pub _note: Option<String>,
    pub posture: Option<String>,
    pub off_posture: Option<String>,
    /// The earlier versions of the provision, by the ids of their rules in this pack.
    pub replaces: Option<Words>,
    /// Why it does not begin on the day after what it replaces: days that neither covers, or days that both do.
    pub gap: Option<String>,
    pub overlap: Option<String>,
    /// Why nothing follows it when it ends.
    pub ends: Option<String>,
    #[serde(default)]
    pub case: Vec<Spanned<toml::Table>>,

    pub windows: Option<BTreeMap<String, Words>>,
    pub dates: Option<Vec<DateWindowsText>>,
    pub zone: Option<String>,
    pub calendar: Option<String>,
    pub needs: Option<NeedsText>,
    pub objection: Option<bool>,
    pub whatever_scope_since: Option<Datetime>,
    pub list: Option<String>,
    pub fresh: Option<String>,
    pub bites_after: Option<String>,
    pub limit: Option<u32>,
    pub window: Option<Words>,
    pub counts: Option<CountsText>,
    pub after: Option<String>,
    pub resumes_after_days: Option<i32>,
    pub never_resumes: Option<bool>,
    pub under: Option<u16>,
    pub bands: Option<Vec<BandText>>,
    pub allowed: Option<Vec<String>>,
    pub denied: Option<Vec<String>>,
    pub class: Option<String>,
    pub keep: Option<String>,
    pub code: Option<String>,
    pub warning: Option<bool>,
    pub stop: Option<Vec<String>>,
    pub help: Option<Vec<String>>,
    pub start: Option<Vec<String>>,
    pub confirm_within: Option<String>,
    pub stops_everything: Option<Words>,
}

impl RuleText {
    /// The keys given that only some kinds of rule have.
    pub fn particular_keys(&self) -> Vec<&'static str> {
        let keys = [
            ("windows", self.windows.is_some()),
            ("dates", self.dates.is_some()),
            ("zone", self.zone.is_some()),
            ("calendar", self.calendar.is_some()),
            ("needs", self.needs.is_some()),
            ("objection", self.objection.is_some()),
            ("whatever_scope_since", self.whatever_scope_since.is_some()),
            ("list", self.list.is_some()),
            ("fresh", self.fresh.is_some()),
            ("bites_after", self.bites_after.is_some()),
            ("limit", self.limit.is_some()),
            ("window", self.window.is_some()),
            ("counts", self.counts.is_some()),
            ("after", self.after.is_some()),
            ("resumes_after_days", self.resumes_after_days.is_some()),
            ("never_resumes", self.never_resumes.is_some()),
            ("under", self.under.is_some()),
            ("bands", self.bands.is_some()),
            ("allowed", self.allowed.is_some()),
            ("denied", self.denied.is_some()),
            ("class", self.class.is_some()),
            ("keep", self.keep.is_some()),
            ("code", self.code.is_some()),
            ("warning", self.warning.is_some()),
            ("stop", self.stop.is_some()),
            ("help", self.help.is_some()),
            ("start", self.start.is_some()),
            ("confirm_within", self.confirm_within.is_some()),
            ("stops_everything", self.stops_everything.is_some()),
        ];
        keys.into_iter().filter(|(_, given)| *given).map(|(key, _)| key).collect()
    }
}

/// One word, or a list of them.
#[derive(Deserialize, Clone)]
#[serde(untagged)]
pub(super) enum Words {
    One(String),
    Many(Vec<String>),
}

impl Words {
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        match self {
            Self::One(word) => std::slice::from_ref(word),
            Self::Many(words) => words.as_slice(),
        }
        .iter()
        .map(String::as_str)
    }
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct AppliesText {
    pub channel: Option<Words>,
    pub technology: Option<Words>,
    pub purpose: Option<Words>,
    pub line_type: Option<Words>,
    pub recipient: Option<Words>,
    pub offer: Option<Words>,
    pub legal_form: Option<Words>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct EffectiveText {
    /// First local day in force.
    pub from: Option<Datetime>,
    /// Last local day in force.
    pub until: Option<Datetime>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NeedsText {
    pub grade: String,
    pub flags: Option<Words>,
    #[serde(default)]
    pub technology_named: bool,
    #[serde(default)]
    pub evidence: bool,
    #[serde(default)]
    pub third_party_flagged: bool,
    #[serde(default)]
    pub current_policy: bool,
    pub max_age: Option<String>,
    #[serde(default)]
    pub unless_dated: bool,
    pub max_unused: Option<String>,
    /// First local day on which it may have been given.
    pub given_from: Option<Datetime>,
    #[serde(default)]
    pub after_listing: bool,
    #[serde(default)]
    pub after_reassignment: bool,
    #[serde(default)]
    pub slot: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ExemptionText {
    pub consent: Option<NeedsText>,
    /// `purchase`, `inquiry`, `donation`, `contract`, `ended_contract` or `personal`.
    pub relationship: Option<String>,
    pub within: Option<String>,
    #[serde(default)]
    pub related: bool,
    pub offer: Option<Words>,
    pub legal_form: Option<Words>,
    pub purpose: Option<Words>,
    #[serde(default)]
    pub legally_required: bool,
    pub posture: Option<String>,
    pub confidence: Option<String>,
    pub note: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct CountsText {
    /// `seller`, `subject`, `campaign`; absent: `seller`.
    pub per: Option<Words>,
    pub channel: Option<Words>,
    pub technology: Option<Words>,
    pub purpose: Option<Words>,
    /// Outcomes left out.
    pub except: Option<Words>,
    /// The only outcomes counted, beside unknown ones.
    pub only: Option<Words>,
}

/// Windows for the dates of a calendar (`on`), or for the days before them (`eve_of`).
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DateWindowsText {
    pub on: Option<String>,
    pub eve_of: Option<String>,
    pub windows: Words,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BandText {
    pub below: Option<u64>,
    pub mechanism: Option<Words>,
}
