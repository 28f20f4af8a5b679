//! What those who follow opt-outs are told when a restriction ends: as much as may be asked about again, and no more.

use super::everything;
use crate::contact::{Contact, Purpose, Set, Term as _};
use crate::proto::store::ContactEvent;
use crate::proto::v1;

/// The event about a record that was restricted before. `None`: nothing is surely open again, or the number is not known.
///
/// Whoever follows was told that everything is closed; an opt-out of before is not told again after this. So only those
/// purposes are named that no opt-out touches, in whatever scope, and whether or not a consent reopened it.
pub(super) fn event(contact: &Contact) -> Option<ContactEvent> {
    let number = contact.digits()?;
    let standing = contact.facts(None).opt_outs;
    let mut scope = everything();
    if !standing.is_empty() {
        let closed = |purpose: Purpose| {
            standing.iter().any(|opt_out| {
                let of = &opt_out.scope;
                of.everything || of.purposes.is_empty() || of.purposes.contains(purpose)
            })
        };
        let open: Set<Purpose> =
            Set::all().iter().filter(|purpose| *purpose != Purpose::Emergency && !closed(*purpose)).collect();
        if open == Set::EMPTY {
            return None;
        }
        let purposes = open.iter().map(|purpose| purpose.number().into()).collect();
        scope = v1::OptOutScope { purposes, ..v1::OptOutScope::default() };
    }
    Some(ContactEvent {
        format: 1,
        kind: v1::OptOutEventKind::Reopened.into(),
        number,
        scope: Some(scope),
        ..ContactEvent::default()
    })
}
