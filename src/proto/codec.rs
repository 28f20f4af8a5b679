//! How messages are read off the wire of gRPC, and written to it: as `tonic_prost` does, but that what is sent to a service
//! is weighed before it is decoded ([`super::weigh`]).

use std::marker::PhantomData;

use prost::Message;
use prost::bytes::Buf as _;
use tonic::Status;
use tonic::codec::{Codec, DecodeBuf, Decoder};
use tonic_prost::ProstEncoder;

use super::room;
use super::weigh::{FREE, LIGHT, Weighed};

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct Weighing<T, U>(PhantomData<(T, U)>);

impl<T, U> Default for Weighing<T, U> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T, U> Codec for Weighing<T, U>
where
    T: Message + Send + 'static,
    U: Message + Weighed + Default + Send + 'static,
{
    type Encode = T;
    type Decode = U;
    type Encoder = ProstEncoder<T>;
    type Decoder = Reader<U>;

    fn encoder(&mut self) -> Self::Encoder {
        ProstEncoder::default()
    }

    fn decoder(&mut self) -> Self::Decoder {
        Reader(PhantomData)
    }
}

/// Decodes messages, once each was weighed.
#[derive(Clone, Copy, Debug)]
pub struct Reader<U>(PhantomData<U>);

impl<U: Message + Weighed + Default> Decoder for Reader<U> {
    type Item = U;
    type Error = Status;

    fn decode(&mut self, source: &mut DecodeBuf<'_>) -> Result<Option<U>, Status> {
        let length = source.remaining();
        let decoded = match U::LAYOUT.filter(|_| length > LIGHT) {
            None => U::decode(source),
            Some(layout) => {
                // In one piece, and not copied: so it is there.
                let bytes = source.copy_to_bytes(length);
                let weight = layout.weigh(&bytes, FREE).map_err(|heavy| Status::internal(heavy.to_string()))?;
                room::take(weight)?;
                U::decode(bytes)
            }
        };
        // INTERNAL with these words is what `tonic_prost` says, and what is put right where it is answered.
        decoded.map(Some).map_err(|error| Status::internal(error.to_string()))
    }
}
