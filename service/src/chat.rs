//! Chat completions: the one path that unary and streamed calls take, from a decoded request to a settled usage row.
//!
//! It speaks messages and gRPC statuses. Which protocol the caller speaks, it only notes; how a provider is spoken to,
//! it does not know.

mod attempt;
mod bounds;
mod check;
mod failure;
mod ledger;
mod limits;
mod meter;
mod question;
mod relay;
mod run;
mod stamp;
mod standing;

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use sabir_providers::{OnUnsupported, Origin};
use sabir_store::Protocol;

use tonic::metadata::MetadataMap;

use crate::auth::Principal;
use crate::cache::Control;
use crate::limit::CallLimits;
use crate::structured::Care;
use crate::telemetry::Call;

pub(crate) use check::Violation;
pub(crate) use failure::Failure;
pub(crate) use relay::Relay;
pub(crate) use run::{Answer, Chat};
pub(crate) use standing::{BUDGET_REMAINING, BUDGET_RESET, BUDGET_WARNING};

/// The header that names a call.
pub(crate) const REQUEST_ID: &str = "sabir-request-id";

/// The header that names the model which answers, as `provider/model`.
pub(crate) const MODEL_USED: &str = "sabir-model-used";

/// The header by which a caller says what to do about members of a request that the model cannot honour: `refuse`, which is
/// usual, or `drop`.
pub(crate) const ON_UNSUPPORTED: &str = "sabir-on-unsupported";

/// The header that says which attempt was answered, from 1; only where there could be several.
pub(crate) const ATTEMPT: &str = "sabir-attempt";

/// The header that names the members of the request that the model was not told of.
pub(crate) const DROPPED: &str = "sabir-dropped";

/// What is known about a call besides its message.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    /// Who it is.
    pub(crate) principal: Arc<Principal>,
    /// The protocol it came by.
    pub(crate) protocol: Protocol,
    /// When it came, for durations.
    pub(crate) received: Instant,
    /// When it came, for people.
    pub(crate) received_at: SystemTime,
    /// When it must be over, the stream included.
    pub(crate) deadline: Option<Instant>,
    /// What to do about what the model cannot honour.
    pub(crate) on_unsupported: OnUnsupported,
    /// What to do about an answer that does not follow its schema.
    pub(crate) care: Care,
    /// What they want of answers that are kept.
    pub(crate) cache: Control,
    /// In whose words they ask.
    pub(crate) origin: Origin,
    /// Its headers, if there are routes that look at them.
    pub(crate) headers: Option<Arc<MetadataMap>>,
    /// The limits that hold for it; `None` if none do.
    pub(crate) limits: Option<Arc<CallLimits>>,
    /// The request that it is a part of, for those who count and trace.
    pub(crate) call: Option<Arc<Call>>,
}

impl Caller {
    /// A caller whose request has arrived now.
    pub(crate) fn now(principal: Arc<Principal>, protocol: Protocol, deadline: Option<Instant>) -> Self {
        let (received, received_at) = (Instant::now(), SystemTime::now());
        let on_unsupported = OnUnsupported::default();
        Self {
            principal,
            protocol,
            received,
            received_at,
            deadline,
            on_unsupported,
            care: Care::Check,
            cache: Control::default(),
            origin: Origin::ChatCompletions,
            headers: None,
            limits: None,
            call: None,
        }
    }

    /// Whether the call should be over.
    pub(crate) fn deadline_passed(&self) -> bool {
        self.deadline.is_some_and(|deadline| deadline <= Instant::now())
    }
}
