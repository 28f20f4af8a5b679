//! What became of a contact's consents, marked wherever the contact is shown: overtaken by a policy, passed on with their
//! seller.

use super::answer::stamp;
use super::control::wire;
use crate::contact::wire::Reader;
use crate::contact::{PublishedPolicy, Seller, SellerTransfer, leading_to, overtaking};
use crate::proto::store::{ControlRecord, StoredPolicy};
use crate::proto::v1;

/// The policies and transfers of a tenant, as they stand.
#[derive(Clone, Debug, Default)]
pub struct Marks {
    policies: Vec<PublishedPolicy>,
    transfers: Vec<(SellerTransfer, v1::SellerTransfer)>,
}

impl Marks {
    /// From the record of switches.
    #[must_use]
    pub fn of(record: &ControlRecord) -> Self {
        let read = |kept: &StoredPolicy| wire::policy_of(kept.policy.as_ref()?);
        let told = record.transfers.iter().filter_map(|kept| kept.transfer.as_ref());
        Self {
            policies: record.policies.iter().filter_map(read).collect(),
            transfers: told.filter_map(|told| Some((wire::transfer_of(told)?, told.clone()))).collect(),
        }
    }

    /// Puts them into a contact, as it is told.
    pub fn put(&self, contact: &mut v1::Contact) {
        if self.policies.is_empty() && self.transfers.is_empty() {
            return;
        }
        let transfers: Vec<_> = self.transfers.iter().map(|(transfer, _)| transfer.clone()).collect();
        for recorded in &mut contact.consents {
            let Some(message) = &recorded.consent else { continue };
            let consent = crate::contact::wire::consent(&mut Reader::new(), message);
            let first = overtaking(&self.policies, &consent).min_by_key(|end| end.policy.effective_at);
            if let Some(end) = first.filter(|_| consent.grade.is_some()) {
                recorded.overtaken_by = end.policy.version.to_string();
                recorded.overtaken_at = Some(stamp(end.policy.effective_at));
            }
            let names = |one: &Seller| consent.sellers.iter().any(|seller| seller == one);
            let passed = self.transfers.iter().filter(|(transfer, _)| {
                leading_to(&transfers, &transfer.to).iter().any(|leading| names(&leading.from))
            });
            recorded.transferred_to = passed
                .map(|(_, told)| v1::TransferredTo {
                    seller: told.to_seller.clone(),
                    recipient_name: told.recipient_name.clone(),
                    recipient_contact: told.recipient_contact.clone(),
                    at: told.at,
                    keeps_terms: told.keeps_terms,
                })
                .collect();
        }
    }
}
