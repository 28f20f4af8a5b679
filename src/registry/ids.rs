//! The canonical ids of the lists: one name per official list, used in packs, evidence, files and metrics.
//!
//! A file whose name is not here is refused, so that a misspelt name is never a list that silently protects nobody.
//! The calling codes are the lists' own territories; a number outside them in a file is a sign of a wrong format (a
//! British national number read as an Egyptian one) and refuses the file too.

use crate::place::lines::{TO_WIRELESS, TO_WIRELINE, WIRELESS_BLOCKS};

/// An official list this service knows by name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OfficialList {
    /// The canonical id, such as `us.dnc.national`.
    pub id: &'static str,
    /// What the list is called by those who keep it.
    pub title: &'static str,
    /// The country or state it protects, as an ISO 3166 code.
    pub place: &'static str,
    /// The calling codes its numbers may have.
    pub calling_codes: &'static [u64],
}

impl OfficialList {
    /// Whether the list's numbers belong to the North American plan, whose files carry ten digits without `+1`.
    #[must_use]
    pub fn is_north_american(&self) -> bool {
        self.calling_codes == [1]
    }

    /// Of a list that its keeper hands out by area code, whole or in parts: fewer areas than this are hardly all of it.
    /// For the US registry 16 CFR 310.8, for the Canadian one the Unsolicited Telecommunications Rules, part III.
    #[must_use]
    pub fn areas(&self) -> Option<usize> {
        match self.id {
            "us.dnc.national" => Some(300),
            "ca.dncl" => Some(30),
            _ => None,
        }
    }

    /// Whether somebody comes or goes on every day there is: a day without a change is one whose changes were not given.
    #[must_use]
    pub fn changes_daily(&self) -> bool {
        matches!(self.id, "us.dnc.national" | "ca.dncl")
    }

    /// Whether a number (the digits of E.164) lies in the list's territory.
    #[must_use]
    pub fn covers(&self, e164_digits: u64) -> bool {
        self.calling_codes.iter().any(|code| has_prefix(e164_digits, *code))
    }
}

/// What the ids of the tenant's own lists begin with.
pub const OWN: &str = "tenant.";

/// What an id stands for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A list kept by a state or an industry body.
    Official(&'static OfficialList),
    /// `tenant.<name>`: a list of the tenant's own.
    Tenant,
}

/// What an id stands for, or why it stands for nothing, in words for the operator.
///
/// # Errors
/// An id that is neither in the table nor `tenant.<name>`; the text says what to do about it.
pub fn kind(id: &str) -> Result<Kind, String> {
    if let Some(list) = official(id) {
        return Ok(Kind::Official(list));
    }
    if let Some(name) = id.strip_prefix(OWN) {
        let good = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_');
        if (1..=64).contains(&name.len()) && name.bytes().all(good) {
            return Ok(Kind::Tenant);
        }
        return Err("the name after `tenant.` must have 1 to 64 characters of a-z, 0-9, - and _".to_owned());
    }
    if id == "us.rnd" {
        return Err("the Reassigned Numbers Database answers yes, no or no_data for a number and a date; it is not a \
                    list. Import its answers with `ringfence reassigned import`, or give them as evidence `reassigned`"
            .to_owned());
    }
    Err(match nearest(id) {
        Some(near) => format!("no registry is called `{}`; did you mean `{near}`?", shown(id)),
        None => format!(
            "no registry is called `{}`; a list of your own is called `tenant.NAME`, such as `tenant.litigators`",
            shown(id)
        ),
    })
}

/// The official list of this id.
#[must_use]
pub fn official(id: &str) -> Option<&'static OfficialList> {
    let index = OFFICIAL.binary_search_by(|list| list.id.cmp(id)).ok()?;
    OFFICIAL.get(index)
}

