//! A request is waited for until it has arrived whole, before it takes anybody's place: whoever sends slowly waits alone.
//!
//! Promises: what came is handed on as it came, without a copy but of small parts; how much is held is bounded ([`Arrival`]),
//! until it is answered, and for how long it is waited for by the connection, which ends a body that does not come; what did
//! not come whole is never answered.

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::Pin;

use axum::body::{Body, Bytes};
use futures_util::stream;
use hyper::body::Body as _;
use prost::bytes::BytesMut;
use smallvec::SmallVec;

use super::peek::HEAD;
use crate::access::{Arrival, Busy, EACH};

/// What the connection says of a request that takes too long.
const TOO_SLOW: &str = "the request did not arrive in time";
/// Parts that are shorter are put together: each would hold on to all that was read with it.
const SMALL: usize = 4 << 10;

/// A request that has arrived, or was broken off.
#[derive(Default)]
pub(super) struct Message {
    parts: SmallVec<[Bytes; 1]>,
    /// Small parts, put together, that come after those.
    small: BytesMut,
    /// The last part, which comes after all.
    last: Bytes,
    bytes: usize,
    /// Why it did not come whole, where it did not.
    broken: Option<axum::Error>,
    /// What is held of it, where it was waited for or is long.
    pub arrival: Option<Arrival>,
}

/// Waits until all of a request has come, or more than `most`, for which it will be refused by whoever reads it. `framed`:
/// it is a message of gRPC. `begin` is for what has to be waited for, or is long.
///
/// # Errors
/// It is long, and there is no room for it.
pub(super) async fn gather(
    mut body: Body,
    framed: bool,
    most: usize,
    begin: impl Fn() -> Arrival,
) -> Result<Message, Busy> {
    let mut message = Message::default();
    let mut arrival = None;
    while !body.is_end_stream() {
        let polled = poll_fn(|context| {
            let polled = Pin::new(&mut body).poll_frame(context);
            if polled.is_pending() {
                arrival.get_or_insert_with(&begin);
            }
            polled
        });
        let part = match polled.await {
            None => break,
            Some(Ok(frame)) => frame.into_data().unwrap_or_default(),
            Some(Err(error)) => return Ok(Message { broken: Some(error), ..Message::default() }),
        };
        let too_long = framed && message.bytes == 0 && says_too_long(&part, most);
        message.take(part);
        if message.bytes > EACH {
            arrival.get_or_insert_with(&begin).brought(message.bytes)?;
        }
        if too_long || message.bytes > most + HEAD {
            break;
        }
    }
    message.finish();
    message.arrival = arrival.map(Arrival::come);
    Ok(message)
}

/// Whether a message that begins so is longer than is read: it is refused by its head, so the rest is not waited for.
fn says_too_long(part: &[u8], most: usize) -> bool {
    let length = part.get(1..HEAD).and_then(|length| Some(u32::from_be_bytes(length.try_into().ok()?)));
    length.is_some_and(|length| usize::try_from(length).is_ok_and(|length| length > most))
}

impl Message {
    fn take(&mut self, part: Bytes) {
        if part.is_empty() {
            return;
        }
        self.bytes += part.len();
        let before = std::mem::replace(&mut self.last, part);
        self.keep(before);
    }

    fn keep(&mut self, part: Bytes) {
        if part.len() < SMALL {
            self.small.extend_from_slice(&part);
        } else {
            self.close();
            self.parts.push(part);
        }
    }

    /// What was put together becomes a part.
    fn close(&mut self) {
        if !self.small.is_empty() {
            self.parts.push(std::mem::take(&mut self.small).freeze());
        }
    }

    fn finish(&mut self) {
        let last = std::mem::take(&mut self.last);
        if self.small.is_empty() {
            self.parts.push(last);
        } else {
            self.keep(last);
            self.close();
        }
    }

