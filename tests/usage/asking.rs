//! Questions about usage over each protocol, and the answers as messages. REST is read and written by hand here.

use bytes::Bytes;
use http::Request;
use sabir_proto::google::api::HttpBody;
use sabir_proto::v1::query_usage_request::Dimension;
use sabir_proto::v1::usage_client::UsageClient;
use sabir_proto::v1::{
    ListUsageRecordsRequest, ListUsageRecordsResponse, QueryUsageRequest, QueryUsageResponse, UsageAttempt,
    UsageRecord, UsageSum,
};
use sabir_store::{Operation, Outcome, TokenSource, UsageRow};
use serde_json::Value;
use tonic::metadata::MetadataValue;
use tonic::transport::Channel;
use uuid::Uuid;

use crate::support::http::http1;
use crate::support::identity::{Registrar, required};
use crate::support::protocol::grpc_web_messages;
use crate::support::{DatabaseKind, Failure, Protocol, Server, Upstream, soon};

/// A server that wants to know who calls.
pub(super) struct World {
    pub(super) upstream: Upstream,
    pub(super) server: Server,
    pub(super) registrar: Registrar,
    channel: Channel,
}

impl World {
    pub(super) async fn on(database: DatabaseKind) -> Self {
        let upstream = Upstream::start();
        let server =
            Server::start_on(database, &format!("{}{}", Server::config_for(&upstream.base_url()), required())).await;
        let registrar = Registrar::of(&server).await;
        let channel = Channel::from_shared(format!("http://{}", server.address())).unwrap().connect_lazy();
        Self { upstream, server, registrar, channel }
    }

    /// Asks for a page of sums.
    pub(super) async fn sums(
        &self,
        protocol: Protocol,
        key: &str,
        question: &QueryUsageRequest,
    ) -> Result<QueryUsageResponse, Failure> {
        match protocol {
            Protocol::Grpc => {
                let answer = UsageClient::new(self.channel.clone()).query_usage(request(key, question.clone())).await;
                answer.map(tonic::Response::into_inner).map_err(|status| Failure::from_status(&status))
            }
            Protocol::GrpcWeb => self.over_grpc_web("QueryUsage", key, question).await.map(only),
            Protocol::Rest => {
                let (_, body) = self.get(key, &format!("/v1/admin/usage?{}", sum_parameters(question))).await?;
                let answer: Value = serde_json::from_slice(&body).unwrap();
                Ok(QueryUsageResponse {
                    sums: answer["sums"].as_array().unwrap().iter().map(sum).collect(),
                    next_page_token: answer["next_page_token"].as_str().unwrap().to_owned(),
                })
            }
        }
    }

    /// Asks for sums as a table: the type of its content, and the whole of it.
    pub(super) async fn table(
        &self,
        protocol: Protocol,
        key: &str,
        question: &QueryUsageRequest,
    ) -> Result<(String, String), Failure> {
        let pieces: Vec<HttpBody> = match protocol {
            Protocol::Grpc => {
                let mut client = UsageClient::new(self.channel.clone());
                let failed = |status| Failure::from_status(&status);
                let mut stream =
                    client.export_usage(request(key, question.clone())).await.map_err(failed)?.into_inner();
                let mut pieces = Vec::new();
                while let Some(piece) = soon("a piece of a table", stream.message()).await.map_err(failed)? {
                    pieces.push(piece);
                }
                pieces
            }
            Protocol::GrpcWeb => self.over_grpc_web("ExportUsage", key, question).await?,
            Protocol::Rest => {
                let path = format!("/v1/admin/usage:export?{}", sum_parameters(question));
                let (content_type, data) = self.get(key, &path).await?;
                vec![HttpBody { content_type, data, ..Default::default() }]
            }
        };
        let content_type = pieces[0].content_type.clone();
        let table: Vec<u8> = pieces.into_iter().flat_map(|piece| piece.data).collect();
        Ok((content_type, String::from_utf8(table).unwrap()))
    }

