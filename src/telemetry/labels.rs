//! The labels of metrics. A tenant's is empty where none is known, which to Prometheus is no label; only names of tenants that
//! are configured are ever one, so there are as many series as the access file has tenants.

use std::borrow::Cow;
use std::sync::Arc;

use prometheus_client::encoding::{EncodeLabel as _, EncodeLabelSet, LabelSetEncoder};

macro_rules! labels {
    ($($(#[$doc:meta])* $name:ident { $($label:ident: $of:ty,)* })*) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
        pub(super) struct $name { $(pub $label: $of,)* }
    )*};
}

labels! {
    Tenant { tenant: Arc<str>, }
    Verdict { tenant: Arc<str>, verdict: &'static str, channel: &'static str, }
    /// Of a tenant, and of no place: places of all tenants would be too many.
    Denial { tenant: Arc<str>, family: &'static str, }
    Place { family: &'static str, jurisdiction: String, channel: &'static str, }
    PlaceVerdict { place: String, verdict: &'static str, channel: &'static str, }
    Purpose { tenant: Arc<str>, purpose: &'static str, }
    Method { method: Cow<'static, str>, code: &'static str, }
    Code { tenant: Arc<str>, code: &'static str, }
    Asked { tenant: Arc<str>, method: &'static str, }
    Refused { tenant: Arc<str>, reason: &'static str, }
    Reason { reason: &'static str, }
    Law { tenant: Arc<str>, rules_version: String, }
    Delivery { tenant: Arc<str>, processor: String, result: &'static str, }
    Urgency { tenant: Arc<str>, urgency: &'static str, }
    Region { region: String, }
    Outcome { outcome: &'static str, }
    Flip { change: &'static str, family: &'static str, rule: String, jurisdiction: String, }
    Lane { lane: &'static str, }
    Shed { lane: &'static str, why: &'static str, }
    File { file: String, }
    What { what: &'static str, }
    Part { part: &'static str, }
}

/// A list.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct List {
    pub registry: String,
    /// Whose own it is. `None`: an official one.
    pub tenant: Option<String>,
}

impl EncodeLabelSet for List {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> Result<(), std::fmt::Error> {
        ("registry", self.registry.as_str()).encode(encoder.encode_label())?;
        self.tenant.as_deref().map_or(Ok(()), |tenant| ("tenant", tenant).encode(encoder.encode_label()))
    }
}
