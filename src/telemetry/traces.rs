//! Traces over OTLP: one span a call, a child of the caller's, with an event at the end of each stage.
//!
//! Promises: off unless configured, and then a call costs one look at a flag; a collector that is slow, wrong or gone never
//! blocks or fails a call: what does not fit the queue is dropped, and batches that were not taken are counted; nothing of
//! a request is in a span but its method, so no number is.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use http::HeaderMap;
use opentelemetry::propagation::{Extractor, TextMapPropagator as _};
use opentelemetry::trace::{
    FutureExt as _, SpanContext, SpanKind, Status, TraceContextExt as _, TraceState, Tracer as _, TracerProvider as _,
};
use opentelemetry::{Context, KeyValue, trace};
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{Sampler, SdkTracer, SdkTracerProvider, SpanData};

/// How long one batch may take to be taken.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long the rest may take when the server ends.
const FLUSH: Duration = Duration::from_secs(3);

/// Whether any trace is made: looked at in each stage of each check.
static ON: AtomicBool = AtomicBool::new(false);

/// What makes spans, and sends them.
pub struct Traces {
    provider: SdkTracerProvider,
    tracer: SdkTracer,
    propagator: TraceContextPropagator,
    failed: Arc<AtomicU64>,
}

impl std::fmt::Debug for Traces {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Traces").finish_non_exhaustive()
    }
}

/// Sends spans, and counts those that were not taken.
#[derive(Debug)]
struct Counting {
    inner: SpanExporter,
    failed: Arc<AtomicU64>,
}

impl opentelemetry_sdk::trace::SpanExporter for Counting {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = u64::try_from(batch.len()).unwrap_or(0);
        let sent = self.inner.export(batch).await;
        if let Err(error) = &sent
            && self.failed.fetch_add(spans, Ordering::Relaxed) == 0
        {
            tracing::warn!(%error, "traces are not taken by the collector; further ones are only counted");
        }
        sent
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.inner.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}

/// The headers of a request, as the context of its caller is read from.
struct Carried<'a>(&'a HeaderMap);

impl Extractor for Carried<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(http::HeaderName::as_str).collect()
    }
}

impl Traces {
    /// Sends to the collector at this address (`http://…`, OTLP over gRPC): every call whose caller traces it, and so many
    /// in a hundred of the others. To be called within the runtime.
    ///
    /// # Errors
    /// The address is none.
    pub fn start(endpoint: &str, percent: u32) -> Result<Self, String> {
        let inner = SpanExporter::builder().with_tonic().with_endpoint(endpoint).with_timeout(PATIENCE).build();
        let inner = inner.map_err(|error| error.to_string())?;
        let failed = Arc::new(AtomicU64::new(0));
        let resource = Resource::builder()
            .with_service_name("ringfence")
            .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
            .build();
        let others = Sampler::TraceIdRatioBased(f64::from(percent) / 100.0);
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(Counting { inner, failed: Arc::clone(&failed) })
            .with_sampler(Sampler::ParentBased(Box::new(others)))
            .with_resource(resource)
            .build();
        let tracer = provider.tracer("ringfence");
        ON.store(true, Ordering::Relaxed);
        Ok(Self { provider, tracer, propagator: TraceContextPropagator::new(), failed })
    }

    /// Begins the span of a call; `None`: it is not traced. The name must hold nothing of the request.
    #[must_use]
    pub fn begin(&self, name: String, system: &'static str, headers: &HeaderMap) -> Option<Traced> {
        // Nobody's span is the parent of a call but the caller's.
        let named = self.propagator.extract_with_context(&Context::new(), &Carried(headers));
        let named = named.span().span_context().clone();
        // Only its ids go on: what else the caller carries may say anything.
        let parent = if named.is_valid() {
            let bare = SpanContext::new(named.trace_id(), named.span_id(), named.trace_flags(), true, TraceState::NONE);
            Context::new().with_remote_span_context(bare)
        } else {
            Context::new()
        };
        let span = self
            .tracer
            .span_builder(name)
            .with_kind(SpanKind::Server)
            .with_attributes([KeyValue::new("rpc.system", system)])
            .start_with_context(&self.tracer, &parent);
        let context = parent.with_span(span);
        let sampled = context.span().span_context().is_sampled();
        sampled.then_some(Traced(context))
    }

    /// Spans that the collector did not take.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }

    /// Sends what is left, if that can be done soon. Blocks.
    pub fn stop(&self) {
        if let Err(error) = self.provider.shutdown_with_timeout(FLUSH) {
            tracing::warn!(%error, "the last traces were not sent");
        }
    }
}

/// A call that is traced. Its span ends when this is dropped.
#[derive(Debug)]
pub struct Traced(Context);

impl Traced {
    /// Does the work of the call as its span's.
    pub async fn around<T>(&self, work: impl Future<Output = T>) -> T {
        work.with_context(self.0.clone()).await
    }

    /// How it ended: the status by its number, and whether the server is at fault.
    pub fn ended(&self, status: i64, fault: bool) {
        let span = self.0.span();
        span.set_attribute(KeyValue::new("rpc.response.status_code", status));
        if fault {
            span.set_status(Status::error(""));
        }
    }
}

impl Drop for Traced {
    fn drop(&mut self) {
        self.0.span().end();
    }
}

/// A stage of the call that is being answered has ended.
pub(super) fn stage(name: &'static str) {
    if ON.load(Ordering::Relaxed) {
        trace::get_active_span(|span| span.add_event(Cow::Borrowed(name), Vec::new()));
    }
}
