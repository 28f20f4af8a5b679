//! Asking a server instead of the data folder.

use std::time::Duration;

use tonic::transport::{Channel, Endpoint};
use tonic_types::StatusExt as _;

use super::{Error, error};

/// How long a server may take to answer the telephone, and to answer.
const CONNECT: Duration = Duration::from_secs(5);
const ANSWER: Duration = Duration::from_secs(60);

/// Connects to a server.
///
/// # Errors
/// The address is none, or nobody answers there.
pub(super) async fn connect(url: &str) -> Result<Channel, Error> {
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
