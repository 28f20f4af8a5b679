//! A decision as a row of a table: the columns of an export, the same in every format.

use crate::proto::v1;
use crate::proto::well_known::Timestamp;

/// What a column holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// Text, or nothing.
    Text,
    /// An instant, UTC, to the millisecond; or nothing.
    Time,
    /// Yes or no.
    Flag,
    /// A whole number.
    Number,
    /// Texts, perhaps none.
    List,
}

/// The value of one column of one row.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Cell {
    Text(Option<String>),
    /// Milliseconds since the Unix epoch.
    Time(Option<i64>),
    Flag(bool),
    Number(i64),
    List(Vec<String>),
}

/// The columns, in order. Names are scripted against: none is ever changed or moved, new ones come last.
pub(super) const COLUMNS: [(&str, Kind); 32] = [
    ("decision_id", Kind::Text),
    ("recorded_at", Kind::Time),
    ("verdict", Kind::Text),
    ("number", Kind::Text),
    ("number_type", Kind::Text),
    ("channel", Kind::Text),
    ("technology", Kind::Text),
    ("purpose", Kind::Text),
    ("seller", Kind::Text),
    ("subject", Kind::Text),
    ("campaign", Kind::Text),
    ("attempt_id", Kind::Text),
    ("dry_run", Kind::Flag),
    ("families", Kind::List),
    ("rule_ids", Kind::List),
    ("messages", Kind::List),
    ("jurisdictions", Kind::List),
    ("time_zones", Kind::List),
    ("obligations", Kind::List),
    ("warnings", Kind::List),
    ("retry_at", Kind::Time),
    ("valid_until", Kind::Time),
    ("use_by", Kind::Time),
    ("evaluated_at", Kind::Time),
    ("rules_version", Kind::Text),
    ("tzdata_version", Kind::Text),
    ("numbering_version", Kind::Text),
    ("degraded", Kind::Flag),
    ("erased", Kind::Flag),
    ("writer", Kind::Text),
    ("sequence", Kind::Number),
    ("digest", Kind::Text),
];

/// A row, its cells in the order of [`COLUMNS`].
pub(super) fn row(record: v1::DecisionRecord) -> Vec<Cell> {
    let decision = record.decision.unwrap_or_default();
    let request = record.request.unwrap_or_default();
    let inputs = record.inputs.unwrap_or_default();
    let position = record.position.unwrap_or_default();
    let word = |name: &str, prefix: &str| {
        let word = bare(name, prefix);
        text(if word == "UNSPECIFIED" { "" } else { word })
    };
    let reasons = &decision.reasons;
    let families = reasons.iter().map(|reason| bare(reason.family().as_str_name(), "RULE_FAMILY_").to_owned());
    vec![
        text(&decision.decision_id),
        time(position.recorded_at.as_ref()),
        word(decision.verdict().as_str_name(), "VERDICT_"),
        text(&decision.number),
        word(decision.number_type().as_str_name(), "NUMBER_TYPE_"),
        word(request.channel().as_str_name(), "CHANNEL_"),
        word(request.technology().as_str_name(), "TECHNOLOGY_"),
        word(request.purpose().as_str_name(), "PURPOSE_"),
        text(&request.seller),
        text(&request.subject),
        text(&request.campaign),
        text(&decision.attempt_id),
        Cell::Flag(request.dry_run),
        Cell::List(families.collect()),
        Cell::List(reasons.iter().map(|reason| reason.rule_id.clone()).collect()),
        Cell::List(reasons.iter().map(|reason| reason.message.clone()).collect()),
        Cell::List(decision.jurisdictions.clone()),
        Cell::List(decision.local_times.iter().map(|local| local.time_zone.clone()).collect()),
        Cell::List(decision.obligations.iter().map(|duty| duty.code.clone()).collect()),
        Cell::List(decision.warnings.iter().map(|warning| warning.code.clone()).collect()),
        time(decision.retry_at.as_ref()),
        time(decision.valid_until.as_ref()),
        time(decision.use_by.as_ref()),
        time(decision.evaluated_at.as_ref()),
        text(&decision.rules_version),
        text(&inputs.tzdata_version),
        text(&inputs.numbering_version),
        Cell::Flag(decision.degraded),
        Cell::Flag(record.erased),
        text(&position.writer),
        Cell::Number(i64::try_from(position.sequence).unwrap_or(i64::MAX)),
        text(&position.digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>()),
    ]
}

/// A name of the contract without what its enumeration puts before it.
pub(super) fn bare<'n>(name: &'n str, prefix: &str) -> &'n str {
    name.strip_prefix(prefix).unwrap_or(name)
}

fn text(text: &str) -> Cell {
    Cell::Text((!text.is_empty()).then(|| text.to_owned()))
}

fn time(at: Option<&Timestamp>) -> Cell {
    Cell::Time(at.and_then(|at| at.to_millis()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_column_has_a_cell_of_its_kind() {
        let row = row(v1::DecisionRecord::default());
        assert_eq!(row.len(), COLUMNS.len());
        for (cell, (name, kind)) in row.iter().zip(COLUMNS) {
            let of = match cell {
                Cell::Text(_) => Kind::Text,
                Cell::Time(_) => Kind::Time,
                Cell::Flag(_) => Kind::Flag,
                Cell::Number(_) => Kind::Number,
                Cell::List(_) => Kind::List,
            };
            assert_eq!(of, kind, "{name}");
        }
    }
}
