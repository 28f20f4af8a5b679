//! The vocabulary of requests under data-protection law, and what each kind of them asks for.

use super::terms::{Term, terms};

terms! {
    /// The right that is exercised.
    RightsKind, "kind of request" {
        /// To see what is kept.
        Access = 1 "access",
        /// To have it corrected or completed.
        Correction = 2 "correction",
        /// To take it along.
        Portability = 3 "portability",
        /// To have it erased.
        Erasure = 4 "erasure",
        /// To have it kept but not used.
        Restriction = 5 "restriction",
        /// To object to its use.
        Objection = 6 "objection",
        /// To be told why a decision was made.
        Explanation = 7 "explanation",
        /// A complaint.
        Complaint = 8 "complaint",
        /// That it be passed on to nobody.
        NoSharing = 9 "no_sharing",
    }
}

impl RightsKind {
    /// Whether it is answered only once identity is shown: what reveals or changes data. An opt-out, of contacts or of
    /// sharing, asks for nothing but the number, whoever says it.
    #[must_use]
    pub const fn needs_identity(self, requester: Requester) -> bool {
        match self {
            Self::Access | Self::Correction | Self::Portability | Self::Erasure | Self::Explanation => true,
            Self::Objection | Self::NoSharing => false,
            // Both only tighten; whoever speaks for somebody else shows that he may before the matter is closed.
            Self::Restriction | Self::Complaint => !matches!(requester, Requester::Person),
        }
    }

    /// Whether nothing is left to be answered once it is recorded, if the person said no more than that.
    #[must_use]
    pub const fn is_done_at_once(self) -> bool {
        matches!(self, Self::Objection | Self::NoSharing)
    }
}

terms! {
    /// Who asks.
    Requester, "requester" {
        /// The person.
        Person = 1 "person",
        /// The parent or guardian of a minor.
        Guardian = 2 "guardian",
        /// A close relative of a person who has died.
        Relative = 3 "relative",
        /// Somebody whom the person has authorised.
        Representative = 4 "representative",
    }
}

terms! {
    /// How far a request has come.
    RightsState, "state of a request" {
        /// To be answered.
        Open = 1 "open",
        /// Waits for proof of identity.
        AwaitingIdentity = 2 "awaiting_identity",
        /// Answered.
        Done = 3 "done",
        /// Refused.
        Refused = 4 "refused",
        /// To be answered, with more time.
        Extended = 5 "extended",
    }
}

impl RightsState {
    /// Whether nothing is to be done any more.
    #[must_use]
    pub const fn is_closed(self) -> bool {
        matches!(self, Self::Done | Self::Refused)
    }
}

terms! {
    /// Why a request is refused.
    Refusal, "reason of a refusal" {
        /// Identity was not shown.
        Identity = 1 "identity",
        /// Repeated or abusive beyond measure.
        Excessive = 2 "excessive",
        /// A law demands that the data be kept.
        RetentionDuty = 3 "retention_duty",
        /// The data are needed for a legal claim.
        LegalClaim = 4 "legal_claim",
        /// It would harm the rights of others.
        RightsOfOthers = 5 "rights_of_others",
        /// Nothing is kept.
        NothingKept = 6 "nothing_kept",
        /// It would give away a trade secret.
        TradeSecret = 7 "trade_secret",
        /// Security, public health or a criminal investigation stands against it.
        PublicInterest = 8 "public_interest",
        /// The law does not give this right in such a case.
        NotGivenByLaw = 9 "not_given_by_law",
        /// Whoever asks may not ask for the person.
        NotEntitled = 10 "not_entitled",
    }
}

terms! {
    /// Why a contact is erased.
    ErasureReason, "reason of an erasure" {
        /// The person asked.
        Requested = 1 "requested",
        /// The person closed the account.
        AccountClosed = 2 "account_closed",
        /// The data were processed unlawfully or without consent.
        Unlawful = 3 "unlawful",
        /// The purpose is met, or the service has ended.
        PurposeEnded = 4 "purpose_ended",
        /// The data of a child, collected without a guardian's consent.
        Child = 5 "child",
        /// The agreement with the person was broken in earnest.
        AgreementBroken = 6 "agreement_broken",
    }
}

terms! {
    /// A step of a request.
    RightsStep, "step of a request" {
        /// Identity was shown.
        VerifyIdentity = 1 "verify_identity",
        /// More time is taken.
        Extend = 2 "extend",
        /// It was answered.
        Complete = 3 "complete",
        /// It is refused.
        Refuse = 4 "refuse",
        /// The restriction ends.
        LiftRestriction = 5 "lift_restriction",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_opt_out_asks_for_no_identity_and_whatever_reveals_or_changes_data_does() {
        for requester in Requester::ALL {
            assert!(!RightsKind::Objection.needs_identity(*requester));
            assert!(!RightsKind::NoSharing.needs_identity(*requester));
            for kind in [RightsKind::Access, RightsKind::Correction, RightsKind::Portability, RightsKind::Erasure] {
                assert!(kind.needs_identity(*requester));
            }
        }
        assert!(!RightsKind::Restriction.needs_identity(Requester::Person));
        assert!(RightsKind::Restriction.needs_identity(Requester::Guardian));
    }
}
