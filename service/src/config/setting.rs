//! One configured value and how it is read as a Rust type.
//!
//! A value comes from the file with a TOML type, or from the environment as text; a reader accepts both. What a value
//! is for, and which keys there are, is the components' affair.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// A node of the merged configuration.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Setting {
    /// A table of further settings.
    Table(BTreeMap<String, Setting>),
    /// A value from the file.
    File(toml::Value),
    /// A value from the environment, with the name of its variable.
    Variable {
        /// The variable's name.
        name: String,
        /// Its text.
        text: String,
    },
}

/// A type that can stand in the configuration.
pub(crate) trait FromSetting: Sized {
    /// What is expected, for the message when something else is there: "a whole number".
    const EXPECTED: &'static str;

    /// Reads the text of an environment variable, or of a string in the file.
    fn from_text(text: &str) -> Option<Self>;

    /// Reads a value of the file that is not a string.
    fn from_toml(value: &toml::Value) -> Option<Self> {
        let _ = value;
        None
    }

    /// Reads the value, wherever it comes from.
    fn from_setting(setting: &Setting) -> Option<Self> {
        match setting {
            Setting::Table(_) => None,
            Setting::File(toml::Value::String(text)) | Setting::Variable { text, .. } => Self::from_text(text),
            Setting::File(value) => Self::from_toml(value),
        }
    }
}

impl FromSetting for String {
    const EXPECTED: &'static str = "a string that is not empty";

    fn from_text(text: &str) -> Option<Self> {
        (!text.is_empty()).then(|| text.to_owned())
    }
}

impl FromSetting for PathBuf {
    const EXPECTED: &'static str = "a path";

    fn from_text(text: &str) -> Option<Self> {
        (!text.is_empty()).then(|| PathBuf::from(text))
    }
}

impl FromSetting for bool {
    const EXPECTED: &'static str = "true or false";

    fn from_text(text: &str) -> Option<Self> {
        match text {
            "true" | "1" => Some(true),
            "false" | "0" => Some(false),
            _ => None,
        }
    }

    fn from_toml(value: &toml::Value) -> Option<Self> {
        value.as_bool()
    }
}

impl FromSetting for usize {
    const EXPECTED: &'static str = "a whole number, 0 or more";

    fn from_text(text: &str) -> Option<Self> {
        text.parse().ok()
    }

    fn from_toml(value: &toml::Value) -> Option<Self> {
        value.as_integer().and_then(|number| usize::try_from(number).ok())
    }
}

impl FromSetting for f64 {
    const EXPECTED: &'static str = "a number";

    fn from_text(text: &str) -> Option<Self> {
        text.parse().ok().filter(|number: &Self| number.is_finite())
    }

    fn from_toml(value: &toml::Value) -> Option<Self> {
        // A whole number up to 2^53 is what it says.
        value.as_float().or_else(|| value.as_integer().map(|number| number as Self)).filter(|number| number.is_finite())
    }
}

/// A number of bytes: `1048576` or `"1MiB"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ByteSize(pub(crate) usize);

impl FromSetting for ByteSize {
    const EXPECTED: &'static str = "a size such as \"32MiB\", \"512KiB\" or a number of bytes";

    fn from_text(text: &str) -> Option<Self> {
        let (digits, unit) = split_unit(text);
        let factor = match unit {
            "" | "B" => 1,
            "KiB" => 1 << 10,
            "MiB" => 1 << 20,
            "GiB" => 1 << 30,
            _ => return None,
        };
        digits.parse::<usize>().ok()?.checked_mul(factor).map(Self)
    }

    fn from_toml(value: &toml::Value) -> Option<Self> {
        usize::from_toml(value).map(Self)
    }
}

impl FromSetting for Duration {
    const EXPECTED: &'static str = "a time such as \"500ms\", \"30s\", \"5m\" or \"1h\"";

    fn from_text(text: &str) -> Option<Self> {
        let (digits, unit) = split_unit(text);
        let number = digits.parse::<u64>().ok()?;
        match unit {
            "ms" => Some(Self::from_millis(number)),
            "s" => Some(Self::from_secs(number)),
            "m" => number.checked_mul(60).map(Self::from_secs),
            "h" => number.checked_mul(3600).map(Self::from_secs),
            _ => None,
        }
    }
}

impl FromSetting for SocketAddr {
    const EXPECTED: &'static str =
        "an address and a port, such as \"127.0.0.1:8080\", \"[::1]:8080\" or \"0.0.0.0:8080\"";

    fn from_text(text: &str) -> Option<Self> {
        match text.strip_prefix("localhost:") {
            Some(port) => Some(Self::from(([127, 0, 0, 1], port.parse().ok()?))),
            None => text.parse().ok(),
        }
    }
}

impl FromSetting for Vec<String> {
    const EXPECTED: &'static str = "a list of strings (in a variable: separated by commas)";

    fn from_text(text: &str) -> Option<Self> {
        Some(text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect())
    }

    fn from_toml(value: &toml::Value) -> Option<Self> {
        value.as_array()?.iter().map(|item| item.as_str().map(str::to_owned)).collect()
    }
}

impl FromSetting for Vec<f64> {
    const EXPECTED: &'static str = "a list of numbers (in a variable: separated by commas)";

    fn from_text(text: &str) -> Option<Self> {
        text.split(',').map(|item| f64::from_text(item.trim())).collect()
    }

    fn from_toml(value: &toml::Value) -> Option<Self> {
        value.as_array()?.iter().map(f64::from_toml).collect()
    }
}

/// Splits `30s` into `30` and `s`.
fn split_unit(text: &str) -> (&str, &str) {
    let end = text.find(|character: char| !character.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(end);
    (digits, unit.trim_start())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_need_a_unit() {
        assert_eq!(Duration::from_text("500ms").unwrap(), Duration::from_millis(500));
        assert_eq!(Duration::from_text("2m").unwrap(), Duration::from_secs(120));
        assert!(Duration::from_text("30").is_none());
        assert!(Duration::from_text("-1s").is_none());
        assert!(Duration::from_text("99999999999999999999h").is_none());
    }

    #[test]
    fn sizes_are_bytes_or_carry_a_binary_unit() {
        assert_eq!(ByteSize::from_text("32MiB").unwrap(), ByteSize(32 << 20));
        assert_eq!(ByteSize::from_text("10").unwrap(), ByteSize(10));
        assert!(ByteSize::from_text("32MB").is_none());
        assert!(ByteSize::from_text("99999999999GiB").is_none());
    }

    #[test]
    fn a_negative_number_is_not_a_count() {
        assert!(usize::from_toml(&toml::Value::Integer(-1)).is_none());
    }

    #[test]
    fn localhost_is_the_ipv4_loopback() {
        assert_eq!(SocketAddr::from_text("localhost:80").unwrap(), SocketAddr::from(([127, 0, 0, 1], 80)));
    }
}
