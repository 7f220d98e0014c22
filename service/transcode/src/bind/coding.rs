//! Content codings: bodies and gRPC messages that come compressed.
//!
//! Decoding is incremental and never runs ahead of who reads: what a few bytes would inflate to is bounded by the reader,
//! not by the sender. Sources: RFC 9110, section 8.4.1, and
//! <https://github.com/grpc/grpc/blob/master/doc/compression.md>. Knows nothing of routes or messages.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes};
use compression_codecs::core::util::{PartialBuffer, WriteBuffer};
use compression_codecs::zstd::params::DParameter;
use compression_codecs::{BrotliDecoder, DecodeV2, GzipDecoder, ZlibDecoder, ZstdDecoder};
use http_body::Frame;
use tonic::Status;
use tonic::body::Body;

/// How much is decoded at a time.
const PIECE: usize = 32 << 10;

/// The largest window of a zstd frame, as a power of two: 8 MiB (RFC 9659, section 3). A frame could ask for far more.
const ZSTD_WINDOW: u32 = 23;

/// A way to compress.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Coding {
    Gzip,
    /// Deflated data within the zlib format.
    Deflate,
    Brotli,
    Zstd,
}

impl Coding {
    /// The coding of this name in `content-encoding` or `grpc-encoding`.
    pub(crate) fn named(name: &str) -> Option<Self> {
        let name = name.trim();
        let is = |known: &str| name.eq_ignore_ascii_case(known);
        Some(match () {
            () if is("gzip") || is("x-gzip") => Self::Gzip,
            () if is("deflate") => Self::Deflate,
            () if is("br") => Self::Brotli,
            () if is("zstd") => Self::Zstd,
            () => return None,
        })
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Deflate => "deflate",
            Self::Brotli => "br",
            Self::Zstd => "zstd",
        }
    }

    /// Decodes a whole text that must not be larger than `limit` bytes.
    pub(crate) fn decode(self, encoded: &[u8], limit: usize) -> Result<Vec<u8>, DecodeError> {
        let mut decoder = Decoder::new(self);
        let mut input = encoded;
        let mut out = Vec::new();
        while !decoder.is_drained(input) {
            let before = out.len();
            if before > limit {
                return Err(DecodeError::TooLarge { limit });
            }
            // One byte beyond the limit tells that there is more.
            out.resize(before + PIECE.min(limit + 1 - before), 0);
            let written = decoder.step(&mut input, &mut out[before..])?;
            out.truncate(before + written);
        }
        if out.len() > limit {
            return Err(DecodeError::TooLarge { limit });
        }
        decoder.finish()?;
        Ok(out)
    }
}

/// An encoded text cannot be decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DecodeError {
    #[error("the body is not valid {coding}", coding = .0.name())]
    Malformed(Coding),
    #[error("the body is larger than the limit of {limit} bytes when decoded")]
    TooLarge { limit: usize },
}

/// Decodes step by step.
struct Decoder {
    coding: Coding,
    codec: Box<dyn DecodeV2 + Send>,
    /// Whether anything came at all: nothing at all is an empty text in every coding.
    started: bool,
    /// Whether the encoded text is complete.
    done: bool,
    /// Whether the codec holds nothing back.
    flushed: bool,
}

impl fmt::Debug for Decoder {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Decoder").field("coding", &self.coding).field("done", &self.done).finish_non_exhaustive()
    }
}

impl Decoder {
    fn new(coding: Coding) -> Self {
        let codec: Box<dyn DecodeV2 + Send> = match coding {
            Coding::Gzip => Box::new(GzipDecoder::new()),
            Coding::Deflate => Box::new(ZlibDecoder::new()),
            Coding::Brotli => Box::new(BrotliDecoder::new()),
            Coding::Zstd => Box::new(ZstdDecoder::new_with_params(&[DParameter::window_log_max(ZSTD_WINDOW)])),
        };
        Self { coding, codec, started: false, done: false, flushed: true }
    }

    /// Whether nothing can be decoded without more than `input`.
    fn is_drained(&self, input: &[u8]) -> bool {
        input.is_empty() && self.flushed
    }

