//! `sabir chat`.

mod conversation;

use std::io::{IsTerminal, Read};

use sabir_client::v1::chat_message::Content;
use sabir_client::v1::{ChatMessage, CreateChatCompletionRequest, FinishReason, Role};
use sabir_client::{ChatStream, Client};

use super::CommandError;
use super::json::json_of;
use super::output::Output;
use super::remote::{Remote, block_on};

/// Ask a model of a running server, once or in a conversation.
///
/// With a PROMPT, or with text on standard input, it answers once. Without, on a terminal, it holds a conversation:
/// Ctrl-C stops an answer, and at the prompt ends the conversation, as Ctrl-D does.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sabir chat openai/gpt-4o-mini \"Why is the sea salty?\"
  git diff | sabir chat openai/gpt-4o-mini --system \"Review this change.\"
  sabir chat                          a conversation with the first model in the list
  sabir chat local/smollm2-135m-instruct \"Name three ports.\" --json")]
pub struct Arguments {
    /// The model, as `sabir models` names it [default: the first in that list].
    model: Option<String>,
    /// What to ask. `-` reads standard input.
    prompt: Option<String>,
    #[command(flatten)]
    remote: Remote,
    /// What the model is told before the conversation.
    #[arg(long, value_name = "TEXT")]
    system: Option<String>,
    /// How freely the model chooses its words, from 0 to 2.
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true)]
    temperature: Option<f64>,
    /// The longest answer, in tokens.
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true)]
    max_tokens: Option<i32>,
    /// Write the whole answer as JSON, as POST /v1/chat/completions has it.
    #[arg(long)]
    json: bool,
}

/// Asks, and writes the answer to standard output.
///
/// # Errors
/// What keeps the server from being reached or the model from answering.
pub fn main(mut arguments: Arguments) -> Result<(), CommandError> {
    let prompt = prompt(arguments.prompt.take())?;
    if prompt.is_none() && arguments.json {
        return Err(CommandError::Usage("--json needs a prompt: `sabir chat MODEL PROMPT --json`".to_owned()));
    }
    block_on(async {
        let client = arguments.remote.connect().await?;
        let mut request = request(&client, &arguments).await?;
        let mut output = Output::standard();
        let Some(prompt) = prompt else { return conversation::hold(&client, request, &mut output).await };
        request.messages.push(message(Role::User, prompt));
        let answer = async {
            if arguments.json {
                let answer = client.chat(request).await?;
                return Ok(output.line(&json_of(&answer, "sabir.v1.ChatCompletion")?)?);
            }
            let mut stream = client.stream(request).await?;
            let answer = relay(&mut stream, &mut output).await;
            output.end_line()?;
            warn_if_cut(answer?.ending)
        };
        tokio::select! {
            outcome = answer => outcome,
            _ = tokio::signal::ctrl_c() => Err(CommandError::Interrupted),
        }
    })
}

/// What to ask, if it is known from the start.
fn prompt(argument: Option<String>) -> Result<Option<String>, CommandError> {
    let piped = match argument.as_deref() {
        Some("-") => true,
        Some(_) => return Ok(argument),
        None => !std::io::stdin().is_terminal(),
    };
    if !piped {
        return Ok(None);
    }
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text)?;
    let text = text.trim_end();
    if text.is_empty() {
        return Err(CommandError::Usage(
            "there is nothing to ask: standard input is empty and no prompt is given".to_owned(),
        ));
    }
    Ok(Some(text.to_owned()))
}

/// The request without its question.
async fn request(client: &Client, arguments: &Arguments) -> Result<CreateChatCompletionRequest, CommandError> {
    let model = match &arguments.model {
        Some(model) => model.clone(),
        None => match client.models().await?.into_iter().next() {
            Some(first) => first.id,
            None => {
                return Err(CommandError::Remote(
                    "the server has no models; its log says which providers it found".to_owned(),
                ));
            }
        },
    };
    let system = arguments.system.iter().map(|text| message(Role::System, text.clone()));
    Ok(CreateChatCompletionRequest {
        model,
        messages: system.collect(),
        temperature: arguments.temperature,
        max_completion_tokens: arguments.max_tokens,
        ..Default::default()
    })
}

fn message(role: Role, text: String) -> ChatMessage {
    ChatMessage { role: role.into(), content: Some(Content::Text(text)), ..Default::default() }
}

/// An answer that has been written out.
#[derive(Debug, Default)]
struct Written {
    text: String,
    ending: FinishReason,
}

/// Writes the first choice of a streamed answer as it comes.
async fn relay(stream: &mut ChatStream, output: &mut Output) -> Result<Written, CommandError> {
    let mut written = Written::default();
    while let Some(chunk) = stream.next().await? {
        for choice in chunk.choices.iter().filter(|choice| choice.index == 0) {
            if let Some(delta) = &choice.delta {
                let text = delta.content.as_ref().or(delta.refusal.as_ref()).map_or("", String::as_str);
                output.text(text)?;
                written.text.push_str(text);
            }
            if choice.finish_reason() != FinishReason::Unspecified {
                written.ending = choice.finish_reason();
            }
        }
    }
    Ok(written)
}

/// Says on standard error when the answer is not all that the model would have said.
fn warn_if_cut(ending: FinishReason) -> Result<(), CommandError> {
    use std::io::Write;
    let note = match ending {
        FinishReason::Length => "the answer was cut at the token limit (--max-tokens)",
        FinishReason::ContentFilter => "the provider's content filter withheld a part of the answer",
        FinishReason::ToolCalls | FinishReason::FunctionCall => "the model wants to call a tool; --json shows which",
        FinishReason::Stop | FinishReason::Unspecified => return Ok(()),
    };
    Ok(writeln!(std::io::stderr(), "sabir: {note}")?)
}
