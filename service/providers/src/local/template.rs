//! The chat template inside a GGUF file: messages to the prompt the model was trained on.
//!
//! Templates are written for Jinja2 inside Python, so a few Python methods and functions are offered here too. The
//! template comes with the model and is as trusted as the model; the messages are not, see `Tokenizer::protect`.

use std::time::{SystemTime, UNIX_EPOCH};

use minijinja::{Environment, Error, ErrorKind, State, Value, context, syntax::SyntaxConfig, value::ValueKind};

use super::{
    error::{GenerateError, LoadError},
    gguf::GgufFile,
    tokenizer::Tokenizer,
};

const NAME: &str = "tokenizer.chat_template";

/// One turn of a conversation, as templates see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// `system`, `user` or `assistant`.
    pub role: &'static str,
    /// Its text.
    pub content: String,
}

/// A compiled chat template.
pub(crate) struct ChatTemplate {
    environment: Environment<'static>,
    beginning: String,
    end: String,
}

impl ChatTemplate {
    /// Compiles the template in the file. A model without one is a base model, which cannot chat.
    pub(crate) fn from_gguf(file: &GgufFile, tokenizer: &Tokenizer) -> Result<Self, LoadError> {
        let Some(source) = file.text(NAME) else {
            return Err(file.malformed(format!("there is no `{NAME}`: this is a base model, not one that can chat")));
        };
        let mut environment = Environment::new();
        // As Hugging Face's `apply_chat_template` sets them.
        let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
        environment.set_syntax(syntax.map_err(|error| file.malformed(error.to_string()))?);
        environment.add_function("raise_exception", |message: String| -> Result<Value, Error> {
            Err(Error::new(ErrorKind::InvalidOperation, message))
        });
        environment.add_function("strftime_now", |format: String| strftime(&format, SystemTime::now()));
        environment.set_unknown_method_callback(python_method);
        environment
            .add_template_owned(NAME, source.to_owned())
            .map_err(|error| file.malformed(format!("`{NAME}` does not compile: {error}")))?;
        let (beginning, end) = tokenizer.boundary_names();
        Ok(Self { environment, beginning, end })
    }

    /// The prompt for `messages`, up to where the assistant's next turn begins.
    pub(crate) fn render(&self, messages: &[Message], tokenizer: &Tokenizer) -> Result<String, GenerateError> {
        let as_value = |message: &Message| {
            let content = tokenizer.protect(&message.content);
            Value::from_pairs([("role", Value::from(message.role)), ("content", Value::from(content.into_owned()))])
        };
        let messages: Vec<Value> = messages.iter().map(as_value).collect();
        let context = context! {
            messages,
            add_generation_prompt => true,
            bos_token => self.beginning.as_str(),
            eos_token => self.end.as_str(),
        };
        let template = self.environment.get_template(NAME);
        let rendered = template.and_then(|template| template.render(context));
        // A template may refuse a conversation (`raise_exception`), for example roles that do not alternate.
        rendered.map_err(|error| {
            let reason = error.detail().unwrap_or("the chat template failed");
            GenerateError::invalid(
                "messages",
                format!("the local model's chat template refuses this conversation: {reason}"),
            )
        })
    }
}

/// The methods of Python's `str` and `dict` that chat templates use.
fn python_method(state: &mut State, value: &Value, method: &str, arguments: &[Value]) -> Result<Value, Error> {
    if value.kind() == ValueKind::Map {
        return match (method, arguments) {
            ("items", []) => state.apply_filter("items", std::slice::from_ref(value)),
            ("keys", []) => Ok(Value::from_iter(value.try_iter()?)),
            ("get", [key]) => Ok(some_or(value.get_item(key)?, Value::from(()))),
            ("get", [key, default]) => Ok(some_or(value.get_item(key)?, default.clone())),
            _ => Err(Error::from(ErrorKind::UnknownMethod)),
        };
    }
    let Some(text) = value.as_str() else { return Err(Error::from(ErrorKind::UnknownMethod)) };
    let first = arguments.first().and_then(Value::as_str);
    let strip = |start: bool, end: bool| {
        let strips = |character: char| first.map_or(character.is_whitespace(), |set| set.contains(character));
        let text = if start { text.trim_start_matches(strips) } else { text };
        Value::from(if end { text.trim_end_matches(strips) } else { text })
    };
    match (method, first) {
        ("strip", _) => Ok(strip(true, true)),
        ("lstrip", _) => Ok(strip(true, false)),
        ("rstrip", _) => Ok(strip(false, true)),
        ("startswith", Some(prefix)) => Ok(Value::from(text.starts_with(prefix))),
        ("endswith", Some(suffix)) => Ok(Value::from(text.ends_with(suffix))),
        ("split", Some(separator)) if !separator.is_empty() => Ok(Value::from_iter(text.split(separator))),
        ("split", None) => Ok(Value::from_iter(text.split_whitespace())),
        ("replace", Some(from)) => {
            let to = arguments.get(1).and_then(Value::as_str).unwrap_or_default();
            Ok(Value::from(text.replace(from, to)))
        }
        ("upper", None) => Ok(Value::from(text.to_uppercase())),
        ("lower", None) => Ok(Value::from(text.to_lowercase())),
        ("title", None) => state.apply_filter("title", std::slice::from_ref(value)),
        _ => Err(Error::from(ErrorKind::UnknownMethod)),
    }
}

