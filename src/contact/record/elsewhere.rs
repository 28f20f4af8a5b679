//! What stands under a contact's key in the store of one region: the record, a pointer to the region that holds it, or a
//! copy on its way here.
//!
//! A pointer or a copy on its way is no [`Contact`], so that nobody can take it for a record that knows of no opt-out; and
//! it has a form of its own, which a build that knows of no regions refuses.

use prost::Message;

use super::{Contact, FORMAT, RecordError};
use crate::place::{Jurisdiction, country_of};
use crate::proto::store::{self, stored_fact};

/// The form of what names another region.
const ELSEWHERE: u32 = 3;

/// The other end of a move.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Move {
    /// The other region, by name.
    pub region: String,
    /// Names the move: random.
    pub id: u64,
}

/// What stands under a contact's key.
#[derive(Clone, PartialEq, Debug)]
pub enum Stored {
    /// The record.
    Here(Contact),
    /// It is in another region.
    Elsewhere(Move),
    /// A copy on its way from another region, which has the record in force until it holds a pointer of the same move.
    Arriving(Contact, Move),
}

impl Stored {
    /// Reads stored bytes, already opened.
    ///
    /// # Errors
    /// They do not decode, or a newer build wrote them.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, RecordError> {
        let mut record = store::ContactRecord::decode(bytes).map_err(|error| RecordError::Broken(error.to_string()))?;
        let (to, from) = (std::mem::take(&mut record.moved_to), std::mem::take(&mut record.arriving_from));
        let id = std::mem::take(&mut record.move_id);
        match (record.format, to.is_empty(), from.is_empty()) {
            (..=FORMAT, true, true) => Ok(Self::Here(Contact::formed(record))),
            (ELSEWHERE, false, true) => Ok(Self::Elsewhere(Move { region: to, id })),
            (ELSEWHERE, true, false) => Ok(Self::Arriving(Contact::formed(record), Move { region: from, id })),
            (..=ELSEWHERE, ..) => Err(RecordError::Broken("it names no region, or two".to_owned())),
            (newer, ..) => Err(RecordError::Newer(newer)),
        }
    }

    /// The bytes to seal and store.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.clone().into_stored().encode_to_vec()
    }

    /// The stored form itself.
    #[must_use]
    pub fn into_stored(self) -> store::ContactRecord {
        match self {
            Self::Here(contact) => contact.into_stored(),
            Self::Elsewhere(to) => store::ContactRecord {
                format: ELSEWHERE,
                moved_to: to.region,
                move_id: to.id,
                ..store::ContactRecord::default()
            },
            Self::Arriving(contact, from) => store::ContactRecord {
                format: ELSEWHERE,
                arriving_from: from.region,
                move_id: from.id,
                ..contact.into_stored()
            },
        }
    }
}

impl Contact {
    /// The country of the residence that holds, if one is recorded.
    #[must_use]
    pub fn country_of_residence(&self) -> Option<Jurisdiction> {
        let holding = self.record.facts.iter().filter(|fact| fact.superseded_at == 0);
        holding
            .filter_map(|fact| match &fact.fact {
                Some(stored_fact::Fact::Residence(code)) => code.parse().ok().map(country_of),
                _ => None,
            })
            .next_back()
    }

    /// The same record as another store is to have it: what it was copied from within this one means nothing there.
    #[must_use]
    pub fn for_another_store(mut self) -> Self {
        self.record.copied = None;
        self
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::place::Number;
    use crate::time::Instant;

    #[test]
    fn a_pointer_and_a_copy_on_its_way_are_no_records() {
        let number = Number::parse("+8613812345678", None).unwrap();
        let contact = Contact::new(number, Instant::from_millis(5));
        let there = Move { region: "cn".to_owned(), id: 7 };
        let pointer = Stored::Elsewhere(there.clone());
        let arriving = Stored::Arriving(contact.clone(), there);
        for stored in [&pointer, &arriving] {
            assert_eq!(Stored::from_bytes(&stored.to_bytes()).unwrap(), *stored);
            assert_eq!(
                Contact::from_bytes(&stored.to_bytes()),
                Err(RecordError::Newer(3)),
                "an older build refuses it"
            );
        }
        assert!(pointer.to_bytes().len() < 20, "it says the region and no more");
        let here = Stored::Here(contact);
        assert_eq!(Stored::from_bytes(&here.to_bytes()).unwrap(), here);
        assert!(matches!(Stored::from_bytes(&[0x08, 4]), Err(RecordError::Newer(4))));
        assert!(matches!(Stored::from_bytes(&[0x08, 3]), Err(RecordError::Broken(_))));
        let mut marked = store::ContactRecord { format: 1, ..store::ContactRecord::default() };
        marked.moved_to = "cn".to_owned();
        assert!(Stored::from_bytes(&marked.encode_to_vec()).is_err(), "no pointer passes for a record");
    }

    #[test]
    fn what_rights_have_touched_has_a_form_that_older_builds_refuse() {
        let number = Number::parse("+8613812345678", None).unwrap();
        let now = Instant::from_millis(5);
        let form = |contact: &Contact| contact.clone().into_stored().format;
        let plain = Contact::new(number, now);
        assert_eq!(form(&plain), 1);
        let mut restricted = plain.clone();
        restricted.restrict(now);
        let (erased, ..) = plain.erased(crate::proto::v1::OptOutScope::default(), &[], None, [0; 16], now);
        let mut asked = plain;
        asked.add_request(crate::proto::v1::RightsRequest::default(), None, [0; 16], now);
        for contact in [restricted, erased, asked] {
            assert_eq!(form(&contact), 2);
            let moving = Stored::Arriving(contact.clone(), Move { region: "cn".to_owned(), id: 7 });
            assert_eq!(Stored::from_bytes(&moving.to_bytes()).unwrap(), moving, "and keeps it on its way");
            // As builds wrote them that had no form of its own for it.
            let old = store::ContactRecord { format: 1, ..contact.clone().into_stored() };
            assert_eq!(Contact::from_bytes(&old.encode_to_vec()).unwrap(), contact);
        }
    }
}
