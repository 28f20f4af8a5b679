//! Whoever bounds the memory of messages is told what each takes, once it was weighed and before it is decoded.

use std::sync::Arc;

use tokio::task::futures::TaskLocalFuture;
use tonic::Status;

/// What bounds the memory of one call.
pub trait Room: Send + Sync {
    /// A message of the call takes so many bytes once it is decoded.
    ///
    /// # Errors
    /// There is no room for it: the answer.
    fn takes(&self, bytes: usize) -> Result<(), Status>;
}

tokio::task_local! {
    // The codec is made by generated code, which hands it nothing of its call.
    static ROOM: Option<Arc<dyn Room>>;
}

/// Answers a call whose messages take this room, if any.
pub fn within<F: Future>(room: Option<Arc<dyn Room>>, answering: F) -> TaskLocalFuture<Option<Arc<dyn Room>>, F> {
    ROOM.scope(room, answering)
}

/// A message is about to be decoded that takes so many bytes.
///
/// # Errors
/// There is no room for it.
pub fn take(bytes: usize) -> Result<(), Status> {
    ROOM.try_with(|room| room.as_ref().map_or(Ok(()), |room| room.takes(bytes))).unwrap_or(Ok(()))
}
