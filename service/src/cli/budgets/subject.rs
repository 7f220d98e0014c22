//! Whose budget it is, as options.

use sabir_client::v1::Budget;
use sabir_client::v1::budget::SubjectKind;

/// Whose calls count; exactly one of these.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
pub(super) struct Whose {
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
    /// The kind and the name.
    pub(super) fn subject(self) -> (SubjectKind, String) {
        let named = [
            (SubjectKind::Team, self.team),
            (SubjectKind::User, self.user),
            (SubjectKind::Key, self.key),
            (SubjectKind::External, self.external),
            (SubjectKind::Model, self.model),
        ];
        let named = named.into_iter().find_map(|(kind, name)| Some((kind, name?)));
        named.unwrap_or((SubjectKind::Everyone, String::new()))
    }
}

/// Whose a budget is, in words.
pub(super) fn subject_text(budget: &Budget) -> String {
    let kind = budget.subject_kind().as_str_name().trim_start_matches("SUBJECT_KIND_").to_lowercase();
    format!("{kind} {}", budget.subject).trim_end().to_owned()
}
