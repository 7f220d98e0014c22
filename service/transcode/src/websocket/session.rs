//! One open socket: requests in, answers out, pings between, and an end that is said.
//!
//! One task does it all, and waits for whatever comes next. It reads the socket only while no request waits for the
//! handler, and asks for an answer only when the one before has been handed to the connection: that is the whole of the
//! backpressure.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::{Sink as _, SinkExt as _, Stream as _, StreamExt as _};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{Message, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error as SocketError, error::ProtocolError};
use tonic::Status;

use super::answer::{Answer, End, Piece};
use super::close;
use super::pulse::{Beat, Pulse};
use super::requests::Requests;
use super::sockets::Member;
use crate::bind::messages::Converter;
use crate::frame::Deframer;
use crate::render;
use crate::route::{Method, Route};
use crate::transcoder::Shared;

/// How long the client may take to answer our close frame.
const CLOSING: Duration = Duration::from_secs(5);

/// What a socket has room for before it needs more; most messages are smaller. The library's own default, 128 KiB each
/// way, is a lot for a socket that is silent most of the time.
const READ_BUFFER: usize = 8 << 10;
const WRITE_BUFFER: usize = 16 << 10;

type Socket = WebSocketStream<TokioIo<Upgraded>>;

/// A socket and the call it carries.
pub(super) struct Session {
    shared: Arc<Shared>,
    route: Arc<Route>,
    converter: Converter,
    // Dropped before the requests: a call that is given up must not see its request stream break first.
    answer: Answer,
    deframer: Deframer,
    /// None once the stream has ended, or the handler has dropped it.
    requests: Option<Requests>,
    /// What the handler has not taken yet; the socket is not read meanwhile.
    waiting: VecDeque<Option<Bytes>>,
    /// Whether the client has said all it may.
    complete: bool,
    /// Whether something was written that the connection has not taken yet.
    unsent: bool,
    pulse: Pulse,
}

/// How a session ends.
enum Ending {
    /// With a last text and a close frame.
    Ended(End),
    /// The client has sent a close frame.
    Closed,
    /// There is no connection any more.
    Lost,
}

/// What a socket did.
enum Event {
    Received(Option<Result<Message, SocketError>>),
    Sent(Result<(), SocketError>),
}

impl Session {
    /// `first` is the framed message that needs no text from the client, or empty.
    pub(super) fn new(
        shared: Arc<Shared>,
        route: Arc<Route>,
        converter: Converter,
        requests: Requests,
        answer: Answer,
        first: Vec<u8>,
    ) -> Self {
        let complete = !first.is_empty();
        let waiting = if complete { VecDeque::from([Some(first.into()), None]) } else { VecDeque::new() };
        let pulse = Pulse::new(shared.config.keep_alive, shared.config.socket_idle_timeout);
        Self {
            shared,
            route,
            converter,
            answer,
            deframer: Deframer::default(),
            requests: Some(requests),
            waiting,
            complete,
            unsent: false,
            pulse,
        }
    }

