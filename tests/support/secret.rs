//! What may stand in no log: the secrets that a server was given, and whatever has the form of one. Every server of every
//! test is held to it when it ends.

use std::sync::LazyLock;

use regex::Regex;

/// What a secret looks like, whoever made it: keys and refresh tokens of Sabir, JSON Web Tokens, private keys, hashes of
/// passwords, passwords in URLs.
static FORMS: LazyLock<Vec<Regex>> = LazyLock::new(|| {
    [
        r"sk-sabir-[A-Za-z0-9]{40,}",
        r"rt-sabir-[A-Za-z0-9._-]{20,}",
        r"\beyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}",
        r"-----BEGIN [A-Z ]*PRIVATE KEY",
        r"\$argon2(?:id|i|d)\$",
        r"://[^\s/:@]*:[^\s/@*]+@",
    ]
    .map(|form| Regex::new(form).unwrap())
    .into()
});

/// A setting or a variable whose value is a secret.
static SETTING: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r#"(?mi)^\s*([\w.]*(?:key|secret|password|pepper|token)\w*)\s*=\s*"([^"\\]{6,})""#).unwrap()
});

/// A password in a URL.
static IN_URL: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"://[^\s/:@]*:([^\s/@]{4,})@").unwrap());

/// The secrets that one server knows.
#[derive(Debug, Default)]
pub(crate) struct Secrets(Vec<String>);

impl Secrets {
    /// Those in a configuration file and in variables.
    pub(crate) fn of(config: &str, variables: &[(&str, &str)]) -> Self {
        let variables = variables.iter().map(|(name, value)| format!("{name} = \"{value}\"\n"));
        let given: String = std::iter::once(config.to_owned()).chain(variables).collect();
        let names_a_place = |name: &str| {
            let name = name.to_lowercase();
            name.ends_with("_file") || name.ends_with("_env") || name.contains("tokens")
        };
        let settings = SETTING.captures_iter(&given).filter(|found| !names_a_place(&found[1]));
        let passwords = IN_URL.captures_iter(&given).map(|found| found[1].to_owned());
        Self(settings.map(|found| found[2].to_owned()).chain(passwords).collect())
    }

    /// One more, that a test has made or been given.
    pub(crate) fn add(&mut self, secret: &str) {
        assert!(secret.len() >= 6, "so short a text is in every log");
        self.0.push(secret.to_owned());
    }

    /// The lines of a log that hold a secret.
    pub(crate) fn leaks<'a>(&self, log: &'a str) -> Vec<&'a str> {
        let leaks = |line: &&str| {
            self.0.iter().any(|secret| line.contains(secret.as_str())) || FORMS.iter().any(|form| form.is_match(line))
        };
        log.lines().filter(leaks).collect()
    }

    /// Fails with the lines of the log that hold a secret.
    pub(crate) fn assert_none_in(&self, log: &str) {
        let leaks = self.leaks(log);
        assert!(leaks.is_empty(), "secrets are in the log:\n{}", leaks.join("\n"));
    }
}
