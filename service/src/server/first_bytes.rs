//! A limit of time on a connection's first bytes.
//!
//! Until they are there, nobody knows whether the connection speaks HTTP/1.1 or HTTP/2, and hyper-util's sniffing has no
//! limit of its own: without one, a client that connects and stays silent would hold its slot for ever.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Sleep;

use super::connection::Slot;

/// What an HTTP/2 client sends first (RFC 9113 section 3.4). The first byte that differs makes it HTTP/1.1.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A stream whose reads fail if its protocol is not clear in time. After that, it costs one branch.
#[derive(Debug)]
pub(crate) struct FirstBytes<T = TcpStream> {
    stream: T,
    undecided: Option<Undecided>,
    /// Given back when the stream is dropped.
    _slot: Option<Slot>,
}

#[derive(Debug)]
struct Undecided {
    limit: Pin<Box<Sleep>>,
    matched: usize,
}

impl<T> FirstBytes<T> {
    pub(crate) fn new(stream: T, limit: Duration) -> Self {
        Self {
            stream,
            undecided: Some(Undecided { limit: Box::pin(tokio::time::sleep(limit)), matched: 0 }),
            _slot: None,
        }
    }

    /// Keeps the connection's slot as long as the stream is there, whoever has it by then.
    pub(crate) fn holding(self, slot: Slot) -> Self {
        Self { _slot: Some(slot), ..self }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for FirstBytes<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let Some(undecided) = &mut this.undecided else { return Pin::new(&mut this.stream).poll_read(context, buffer) };
        let before = buffer.filled().len();
        match Pin::new(&mut this.stream).poll_read(context, buffer) {
            Poll::Pending => match undecided.limit.as_mut().poll(context) {
                Poll::Ready(()) => Poll::Ready(Err(io::Error::new(
                    io::ErrorKind::TimedOut,
                    "the connection did not say which protocol it speaks",
                ))),
                Poll::Pending => Poll::Pending,
            },
            Poll::Ready(result) => {
                let read = &buffer.filled()[before..];
                let expected = &PREFACE[undecided.matched..];
                let clear = read.is_empty() || read.len() >= expected.len() || !expected.starts_with(read);
                if clear {
                    this.undecided = None;
                } else {
                    undecided.matched += read.len();
                }
                Poll::Ready(result)
            }
        }
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for FirstBytes<T> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    const SOON: Duration = Duration::from_millis(30);

    #[tokio::test]
    async fn silence_is_an_error_when_the_time_is_up() {
        let (_client, server) = tokio::io::duplex(64);
        let error = FirstBytes::new(server, SOON).read_u8().await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn half_a_preface_does_not_stop_the_clock() {
        let (mut client, server) = tokio::io::duplex(64);
        client.write_all(b"PRI * HT").await.unwrap();
        let mut stream = FirstBytes::new(server, SOON);
        let mut read = [0; 8];
        stream.read_exact(&mut read).await.unwrap();
        assert_eq!(stream.read_u8().await.unwrap_err().kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn a_byte_of_http_1_stops_the_clock() {
        let (mut client, server) = tokio::io::duplex(64);
        client.write_all(b"G").await.unwrap();
        let mut stream = FirstBytes::new(server, SOON);
        stream.read_u8().await.unwrap();
        tokio::time::sleep(SOON * 2).await;
        client.write_all(b"E").await.unwrap();
        assert_eq!(stream.read_u8().await.unwrap(), b'E');
    }
}
