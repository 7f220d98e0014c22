//! Decides who calls and whether they may, from the head of a request. What is in memory is answered at once, without
//! waiting and without a task; only the rest has to wait.

use std::sync::Arc;

use http::{Extensions, HeaderMap};
use tonic::Status;

use super::access::Rule;
use super::{Access, Bearers, Certificates, Credential, Identity, Keys, Mode, Principal, Refusal};

/// Tells callers apart.
#[derive(Debug)]
pub(crate) struct Authenticator {
    mode: Mode,
    access: Access,
    keys: Keys,
    bearers: Bearers,
    certificates: Certificates,
}

/// Whether a call may go on, as who, or why it may not.
pub(super) type Verdict = Result<Arc<Principal>, Status>;

impl Authenticator {
    pub(super) fn new(mode: Mode, access: Access, keys: Keys, bearers: Bearers, certificates: Certificates) -> Self {
        Self { mode, access, keys, bearers, certificates }
    }

    /// Judges a call of the RPC on this path from memory; `None` if it takes a look-up.
    pub(super) fn judge_now(&self, path: &str, headers: &HeaderMap, extensions: &Extensions) -> Option<Verdict> {
        let rule = self.access.rule(path);
        if rule == Some(Rule::Public) {
            // Nobody is asked, so that nobody is refused for a credential that this call does not need.
            return Some(Ok(self.anybody()));
        }
        let caller = match Credential::shown(headers, extensions) {
            Err(refusal) => Err(refusal),
            Ok(credential) => self.recall(credential)?,
        };
        Some(admit(rule, path, caller))
    }

    /// Judges a call of the RPC on this path.
    pub(super) async fn judge(&self, path: &str, headers: &HeaderMap, extensions: &Extensions) -> Verdict {
        let caller = match Credential::shown(headers, extensions) {
            Err(refusal) => Err(refusal),
            Ok(credential) => self.caller(credential).await,
        };
        admit(self.access.rule(path), path, caller)
    }

    /// Who it is that shows this; nobody has to show anything in open mode.
    pub(super) async fn caller(&self, credential: Option<Credential<'_>>) -> Result<Arc<Principal>, Refusal> {
        if let Some(known) = self.recall(credential) {
            return known;
        }
        match credential {
            Some(Credential::Key(key)) => self.keys.look_up(key).await,
            Some(Credential::Token(token)) => self.bearers.look_up(token).await,
            // All others have been answered from memory.
            Some(Credential::Certificate(_) | Credential::Other) | None => Err(Refusal::Invalid),
        }
    }

    /// Who it is as far as memory tells; `None` if it takes a look-up.
    fn recall(&self, credential: Option<Credential<'_>>) -> Option<Result<Arc<Principal>, Refusal>> {
        match (credential, self.mode) {
            (Some(Credential::Key(key)), _) => self.keys.recall(key),
            // Clients send keys of other servers when they are told of none; here they mean nothing.
            (_, Mode::Open) => Some(Ok(Principal::open())),
            (Some(Credential::Token(token)), Mode::Required) => self.bearers.recall(token),
            // One that nobody here is known by is as good as none: it got its client through the door, and no further.
            (Some(Credential::Certificate(names)), Mode::Required) => {
                Some(self.certificates.caller(names).ok_or(Refusal::Missing))
            }
            (Some(Credential::Other), Mode::Required) => Some(Err(Refusal::Invalid)),
            (None, Mode::Required) => Some(Err(Refusal::Missing)),
        }
    }

    /// The caller of what is for everybody.
    fn anybody(&self) -> Arc<Principal> {
        match self.mode {
            Mode::Open => Principal::open(),
            Mode::Required => Principal::nobody(),
        }
    }
}

/// Whether the caller may call this.
fn admit(rule: Option<Rule>, path: &str, caller: Result<Arc<Principal>, Refusal>) -> Verdict {
    let caller = caller.map_err(|refusal| refuse(path, &refusal))?;
    let open = caller.identity == Identity::Open;
    let refusal = match rule {
        Some(Rule::Public) => return Ok(caller),
        Some(Rule::Authenticated) if open => Refusal::Missing,
        Some(Rule::Authenticated) => return Ok(caller),
        Some(Rule::Scopes(needed)) => match needed.iter().find(|scope| !caller.scopes.allow(*scope)) {
            None => return Ok(caller),
            Some(missing) => Refusal::Scope(missing),
        },
        Some(Rule::Undeclared) | None if open => return Ok(caller),
        Some(Rule::Undeclared) => Refusal::Undeclared,
        // What is not in the contract is not passed on, whatever it may be.
        None => return Err(Status::unimplemented(format!("there is no method {path}"))),
    };
    Err(refuse(path, &refusal))
}

fn refuse(path: &str, refusal: &Refusal) -> Status {
    tracing::debug!(path, %refusal, "call refused");
    refusal.into()
}