    /// Asks for a page of single calls.
    pub(super) async fn records(
        &self,
        protocol: Protocol,
        key: &str,
        question: &ListUsageRecordsRequest,
    ) -> Result<ListUsageRecordsResponse, Failure> {
        match protocol {
            Protocol::Grpc => {
                let mut client = UsageClient::new(self.channel.clone());
                let answer = client.list_usage_records(request(key, question.clone())).await;
                answer.map(tonic::Response::into_inner).map_err(|status| Failure::from_status(&status))
            }
            Protocol::GrpcWeb => self.over_grpc_web("ListUsageRecords", key, question).await.map(only),
            Protocol::Rest => {
                let parameters = record_parameters(question);
                let (_, body) = self.get(key, &format!("/v1/admin/usage/records?{parameters}")).await?;
                let answer: Value = serde_json::from_slice(&body).unwrap();
                Ok(ListUsageRecordsResponse {
                    records: answer["records"].as_array().unwrap().iter().map(record).collect(),
                    next_page_token: answer["next_page_token"].as_str().unwrap().to_owned(),
                })
            }
        }
    }

    async fn over_grpc_web<T: prost::Message + Default>(
        &self,
        method: &str,
        key: &str,
        question: &impl prost::Message,
    ) -> Result<Vec<T>, Failure> {
        let headers = [("authorization", format!("Bearer {key}"))];
        grpc_web_messages(self.server.address(), &format!("sabir.v1.Usage/{method}"), question, &headers).await
    }

    async fn get(&self, key: &str, path: &str) -> Result<(String, Vec<u8>), Failure> {
        let request = Request::get(path).header("authorization", format!("Bearer {key}"));
        let exchange = http1(self.server.address(), request.body(Bytes::new()).unwrap()).await;
        let (status, headers) = (exchange.status(), exchange.head.headers.clone());
        let body = exchange.body().await;
        match status {
            200 => Ok((headers["content-type"].to_str().unwrap().to_owned(), body)),
            status => Err(Failure::from_http(status, &headers, &body)),
        }
    }
}

/// A call that was made so many seconds ago and was answered.
pub(super) fn row(seconds_ago: i64, model: &str) -> UsageRow {
    let now = crate::support::identity::now_micros();
    UsageRow {
        id: Uuid::now_v7().into_bytes(),
        started_at_micros: now - seconds_ago * 1_000_000,
        latency_micros: 1_000,
        first_token_micros: None,
        protocol: sabir_store::Protocol::Rest,
        operation: Operation::Chat,
        streamed: false,
        principal: None,
        key_id: None,
        user_id: None,
        team_id: None,
        model_asked: model.into(),
        model_used: Some("m".into()),
        provider: Some("scripted".into()),
        outcome: Outcome::Complete,
        grpc_code: 0,
        prompt_tokens: 11,
        completion_tokens: 7,
        cached_tokens: 3,
        reasoning_tokens: 2,
        token_source: TokenSource::Reported,
        cost_nanos: 1_000,
        price_version: None,
        attempts: Vec::new(),
    }
}

fn request<T>(key: &str, message: T) -> tonic::Request<T> {
    let mut request = tonic::Request::new(message);
    request.metadata_mut().insert("authorization", MetadataValue::try_from(format!("Bearer {key}")).unwrap());
    request
}

/// The one message of a unary answer.
fn only<T>(mut messages: Vec<T>) -> T {
    assert_eq!(messages.len(), 1);
    messages.remove(0)
}

fn sum_parameters(question: &QueryUsageRequest) -> String {
    let by = question.group_by.iter().map(|&number| {
        let dimension = Dimension::try_from(number).map(|dimension| dimension.as_str_name().to_owned());
        let name = dimension.unwrap_or_else(|_| number.to_string());
        ("group_by", name.trim_start_matches("DIMENSION_").to_lowercase())
    });
    let QueryUsageRequest { key_id, user_id, team_id, model, provider, page_size, page_token, .. } = question.clone();
    let times = [("start_time", question.start_time), ("end_time", question.end_time)];
    let texts = [("key_id", key_id), ("user_id", user_id), ("team_id", team_id), ("model", model)];
    let more = [("provider", provider), ("page_size", page_size.to_string()), ("page_token", page_token)];
    let times = times.into_iter().filter_map(|(name, time)| Some((name, time?.to_string())));
    join(by.chain(times).chain(texts).chain(more))
}

