//! `sabir models`.

use sabir_client::v1::{ListModelsResponse, Model};

use super::CommandError;
use super::json::json_of;
use super::output::Output;
use super::remote::{Remote, block_on};

/// List the models of a running server.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sabir models
  sabir models --json | jq -r '.data[].id'
  sabir models --url http://sabir.internal:8080")]
pub struct Arguments {
    #[command(flatten)]
    remote: Remote,
    /// Write the list as JSON, as GET /v1/models has it.
    #[arg(long)]
    json: bool,
}

/// Writes the list to standard output.
///
/// # Errors
/// What keeps the server from being reached or the list from being written.
pub fn main(arguments: Arguments) -> Result<(), CommandError> {
    block_on(async {
        let models = arguments.remote.connect().await?.models().await?;
        let mut output = Output::standard();
        if arguments.json {
            let list = ListModelsResponse { object: "list".to_owned(), data: models, ..Default::default() };
            return Ok(output.line(&json_of(&list, "sabir.v1.ListModelsResponse")?)?);
        }
        if models.is_empty() {
            return Ok(output.line("The server has no models now. Its log says which providers it found.")?);
        }
        Ok(output.text(&table(&models))?)
    })
}

/// The models in columns.
fn table(models: &[Model]) -> String {
    let width = |cell: fn(&Model) -> &str, title: &str| {
        models.iter().map(|model| cell(model).chars().count()).chain([title.len()]).max().unwrap_or(0)
    };
    let (id, owner) = (width(|model| &model.id, "MODEL"), width(|model| &model.owned_by, "OWNED BY"));
    let mut text = format!("{:id$}  {:owner$}  DESCRIPTION\n", "MODEL", "OWNED BY");
    for model in models {
        let row = format!("{:id$}  {:owner$}  {}", model.id, model.owned_by, model.description());
        text.push_str(row.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let model =
            |id: &str, owner: &str| Model { id: id.to_owned(), owned_by: owner.to_owned(), ..Default::default() };
        let text = table(&[model("a/long-model-name", "x"), model("b/c", "somebody")]);
        assert_eq!(
            text,
            "MODEL              OWNED BY  DESCRIPTION\na/long-model-name  x\nb/c                somebody\n"
        );
    }
}
