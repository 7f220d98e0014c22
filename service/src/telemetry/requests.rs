//! What is counted of requests, whatever they ask. The series are a table: a request finds its own without a look-up.

use std::collections::HashMap;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use prost::Message as _;
use prost_types::FileDescriptorSet;
use tonic::Code;

use super::catalogue;
use super::context::Ids;
use super::family::{Family, Value};
use super::histogram::Histogram;

/// What stands for requests that reach no RPC of ours.
const OTHER: &str = "other";

/// How a request came, and how its answer goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// gRPC.
    Grpc,
    /// gRPC-Web.
    GrpcWeb,
    /// JSON over HTTP.
    Http,
    /// JSON over HTTP, answered as a stream.
    Stream,
    /// A WebSocket.
    WebSocket,
}

impl Way {
    const ALL: [Self; 5] = [Self::Grpc, Self::GrpcWeb, Self::Http, Self::Stream, Self::WebSocket];

    /// The word for it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Grpc => "grpc",
            Self::GrpcWeb => "grpc-web",
            Self::Http => "http",
            Self::Stream => "sse",
            Self::WebSocket => "websocket",
        }
    }
}

impl From<transcode::Protocol> for Way {
    fn from(protocol: transcode::Protocol) -> Self {
        match protocol {
            transcode::Protocol::Grpc => Self::Grpc,
            transcode::Protocol::GrpcWeb => Self::GrpcWeb,
            transcode::Protocol::Rest => Self::Http,
            transcode::Protocol::WebSocket => Self::WebSocket,
        }
    }
}

/// Who turned a request down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// Nobody may, or this caller may not.
    Auth,
    /// A limit of requests, tokens or open calls.
    Limit,
    /// There is no money for it.
    Budget,
    /// The server has too much to do.
    Overload,
}

impl Refused {
    const ALL: [Self; 4] = [Self::Auth, Self::Limit, Self::Budget, Self::Overload];

    fn word(self) -> &'static str {
        match self {
            Self::Auth => "auth",
            Self::Limit => "limit",
            Self::Budget => "budget",
            Self::Overload => "overload",
        }
    }
}

/// An RPC, or a place in the table for those that are none of ours.
#[derive(Debug)]
struct Method {
    /// `package.Service/Method`.
    name: Box<str>,
    streams: bool,
    /// The verb and the path by which it is called over HTTP.
    route: Option<(Box<str>, Box<str>)>,
}

/// The index of an RPC in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MethodId(pub(super) u16);

impl MethodId {
    /// None of ours.
    pub(crate) const OTHER: Self = Self(0);
}

#[derive(Debug)]
struct Series {
    duration: Histogram,
    codes: [AtomicU64; 17],
}

/// All series of requests.
#[derive(Debug)]
pub(crate) struct Requests {
    methods: Vec<Method>,
    /// By `/package.Service/Method`.
    by_path: HashMap<Box<str>, u16>,
    /// By method, then by way. Those that nobody uses take a word each.
    series: Box<[OnceLock<Box<Series>>]>,
    in_flight: AtomicI64,
    streams: AtomicI64,
    refusals: [AtomicU64; Refused::ALL.len()],
    pub(super) store_errors: AtomicU64,
}

impl Requests {
    /// A table for the RPCs of this contract, and of the health service.
    pub(crate) fn new(descriptor_set: &[u8]) -> Self {
        let mut methods = vec![Method { name: OTHER.into(), streams: false, route: None }];
        let files = FileDescriptorSet::decode(descriptor_set).unwrap_or_default().file;
        for (file, service) in files.iter().flat_map(|file| file.service.iter().map(move |service| (file, service))) {
            methods.extend(service.method.iter().map(|method| Method {
                name: format!("{}.{}/{}", file.package(), service.name(), method.name()).into(),
                streams: method.server_streaming(),
                route: None,
            }));
        }
        for (name, streams) in [("grpc.health.v1.Health/Check", false), ("grpc.health.v1.Health/Watch", true)] {
            methods.push(Method { name: name.into(), streams, route: None });
        }
        let by_path = (0..).zip(&methods).skip(1).map(|(index, method)| (format!("/{}", method.name).into(), index));
        Self {
            by_path: by_path.collect(),
            series: (0..methods.len() * Way::ALL.len()).map(|_| OnceLock::new()).collect(),
            methods,
            in_flight: AtomicI64::new(0),
            streams: AtomicI64::new(0),
            refusals: Default::default(),
            store_errors: AtomicU64::new(0),
        }
    }

