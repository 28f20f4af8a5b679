//! A row of a CSV file as a consent or an opt-out. Pure: no cell is ever guessed at, and one that cannot be read refuses
//! its row.

use v1::import_contacts_request::Entry;

use crate::contact::{Channel, Flag, Grade, Method, OptOutSource, Purpose, Technology, Term};
use crate::proto::v1;
use crate::proto::well_known::Timestamp;
use crate::time::Instant;

/// What a row records.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub(super) enum Kind {
    Consent,
    OptOut,
}

/// What empty cells stand for.
#[derive(Clone, Debug, Default)]
pub(super) struct Defaults {
    pub kind: Option<Kind>,
    pub default_region: String,
    pub everything: bool,
    pub sellers: Vec<String>,
    pub purposes: Vec<Purpose>,
    pub channels: Vec<Channel>,
    pub source: Option<OptOutSource>,
    pub grade: Option<Grade>,
    pub method: Option<Method>,
}

impl Defaults {
    /// The same text for the same defaults, in every release.
    pub(super) fn canonical(&self) -> String {
        let kind = self.kind.map_or("", |kind| match kind {
            Kind::Consent => "consent",
            Kind::OptOut => "opt_out",
        });
        let purposes: Vec<_> = self.purposes.iter().map(|term| term.word()).collect();
        let channels: Vec<_> = self.channels.iter().map(|term| term.word()).collect();
        serde_json::json!([
            kind,
            self.default_region,
            self.everything,
            self.sellers,
            purposes,
            channels,
            self.source.map_or("", Term::word),
            self.grade.map_or("", Term::word),
            self.method.map_or("", Term::word),
        ])
        .to_string()
    }
}

/// Why a row is not recorded.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::cli) struct Fault {
    pub field: String,
    pub message: String,
}

pub(in crate::cli) fn fault(field: &str, message: impl Into<String>) -> Fault {
    Fault { field: field.to_owned(), message: message.into() }
}

/// What a column holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Column {
    Number,
    Kind,
    DefaultRegion,
    RequestId,
    ConsentId,
    Person,
    Grade,
    Flags,
    Channels,
    Technologies,
    Purposes,
    Sellers,
    Products,
    GivenAt,
    ExpiresAt,
    WithdrawnAt,
    Method,
    Wording,
    NoticeGiven,
    Forced,
    PolicyVersion,
    ObtainedFrom,
    EvidenceRef,
    OptOutId,
    Everything,
    Subjects,
    Campaigns,
    Source,
    At,
    Ignored,
}

/// The names of columns, folded; that of the contract first.
const NAMES: [(Column, &[&str]); 29] = [
    (Column::Number, &["number", "phone", "phonenumber", "msisdn", "e164"]),
    (Column::Kind, &["kind", "type"]),
    (Column::DefaultRegion, &["defaultregion", "country"]),
    (Column::RequestId, &["requestid"]),
    (Column::ConsentId, &["consentid"]),
    (Column::Person, &["person"]),
    (Column::Grade, &["grade"]),
    (Column::Flags, &["flags", "flag"]),
    (Column::Channels, &["channels", "channel"]),
    (Column::Technologies, &["technologies", "technology"]),
    (Column::Purposes, &["purposes", "purpose"]),
    (Column::Sellers, &["sellers", "seller"]),
    (Column::Products, &["products", "product"]),
    (Column::GivenAt, &["givenat"]),
    (Column::ExpiresAt, &["expiresat"]),
    (Column::WithdrawnAt, &["withdrawnat"]),
    (Column::Method, &["method"]),
    (Column::Wording, &["wording"]),
    (Column::NoticeGiven, &["noticegiven"]),
    (Column::Forced, &["forced"]),
    (Column::PolicyVersion, &["policyversion"]),
    (Column::ObtainedFrom, &["obtainedfrom"]),
    (Column::EvidenceRef, &["evidenceref"]),
    (Column::OptOutId, &["optoutid"]),
    (Column::Everything, &["everything"]),
    (Column::Subjects, &["subjects", "subject"]),
    (Column::Campaigns, &["campaigns", "campaign"]),
    (Column::Source, &["source"]),
    (Column::At, &["at"]),
];

impl Column {
    /// The column of this title.
    pub(super) fn of_title(title: &str) -> Option<Self> {
        let folded = folded(title);
        NAMES.iter().find(|(_, names)| names.contains(&folded.as_str())).map(|(column, _)| *column)
    }