    /// Decodes from `input`, which is advanced, into `space`; says how many bytes it wrote.
    fn step(&mut self, input: &mut &[u8], space: &mut [u8]) -> Result<usize, DecodeError> {
        self.try_step(input, space).map_err(|_| DecodeError::Malformed(self.coding))
    }

    fn try_step(&mut self, input: &mut &[u8], space: &mut [u8]) -> io::Result<usize> {
        let mut sink = WriteBuffer::new_initialized(space);
        if input.is_empty() {
            self.flushed = self.codec.flush(&mut sink)?;
            return Ok(sink.written_len());
        }
        if self.done {
            // Only gzip and zstd know texts of several parts; a part that follows must be whole again.
            if !matches!(self.coding, Coding::Gzip | Coding::Zstd) {
                return Err(io::ErrorKind::InvalidData.into());
            }
            self.codec.reinit()?;
        }
        let mut source = PartialBuffer::new(*input);
        self.started = true;
        self.done = self.codec.decode(&mut source, &mut sink)?;
        self.flushed = self.done;
        let (taken, written) = (source.written_len(), sink.written_len());
        if taken == 0 && written == 0 && !self.done {
            return Err(io::ErrorKind::InvalidData.into());
        }
        *input = &input[taken..];
        Ok(written)
    }

    /// Checks that the text did not end too early.
    fn finish(&mut self) -> Result<(), DecodeError> {
        if self.done || !self.started {
            return Ok(());
        }
        let whole = self.codec.finish(&mut WriteBuffer::new_initialized(&mut [])).unwrap_or(false);
        if whole { Ok(()) } else { Err(DecodeError::Malformed(self.coding)) }
    }
}

/// A body, decoded as it is read; it reads no further ahead than one chunk.
#[derive(Debug)]
pub(super) struct Decoded {
    body: Body,
    decoder: Decoder,
    chunk: Bytes,
    space: Box<[u8]>,
}

impl Decoded {
    pub(super) fn new(body: Body, coding: Coding) -> Self {
        Self { body, decoder: Decoder::new(coding), chunk: Bytes::new(), space: vec![0; PIECE].into() }
    }
}

