//! One row as a question.

use csv::ByteRecord;

use super::columns::Columns;
use crate::place::Number;
use crate::proto::v1;

/// The longest cell that is looked at as a number or a place; longer ones are neither.
const LONGEST_CELL: usize = 300;

/// Makes questions of rows.
#[derive(Clone, Copy)]
pub(super) struct Rows<'a> {
    /// Which columns hold what.
    pub columns: &'a Columns,
    /// The question, but for number and place.
    pub template: &'a v1::CheckRequest,
    /// What the ids of attempts begin with, where attempts are counted.
    pub attempts: Option<&'a str>,
}

impl Rows<'_> {
    /// Puts number and place of the row that stands at this place of the file into a question.
    ///
    /// A country only helps to read a number in national form, and to complete a bare state: a column of countries often
    /// says where the company's own branch is.
    pub(super) fn fill(&self, record: &ByteRecord, row: u64, request: &mut v1::CheckRequest) {
        request.number.clear();
        request.number.push_str(&number(&cell(record, Some(self.columns.number))));
        let country = country(&cell(record, self.columns.country));
        request.default_region.clear();
        if !request.number.starts_with('+') {
            let region = if country.is_empty() { self.template.default_region.as_str() } else { country.as_str() };
            request.default_region.push_str(region);
        }
        let country = if country.is_empty() { self.template.default_region.clone() } else { country };
        let residence = residence(&cell(record, self.columns.state), country, &request.number);
        let postal_code = postal_code(cell(record, self.columns.postal_code));
        let time_zone = cell(record, self.columns.time_zone);
        let location = v1::Location { residence, county: String::new(), postal_code, time_zone };
        request.location = (location != v1::Location::default()).then_some(location);
        if let Some(attempts) = self.attempts {
            request.attempt_id = format!("{attempts}-{row}");
        }
    }
}

/// The text of a cell. Bytes that are no UTF-8 become a mark that no number and no code contains.
fn cell(record: &ByteRecord, column: Option<usize>) -> String {
    let bytes = column.and_then(|column| record.get(column)).unwrap_or_default();
    let bytes = bytes.get(..bytes.len().min(LONGEST_CELL)).unwrap_or_default();
    let text = String::from_utf8_lossy(bytes);
    text.trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}').to_owned()
}

/// A number without the apostrophe by which spreadsheets keep text from being counted with.
fn number(cell: &str) -> String {
    cell.strip_prefix('\'').unwrap_or(cell).to_owned()
}

/// Two capital letters. The United Kingdom and Greece are often written as no ISO code has them.
fn country(cell: &str) -> String {
    match cell.to_ascii_uppercase().as_str() {
        "UK" => "GB".to_owned(),
        "EL" => "GR".to_owned(),
        code => code.to_owned(),
    }
}

/// `US-FL` of `FL` and `US`; of a bare code without a country, the country of the number.
fn residence(state: &str, country: String, number: &str) -> String {
    let state = state.to_ascii_uppercase();
    if state.is_empty() || state.contains('-') {
        return state;
    }
    let country = if country.is_empty() { country_of(number).unwrap_or_default() } else { country };
    if country.is_empty() { state } else { format!("{country}-{state}") }
}

/// The country of an international number, where it leaves no doubt.
fn country_of(number: &str) -> Option<String> {
    let number = Number::parse(number, None).ok()?;
    let location = crate::place::Location::default();
    let resolution = crate::place::resolve(number, &location, crate::place::LocationPosture::Strictest).ok()?;
    let crate::place::Plausible::Places(places) = resolution.plausible else { return None };
    let mut roots = places.iter().map(|place| place.jurisdiction.root());
    let first = roots.next()?;
    roots.all(|root| root == first).then(|| first.to_string())
}

/// A ZIP code that a spreadsheet took for a count gets its leading zero back.
fn postal_code(cell: String) -> String {
    let stripped = cell.len() == 4 && cell.bytes().all(|byte| byte.is_ascii_digit());
    if stripped { format!("0{cell}") } else { cell }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn asked(cells: &[&str]) -> v1::CheckRequest {
        let columns = Columns {
            has_header: true,
            number: 0,
            country: Some(1),
            state: Some(2),
            postal_code: Some(3),
            time_zone: Some(4),
            notes: Vec::new(),
        };
        let template = v1::CheckRequest { seller: "acme".to_owned(), ..v1::CheckRequest::default() };
        let mut request = template.clone();
        Rows { columns: &columns, template: &template, attempts: None }.fill(
            &ByteRecord::from(cells.to_vec()),
            0,
            &mut request,
        );
        request
    }

    fn residence_of(cells: &[&str]) -> String {
        asked(cells).location.unwrap_or_default().residence
    }

    #[test]
    fn a_state_and_its_country_are_a_residence() {
        assert_eq!(residence_of(&["+12025550143", "US", "fl"]), "US-FL");
        assert_eq!(residence_of(&["+12025550143", "", "US-FL"]), "US-FL");
        assert_eq!(residence_of(&["+12025550143", "", "FL"]), "US-FL");
        assert_eq!(residence_of(&["+4930231250", "DE", "BY"]), "DE-BY");
        assert_eq!(residence_of(&["+12025550143", "US", ""]), "");
    }

    #[test]
    fn the_country_reads_national_numbers_only() {
        let region = |cells: &[&str]| asked(cells).default_region;
        assert_eq!(region(&["(202) 555-0143", "us"]), "US");
        assert_eq!(region(&["+12025550143", "somewhere"]), "");
        assert_eq!(region(&["020 7946 0018", "UK"]), "GB");
    }

    #[test]
    fn cells_are_cleaned_and_short_rows_have_empty_ones() {
        assert_eq!(asked(&["'+12025550143 "]).number, "+12025550143");
        assert_eq!(asked(&[]).number, "");
        assert_eq!(asked(&["+16175550143", "US", "", "2134"]).location.unwrap().postal_code, "02134");
        assert!(asked(&["+12025550143", "US"]).location.is_none());
    }
}