    /// How it is called.
    fn name(self) -> &'static str {
        match self {
            Self::DefaultRegion => "default_region",
            Self::RequestId => "request_id",
            Self::ConsentId => "consent_id",
            Self::GivenAt => "given_at",
            Self::ExpiresAt => "expires_at",
            Self::WithdrawnAt => "withdrawn_at",
            Self::NoticeGiven => "notice_given",
            Self::PolicyVersion => "policy_version",
            Self::ObtainedFrom => "obtained_from",
            Self::EvidenceRef => "evidence_ref",
            Self::OptOutId => "opt_out_id",
            other => NAMES
                .iter()
                .find(|(column, _)| *column == other)
                .map_or("", |(_, names)| names.first().map_or("", |n| *n)),
        }
    }

    /// Whether rows of this kind have it.
    fn is_of(self, kind: Kind) -> bool {
        use Column::{At, Campaigns, Channels, Everything, OptOutId, Purposes, Sellers, Source, Subjects, Wording};
        use Column::{DefaultRegion, Ignored, Number, RequestId};
        match self {
            Number | Self::Kind | DefaultRegion | RequestId | Channels | Purposes | Sellers | Wording | Ignored => true,
            OptOutId | Everything | Subjects | Campaigns | Source | At => kind == Kind::OptOut,
            _ => kind == Kind::Consent,
        }
    }
}

/// Lower case, letters and digits alone: `Given At` and `given_at` are one.
pub(in crate::cli) fn folded(title: &str) -> String {
    title.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// A row, cell by cell.
pub(super) struct Cells<'a> {
    pub columns: &'a [Column],
    pub cells: &'a [&'a str],
}