/// Every official list, sorted by id.
pub static OFFICIAL: &[OfficialList] = &[
    list("ae.dncr", "Do Not Call Registry", "AE", &[971]),
    list("au.dncr", "Do Not Call Register", "AU", &[61]),
    list("be.dncm", "Do Not Call Me / Bel-me-niet-meer", "BE", &[32]),
    list("br.nmp", "Não Me Perturbe", "BR", &[55]),
    list("br.sp.block", "São Paulo block list", "BR-SP", &[55]),
    list("ca.dncl", "National Do Not Call List", "CA", &[1]),
    list("ch.asterisk", "directory entries with an asterisk", "CH", &[41]),
    list("ch.unlisted", "numbers absent from the directory", "CH", &[41]),
    list("cz.directory", "directory marks against marketing", "CZ", &[420]),
    list("dk.robinson", "Robinsonlisten", "DK", &[45]),
    list("es.robinson", "Lista Robinson", "ES", &[34]),
    list("fi.robinson", "Puhelin-Robinson", "FI", &[358]),
    list("fr.bloctel", "Bloctel", "FR", &[33, 262, 508, 590, 594, 596, 681, 687, 689]),
    list("gr.register11", "register under article 11", "GR", &[30]),
    list("hk.dnc.prerecorded", "Do-not-call Register for pre-recorded messages", "HK", &[852]),
    list("hk.dnc.text", "Do-not-call Register for short messages", "HK", &[852]),
    list("hr.nezovi", "Ne zovi", "HR", &[385]),
    list("hu.directory", "directory marks against marketing", "HU", &[36]),
    list("ie.ndd", "National Directory Database opt-out register", "IE", &[353]),
    list("il.dnc", "Do not call me", "IL", &[972]),
    list("in.dnd", "National Customer Preference Register", "IN", &[91]),
    list("is.ban", "directory and Registers Iceland ban marks", "IS", &[354]),
    list("it.rpo", "Registro pubblico delle opposizioni", "IT", &[39]),
    list("kr.donotcall", "Do Not Call", "KR", &[82]),
    list("mx.repep", "Registro Público para Evitar Publicidad", "MX", &[52]),
    list("mx.reus", "Registro Público de Usuarios", "MX", &[52]),
    list("my.dnc", "voluntary do-not-call list", "MY", &[60]),
    list("no.reservation", "Reservasjonsregisteret", "NO", &[47]),
    list("nz.dnc", "voluntary do-not-call list", "NZ", &[64]),
    list("se.nix", "NIX-Telefon", "SE", &[46]),
    list("sg.dnc.text", "DNC Registry, text messages", "SG", &[65]),
    list("sg.dnc.voice", "DNC Registry, voice calls", "SG", &[65]),
    list("si.directory", "directory marks against marketing", "SI", &[386]),
    list("sk.nevolania", "nevyziadanevolania.sk", "SK", &[421]),
    list("uk.ctps", "Corporate Telephone Preference Service", "GB", &[44]),
    list("uk.tps", "Telephone Preference Service", "GB", &[44]),
    list("us.dnc.co", "Colorado No-Call List", "US-CO", &[1]),
    list("us.dnc.fl", "Florida Do Not Call list", "US-FL", &[1]),
    list("us.dnc.in", "Indiana Do Not Call list", "US-IN", &[1]),
    list("us.dnc.la", "Louisiana Do Not Call list", "US-LA", &[1]),
    list("us.dnc.ma", "Massachusetts Do Not Call Registry", "US-MA", &[1]),
    list("us.dnc.mo", "Missouri No-Call List", "US-MO", &[1]),
    list("us.dnc.national", "National Do Not Call Registry", "US", &[1]),
    list("us.dnc.ok", "Oklahoma Do Not Call registry", "US-OK", &[1]),
    list("us.dnc.pa", "Pennsylvania Do Not Call list", "US-PA", &[1]),
    list("us.dnc.tn", "Tennessee Do Not Call register", "US-TN", &[1]),
    list("us.dnc.tx", "Texas No Call List", "US-TX", &[1]),
    list("us.dnc.wy", "Wyoming Do Not Call list", "US-WY", &[1]),
    list(TO_WIRELESS, "numbers ported to wireless carriers", "US", &[1]),
    list(TO_WIRELINE, "numbers ported to wireline carriers", "US", &[1]),
    list(WIRELESS_BLOCKS, "blocks given to wireless carriers", "US", &[1]),
    list("za.optout", "opt-out registry", "ZA", &[27]),
];