impl http_body::Body for Decoded {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = self.get_mut();
        let malformed = |error: DecodeError| Poll::Ready(Some(Err(Status::invalid_argument(error.to_string()))));
        loop {
            while !this.decoder.is_drained(&this.chunk) {
                let mut input = &this.chunk[..];
                let before = input.len();
                match this.decoder.step(&mut input, &mut this.space) {
                    Err(error) => return malformed(error),
                    Ok(written) => {
                        let taken = before - input.len();
                        this.chunk.advance(taken);
                        if written > 0 {
                            let piece = Bytes::copy_from_slice(&this.space[..written]);
                            return Poll::Ready(Some(Ok(Frame::data(piece))));
                        }
                    }
                }
            }
            match ready!(Pin::new(&mut this.body).poll_frame(context)) {
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        this.chunk = data;
                    }
                }
                Some(Err(status)) => return Poll::Ready(Some(Err(status))),
                None => {
                    return match this.decoder.finish() {
                        Ok(()) => Poll::Ready(None),
                        Err(error) => malformed(error),
                    };
                }
            }
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use compression_codecs::brotli::params::EncoderParams;
    use compression_codecs::core::Level;
    use compression_codecs::{BrotliEncoder, EncodeV2, GzipEncoder, ZlibEncoder, ZstdEncoder};
    use http_body_util::{BodyExt as _, StreamBody};
    use proptest::prelude::*;

    use super::*;

    pub(crate) const ALL: [Coding; 4] = [Coding::Gzip, Coding::Deflate, Coding::Brotli, Coding::Zstd];

    pub(crate) fn encode(coding: Coding, text: &[u8]) -> Vec<u8> {
        let mut encoder: Box<dyn EncodeV2> = match coding {
            Coding::Gzip => Box::new(GzipEncoder::new(Level::Default.into())),
            Coding::Deflate => Box::new(ZlibEncoder::new(Level::Default.into())),
            Coding::Brotli => Box::new(BrotliEncoder::new(EncoderParams::default())),
            Coding::Zstd => Box::new(ZstdEncoder::new(3)),
        };
        let mut out = vec![0; text.len() + 1024];
        let mut sink = WriteBuffer::new_initialized(&mut out);
        let mut source = PartialBuffer::new(text);
        while !source.unwritten().is_empty() {
            encoder.encode(&mut source, &mut sink).unwrap();
        }
        assert!(encoder.finish(&mut sink).unwrap());
        let length = sink.written_len();
        out.truncate(length);
        out
    }

    fn sample() -> Vec<u8> {
        (0..30_000u32).flat_map(|n| (n / 7).to_le_bytes()).collect()
    }

    #[test]
    fn what_was_encoded_is_decoded_whatever_the_coding() {
        for coding in ALL {
            for text in [Vec::new(), b"x".to_vec(), vec![0; PIECE], vec![7; 3 * PIECE], sample()] {
                assert_eq!(coding.decode(&encode(coding, &text), text.len()).unwrap(), text, "{coding:?}");
            }
            assert_eq!(coding.decode(b"", 0).unwrap(), b"");
        }
    }

    #[test]
    fn a_text_that_inflates_beyond_the_limit_is_cut_off_there() {
        for coding in ALL {
            let bomb = encode(coding, &vec![0; 3 << 20]);
            assert!(bomb.len() < 10 << 10, "{coding:?}: {}", bomb.len());
            assert_eq!(coding.decode(&bomb, 1000), Err(DecodeError::TooLarge { limit: 1000 }), "{coding:?}");
        }
    }

    #[test]
    fn a_text_cut_short_at_any_byte_is_an_error() {
        for coding in ALL {
            let whole = encode(coding, b"some text, some text, some text");
            for cut in 1..whole.len() {
                assert_eq!(
                    coding.decode(&whole[..cut], 1000),
                    Err(DecodeError::Malformed(coding)),
                    "{coding:?} cut at {cut} of {}",
                    whole.len()
                );
            }
            assert_eq!(coding.decode(b"not encoded at all", 1000), Err(DecodeError::Malformed(coding)));
        }
    }

    #[test]
    fn parts_follow_each_other_where_the_format_has_them() {
        for coding in ALL {
            let twice = [encode(coding, b"one"), encode(coding, b"two")].concat();
            let several = matches!(coding, Coding::Gzip | Coding::Zstd);
            let expected = if several { Ok(b"onetwo".to_vec()) } else { Err(DecodeError::Malformed(coding)) };
            assert_eq!(coding.decode(&twice, 100), expected, "{coding:?}");
        }
    }

    #[test]
    fn a_zstd_frame_may_not_ask_for_a_huge_window() {
        // A frame header that declares a window of 2^27 bytes, and one empty last block.
        let frame = [0x28, 0xb5, 0x2f, 0xfd, 0x00, (27 - 10) << 3, 0x01, 0x00, 0x00];
        assert_eq!(Coding::Zstd.decode(&frame, 1000), Err(DecodeError::Malformed(Coding::Zstd)));
    }

    #[tokio::test]
    async fn a_body_is_decoded_however_its_chunks_are_cut() {
        for coding in ALL {
            let encoded = encode(coding, &sample());
            for size in [1, 7, 1000, encoded.len()] {
                let chunks: Vec<Result<Frame<Bytes>, Status>> =
                    encoded.chunks(size).map(|chunk| Ok(Frame::data(Bytes::copy_from_slice(chunk)))).collect();
                let body = Body::new(StreamBody::new(futures_util::stream::iter(chunks)));
                let decoded = Decoded::new(body, coding).collect().await.unwrap().to_bytes();
                assert!(decoded == sample(), "{coding:?} in chunks of {size}");
            }
        }
    }

    proptest! {
        #[test]
        fn damaged_texts_are_errors_or_within_the_limit(
            coding in proptest::sample::select(&ALL[..]),
            text in proptest::collection::vec(0u8..4, 0..3000),
            damage in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 0..6),
        ) {
            let mut encoded = encode(coding, &text);
            for (at, byte) in damage {
                let at = at.index(encoded.len());
                encoded[at] = byte;
            }
            if let Ok(decoded) = coding.decode(&encoded, 2000) {
                prop_assert!(decoded.len() <= 2000);
            }
        }
    }
}