impl<'a> Cells<'a> {
    fn get(&self, wanted: Column) -> &'a str {
        let at = self.columns.iter().position(|column| *column == wanted);
        at.and_then(|at| self.cells.get(at)).map_or("", |cell| cell.trim())
    }

    /// What the row records.
    pub(super) fn entry(&self, defaults: &Defaults) -> Result<Entry, Fault> {
        if self.cells.len() > self.columns.len() {
            let (has, of) = (self.cells.len(), self.columns.len());
            return Err(fault("", format!("has {has} fields; the first line names {of}")));
        }
        let kind = self.kind(defaults)?;
        for (column, cell) in self.columns.iter().zip(self.cells) {
            if !cell.trim().is_empty() && !column.is_of(kind) {
                let what = if kind == Kind::Consent { "a consent" } else { "an opt-out" };
                return Err(fault(column.name(), format!("is given, and {what} has none")));
            }
        }
        Ok(match kind {
            Kind::Consent => Entry::Consent(self.consent(defaults)?),
            Kind::OptOut => Entry::OptOut(self.opt_out(defaults)?),
        })
    }

    fn kind(&self, defaults: &Defaults) -> Result<Kind, Fault> {
        match (folded(self.get(Column::Kind)).as_str(), defaults.kind) {
            ("consent", _) => Ok(Kind::Consent),
            ("optout", _) => Ok(Kind::OptOut),
            ("", Some(kind)) => Ok(kind),
            ("", None) => Err(fault("kind", "is required: consent or opt_out; or give --kind for all")),
            _ => Err(fault("kind", "is neither consent nor opt_out")),
        }
    }

    fn consent(&self, defaults: &Defaults) -> Result<v1::RecordConsentRequest, Fault> {
        let consent = v1::Consent {
            consent_id: self.text(Column::ConsentId),
            grade: self.term(Column::Grade, defaults.grade)?,
            flags: self.terms::<Flag>(Column::Flags, &[])?,
            channels: self.terms(Column::Channels, &defaults.channels)?,
            technologies: self.terms::<Technology>(Column::Technologies, &[])?,
            purposes: self.terms(Column::Purposes, &defaults.purposes)?,
            sellers: self.texts(Column::Sellers, &defaults.sellers),
            products: self.texts(Column::Products, &[]),
            given_at: self.instant(Column::GivenAt)?,
            expires_at: self.instant(Column::ExpiresAt)?,
            withdrawn_at: self.instant(Column::WithdrawnAt)?,
            policy_version: self.text(Column::PolicyVersion),
            obtained_from: self.text(Column::ObtainedFrom),
            method: self.term(Column::Method, defaults.method)?,
            wording: self.text(Column::Wording),
            notice_given: self.flag(Column::NoticeGiven)?,
            forced: self.flag(Column::Forced)?,
            evidence_ref: self.text(Column::EvidenceRef),
            ..v1::Consent::default()
        };
        Ok(v1::RecordConsentRequest {
            number: self.text(Column::Number),
            default_region: self.region(defaults),
            request_id: self.text(Column::RequestId),
            consent: Some(consent),
            person: self.text(Column::Person),
        })
    }

    fn opt_out(&self, defaults: &Defaults) -> Result<v1::RecordOptOutRequest, Fault> {
        let scope = v1::OptOutScope {
            channels: self.terms(Column::Channels, &defaults.channels)?,
            purposes: self.terms(Column::Purposes, &defaults.purposes)?,
            sellers: self.texts(Column::Sellers, &defaults.sellers),
            subjects: self.texts(Column::Subjects, &[]),
            everything: self.flag(Column::Everything)?.unwrap_or(defaults.everything),
            campaigns: self.texts(Column::Campaigns, &[]),
        };
        Ok(v1::RecordOptOutRequest {
            number: self.text(Column::Number),
            default_region: self.region(defaults),
            request_id: self.text(Column::RequestId),
            scope: Some(scope),
            source: self.term(Column::Source, defaults.source)?,
            at: self.end_of_day(Column::At)?,
            wording: self.text(Column::Wording),
            opt_out_id: self.text(Column::OptOutId),
        })
    }

    fn text(&self, column: Column) -> String {
        self.get(column).to_owned()
    }

    /// A country helps to read a number in national form and nothing else, as in a scrubbed file.
    fn region(&self, defaults: &Defaults) -> String {
        if self.get(Column::Number).starts_with('+') {
            return String::new();
        }
        match self.get(Column::DefaultRegion) {
            "" => defaults.default_region.clone(),
            region => region.to_ascii_uppercase(),
        }
    }

    fn parts(&self, column: Column) -> impl Iterator<Item = &'a str> {
        self.get(column).split(';').map(str::trim).filter(|part| !part.is_empty())
    }

    fn texts(&self, column: Column, default: &[String]) -> Vec<String> {
        match self.get(column) {
            "" => default.to_vec(),
            _ => self.parts(column).map(str::to_owned).collect(),
        }
    }

    fn terms<T: Term>(&self, column: Column, default: &[T]) -> Result<Vec<i32>, Fault> {
        if self.get(column).is_empty() {
            return Ok(default.iter().map(|term| i32::from(term.number())).collect());
        }
        let terms: Vec<_> = self.parts(column).map(|word| term::<T>(column, word)).collect::<Result<_, _>>()?;
        // A list that names nothing would mean any.
        if terms.is_empty() { Err(fault(column.name(), "names nothing")) } else { Ok(terms) }
    }

    fn term<T: Term>(&self, column: Column, default: Option<T>) -> Result<i32, Fault> {
        match self.get(column) {
            "" => Ok(default.map_or(0, |term| i32::from(term.number()))),
            word => term::<T>(column, word),
        }
    }

    /// An instant. A day alone stands for its earliest, where it begins first: a consent is never newer by it than it was, nor
    /// lasts longer.
    fn instant(&self, column: Column) -> Result<Option<Timestamp>, Fault> {
        self.read_instant(column, "T00:00:00+14:00")
    }

    /// An instant. A day alone stands for its latest, where it ends last: an opt-out is never older by it than it was. Where that
    /// is not over yet, it is recorded as of now; what is sent follows from the row alone, so that a row sent again is the same.
    fn end_of_day(&self, column: Column) -> Result<Option<Timestamp>, Fault> {
        self.read_instant(column, "T23:59:59-12:00")
    }

    fn read_instant(&self, column: Column, of_day: &str) -> Result<Option<Timestamp>, Fault> {
        let text = self.get(column);
        if text.is_empty() {
            return Ok(None);
        }
        let day = || Instant::from_rfc3339(&format!("{text}{of_day}")).filter(|_| text.len() == 10);
        let Some(at) = Instant::from_rfc3339(text).or_else(day) else {
            let why = "is neither an instant in RFC 3339 with its offset, such as 2026-11-18T21:30:00-05:00, nor a day such as \
                       2026-11-18";
            return Err(fault(column.name(), why));
        };
        Ok(Some(Timestamp::from_millis(at.millis())))
    }

    fn flag(&self, column: Column) -> Result<Option<bool>, Fault> {
        match self.get(column).to_ascii_lowercase().as_str() {
            "" => Ok(None),
            "true" | "yes" | "1" => Ok(Some(true)),
            "false" | "no" | "0" => Ok(Some(false)),
            _ => Err(fault(column.name(), "is neither true nor false")),
        }
    }
}

