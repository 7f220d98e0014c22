//! Numbers the pieces of streamed tool calls, for servers that do not: clients put the pieces together by `index`.

use std::collections::BTreeMap;

use sabir_proto::v1::ChatCompletionChunk;
use sabir_proto::v1::chat_completion_chunk::ToolCallDelta;

/// What each choice of an answer has said of its tool calls.
#[derive(Debug, Default)]
pub(super) struct ToolCallIndexes(BTreeMap<u32, Calls>);

/// The tool calls of one choice.
#[derive(Debug, Default)]
struct Calls {
    /// The call that the last piece belongs to.
    current: Option<Call>,
    /// The index of the next call.
    next: u32,
}

#[derive(Debug, Default)]
struct Call {
    index: u32,
    id: String,
    named: bool,
}

impl ToolCallIndexes {
    /// Gives an index to every piece that has none. A piece begins a call if its id is new or, where the server gives no
    /// ids, if it names what is called; any other piece goes on with the call before.
    pub(super) fn fill_in(&mut self, chunk: &mut ChatCompletionChunk) {
        for choice in &mut chunk.choices {
            let Some(delta) = choice.delta.as_mut().filter(|delta| !delta.tool_calls.is_empty()) else { continue };
            let calls = self.0.entry(choice.index).or_default();
            for piece in &mut delta.tool_calls {
                let index = calls.index_of(piece);
                if piece.index.is_none() {
                    piece.index = Some(index);
                    // In place of an index there may have been a note that it was null.
                    piece.additional_members.remove("index");
                }
            }
        }
    }
}

impl Calls {
    /// The index of the call that the piece belongs to, which is the current one from now on.
    fn index_of(&mut self, piece: &ToolCallDelta) -> u32 {
        let id = piece.id.as_deref().unwrap_or_default();
        let named = names(piece);
        let goes_on = self.current.as_mut().filter(|call| match piece.index {
            Some(index) => index == call.index,
            None if id.is_empty() => !(named && call.named),
            None => id == call.id,
        });
        if let Some(call) = goes_on {
            call.named |= named;
            if call.id.is_empty() {
                id.clone_into(&mut call.id);
            }
            return call.index;
        }
        let index = piece.index.unwrap_or(self.next);
        self.next = self.next.max(index.saturating_add(1));
        self.current = Some(Call { index, id: id.to_owned(), named });
        index
    }
}

/// Whether the piece names what is called.
fn names(piece: &ToolCallDelta) -> bool {
    let function = piece.function.as_ref().and_then(|function| function.name.as_deref());
    let custom = piece.custom.as_ref().and_then(|custom| custom.name.as_deref());
    [function, custom].into_iter().flatten().any(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use sabir_proto::v1::chat_completion_chunk::{Choice, Delta, FunctionCallDelta};

    use super::*;

    /// A piece: the choice, and index, id and name as the server gives them; empty is absent.
    type Given = (u32, Option<u32>, &'static str, &'static str);

    fn chunk(pieces: &[Given]) -> ChatCompletionChunk {
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let choices = pieces.iter().map(|&(choice, index, id, name)| {
            let function = FunctionCallDelta { name: some(name), arguments: some("x"), ..Default::default() };
            let piece = ToolCallDelta { index, id: some(id), function: Some(function), ..Default::default() };
            let delta = Delta { tool_calls: vec![piece], ..Default::default() };
            Choice { index: choice, delta: Some(delta), ..Default::default() }
        });
        ChatCompletionChunk { choices: choices.collect(), ..Default::default() }
    }

    /// The indexes after filling in, each piece in a chunk of its own.
    fn filled(pieces: &[Given]) -> Vec<u32> {
        let mut indexes = ToolCallIndexes::default();
        let fill = |piece: &Given| {
            let mut chunk = chunk(&[*piece]);
            indexes.fill_in(&mut chunk);
            chunk.choices[0].delta.as_ref().unwrap().tool_calls[0].index.unwrap()
        };
        pieces.iter().map(fill).collect()
    }

    #[test]
    fn a_new_id_begins_a_call_and_what_has_none_goes_on_with_it() {
        assert_eq!(
            filled(&[(0, None, "a", "f"), (0, None, "", ""), (0, None, "b", "f"), (0, None, "", "")]),
            [0, 0, 1, 1]
        );
    }

    #[test]
    fn an_id_that_is_repeated_begins_nothing() {
        assert_eq!(
            filled(&[(0, None, "a", "f"), (0, None, "a", ""), (0, None, "a", "f"), (0, None, "b", "g")]),
            [0, 0, 0, 1]
        );
    }

    #[test]
    fn without_ids_a_name_begins_a_call() {
        assert_eq!(
            filled(&[(0, None, "", "f"), (0, None, "", ""), (0, None, "", "f"), (0, None, "", "g")]),
            [0, 0, 1, 2]
        );
        assert_eq!(filled(&[(0, None, "a", ""), (0, None, "", "f"), (0, None, "", "")]), [0, 0, 0], "id, then name");
        assert_eq!(filled(&[(0, None, "", "f"), (0, None, "a", "")]), [0, 1], "an id of its own");
    }

    #[test]
    fn given_indexes_stay_and_are_counted_from() {
        assert_eq!(
            filled(&[(0, Some(0), "a", "f"), (0, Some(4), "b", "g"), (0, None, "", ""), (0, None, "c", "h")]),
            [0, 4, 4, 5]
        );
        assert_eq!(filled(&[(0, Some(1), "", "f"), (0, Some(0), "", "f"), (0, Some(1), "", "")]), [1, 0, 1]);
        assert_eq!(filled(&[(0, Some(u32::MAX), "a", "f"), (0, None, "b", "f")]), [u32::MAX; 2]);
    }

    #[test]
    fn every_choice_counts_for_itself() {
        assert_eq!(
            filled(&[(0, None, "a", "f"), (1, None, "b", "f"), (1, None, "c", "f"), (0, None, "", "")]),
            [0, 0, 1, 0]
        );
    }

    #[test]
    fn an_index_of_null_is_replaced() {
        let mut chunk = chunk(&[(0, None, "a", "f")]);
        let piece = &mut chunk.choices[0].delta.as_mut().unwrap().tool_calls[0];
        piece.additional_members.insert("index".to_owned(), "null".to_owned());
        ToolCallIndexes::default().fill_in(&mut chunk);
        let piece = &chunk.choices[0].delta.as_ref().unwrap().tool_calls[0];
        assert_eq!((piece.index, piece.additional_members.len()), (Some(0), 0));
    }
}
