//! The memory that one call takes of what all share, from its first byte until it is answered.

use std::sync::{Mutex, PoisonError};

use tonic::Status;

use super::incoming::Incoming;
use super::{Calls, status};
use crate::access::{Arrival, Busy};
use crate::proto::room::Room;

/// See the module.
pub(super) struct Holding {
    pub calls: Calls,
    pub incoming: Incoming,
    /// What is called.
    pub call: String,
    /// It is answered before all else.
    pub first: bool,
    pub arrival: Mutex<Arrival>,
}

impl Room for Holding {
    fn takes(&self, bytes: usize) -> Result<(), Status> {
        let mut arrival = self.arrival.lock().unwrap_or_else(PoisonError::into_inner);
        arrival.is_read(bytes, self.first).map_err(|busy| {
            self.calls.refused(&self.incoming, &self.call, "OVERLOADED", &busy.why.word());
            status::overloaded(Busy::after(busy.wait))
        })
    }
}
