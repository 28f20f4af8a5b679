//! A server's routes in this process, for callers of several tenants; and every call of the contract.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use axum::Router;
use axum::body::{Body, Bytes};
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt as _;
use prost::Message as _;
use ringfence::access::{Access, ApiKey, Callers, Limits, NewCaller, Peer, Role, Roles, appended_caller};
use ringfence::engine::{Engine, Tenants};
use ringfence::http::router;
use ringfence::proto::FILE_DESCRIPTOR_SET;
use ringfence::service::{Calls, now, routes};
use ringfence::time::Millis;
use serde_json::Value;
use tower::ServiceExt as _;

/// Somebody who may ask, and the key they show.
pub struct Somebody {
    pub name: String,
    pub key: String,
}

/// See the module.
pub struct House {
    pub grpc: Router,
    pub http: Router,
    pub calls: Calls,
    pub access: Arc<Access>,
    pub tenants: Arc<Tenants>,
    text: String,
}

impl House {
    pub fn new(engine: Arc<Engine>) -> Self {
        Self::limited(engine, Limits::NONE)
    }

    pub fn limited(engine: Arc<Engine>, limits: Limits) -> Self {
        let tenants = Arc::new(Tenants::new(engine));
        let access = Arc::new(Access::new(Callers::read("", limits).unwrap(), limits));
        let calls = Calls::guarded(Arc::clone(&tenants), Arc::clone(&access));
        let (grpc, _) = routes(calls.clone()).unwrap();
        let (grpc, http) = (grpc.prepare().into_axum_router(), router(calls.clone()));
        Self { grpc, http, calls, access, tenants, text: String::new() }
    }

    /// Lets somebody of a tenant ask.
    pub fn admit(&mut self, name: &str, tenant: &str, roles: impl IntoIterator<Item = Role>) -> Somebody {
        self.admit_until(name, tenant, roles, None)
    }

    /// The same until so long from now; a time that is over already lets nobody in.
    pub fn admit_until(
        &mut self,
        name: &str,
        tenant: &str,
        roles: impl IntoIterator<Item = Role>,
        until: Option<Millis>,
    ) -> Somebody {
        let key = ApiKey::generate().unwrap();
        let new = NewCaller {
            name,
            tenant,
            roles: roles.into_iter().collect::<Roles>(),
            key: Some(key.digest()),
            certificate: None,
            created: now(),
            expires: until.map(|until| now().plus(until)),
        };
        let text = appended_caller(&self.text, &new);
        self.put(text);
        Somebody { name: name.to_owned(), key: key.reveal().to_owned() }
    }

    /// Puts this text in the place of the access file.
    pub fn put(&mut self, text: String) {
        let callers = Callers::read(&text, Limits::NONE).unwrap();
        for tenant in callers.tenants() {
            self.tenants.open(&tenant, None).unwrap();
        }
        self.access.change(callers);
        self.text = text;
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    pub async fn ask(&self, path: &str, key: Option<&str>, body: &Value) -> (StatusCode, Value) {
        let (code, _, bytes) = send(&self.http, request(path, key, Bytes::from(body.to_string()))).await;
        (code, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
    }

    /// Looks something up.
    pub async fn get(&self, path: &str, key: Option<&str>) -> (StatusCode, Value) {
        let mut request = request(path, key, Bytes::new());
        *request.method_mut() = http::Method::GET;
        let (code, _, bytes) = send(&self.http, request).await;
        (code, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
    }
}

/// Asks from another address each time, so that no wrong key waits for those before it.
pub fn request(path: &str, key: Option<&str>, body: Bytes) -> Request<Body> {
    static ADDRESSES: AtomicU32 = AtomicU32::new(u32::from_be_bytes([198, 18, 0, 0]));
    let from = Ipv4Addr::from(ADDRESSES.fetch_add(1, Ordering::Relaxed));
    let mut request = Request::post(path);
    if let Some(key) = key {
        request = request.header("authorization", format!("Bearer {key}"));
    }
    let peer = Peer { address: (from, 4_000).into(), certificate: None };
    request.extension(peer).body(Body::from(body)).unwrap()
}

pub async fn send(router: &Router, request: Request<Body>) -> (StatusCode, HeaderMap, Bytes) {
    let response = router.clone().oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    (parts.status, parts.headers, body.collect().await.unwrap().to_bytes())
}

/// A call of the contract.
#[derive(Clone, Debug)]
pub struct Method {
    pub service: String,
    pub name: String,
    pub client_stream: bool,
    pub server_stream: bool,
}

impl Method {
    /// Without the package, where it is ours.
    pub fn short(&self) -> String {
        format!("{}.{}", self.service.strip_prefix("ringfence.v1.").unwrap_or(&self.service), self.name)
    }

    pub fn path(&self) -> String {
        format!("/{}/{}", self.service, self.name)
    }
}

/// Every call of the contract.
pub fn methods() -> Vec<Method> {
    let mut methods = served();
    methods.retain(|method| method.service.starts_with("ringfence.v1."));
    assert!(methods.len() > 30, "{}", methods.len());
    methods
}

/// Every call that is served: those of the contract, of health, and of reflection in both versions.
pub fn served() -> Vec<Method> {
    let sets = [
        FILE_DESCRIPTOR_SET,
        tonic_health::pb::FILE_DESCRIPTOR_SET,
        tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET,
        tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET,
    ];
    let sets = sets.map(|set| prost_types::FileDescriptorSet::decode(set).unwrap());
    let of_file = |file: &prost_types::FileDescriptorProto| {
        let package = file.package().to_owned();
        let of_service = move |service: &prost_types::ServiceDescriptorProto| {
            let service_name = format!("{package}.{}", service.name());
            let method = move |method: &prost_types::MethodDescriptorProto| Method {
                service: service_name.clone(),
                name: method.name().to_owned(),
                client_stream: method.client_streaming(),
                server_stream: method.server_streaming(),
            };
            service.method.iter().map(method).collect::<Vec<_>>()
        };
        file.service.iter().flat_map(of_service).collect::<Vec<_>>()
    };
    let mut methods: Vec<_> = sets.iter().flat_map(|set| &set.file).flat_map(of_file).collect();
    methods.sort_by_key(Method::path);
    methods
}

/// The gRPC status of an empty message to this call. Of an answer that streams only whether it begins.
pub async fn empty_call(house: &House, method: &Method, key: Option<&str>) -> i32 {
    // A frame: not compressed, of no bytes.
    let mut request = request(&method.path(), key, Bytes::from_static(&[0; 5]));
    request.headers_mut().insert("content-type", "application/grpc".parse().unwrap());
    request.headers_mut().insert("te", "trailers".parse().unwrap());
    let response = house.grpc.clone().oneshot(request).await.unwrap();
    let status = |headers: &HeaderMap| headers.get("grpc-status").map(|code| code.to_str().unwrap().parse().unwrap());
    if let Some(code) = status(response.headers()) {
        return code;
    }
    if method.server_stream {
        return 0;
    }
    let body = response.into_body().collect().await.unwrap();
    body.trailers().and_then(status).expect("a status")
}
