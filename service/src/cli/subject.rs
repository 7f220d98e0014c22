//! Whose budget or limit it is, as options. The contract has the kinds once for each; their names are the same.

/// Whose calls count; exactly one of these.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Whose {
    /// Everybody's calls together.
    #[arg(long)]
    everyone: bool,
    /// The calls of a team, by its id.
    #[arg(long, value_name = "ID")]
    team: Option<String>,
    /// The calls of a user, by the user's id.
    #[arg(long, value_name = "ID")]
    user: Option<String>,
    /// The calls with an API key, by its id.
    #[arg(long, value_name = "ID")]
    key: Option<String>,
    /// The calls of somebody another issuer vouches for, as ISSUER#SUBJECT.
    #[arg(long, value_name = "NAME")]
    external: Option<String>,
    /// The calls that ask for a model, by the name they ask for.
    #[arg(long, value_name = "NAME")]
    model: Option<String>,
}

impl Whose {
    /// The kind, as the contract names its value, and the name.
    pub(crate) fn subject(self) -> (&'static str, String) {
        let named = [
            ("SUBJECT_KIND_TEAM", self.team),
            ("SUBJECT_KIND_USER", self.user),
            ("SUBJECT_KIND_KEY", self.key),
            ("SUBJECT_KIND_EXTERNAL", self.external),
            ("SUBJECT_KIND_MODEL", self.model),
        ];
        let named = named.into_iter().find_map(|(kind, name)| Some((kind, name?)));
        named.unwrap_or(("SUBJECT_KIND_EVERYONE", String::new()))
    }
}

/// A subject in words, by the name of its kind in the contract.
pub(crate) fn subject_text(kind: &str, subject: &str) -> String {
    let kind = kind.trim_start_matches("SUBJECT_KIND_").to_lowercase();
    format!("{kind} {subject}").trim_end().to_owned()
}
