//! Writes vectors as the caller wants them, whatever form the upstream's protocol has.

use sabir_proto::v1::embedding::Embedding as Written;
use sabir_proto::v1::{CreateEmbeddingResponse, Vector};

/// Writes the numbers of every vector in base64, as 32-bit floats, little end first. What is in base64 already stays.
pub(crate) fn write_base64(answer: &mut CreateEmbeddingResponse) {
    for embedding in &mut answer.data {
        if let Some(Written::Vector(Vector { values })) = &embedding.embedding {
            let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
            embedding.embedding = Some(Written::Base64(base64(&bytes)));
        }
    }
}

/// Source: RFC 4648, section 4.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let byte = |place: usize| u32::from(three.get(place).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for place in 0..4 {
            let sextet = bits >> (18 - 6 * place) & 63;
            let character = ALPHABET.get(sextet as usize).filter(|_| place <= three.len());
            text.push(character.map_or('=', |character| char::from(*character)));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use sabir_proto::v1::Embedding;

    use super::*;

    #[test]
    fn base64_is_as_the_rfc_has_it() {
        for (bytes, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
        assert_eq!(base64(&[0xfb, 0xff, 0xbf]), "+/+/");
    }

    #[test]
    fn vectors_are_written_and_what_is_written_stays() {
        let vector = Some(Written::Vector(Vector { values: vec![1.0, -2.5] }));
        let written = Some(Written::Base64("AACAPw==".to_owned()));
        let data = [vector, written.clone()].map(|embedding| Embedding { embedding, ..Embedding::default() });
        let mut answer = CreateEmbeddingResponse { data: data.into(), ..CreateEmbeddingResponse::default() };
        write_base64(&mut answer);
        assert_eq!(answer.data[0].embedding, Some(Written::Base64("AACAPwAAIMA=".to_owned())));
        assert_eq!(answer.data[1].embedding, written);
    }
}
