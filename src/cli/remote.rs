//! Asking a server instead of the data folder.

use std::time::Duration;

use tonic::transport::{Channel, Endpoint};
use tonic_types::StatusExt as _;

use super::{Error, error};
use crate::proto::v1::audit_service_client::AuditServiceClient;
use crate::proto::v1::check_service_client::CheckServiceClient;
use crate::proto::v1::consent_service_client::ConsentServiceClient;
use crate::proto::v1::control_service_client::ControlServiceClient;
use crate::proto::v1::privacy_service_client::PrivacyServiceClient;
use crate::proto::v1::processor_service_client::ProcessorServiceClient;

/// How long a server may take to take the connection, and to answer.
const CONNECT: Duration = Duration::from_secs(5);
const ANSWER: Duration = Duration::from_secs(60);

/// The largest answer read: that to a batch of questions about numbers that could be anywhere.
const ANSWER_BYTES: usize = 64 << 20;

/// Asks for checks.
///
/// # Errors
/// As [`connect`].
pub(super) async fn checks(url: &str) -> Result<CheckServiceClient<Channel>, Error> {
    Ok(CheckServiceClient::new(connect(url).await?).max_decoding_message_size(ANSWER_BYTES))
}

/// Asks about contacts.
///
/// # Errors
/// As [`connect`].
pub(super) async fn contacts(url: &str) -> Result<ConsentServiceClient<Channel>, Error> {
    Ok(ConsentServiceClient::new(connect(url).await?).max_decoding_message_size(ANSWER_BYTES))
}

/// Lists decisions.
///
/// # Errors
/// As [`connect`].
pub(super) async fn audit(url: &str) -> Result<AuditServiceClient<Channel>, Error> {
    Ok(AuditServiceClient::new(connect(url).await?).max_decoding_message_size(ANSWER_BYTES))
}

/// Throws switches.
///
/// # Errors
/// As [`connect`].
pub(super) async fn control(url: &str) -> Result<ControlServiceClient<Channel>, Error> {
    Ok(ControlServiceClient::new(connect(url).await?).max_decoding_message_size(ANSWER_BYTES))
}

/// Asks about processors.
///
/// # Errors
/// As [`connect`].
pub(super) async fn processors(url: &str) -> Result<ProcessorServiceClient<Channel>, Error> {
    Ok(ProcessorServiceClient::new(connect(url).await?).max_decoding_message_size(ANSWER_BYTES))
}

/// Serves the rights of people.
///
/// # Errors
/// As [`connect`].
pub(super) async fn privacy(url: &str) -> Result<PrivacyServiceClient<Channel>, Error> {
    Ok(PrivacyServiceClient::new(connect(url).await?).max_decoding_message_size(ANSWER_BYTES))
}

/// Connects to a server.
///
/// # Errors
/// The address is none, or nobody answers there.
async fn connect(url: &str) -> Result<Channel, Error> {
    let bad = || Error::said(format!("--server {url}: not an address such as http://127.0.0.1:50051"));
    if !url.starts_with("http://") {
        return Err(bad());
    }
    let endpoint = Endpoint::from_shared(url.to_owned()).map_err(|_| bad())?;
    let endpoint = endpoint.connect_timeout(CONNECT).timeout(ANSWER).user_agent("ringfence-cli").map_err(|_| bad())?;
    endpoint.connect().await.map_err(|error| {
        let mut why: &dyn std::error::Error = &error;
        while let Some(inner) = why.source() {
            why = inner;
        }
        Error::said(format!("{url}: no answer ({why}): is `ringfence serve` running there, and is this its gRPC port?"))
    })
}

/// What a server refused, in the words of the command line.
pub(super) fn refused(status: &tonic::Status) -> Error {
    let violations = status.get_details_bad_request().map(|bad| bad.field_violations).unwrap_or_default();
    if violations.is_empty() {
        let code = format!("{:?}", status.code());
        return Error::said(format!("the server refused ({code}): {}", status.message()));
    }
    Error::said(error::faults(violations.iter().map(|v| (v.field.as_str(), v.description.as_str()))))
}
