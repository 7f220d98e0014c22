//! The fields of a JSON document that is being written, each as soon as it is complete: the members of the document, and of
//! members that are lists, their elements.

/// How deep a list whose elements are told one by one may stand: as a member of the document, or as the document itself.
const LISTS: usize = 2;

/// A complete field: its place as a JSON pointer (RFC 6901), and its text.
pub(crate) type Field = (String, String);

/// Reads a document piece by piece. What stands before it, such as a code fence, is passed over; what is no JSON ends the
/// reading, and nothing more is told.
#[derive(Debug, Default)]
pub(crate) struct Fields {
    text: String,
    /// How much of the text has been read.
    read: usize,
    /// The containers that are open, outermost first.
    open: Vec<Container>,
    in_string: bool,
    escaped: bool,
    begun: bool,
    over: bool,
}

#[derive(Debug)]
struct Container {
    is_list: bool,
    /// Where the value that is being written begins, or will.
    start: usize,
    /// The name of the member that is being written, once it is known.
    name: Option<String>,
    /// How many elements are complete.
    count: usize,
}

impl Fields {
    /// Takes the next piece, and gives what is complete by now.
    pub(crate) fn push(&mut self, piece: &str) -> Vec<Field> {
        let mut found = Vec::new();
        if self.over {
            return found;
        }
        self.text.push_str(piece);
        while !self.over {
            let Some(byte) = self.text.as_bytes().get(self.read).copied() else { break };
            self.read += 1;
            self.byte(byte, &mut found);
        }
        found
    }

    fn byte(&mut self, byte: u8, found: &mut Vec<Field>) {
        if self.in_string {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' => self.escaped = true,
                b'"' => self.in_string = false,
                _ => {}
            }
            return;
        }
        match byte {
            b'{' | b'[' => {
                self.begun = true;
                let is_list = byte == b'[';
                self.open.push(Container { is_list, start: self.read, name: None, count: 0 });
            }
            _ if !self.begun => {}
            b'"' => self.in_string = true,
            b':' => self.name(),
            b',' => {
                self.complete(found);
                if let Some(container) = self.open.last_mut() {
                    (container.start, container.name) = (self.read, None);
                }
            }
            b'}' | b']' => {
                self.complete(found);
                self.open.pop();
                self.over |= self.open.is_empty();
            }
            _ => {}
        }
    }

    /// A colon: what stands before it is the member's name.
    fn name(&mut self) {
        let Some(container) = self.open.last_mut() else { return };
        let text = self.text.get(container.start..self.read - 1).unwrap_or_default();
        match serde_json::from_str(text.trim()) {
            Ok(name) if !container.is_list && container.name.is_none() => {
                (container.name, container.start) = (Some(name), self.read);
            }
            _ => self.over = true,
        }
    }

    /// A value has ended before the byte that was read last.
    fn complete(&mut self, found: &mut Vec<Field>) {
        let depth = self.open.len();
        let Some(container) = self.open.last_mut() else { return };
        let value = self.text.get(container.start..self.read - 1).unwrap_or_default().trim();
        if value.is_empty() {
            // An empty container, or a comma before its end.
            return;
        }
        container.count += 1;
        // The elements of a list have been told one by one, unless there were none.
        let told = value.starts_with('[') && value.len() > 2 && depth < LISTS && !is_empty_list(value);
        let is_field = depth == 1 || (depth == LISTS && container.is_list);
        if !is_field || told {
            return;
        }
        if serde_json::from_str::<serde::de::IgnoredAny>(value).is_err() {
            self.over = true;
            return;
        }
        let value = value.to_owned();
        if let Some(path) = self.path() {
            found.push((path, value));
        }
    }

    /// The place of the value that has just ended; `None` if something on the way has no name.
    fn path(&self) -> Option<String> {
        let mut path = String::new();
        for container in &self.open {
            path.push('/');
            if container.is_list {
                let is_last = std::ptr::eq(container, self.open.last()?);
                // The elements before an open one are complete; the one that has just ended is counted.
                path.push_str(&(container.count - usize::from(is_last)).to_string());
            } else {
                path.push_str(&container.name.as_ref()?.replace('~', "~0").replace('/', "~1"));
            }
        }
        Some(path)
    }
}

fn is_empty_list(value: &str) -> bool {
    value.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).is_some_and(|inner| inner.trim().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(document: &str) -> Vec<String> {
        let join = |fields: Vec<Field>| fields.into_iter().map(|(path, value)| format!("{path} {value}"));
        let mut whole = Fields::default();
        let at_once: Vec<String> = join(whole.push(document)).collect();
        let mut by_letter = Fields::default();
        let mut letters = Vec::new();
        for letter in document.chars() {
            letters.extend(join(by_letter.push(&letter.to_string())));
        }
        assert_eq!(letters, at_once, "{document}");
        at_once
    }

    #[test]
    fn members_and_elements_are_told_when_they_are_complete() {
        for (document, expected) in [
            (r#"{"name": "Ada \"L\", {x}", "age": 36}"#, vec![r#"/name "Ada \"L\", {x}""#, "/age 36"]),
            (
                r#"{"items": [1, {"a": [2]}, "x,]"], "n": null}"#,
                vec!["/items/0 1", r#"/items/1 {"a": [2]}"#, r#"/items/2 "x,]""#, "/n null"],
            ),
            (r#"{"a/b~": {"c": 1}, "none": [ ], "empty": {}}"#, vec![r#"/a~1b~0 {"c": 1}"#, "/none [ ]", "/empty {}"]),
            (r#"[{"a": 1}, 2]"#, vec![r#"/0 {"a": 1}"#, "/1 2"]),
            ("Sure:\n```json\n{\"a\": 1,}\n```", vec!["/a 1"]),
            ("{}", vec![]),
            ("no document", vec![]),
            (r#"{"a": 1, 'b': 2, "c": 3}"#, vec!["/a 1"]),
            (r#"{"a": 1, "b": tru"#, vec!["/a 1"]),
            (r#"{"a": {"b": oops}, "c": 1}"#, vec![]),
        ] {
            assert_eq!(told(document), expected, "{document}");
        }
    }
}
