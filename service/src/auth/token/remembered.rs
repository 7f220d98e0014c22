//! Tokens that were checked lately, by their hashes, so that the next call with one takes no signature and no database.

use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use sabir_store::Generations;
use uuid::Uuid;

use super::super::Principal;
use super::super::recent::Recent;

/// SHA-256 of a token. What is kept of tokens could not be used as one.
pub(crate) type TokenHash = [u8; 32];

/// The hash of a token.
pub(super) fn hash(token: &str) -> TokenHash {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, token.as_bytes()).as_ref());
    hash
}

/// What is known of a token.
#[derive(Debug, Clone)]
pub(super) struct Token {
    pub(super) principal: Arc<Principal>,
    /// From when it is refused, in seconds since the Unix epoch.
    pub(super) expires_at: i64,
    /// What may be revoked of it.
    pub(super) session: Option<Uuid>,
}

/// The tokens, each with the generations of identities and of clients that it was looked up in.
#[derive(Debug)]
pub(super) struct Remembered(Recent<TokenHash, ((i64, i64), Token)>);

impl Remembered {
    pub(super) fn new(half: usize) -> Self {
        Self(Recent::new(half))
    }

    /// What is known of the token, if that holds for these generations.
    pub(super) fn get(&mut self, generations: Generations, hash: &TokenHash) -> Option<&Token> {
        let (looked_up, token) = self.0.get_mut(hash)?;
        (*looked_up == pair(generations)).then_some(token)
    }

    pub(super) fn insert(&mut self, generations: Generations, hash: TokenHash, token: Token) {
        self.0.insert(hash, (pair(generations), token));
    }
}

fn pair(generations: Generations) -> (i64, i64) {
    (generations.identity, generations.tokens)
}
