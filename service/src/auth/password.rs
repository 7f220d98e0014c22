//! Passwords: hashed with Argon2id, one or two at a time, so that a flood of attempts takes neither all memory nor all
//! processors. It must not know who signs in, nor where hashes are kept.

use std::sync::{Arc, LazyLock};

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{CustomizedPasswordHasher as _, PasswordVerifier as _};
use argon2::{Algorithm, Argon2, Params, Version};
use sabir_providers::Secret;
use tokio::sync::Semaphore;

/// 19 MiB, two passes, one lane, as OWASP's second choice has it; the crate's default is the same today, but what is
/// written here does not change with the crate.
/// Source: <https://cheatsheetseries.owasp.org/cheatsheets/Password_Storage_Cheat_Sheet.html#argon2id>
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// The salt's length in bytes (RFC 9106, section 3.1).
const SALT_BYTES: usize = 16;

/// The longest password, in bytes; NIST SP 800-63B asks for at least 64 characters.
pub(crate) const LONGEST: usize = 1024;

/// How many may be hashed at once. Each takes 19 MiB and a processor for some 20 ms.
const AT_ONCE: usize = 2;

/// How many may wait for their turn. With those at work, the last of them waits about a second.
const WAITING: usize = 64;

/// What passwords of users that are not there are compared with, so that the answer takes as long as for others. It is
/// made by the same parameters, from a password that nobody knows.
static NOBODY: LazyLock<Option<String>> = LazyLock::new(|| {
    let mut password = [0; 32];
    aws_lc_rs::rand::fill(&mut password).ok()?;
    hash_now(&password).ok()
});

/// Why a password was not hashed or compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PasswordError {
    /// Too many others wait.
    #[error("too many passwords are being checked; try again")]
    Busy,
    /// It is longer than [`LONGEST`].
    #[error("a password may have {LONGEST} bytes at most")]
    TooLong,
    /// The machine has no randomness or no memory for it.
    #[error("the password could not be hashed")]
    Failed,
}

/// Hashes and compares passwords. Clones share the places.
#[derive(Debug, Clone)]
pub(crate) struct Passwords {
    working: Arc<Semaphore>,
    admitted: Arc<Semaphore>,
}

impl Default for Passwords {
    fn default() -> Self {
        Self { working: Arc::new(Semaphore::new(AT_ONCE)), admitted: Arc::new(Semaphore::new(AT_ONCE + WAITING)) }
    }
}

impl Passwords {
    /// The hash of a password in PHC form, with a salt of its own.
    ///
    /// # Errors
    /// See [`PasswordError`].
    pub(crate) async fn hash(&self, password: &Secret) -> Result<String, PasswordError> {
        check_length(password)?;
        let password = password.clone();
        self.run(move || hash_now(password.expose().as_bytes())).await?
    }

    /// Whether this is the password of the hash. Without a hash the answer is no, after the same work.
    ///
    /// # Errors
    /// See [`PasswordError`]; not for a hash that cannot be read, which no password fits.
    pub(crate) async fn verify(&self, password: &Secret, hash: Option<&str>) -> Result<bool, PasswordError> {
        check_length(password)?;
        let (password, hash) = (password.clone(), hash.map(str::to_owned));
        self.run(move || {
            let known = hash.is_some();
            let hash = hash.as_deref().or(NOBODY.as_deref()).unwrap_or_default();
            let fits = PasswordHash::new(hash)
                .is_ok_and(|hash| argon2().verify_password(password.expose().as_bytes(), &hash).is_ok());
            fits && known
        })
        .await
    }

    async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, PasswordError> {
        let admitted = Arc::clone(&self.admitted).try_acquire_owned().map_err(|_| PasswordError::Busy)?;
        let working = Arc::clone(&self.working).acquire_owned().await.map_err(|_| PasswordError::Busy)?;
        // The places go with the work: a caller who goes away does not stop it.
        let work = tokio::task::spawn_blocking(move || {
            let done = work();
            drop((admitted, working));
            done
        });
        work.await.map_err(|_| PasswordError::Failed)
    }
}

fn check_length(password: &Secret) -> Result<(), PasswordError> {
    if password.expose().len() > LONGEST { Err(PasswordError::TooLong) } else { Ok(()) }
}

fn argon2() -> Argon2<'static> {
    Argon2::new(Algorithm::Argon2id, Version::V0x13, parameters())
}

fn parameters() -> Params {
    Params::new(MEMORY_KIB, PASSES, LANES, None).unwrap_or(Params::DEFAULT)
}

fn hash_now(password: &[u8]) -> Result<String, PasswordError> {
    let mut salt = [0; SALT_BYTES];
    aws_lc_rs::rand::fill(&mut salt).map_err(|_| PasswordError::Failed)?;
    let hash: PasswordHash =
        argon2().hash_password_with_params(password, &salt, parameters()).map_err(|_| PasswordError::Failed)?;
    Ok(hash.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_the_password_itself_fits_its_hash() {
        let passwords = Passwords::default();
        let right = Secret::new("correct horse");
        let hash = passwords.hash(&right).await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert_ne!(hash, passwords.hash(&right).await.unwrap(), "every hash has a salt of its own");
        assert!(passwords.verify(&right, Some(&hash)).await.unwrap());
        for wrong in ["", "correct horse ", "Correct horse", "correct horse\0"] {
            assert!(!passwords.verify(&Secret::new(wrong), Some(&hash)).await.unwrap(), "{wrong:?}");
        }
        assert!(!passwords.verify(&right, None).await.unwrap());
        assert!(!passwords.verify(&right, Some("no hash")).await.unwrap());
        let long = Secret::new("x".repeat(LONGEST + 1));
        assert_eq!(passwords.verify(&long, None).await, Err(PasswordError::TooLong));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_flood_is_turned_away_instead_of_queued() {
        let passwords = Passwords::default();
        let attempts = (0..200).map(|_| {
            let passwords = passwords.clone();
            tokio::spawn(async move { passwords.verify(&Secret::new("guess"), None).await })
        });
        let attempts: Vec<_> = attempts.collect();
        let mut refused = 0;
        for attempt in attempts {
            refused += usize::from(attempt.await.unwrap() == Err(PasswordError::Busy));
        }
        assert!((1..=200 - WAITING).contains(&refused), "{refused} of 200 were turned away");
        assert_eq!(passwords.verify(&Secret::new("guess"), None).await, Ok(false), "and then it goes on");
    }
}
