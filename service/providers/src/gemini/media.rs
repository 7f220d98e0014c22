//! Images, sound and documents, which lie in the request or at an address.
//!
//! Sources: <https://ai.google.dev/gemini-api/docs/file-input-methods>, <https://ai.google.dev/gemini-api/docs/audio>.

use sabir_proto::v1::{ImageUrl, InputAudio, InputFile};

use super::wire::{Blob, File, Kind};
use crate::data_url::DataUrl;
use crate::error::{UpstreamError, UpstreamErrorKind};
use crate::unsupported::Unsupported;
use crate::verbatim::Members;

/// What the end of a name says of the bytes behind it.
const TYPES: [(&str, &str); 24] = [
    ("png", "image/png"),
    ("jpg", "image/jpeg"),
    ("jpeg", "image/jpeg"),
    ("webp", "image/webp"),
    ("gif", "image/gif"),
    ("heic", "image/heic"),
    ("heif", "image/heif"),
    ("pdf", "application/pdf"),
    ("json", "application/json"),
    ("txt", "text/plain"),
    ("md", "text/markdown"),
    ("html", "text/html"),
    ("csv", "text/csv"),
    ("xml", "text/xml"),
    ("wav", "audio/wav"),
    ("mp3", "audio/mp3"),
    ("aac", "audio/aac"),
    ("ogg", "audio/ogg"),
    ("flac", "audio/flac"),
    ("aiff", "audio/aiff"),
    ("mp4", "video/mp4"),
    ("mov", "video/mov"),
    ("webm", "video/webm"),
    ("mpeg", "video/mpeg"),
];

/// An image.
pub(super) fn image(image: ImageUrl, path: &str, unsupported: &mut Unsupported) -> Result<Kind, UpstreamError> {
    let ImageUrl { url, detail, additional_members } = image;
    unsupported.unless(matches!(detail.as_deref(), None | Some("auto")), format!("{path}.image_url.detail"))?;
    let members = Members::foreign(additional_members, &format!("{path}.image_url"))?;
    place(url, members, &format!("{path}.image_url.url"))
}

/// Sound.
pub(super) fn audio(audio: InputAudio, path: &str) -> Result<Kind, UpstreamError> {
    let InputAudio { data, format, additional_members } = audio;
    let mime_type = if format.contains('/') { format } else { format!("audio/{format}") };
    let members = Members::foreign(additional_members, &format!("{path}.input_audio"))?;
    Ok(Kind::Inline(Blob { mime_type, data, members }))
}

/// A document: an upload, by its address, or its bytes.
pub(super) fn file(file: InputFile, path: &str) -> Result<Kind, UpstreamError> {
    let InputFile { file_data, file_id, filename, additional_members } = file;
    let members = Members::foreign(additional_members, &format!("{path}.file"))?;
    match (file_id, file_data) {
        (Some(uri), _) => Ok(Kind::File(File { mime_type: filename.as_deref().and_then(mime_type), uri, members })),
        (None, Some(data)) if data.contains(':') => place(data, members, &format!("{path}.file.file_data")),
        // OpenAI takes bare base64 of PDF too.
        (None, Some(data)) => {
            let mime_type = filename.as_deref().and_then(mime_type).unwrap_or("application/pdf").to_owned();
            Ok(Kind::Inline(Blob { mime_type, data, members }))
        }
        (None, None) => {
            let message = "a file has neither file_data nor file_id";
            Err(UpstreamError::new(UpstreamErrorKind::InvalidRequest, message).with_param(format!("{path}.file")))
        }
    }
}

/// Where the bytes are: here, or at an address that the server fetches from.
pub(super) fn place(url: String, members: Members, path: &str) -> Result<Kind, UpstreamError> {
    Ok(match DataUrl::parse(&url) {
        Some(DataUrl { media_type, base64 }) => {
            Kind::Inline(Blob { mime_type: media_type.to_owned(), data: base64.to_owned(), members })
        }
        None if url.get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case("data:")) => {
            let message = "a data: URL must be in base64";
            return Err(UpstreamError::new(UpstreamErrorKind::InvalidRequest, message).with_param(path.to_owned()));
        }
        None => {
            // What the caller says of it goes first.
            let said = ["mimeType", "mime_type"].iter().any(|name| members.contains(name));
            let mime_type = if said { None } else { mime_type(&url) };
            Kind::File(File { mime_type, uri: url, members })
        }
    })
}

/// What a name or an address says of the bytes behind it.
fn mime_type(name: &str) -> Option<&'static str> {
    let path = name.split(['?', '#']).next()?;
    let (_, end) = path.rsplit_once('/').unwrap_or(("", path)).1.rsplit_once('.')?;
    TYPES.iter().find(|(known, _)| end.eq_ignore_ascii_case(known)).map(|(_, mime_type)| *mime_type)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_name_says_what_it_is() {
        assert_eq!(mime_type("https://h/a/b.PNG?x=.pdf#y"), Some("image/png"));
        assert_eq!(mime_type("report.pdf"), Some("application/pdf"));
        assert_eq!(mime_type("https://h.png/a"), None);
        assert_eq!(mime_type("https://h/a.exe"), None);
    }
}