fn record_parameters(question: &ListUsageRecordsRequest) -> String {
    let ListUsageRecordsRequest { start_time, end_time, key_id, user_id, team_id, model, provider, .. } =
        question.clone();
    let same =
        QueryUsageRequest { start_time, end_time, key_id, user_id, team_id, model, provider, ..Default::default() };
    let (page_size, page_token) = (question.page_size, question.page_token.clone());
    sum_parameters(&QueryUsageRequest { page_size, page_token, ..same })
}

fn join(parameters: impl Iterator<Item = (&'static str, String)>) -> String {
    let encode = |text: &str| -> String {
        let plain = |byte: &u8| byte.is_ascii_alphanumeric();
        text.bytes()
            .map(|byte| if plain(&byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
            .collect()
    };
    let set = parameters.filter(|(_, value)| !value.is_empty());
    set.map(|(name, value)| format!("{name}={}", encode(&value))).collect::<Vec<_>>().join("&")
}

fn text(object: &Value, member: &str) -> String {
    object.get(member).map(|text| text.as_str().unwrap().to_owned()).unwrap_or_default()
}

fn figure(object: &Value, member: &str) -> i64 {
    object[member].as_i64().unwrap_or_else(|| panic!("no {member}: {object}"))
}

fn count(object: &Value, member: &str) -> u32 {
    figure(object, member).try_into().unwrap()
}

fn sum(object: &Value) -> UsageSum {
    UsageSum {
        day: text(object, "day"),
        key_id: text(object, "key_id"),
        user_id: text(object, "user_id"),
        team_id: text(object, "team_id"),
        model: text(object, "model"),
        provider: text(object, "provider"),
        calls: figure(object, "calls"),
        failed_calls: figure(object, "failed_calls"),
        prompt_tokens: figure(object, "prompt_tokens"),
        completion_tokens: figure(object, "completion_tokens"),
        cached_tokens: figure(object, "cached_tokens"),
        reasoning_tokens: figure(object, "reasoning_tokens"),
        cost_nanos: figure(object, "cost_nanos"),
    }
}

fn attempt(object: &Value) -> UsageAttempt {
    UsageAttempt {
        number: count(object, "number"),
        model: text(object, "model"),
        outcome: text(object, "outcome"),
        after_micros: figure(object, "after_micros"),
        latency_micros: figure(object, "latency_micros"),
    }
}

fn record(object: &Value) -> UsageRecord {
    UsageRecord {
        id: text(object, "id"),
        start_time: Some(text(object, "start_time").parse().unwrap()),
        latency_micros: figure(object, "latency_micros"),
        first_token_micros: object["first_token_micros"].as_i64(),
        protocol: text(object, "protocol"),
        streamed: object["streamed"].as_bool().unwrap(),
        caller: text(object, "caller"),
        key_id: text(object, "key_id"),
        user_id: text(object, "user_id"),
        team_id: text(object, "team_id"),
        model: text(object, "model"),
        model_used: text(object, "model_used"),
        provider: text(object, "provider"),
        outcome: text(object, "outcome"),
        grpc_code: figure(object, "grpc_code").try_into().unwrap(),
        prompt_tokens: count(object, "prompt_tokens"),
        completion_tokens: count(object, "completion_tokens"),
        cached_tokens: count(object, "cached_tokens"),
        reasoning_tokens: count(object, "reasoning_tokens"),
        token_source: text(object, "token_source"),
        cost_nanos: figure(object, "cost_nanos"),
        price_version: object["price_version"].as_i64(),
        attempts: object["attempts"].as_array().into_iter().flatten().map(attempt).collect(),
    }
}
