//! A conversation on a terminal: line by line, with answers that appear as they are made.

use sabir_client::Client;
use sabir_client::v1::{CreateChatCompletionRequest, Role};
use tokio::io::{AsyncBufReadExt, BufReader};

use super::{Written, message, relay, warn_if_cut};
use crate::cli::CommandError;
use crate::cli::output::Output;

/// Talks until the user has had enough. `request` has the model and what is said before the conversation.
pub(super) async fn hold(
    client: &Client,
    mut request: CreateChatCompletionRequest,
    output: &mut Output,
) -> Result<(), CommandError> {
    output.line(&format!("{}. Ctrl-C stops an answer, Ctrl-D ends the conversation.", request.model))?;
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    loop {
        output.text("> ")?;
        let line = tokio::select! {
            line = lines.next_line() => line?,
            _ = tokio::signal::ctrl_c() => None,
        };
        let Some(line) = line else { return output.line("").map_err(CommandError::from) };
        if line.trim().is_empty() {
            continue;
        }
        request.messages.push(message(Role::User, line));
        match answer(client, &request, output).await {
            Ok(Some(written)) => {
                request.messages.push(message(Role::Assistant, written.text));
                warn_if_cut(written.ending)?;
            }
            // The question was withdrawn: neither it nor half an answer belongs to what the model is told next.
            Ok(None) => drop(request.messages.pop()),
            Err(CommandError::Remote(error)) => {
                request.messages.pop();
                output.line(&format!("[{error}]"))?;
            }
            Err(error) => return Err(error),
        }
    }
}

/// One answer; `None` if the user stopped it, which cancels the call down to the model.
async fn answer(
    client: &Client,
    request: &CreateChatCompletionRequest,
    output: &mut Output,
) -> Result<Option<Written>, CommandError> {
    let written = {
        let whole = async {
            let mut stream = client.stream(request.clone()).await?;
            relay(&mut stream, output).await
        };
        tokio::select! {
            written = whole => Some(written),
            _ = tokio::signal::ctrl_c() => None,
        }
    };
    output.end_line()?;
    match written {
        Some(written) => written.map(Some),
        None => {
            output.line("[stopped]")?;
            Ok(None)
        }
    }
}