fn term<T: Term>(column: Column, word: &str) -> Result<i32, Fault> {
    let plain = word.to_ascii_lowercase().replace(['-', ' '], "_");
    T::from_word(&plain).map(|term| i32::from(term.number())).ok_or_else(|| {
        let all: Vec<_> = T::ALL.iter().map(|term| term.word()).collect();
        fault(column.name(), format!("holds a word that is not a {}: one of {}", T::WHAT, all.join(", ")))
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn entry(titles: &[&str], cells: &[&str], defaults: &Defaults) -> Result<Entry, Fault> {
        let columns: Vec<_> = titles.iter().map(|title| Column::of_title(title).unwrap()).collect();
        Cells { columns: &columns, cells }.entry(defaults)
    }

    #[test]
    fn every_column_is_found_by_its_own_name() {
        for (column, names) in NAMES {
            assert_eq!(Column::of_title(column.name()), Some(column));
            assert!(names.iter().all(|name| folded(name) == *name));
        }
        assert_eq!(Column::of_title(" Given At "), Some(Column::GivenAt));
        assert_eq!(Column::of_title("opt-out ID"), Some(Column::OptOutId));
        assert_eq!(Column::of_title("expires"), None);
    }

    #[test]
    fn an_opt_out_says_what_it_reaches() {
        let titles = ["kind", "phone", "channels", "sellers", "everything", "at", "source"];
        let cells = ["opt-out", "+12025550143", "Call; text", "acme;beta", "", "2026-01-02T03:04:05Z", "text_reply"];
        let Entry::OptOut(request) = entry(&titles, &cells, &Defaults::default()).unwrap() else { unreachable!() };
        let scope = request.scope.unwrap();
        assert_eq!(
            (scope.channels, scope.sellers, scope.everything),
            (vec![1, 2], vec!["acme".into(), "beta".into()], false)
        );
        assert_eq!((request.source, request.at.unwrap().to_millis()), (2, Some(1_767_323_045_000)));
    }

    /// Today is not over everywhere; tomorrow it is, and the row is the same.
    #[test]
    fn the_day_of_an_opt_out_is_read_without_a_clock() {
        let today = crate::cli::now().to_string();
        let today = today.get(..10).unwrap();
        let cells = ["opt-out", "+12025550143", "yes", today];
        let read = entry(&["kind", "number", "everything", "at"], &cells, &Defaults::default()).unwrap();
        let Entry::OptOut(request) = read else { unreachable!() };
        let end = Instant::from_rfc3339(&format!("{today}T23:59:59-12:00")).unwrap();
        assert_eq!(request.at.unwrap().to_millis(), Some(end.millis()));
    }

    #[test]
    fn empty_cells_stand_for_the_defaults_and_short_rows_for_empty_cells() {
        let defaults = Defaults {
            kind: Some(Kind::OptOut),
            everything: true,
            default_region: "US".to_owned(),
            sellers: vec!["acme".to_owned()],
            ..Defaults::default()
        };
        let Entry::OptOut(request) = entry(&["number", "sellers"], &["202 555 0143"], &defaults).unwrap() else {
            unreachable!()
        };
        let scope = request.scope.unwrap();
        assert!(scope.everything && scope.sellers == ["acme"] && request.default_region == "US");
    }

    #[test]
    fn what_cannot_be_read_refuses_the_row() {
        let consent = |title: &'static str, cell: &str| {
            entry(&["kind", "number", title], &["consent", "+1", cell], &Defaults::default()).unwrap_err().field
        };
        for (title, cell) in [
            ("grade", "strong"),
            ("given_at", "02/01/2026"),
            ("notice_given", "maybe"),
            ("purposes", ";"),
            ("channels", "call;fax"),
            ("everything", "true"),
            ("source", "web"),
        ] {
            assert_eq!(consent(title, cell), title);
        }
        let none = Defaults::default();
        assert_eq!(entry(&["number"], &["+1"], &none).unwrap_err().field, "kind");
        assert_eq!(entry(&["kind"], &["facts"], &none).unwrap_err().field, "kind");
        assert_eq!(entry(&["kind"], &["consent", "x"], &none).unwrap_err().field, "");
    }
}
