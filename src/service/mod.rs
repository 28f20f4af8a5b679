//! The contract over gRPC: translate, authorise, nothing else.
//!
//! Promises: every method answers as the engine says; a message that does not decode is INVALID_ARGUMENT; health says
//! NOT_SERVING while store or log cannot answer. Must never hold logic of its own. Guarded by `tests/service.rs`.

mod apart;
mod calls;
mod control_calls;
mod gather;
mod grpc;
pub mod guard;
mod health;
mod holding;
mod import;
mod incoming;
mod kept_calls;
mod kept_grpc;
mod leave;
mod lenient;
mod malformed;
mod names;
mod peek;
mod privacy;
mod ready;
mod refused;
mod registry;
mod rows;
mod shed;
pub mod status;
mod stream;

use std::sync::Arc;

use tonic::server::NamedService;
use tonic::service::Routes;

pub use apart::Apart;
pub use calls::Calls;
pub use grpc::Grpc;
pub use incoming::{Incoming, now};
pub use lenient::STREAMED_BYTES;
pub use ready::{Faults, Readiness};
pub use shed::gated_http;

use crate::proto;
use crate::proto::v1::audit_service_server::AuditServiceServer;
use crate::proto::v1::check_service_server::CheckServiceServer;
use crate::proto::v1::consent_service_server::ConsentServiceServer;
use crate::proto::v1::control_service_server::ControlServiceServer;
use crate::proto::v1::incident_service_server::IncidentServiceServer;
use crate::proto::v1::law_service_server::LawServiceServer;
use crate::proto::v1::policy_service_server::PolicyServiceServer;
use crate::proto::v1::privacy_service_server::PrivacyServiceServer;
use crate::proto::v1::processor_service_server::ProcessorServiceServer;
use crate::proto::v1::registry_service_server::RegistryServiceServer;
use crate::proto::v1::retention_service_server::RetentionServiceServer;

/// The largest message read: room for a batch with evidence, and for an oversized field to be named. What is written has
/// no limit: the attempts of a batch are counted by then, and its caller must learn which.
pub const MESSAGE_BYTES: usize = 16 << 20;

/// The largest message that switches something: it is never refused for a place, so it must not need much.
pub const CONTROL_BYTES: usize = 64 << 10;

/// The largest message of reflection, which asks for a name.
const REFLECTION_BYTES: usize = 64 << 10;

/// The header of HTTP in which a caller says for how many milliseconds an answer is of use.
pub const TIMEOUT_HEADER: &str = "x-ringfence-timeout-ms";

/// Calls whose messages come over time, so that silence is no fault of theirs.
pub const CLIENT_STREAMS: [&str; 4] = [
    "/ringfence.v1.CheckService/CheckStream",
    "/ringfence.v1.ConsentService/ImportContacts",
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
];

/// Health of the services, as gRPC asks for it.
pub use tonic_health::server::HealthReporter;

/// All services, with health and reflection.
///
/// # Errors
/// The descriptors do not load, which a test rules out.
pub fn routes(calls: Calls) -> Result<(Routes, HealthReporter), tonic_reflection::server::Error> {
    let (reporter, health) = health::service(&calls);
    let reflection = || {
        tonic_reflection::server::Builder::configure()
            // The details of errors, so that a client with nothing but reflection can read them. First: of what both
            // sets hold, the later is served by name of the message.
            .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(proto::FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    let (grpc, told) = (Grpc(calls.clone()), Arc::new(calls.clone()));
    let mut builder = Routes::builder();
    macro_rules! add {
        ($($server:ident),*) => {
            $({
                let inner = $server::new(grpc.clone()).max_decoding_message_size(MESSAGE_BYTES);
                builder.add_service(malformed::Refuse { inner, calls: Arc::clone(&told) });
            })*
        };
    }
    macro_rules! add_with_streams {
        ($($server:ident),*) => {
            $({
                let inner = $server::new(grpc.clone()).max_decoding_message_size(MESSAGE_BYTES);
                let inner = lenient::Lenient { inner, calls: calls.clone() };
                builder.add_service(malformed::Refuse { inner, calls: Arc::clone(&told) });
            })*
        };
    }
    add_with_streams!(CheckServiceServer, ConsentServiceServer);
    let inner = ControlServiceServer::new(grpc.clone()).max_decoding_message_size(CONTROL_BYTES);
    builder.add_service(malformed::Refuse { inner, calls: Arc::clone(&told) });
    add!(AuditServiceServer);
    add!(LawServiceServer, PrivacyServiceServer, RegistryServiceServer, ProcessorServiceServer);
    add!(PolicyServiceServer, RetentionServiceServer, IncidentServiceServer);
    builder.add_service(health);
    builder.add_service(reflection().build_v1()?.max_decoding_message_size(REFLECTION_BYTES));
    // What Python's grpcio-reflection and older tools ask for; they know no v1.
    builder.add_service(reflection().build_v1alpha()?.max_decoding_message_size(REFLECTION_BYTES));
    let routes = builder.routes();
    // Who asks is found out first: nobody who is unknown takes a place of those who are known.
    let routes = shed::gated(routes, &calls);
    let routes = if calls.access().is_some() { guard::guarded(routes, calls) } else { routes };
    Ok((routes, reporter))
}

/// The names under which health is asked for; the empty one is the server as a whole.
pub const HEALTH_NAMES: [&str; 12] = [
    "",
    CheckServiceServer::<Grpc>::NAME,
    ConsentServiceServer::<Grpc>::NAME,
    ControlServiceServer::<Grpc>::NAME,
    AuditServiceServer::<Grpc>::NAME,
    LawServiceServer::<Grpc>::NAME,
    PrivacyServiceServer::<Grpc>::NAME,
    RegistryServiceServer::<Grpc>::NAME,
    ProcessorServiceServer::<Grpc>::NAME,
    PolicyServiceServer::<Grpc>::NAME,
    RetentionServiceServer::<Grpc>::NAME,
    IncidentServiceServer::<Grpc>::NAME,
];
