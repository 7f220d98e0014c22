//! Keys for tests, written where the server reads them. How a key is made and hashed is written here once more, from its
//! description, so that it is not the code under test that says what is right.

use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::{hmac, rand};
use sabir_store::{
    ApiKey, AuditEntry, Budget, BudgetPeriod, Limit, OAuthClient, Store, Subject, Team, Update, UsageRow, User,
};
use uuid::Uuid;

use super::{Server, databases};

/// What the servers of these tests hash keys with.
pub(crate) const SECRET: &str = "0123456789abcdef0123456789abcdef";

const LETTERS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// A part of a configuration with which everybody has to say who they are.
pub(crate) fn required() -> String {
    format!("[auth]\nmode = \"required\"\nsecret = \"{SECRET}\"\n")
}

/// A connection beside the server's own to the database that it reads.
pub(crate) struct Registrar {
    store: Box<dyn Store>,
}

impl Registrar {
    /// Opens the database of a server, which has made it.
    pub(crate) async fn of(server: &Server) -> Self {
        Self::at(&server.database()).await
    }

    /// Opens a database by its URL, which a server may be using.
    pub(crate) async fn at(url: &str) -> Self {
        Self { store: databases::open(url).await }
    }

    /// Adds a key that may chat and list models, changed in this way.
    pub(crate) async fn key(&self, change: impl FnOnce(&mut ApiKey)) -> (String, ApiKey) {
        let text = make(SECRET);
        let id = Uuid::now_v7();
        let mut row = ApiKey {
            id,
            name: "of a test".to_owned(),
            prefix: text[..13].to_owned(),
            hash: mac(SECRET, &text),
            user_id: None,
            team_id: None,
            scopes: vec!["chat".to_owned(), "models.read".to_owned()],
            models: Vec::new(),
            created_at_micros: now_micros(),
            expires_at_micros: None,
            revoked_at_micros: None,
            lineage_id: id,
        };
        change(&mut row);
        self.store.create_key(&row, &audit()).await.unwrap();
        (text, row)
    }

    /// Adds a key with these scopes.
    pub(crate) async fn key_for(&self, scopes: &[&str]) -> String {
        self.key(|key| key.scopes = scopes.iter().map(|&scope| scope.to_owned()).collect()).await.0
    }

    /// Changes a key.
    pub(crate) async fn change(&self, key: &ApiKey) {
        assert!(self.store.update_key(key, &audit()).await.unwrap());
    }

    /// Adds a limit.
    pub(crate) async fn limit(&self, limit: &Limit) {
        self.store.create_limit(limit, &audit()).await.unwrap();
    }

    /// Removes a limit.
    pub(crate) async fn unlimit(&self, limit: &Limit) {
        assert!(self.store.delete_limit(limit.id, &audit()).await.unwrap());
    }

    /// The client of this id.
    pub(crate) async fn client(&self, id: &str) -> OAuthClient {
        self.store.client(id.parse().unwrap()).await.unwrap().unwrap()
    }

    /// Changes a client.
    pub(crate) async fn change_client(&self, client: &OAuthClient) {
        assert!(self.store.update_client(client, &audit()).await.unwrap());
    }

    /// Adds rows of usage, as if these calls had been made.
    pub(crate) async fn usage(&self, rows: &[UsageRow]) {
        self.store.insert(rows).await.unwrap();
    }

    /// Adds a budget for a line of keys that nobody gets through: a million dollars.
    pub(crate) async fn budget_of(&self, lineage: Uuid) {
        let budget = Budget {
            id: Uuid::now_v7(),
            subject: Subject::Key(lineage),
            amount_nanos: 1_000_000 * 1_000_000_000,
            period: BudgetPeriod::Month,
            hard: true,
            warn_percents: Vec::new(),
            created_at_micros: now_micros(),
        };
        self.store.create_budget(&budget, &audit()).await.unwrap();
    }

    /// Changes a user.
    pub(crate) async fn change_user(&self, user: &User) {
        let was = self.store.user(user.id).await.unwrap().unwrap();
        let now = now_micros();
        let updated = self.store.update_user(&was, user, now, now + 1_000_000_000, &audit()).await.unwrap();
        assert_eq!(updated, Update::Done);
    }

    /// Adds a team.
    pub(crate) async fn team(&self, name: &str, change: impl FnOnce(&mut Team)) -> Team {
        let mut team = Team {
            id: Uuid::now_v7(),
            name: name.to_owned(),
            models: Vec::new(),
            created_at_micros: now_micros(),
            disabled_at_micros: None,
        };
        change(&mut team);
        self.store.create_team(&team, &audit()).await.unwrap();
        team
    }

    /// Adds a user.
    pub(crate) async fn user(&self, name: &str, change: impl FnOnce(&mut User)) -> User {
        let mut user = User {
            id: Uuid::now_v7(),
            name: name.to_owned(),
            team_id: None,
            scopes: vec!["chat".to_owned(), "models.read".to_owned()],
            password_hash: None,
            created_at_micros: now_micros(),
            disabled_at_micros: None,
        };
        change(&mut user);
        self.store.create_user(&user, &audit()).await.unwrap();
        user
    }
}

/// A key of a server with this secret: `sk-sabir-`, 43 random letters and digits, and six that check them. The six are
/// the first six groups of four bytes of HMAC-SHA-256 over what stands before them, as numbers modulo 62.
pub(crate) fn make(secret: &str) -> String {
    let mut bytes = [0; 43];
    rand::fill(&mut bytes).unwrap();
    let random: String = bytes.iter().map(|byte| char::from(LETTERS[usize::from(byte % 62)])).collect();
    let key = format!("sk-sabir-{random}");
    let groups = mac(secret, &key);
    let groups = groups.chunks(4).take(6).map(|group| u32::from_be_bytes(group.try_into().unwrap()));
    let check: String = groups.map(|number| char::from(LETTERS[(number % 62) as usize])).collect();
    key + &check
}

/// Now, as tables have it.
pub(crate) fn now_micros() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros().try_into().unwrap()
}

fn mac(secret: &str, text: &str) -> [u8; 32] {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    hmac::sign(&key, text.as_bytes()).as_ref().try_into().unwrap()
}

fn audit() -> AuditEntry {
    AuditEntry {
        id: Uuid::now_v7(),
        at_micros: now_micros(),
        actor: "a test".to_owned(),
        action: "Tests/Prepare".to_owned(),
        target: "a key".to_owned(),
        detail: "{}".to_owned(),
    }
}