fn some_or(value: Value, default: Value) -> Value {
    if value.is_undefined() { default } else { value }
}

/// The date formats that chat templates ask for, in UTC.
fn strftime(format: &str, now: SystemTime) -> Result<String, Error> {
    const MONTHS: [&str; 12] = [
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ];
    let seconds = now.duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_secs());
    let (year, month, day) = civil_date(seconds / 86_400);
    let name = MONTHS[month as usize - 1];
    let mut text = String::new();
    let mut characters = format.chars();
    while let Some(character) = characters.next() {
        if character != '%' {
            text.push(character);
            continue;
        }
        text.push_str(&match characters.next() {
            Some('Y') => year.to_string(),
            Some('m') => format!("{month:02}"),
            Some('d') => format!("{day:02}"),
            Some('B') => name.to_owned(),
            Some('b') => name[..3].to_owned(),
            Some('H') => format!("{:02}", seconds / 3600 % 24),
            Some('M') => format!("{:02}", seconds / 60 % 60),
            Some('S') => format!("{:02}", seconds % 60),
            Some('%') => "%".to_owned(),
            other => {
                let message = format!("strftime_now does not know %{}", other.map(String::from).unwrap_or_default());
                return Err(Error::new(ErrorKind::InvalidOperation, message));
            }
        });
    }
    Ok(text)
}

/// Year, month and day of a day counted from 1970-01-01, by walking the Gregorian calendar's 400-year era.
fn civil_date(days: u64) -> (u64, u64, u64) {
    let is_leap = |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let (mut year, mut rest) = (1970 + days / 146_097 * 400, days % 146_097);
    loop {
        let length = if is_leap(year) { 366 } else { 365 };
        if rest < length {
            break;
        }
        rest -= length;
        year += 1;
    }
    let february = if is_leap(year) { 29 } else { 28 };
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if rest < length {
            break;
        }
        rest -= length;
        month += 1;
    }
    (year, month, rest + 1)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn dates_are_right_across_leap_years() {
        let date =
            |seconds| strftime("%Y-%m-%d %d %b %B %H:%M:%S%%", UNIX_EPOCH + Duration::from_secs(seconds)).unwrap();
        assert_eq!(date(0), "1970-01-01 01 Jan January 00:00:00%");
        assert_eq!(date(951_782_399), "2000-02-28 28 Feb February 23:59:59%");
        assert_eq!(date(951_782_400), "2000-02-29 29 Feb February 00:00:00%");
        assert_eq!(date(1_735_603_200), "2024-12-31 31 Dec December 00:00:00%");
        assert_eq!(date(4_107_542_400), "2100-03-01 01 Mar March 00:00:00%");
    }

    #[test]
    fn python_string_and_dict_methods_work_in_templates() {
        let mut environment = Environment::new();
        environment.set_unknown_method_callback(python_method);
        let render = |source: &str| environment.render_str(source, context! { d => context! { a => 1 } }).unwrap();
        assert_eq!(render("{{ '  x '.strip() }}|{{ 'xxay'.lstrip('x') }}|{{ 'a\n\n'.rstrip('\n') }}"), "x|ay|a");
        assert_eq!(render("{{ 'a-b'.split('-')[-1] }}{{ 'abc'.startswith('ab') }}{{ 'A'.lower() }}"), "bTruea");
        assert_eq!(
            render("{{ d.get('a') }}{{ d.get('b', 2) }}{% for k, v in d.items() %}{{ k }}{{ v }}{% endfor %}"),
            "12a1"
        );
        assert!(environment.render_str("{{ 'a'.format() }}", ()).is_err());
    }
}