const fn list(
    id: &'static str,
    title: &'static str,
    place: &'static str,
    calling_codes: &'static [u64],
) -> OfficialList {
    OfficialList { id, title, place, calling_codes }
}

/// Whether the decimal digits of `number` begin with those of `code`.
fn has_prefix(number: u64, code: u64) -> bool {
    let mut rest = number;
    while rest > code {
        rest /= 10;
    }
    rest == code
}

/// An id as it may be shown: cut, and with anything that could be a phone number masked.
fn shown(id: &str) -> String {
    let masked = id.chars().filter(|c| c.is_ascii_digit()).count() > 6;
    id.chars().take(60).map(|c| if masked && c.is_ascii_digit() { '•' } else { c }).collect()
}

/// The canonical id that a misspelt one most likely means, if one is close enough to be worth naming.
fn nearest(id: &str) -> Option<&'static str> {
    if id.len() > 40 {
        return None;
    }
    let id = id.to_ascii_lowercase();
    let (distance, near) = OFFICIAL.iter().map(|list| (edits(&id, list.id), list.id)).min()?;
    // A third of the letters wrong is no longer a misspelling.
    (distance <= near.len().div_ceil(3).min(4)).then_some(near)
}

/// The least number of inserted, deleted and replaced bytes that turns one text into the other.
fn edits(from: &str, to: &str) -> usize {
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.bytes().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        if let Some(first) = row.first_mut() {
            *first = left;
        }
        for (cell, b) in row.iter_mut().skip(1).zip(to.bytes()) {
            let above = *cell;
            left = (diagonal + usize::from(a != b)).min(above + 1).min(left + 1);
            diagonal = above;
            *cell = left;
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_every_id_is_found_in_it() {
        assert!(OFFICIAL.windows(2).all(|pair| pair[0].id < pair[1].id));
        for list in OFFICIAL {
            assert_eq!(kind(list.id), Ok(Kind::Official(list)));
        }
    }

    #[test]
    fn a_misspelt_id_names_the_one_meant() {
        assert!(kind("us.dnc.natoinal").unwrap_err().contains("did you mean `us.dnc.national`"));
        assert!(kind("UK.TPS").unwrap_err().contains("did you mean `uk.tps`"));
        assert!(kind("fr.blocktel").unwrap_err().contains("did you mean `fr.bloctel`"));
        assert!(kind("leads").unwrap_err().contains("tenant.NAME"));
        assert!(kind("us.rnd").unwrap_err().contains("not a list"));
        assert!(!kind("+12025550143").unwrap_err().contains("2025550143"));
    }

    #[test]
    fn tenant_lists_have_plain_names() {
        assert_eq!(kind("tenant.wrong-numbers_2"), Ok(Kind::Tenant));
        for bad in ["tenant.", "tenant.A", "tenant.a/b", "tenant.ä", "tenant.a.b"] {
            assert!(kind(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_territory_is_its_calling_codes() {
        let bloctel = official("fr.bloctel").unwrap();
        assert!(bloctel.covers(33_639_980_001) && bloctel.covers(262_692_123_456));
        assert!(!bloctel.covers(32_470_123_456) && !bloctel.covers(3) && !bloctel.covers(0));
        assert!(official("us.dnc.tx").unwrap().is_north_american());
        assert!(!bloctel.is_north_american());
    }

    #[test]
    fn edit_distance_counts_edits() {
        assert_eq!(edits("", "abc"), 3);
        assert_eq!(edits("kitten", "sitting"), 3);
        assert_eq!(edits("same", "same"), 0);
    }
}
