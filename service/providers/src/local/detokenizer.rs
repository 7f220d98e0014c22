//! Bytes to text while they come: never half a character.
//!
//! A character of several bytes is often several tokens. Its first bytes wait here until the rest is there.

/// Turns a sequence of byte strings into text. All its output together equals `String::from_utf8_lossy` of all input.
#[derive(Default)]
pub(crate) struct Detokenizer {
    /// The beginning of a character: at most three bytes.
    pending: Vec<u8>,
}

impl Detokenizer {
    /// Appends the text that is now certain to `text`.
    pub(crate) fn push(&mut self, bytes: &[u8], text: &mut String) {
        self.pending.extend_from_slice(bytes);
        let mut rest = self.pending.as_slice();
        loop {
            match std::str::from_utf8(rest) {
                Ok(valid) => {
                    text.push_str(valid);
                    rest = &[];
                    break;
                }
                Err(error) => {
                    let (valid, after) = rest.split_at(error.valid_up_to());
                    text.push_str(&String::from_utf8_lossy(valid));
                    rest = after;
                    let Some(invalid) = error.error_len() else { break };
                    text.push(char::REPLACEMENT_CHARACTER);
                    rest = &rest[invalid..];
                }
            }
        }
        let kept = rest.len();
        self.pending.drain(..self.pending.len() - kept);
    }

    /// Appends what is left: a replacement character if the input ended within a character.
    pub(crate) fn finish(&mut self, text: &mut String) {
        text.push_str(&String::from_utf8_lossy(&self.pending));
        self.pending.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn in_pieces(bytes: &[u8], size: usize) -> (Vec<String>, String) {
        let mut detokenizer = Detokenizer::default();
        let mut pieces = Vec::new();
        for piece in bytes.chunks(size) {
            let mut text = String::new();
            detokenizer.push(piece, &mut text);
            pieces.push(text);
        }
        let mut tail = String::new();
        detokenizer.finish(&mut tail);
        pieces.push(tail);
        let whole = pieces.concat();
        (pieces, whole)
    }

    #[test]
    fn a_character_split_over_tokens_comes_out_whole() {
        let text = "aé日🦀z";
        for size in 1..6 {
            let (pieces, whole) = in_pieces(text.as_bytes(), size);
            assert_eq!(whole, text);
            assert!(pieces.iter().all(|piece| !piece.contains(char::REPLACEMENT_CHARACTER)), "{pieces:?}");
        }
    }

    #[test]
    fn bytes_that_are_no_text_become_replacement_characters_as_in_one_piece() {
        for bytes in [&b"a\xffb"[..], b"\xe6\x97", b"\xe6\x97x\xf0\x9f\xa6", b"\xc0\xaf\x80", b"\xf0\x28\x8c\x28"] {
            for size in 1..5 {
                assert_eq!(in_pieces(bytes, size).1, String::from_utf8_lossy(bytes), "{bytes:x?} by {size}");
            }
        }
    }
}