    /// Serves the socket to its end.
    pub(super) async fn run(mut self, upgrade: OnUpgrade, mut member: Member) {
        let Ok(connection) = upgrade.await else { return };
        let limit = Some(self.route.method.limits.max_body);
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER)
            .write_buffer_size(WRITE_BUFFER)
            .max_message_size(limit)
            .max_frame_size(limit);
        let mut socket = WebSocketStream::from_raw_socket(TokioIo::new(connection), Role::Server, Some(config)).await;
        let ending = self.exchange(&mut socket, &mut member).await;
        let (shared, method) = (self.shared.clone(), self.method().clone());
        // Cancels the call, where it has not ended itself.
        drop(self);
        match ending {
            Ending::Ended(end) => finish(socket, &shared, &method, &end).await,
            Ending::Closed => drop(tokio::time::timeout(CLOSING, drain(&mut socket)).await),
            Ending::Lost => {}
        }
    }

    fn method(&self) -> &Arc<Method> {
        super::method(&self.route)
    }

    /// Carries messages both ways until one side ends it.
    async fn exchange(&mut self, socket: &mut Socket, member: &mut Member) -> Ending {
        self.pulse.begin();
        let mut timer = pin!(tokio::time::sleep_until(self.pulse.due().into()));
        loop {
            let (read, flush) = (self.waiting.is_empty(), self.unsent);
            let outcome = tokio::select! {
                // In this order: the order to close comes through whatever else goes on; after a pause of the whole
                // process, the answer to a ping is read before it is missed; an answer that never pauses keeps nothing
                // else from its turn.
                biased;
                status = member.closing() => Err(Ending::Ended(End { status, close: Some(CloseCode::Away) })),
                event = event(socket, read, flush), if read || flush => match event {
                    Event::Received(received) => self.received(received),
                    Event::Sent(Ok(())) => {
                        self.unsent = false;
                        Ok(())
                    }
                    Event::Sent(Err(_)) => Err(Ending::Lost),
                },
                taken = hand_over(&mut self.requests, &mut self.waiting), if !read => {
                    self.pulse.heard = true;
                    if !taken {
                        self.waiting.clear();
                        self.requests = None;
                    }
                    Ok(())
                }
                () = &mut timer => {
                    let beat = self.beat(socket);
                    timer.as_mut().reset(self.pulse.due().into());
                    beat
                }
                piece = self.answer.next(), if !flush => match piece {
                    Piece::Data(data) => self.answered(data, socket),
                    Piece::End(end) => Err(Ending::Ended(self.whole(end))),
                },
            };
            if let Err(ending) = outcome {
                return ending;
            }
        }
    }

    /// What the client said.
    fn received(&mut self, received: Option<Result<Message, SocketError>>) -> Result<(), Ending> {
        let message = match received {
            Some(Ok(message)) => message,
            Some(Err(error)) => return Err(broken(error)),
            None => return Err(Ending::Lost),
        };
        self.pulse.heard = true;
        match message {
            Message::Text(text) => {
                self.pulse.message = Instant::now();
                self.request(text.as_bytes())
            }
            Message::Binary(_) => Err(Ending::Ended(End {
                status: Status::invalid_argument("binary frames are not understood: send JSON as text"),
                close: Some(CloseCode::Unsupported),
            })),
            Message::Close(_) => Err(Ending::Closed),
            // The library has an answer ready, which is sent with the next flush.
            Message::Ping(_) => {
                self.unsent = true;
                Ok(())
            }
            Message::Pong(_) | Message::Frame(_) => Ok(()),
        }
    }

    /// One text of the client.
    fn request(&mut self, text: &[u8]) -> Result<(), Ending> {
        if self.complete {
            if text.is_empty() {
                return Ok(());
            }
            let status = Status::invalid_argument("the request is complete: no more messages are expected");
            return Err(Ending::Ended(status.into()));
        }
        let streaming = self.method().client_streaming;
        self.complete = text.is_empty() || !streaming;
        let mut framed = Vec::with_capacity(text.len());
        let converted = match text {
            [] if streaming => Ok(()),
            [] => self.converter.bare(&mut framed),
            _ => self.converter.message(text, &mut framed),
        };
        converted.map_err(|refusal| Ending::Ended(refusal.into()))?;
        if self.requests.is_some() {
            self.waiting.extend((!framed.is_empty()).then(|| Some(framed.into())));
            self.waiting.extend(self.complete.then_some(None));
        }
        Ok(())
    }

    /// Bytes of the answer: one text for each message that is whole.
    fn answered(&mut self, data: Bytes, socket: &mut Socket) -> Result<(), Ending> {
        self.deframer.push(data);
        loop {
            let message = match self.deframer.next() {
                Ok(Some(message)) => message,
                Ok(None) => return Ok(()),
                Err(error) => return Err(Ending::Ended(Status::internal(error.to_string()).into())),
            };
            let text = self.render(&message).map_err(|status| Ending::Ended(status.into()))?;
            self.send(socket, Message::text(text))?;
            self.pulse.message = Instant::now();
        }
    }

    fn render(&self, message: &[u8]) -> Result<String, Status> {
        let mut json = Vec::with_capacity(message.len() * 2);
        let method = self.method();
        // A twin answers in a message of its own, in which the route names no field.
        let field = self.route.response_body.filter(|_| Arc::ptr_eq(method, &self.route.method));
        let written = match field {
            None => self.shared.plans.write(method.output, message, &mut json),
            Some(field) => self.shared.plans.write_field(method.output, field, message, &mut json),
        };
        written.map_err(|error| Status::internal(error.to_string()))?;
        String::from_utf8(json).map_err(|_| Status::internal("an answer is not UTF-8"))
    }

    /// Writes a frame; it is taken whole, and whether the connection has taken it shows at the next flush.
    fn send(&mut self, socket: &mut Socket, message: Message) -> Result<(), Ending> {
        self.unsent = true;
        Pin::new(socket).start_send(message).map_err(|_| Ending::Lost)
    }

    /// An answer that ends well within a message has not ended well.
    fn whole(&self, end: End) -> End {
        if end.status.code() == tonic::Code::Ok && !self.deframer.is_empty() {
            return render::cut_short().into();
        }
        end
    }

    /// Looks after the connection when the timer is due.
    fn beat(&mut self, socket: &mut Socket) -> Result<(), Ending> {
        // Neither a socket that is not read nor a client that does not read can be expected to answer.
        self.pulse.heard |= self.unsent || !self.waiting.is_empty();
        match self.pulse.beat(Instant::now()) {
            Beat::Fine => Ok(()),
            Beat::Ping if self.unsent => Ok(()),
            Beat::Ping => self.send(socket, Message::Ping(Bytes::new())),
            Beat::Dead => Err(Ending::Lost),
            Beat::Idle(limit) => {
                let problem = format!("no message went either way for {} s", limit.as_secs_f64());
                Err(Ending::Ended(Status::deadline_exceeded(problem).into()))
            }
        }
    }
}

