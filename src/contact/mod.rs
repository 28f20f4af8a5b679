//! What is known of a person: facts, the record that keeps them, and how each change makes the next record.
//!
//! Promises: evidence is only ever added or superseded (I8); every change is a function from record to record.
//! Must never read a clock or a store. Guarded by the unit tests here and `tests/contact.rs`.

pub mod answers;
mod duties;
mod facts;
pub mod holds;
mod policies;
mod record;
mod rights;
mod terms;
mod vocabulary;
pub mod wire;

pub use duties::{RecordClass, RecordDuty, RetentionHold};
pub use facts::{
    Age, AttemptId, Campaign, Consent, Facts, FrequencyCap, InconvenientTime, OptOut, PastAttempt, Period, Policy,
    Reassigned, ReassignedAnswer, RegistryCheck, Relationship, Scope, Seller, Slot, Subject, Transfer, is_one_name,
};
pub use policies::{
    Overtaking, PublishedPolicy, SellerTransfer, Succession, carry_over, is_settled, leading_to, overtake,
    overtaken_at, overtaking,
};
pub use record::{
    Contact, Dated, Known, Left, Move, NoReport, RecordError, Report, Reservation, Scrap, Seen, Stored, WriteId, kept,
};
pub use rights::{ErasureReason, Refusal, Requester, RightsKind, RightsState, RightsStep};
pub use terms::{Channel, Flag, Grade, Purpose, Recipient, Set, Technology, Term};
pub use vocabulary::{ExemptionGround, LegalForm, Method, OfferCategory, OptOutSource, Outcome, TransferMechanism};