    /// The same, with the verbs and paths of HTTP.
    pub(crate) fn with_routes<'a>(mut self, routes: impl Iterator<Item = transcode::RouteInfo<'a>>) -> Self {
        for route in routes {
            let index = self.by_path.get(&*format!("/{}", route.method)).copied();
            let method = index.and_then(|index| self.methods.get_mut(usize::from(index)));
            if let (Some(method), Some(verb)) = (method.filter(|method| method.route.is_none()), route.verb) {
                method.route = Some((verb.as_str().into(), route.path.into()));
            }
        }
        self
    }

    /// The RPC at this path.
    pub(crate) fn method(&self, path: &str) -> MethodId {
        self.by_path.get(path).map_or(MethodId::OTHER, |index| MethodId(*index))
    }

    /// Its name.
    pub(crate) fn name(&self, method: MethodId) -> &str {
        self.methods.get(usize::from(method.0)).map_or(OTHER, |method| &method.name)
    }

    /// The verb and the path template by which it is called over HTTP.
    pub(crate) fn route(&self, method: MethodId) -> Option<(&str, &str)> {
        let (verb, path) = self.methods.get(usize::from(method.0))?.route.as_ref()?;
        Some((verb, path))
    }

    /// Whether its answer is a stream.
    pub(crate) fn streams(&self, method: MethodId) -> bool {
        self.methods.get(usize::from(method.0)).is_some_and(|method| method.streams)
    }

    /// A request has begun.
    pub(crate) fn begin(&self) {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
    }

    /// It turns out to be answered with a stream.
    pub(crate) fn open_stream(&self) {
        self.streams.fetch_add(1, Ordering::Relaxed);
    }

    /// A request has ended.
    pub(crate) fn end(&self, streamed: bool) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
        if streamed {
            self.streams.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Counts a request that has ended.
    pub(crate) fn count(&self, method: MethodId, way: Way, code: Code, took: Duration, span: Option<Ids>) {
        let Some(series) = self.series.get(usize::from(method.0) * Way::ALL.len() + way as usize) else { return };
        let series = series.get_or_init(|| {
            Box::new(Series { duration: Histogram::new(&catalogue::DURATION), codes: Default::default() })
        });
        series.duration.record(took.as_secs_f64(), span);
        if let Some(count) = series.codes.get(code as usize) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Counts a request that was turned down.
    pub(crate) fn refuse(&self, refused: Refused) {
        if let Some(count) = self.refusals.get(refused as usize) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// What was counted.
    pub(crate) fn read(&self) -> Vec<Family> {
        let mut requests = Family::new(&catalogue::REQUESTS);
        let mut durations = Family::new(&catalogue::DURATION);
        for (index, series) in self.series.iter().enumerate() {
            let Some(series) = series.get() else { continue };
            let method = self.methods.get(index / Way::ALL.len()).map_or(OTHER, |method| &method.name);
            let way = Way::ALL[index % Way::ALL.len()].word();
            for (code, count) in series.codes.iter().enumerate() {
                match count.load(Ordering::Relaxed) {
                    0 => {}
                    count => requests.count(&[way, method, code_name(code)], count),
                }
            }
            durations.histogram(&[way, method], &series.duration);
        }
        let mut refusals = Family::new(&catalogue::REFUSALS);
        for (refused, count) in Refused::ALL.iter().zip(&self.refusals) {
            refusals.count(&[refused.word()], count.load(Ordering::Relaxed));
        }
        let gauge = |gauge: &AtomicI64| Value::Whole(u64::try_from(gauge.load(Ordering::Relaxed)).unwrap_or(0));
        vec![
            requests,
            Family::single(&catalogue::IN_FLIGHT, gauge(&self.in_flight)),
            durations,
            Family::single(&catalogue::OPEN_STREAMS, gauge(&self.streams)),
            refusals,
        ]
    }
}

/// A status as gRPC writes it.
fn code_name(code: usize) -> &'static str {
    i32::try_from(code).map_or("UNKNOWN", |code| transcode::code_name(Code::from_i32(code)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn requests() -> Requests {
        Requests::new(sabir_proto::FILE_DESCRIPTOR_SET)
    }

    #[test]
    fn every_rpc_of_the_contract_has_a_place() {
        let requests = requests();
        let chat = requests.method("/sabir.v1.Chat/StreamChatCompletion");
        assert_eq!(requests.name(chat), "sabir.v1.Chat/StreamChatCompletion");
        assert!(requests.streams(chat) && !requests.streams(requests.method("/sabir.v1.Chat/CreateChatCompletion")));
        assert_eq!(requests.method("/sabir.v1.Chat/Nothing"), MethodId::OTHER);
        assert_eq!(requests.name(MethodId::OTHER), "other");
    }

    #[test]
    fn requests_are_counted_by_way_and_code() {
        let requests = requests();
        let chat = requests.method("/sabir.v1.Chat/CreateChatCompletion");
        for code in [Code::Ok, Code::Ok, Code::Unavailable] {
            requests.count(chat, Way::GrpcWeb, code, Duration::from_millis(3), None);
        }
        requests.begin();
        requests.refuse(Refused::Budget);
        let families = requests.read();
        let labels: Vec<String> = families[0].points.iter().map(|point| point.labels.join(" ")).collect();
        let name = "grpc-web sabir.v1.Chat/CreateChatCompletion";
        assert_eq!(labels, [format!("{name} OK"), format!("{name} UNAVAILABLE")]);
        assert!(matches!(families[1].points[0].value, Value::Whole(1)));
        assert!(matches!(families[4].points[2].value, Value::Whole(1)));
    }
}