/// What the socket does next of what is asked of it.
async fn event(socket: &mut Socket, read: bool, flush: bool) -> Event {
    let poll = |context: &mut Context<'_>| {
        if flush && let Poll::Ready(sent) = Pin::new(&mut *socket).poll_flush(context) {
            return Poll::Ready(Event::Sent(sent));
        }
        if read && let Poll::Ready(received) = Pin::new(&mut *socket).poll_next(context) {
            return Poll::Ready(Event::Received(received));
        }
        Poll::Pending
    };
    poll_fn(poll).await
}

/// Hands the next request over to the handler, once it has room; tells whether the handler still wants any. May be
/// dropped while it waits without losing any.
async fn hand_over(requests: &mut Option<Requests>, waiting: &mut VecDeque<Option<Bytes>>) -> bool {
    let Some(sender) = requests else { return false };
    let Ok(room) = sender.reserve().await else { return false };
    match waiting.pop_front() {
        Some(None) => {
            room.send(None);
            *requests = None;
        }
        Some(message) => room.send(message),
        None => {}
    }
    true
}

/// Why a socket cannot be read any more.
fn broken(error: SocketError) -> Ending {
    let (status, close) = match error {
        SocketError::Capacity(error) => (Status::resource_exhausted(error.to_string()), CloseCode::Size),
        SocketError::Utf8(_) => (Status::invalid_argument("a text is not UTF-8"), CloseCode::Invalid),
        SocketError::Protocol(ProtocolError::ResetWithoutClosingHandshake) => return Ending::Lost,
        SocketError::Protocol(error) => (Status::invalid_argument(error.to_string()), CloseCode::Protocol),
        _ => return Ending::Lost,
    };
    Ending::Ended(End { status, close: Some(close) })
}

/// Says how the call ended, and closes the socket as the protocol has it.
async fn finish(mut socket: Socket, shared: &Shared, method: &Method, end: &End) {
    let text = close::text(shared, method, &end.status);
    let goodbye = async {
        Pin::new(&mut socket).start_send(Message::text(text))?;
        socket.send(Message::Close(Some(close::frame(end)))).await
    };
    // Answers may still be on their way to a slow client.
    let said = tokio::time::timeout(shared.config.socket_idle_timeout, goodbye).await;
    if !matches!(said, Ok(Ok(()))) {
        return;
    }
    let closing = async {
        drain(&mut socket).await;
        // What the client was still sending must be read: a connection that is closed with bytes unread is reset, and
        // the client may then never see what we said.
        let connection = socket.get_mut();
        if connection.shutdown().await.is_ok() {
            let mut unread = [0; 4096];
            while matches!(connection.read(&mut unread).await, Ok(count) if count > 0) {}
        }
    };
    drop(tokio::time::timeout(CLOSING, closing).await);
}

/// Reads on until both sides have said that they close, or the connection is gone.
async fn drain(socket: &mut Socket) {
    while let Some(Ok(_)) = socket.next().await {}
}