    /// How long it is, as it came.
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Why it did not come whole, where it did not: in time, or at all.
    pub fn broken(&self) -> Option<&'static str> {
        let error = self.broken.as_ref()?;
        let mut causes = std::iter::successors(Some(error as &dyn std::error::Error), |error| error.source());
        let slow = causes.any(|cause| cause.to_string() == TOO_SLOW);
        Some(if slow { TOO_SLOW } else { "the request did not come whole" })
    }

    /// All of it in one piece, if it is short enough to be looked into.
    pub fn whole(&mut self) -> Option<&[u8]> {
        if self.bytes > EACH {
            return None;
        }
        if self.parts.len() > 1 {
            let whole = self.parts.concat();
            self.parts.clear();
            self.parts.push(whole.into());
        }
        self.parts.first().map(|part| &part[..])
    }

    /// As whoever answers it reads it. Of what was broken off that is nothing but why, so that no half of it is taken for a
    /// whole.
    pub fn into_body(mut self) -> Body {
        if let Some(error) = self.broken {
            return Body::from_stream(stream::iter([Err::<Bytes, _>(error)]));
        }
        match self.parts.len() {
            0 | 1 => Body::from(self.parts.pop().unwrap_or_default()),
            _ => Body::from_stream(stream::iter(self.parts.into_iter().map(Ok::<_, Infallible>))),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::super::MESSAGE_BYTES;
    use super::*;
    use crate::access::{Gate, Lane};

    fn gathered(parts: Vec<Vec<u8>>, framed: bool) -> Result<Message, Busy> {
        let gate = Arc::new(Gate::default());
        let parts = parts.into_iter().map(|part| Ok::<_, Infallible>(Bytes::from(part)));
        let body = Body::from_stream(stream::iter(parts));
        let begin = || gate.arrival(Lane::Check, None);
        futures_util::FutureExt::now_or_never(gather(body, framed, MESSAGE_BYTES, begin)).unwrap()
    }

    fn read(body: Body) -> Bytes {
        let read = axum::body::to_bytes(body, usize::MAX);
        futures_util::FutureExt::now_or_never(read).unwrap().unwrap()
    }

    proptest! {
        #[test]
        fn what_came_is_handed_on(lengths in prop::collection::vec(0_usize..3 * SMALL, 0..12)) {
            let parts: Vec<Vec<u8>> = lengths.iter().zip(1..).map(|(length, n)| vec![n; *length]).collect();
            let all = parts.concat();
            let mut message = gathered(parts, false).ok().unwrap();
            prop_assert!(message.small.is_empty() && message.last.is_empty());
            // No two parts stand beside each other that are both small.
            prop_assert!(message.parts.windows(2).all(|two| two[0].len() >= SMALL || two[1].len() >= SMALL));
            prop_assert_eq!(message.whole().unwrap_or_default(), &all[..]);
            prop_assert_eq!(&read(message.into_body())[..], &all[..]);
        }
    }

    #[test]
    fn one_part_is_not_copied() {
        let part = Bytes::from(vec![7; 100]);
        let at = part.as_ptr();
        let body = Body::from_stream(stream::iter([Ok::<_, Infallible>(part), Ok(Bytes::new())]));
        let begin = || Arc::new(Gate::default()).arrival(Lane::Check, None);
        let message = futures_util::FutureExt::now_or_never(gather(body, true, MESSAGE_BYTES, begin)).unwrap();
        assert_eq!(read(message.ok().unwrap().into_body()).as_ptr(), at);
    }

    #[test]
    fn what_is_too_long_is_not_waited_for_and_what_is_long_is_not_looked_into() {
        let head = [&[0][..], &u32::MAX.to_be_bytes(), &[1, 2]].concat();
        let message = gathered(vec![head.clone(), vec![0; 100]], true).ok().unwrap();
        assert_eq!(&read(message.into_body())[..], &head[..]);
        let message = gathered(vec![vec![1; 1 << 20]; 20], false).ok().unwrap();
        assert_eq!(read(message.into_body()).len(), 17 << 20, "the first part beyond what is read is the last");
        assert!(gathered(vec![vec![1; EACH / 2]; 3], false).ok().unwrap().whole().is_none());
    }

    #[test]
    fn what_was_broken_off_is_read_as_nothing() {
        let parts = [Ok(Bytes::from_static(b"{}")), Err("gone")];
        let body = Body::from_stream(stream::iter(parts));
        let begin = || Arc::new(Gate::default()).arrival(Lane::Check, None);
        let gathered = futures_util::FutureExt::now_or_never(gather(body, false, MESSAGE_BYTES, begin)).unwrap();
        let mut message = gathered.ok().unwrap();
        assert!(message.whole().is_none());
        assert_eq!(message.broken(), Some("the request did not come whole"));
        let read = axum::body::to_bytes(message.into_body(), usize::MAX);
        let error = futures_util::FutureExt::now_or_never(read).unwrap().unwrap_err();
        assert!(error.to_string().contains("gone"), "{error}");
    }
}
