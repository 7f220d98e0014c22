//! Images, sound and documents: their bytes, or where they lie in S3. The API fetches from nowhere else.
//!
//! Sources: <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ImageBlock.html>,
//! <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_DocumentBlock.html>.

use std::collections::BTreeSet;

use sabir_proto::v1::{ImageUrl, InputAudio, InputFile};

use super::wire::{Block, Media, S3Location, Source};
use crate::data_url::DataUrl;
use crate::error::{UpstreamError, UpstreamErrorKind};
use crate::unsupported::Unsupported;
use crate::verbatim::Members;

/// Documents: media types, ends of names, and what the API calls them.
const DOCUMENTS: [(&str, &str, &str); 9] = [
    ("application/pdf", "pdf", "pdf"),
    ("text/csv", "csv", "csv"),
    ("application/msword", "doc", "doc"),
    ("application/vnd.openxmlformats-officedocument.wordprocessingml.document", "docx", "docx"),
    ("application/vnd.ms-excel", "xls", "xls"),
    ("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "xlsx", "xlsx"),
    ("text/html", "html", "html"),
    ("text/plain", "txt", "txt"),
    ("text/markdown", "md", "md"),
];

const IMAGES: [(&str, &str, &str); 5] = [
    ("image/png", "png", "png"),
    ("image/jpeg", "jpeg", "jpeg"),
    ("image/jpg", "jpg", "jpeg"),
    ("image/gif", "gif", "gif"),
    ("image/webp", "webp", "webp"),
];

/// What the documents of a conversation are called. The API wants a name for each, and no name twice.
#[derive(Debug, Default)]
pub(super) struct Names(BTreeSet<String>);

impl Names {
    /// A name that the API takes: letters, digits, single blanks, hyphens and brackets.
    fn give(&mut self, filename: Option<&str>) -> String {
        let stem = filename.map_or("document", |name| name.rsplit_once('.').map_or(name, |(stem, _)| stem));
        let allowed = |character: char| character.is_ascii_alphanumeric() || "-()[]".contains(character);
        let words = stem.split(|character| !allowed(character)).filter(|word| !word.is_empty());
        let mut name = words.collect::<Vec<_>>().join(" ");
        // Only characters of one byte are left.
        name.truncate(150);
        if name.is_empty() {
            name.push_str("document");
        }
        let given = (2..).map(|number| format!("{name} ({number})"));
        let free = std::iter::once(name.clone()).chain(given).find(|name| !self.0.contains(name)).unwrap_or(name);
        self.0.insert(free.clone());
        free
    }
}

/// An image. `None` if it was left out.
pub(super) fn image(
    image: ImageUrl,
    mut members: Members,
    path: &str,
    unsupported: &mut Unsupported,
) -> Result<Option<Block>, UpstreamError> {
    let ImageUrl { url, detail, additional_members } = image;
    let path = format!("{path}.image_url");
    unsupported.unless(matches!(detail.as_deref(), None | Some("auto")), format!("{path}.detail"))?;
    Members::foreign(additional_members, &path)?.into_iter().for_each(|(name, value)| members.push(name, value));
    let path = format!("{path}.url");
    let known = |media_type: &str| IMAGES.iter().find(|(known, ..)| known.eq_ignore_ascii_case(media_type));
    let (format, source) = match place(url) {
        Place::Here { media_type, base64 } => (known(&media_type), Source::Bytes(base64)),
        Place::S3(uri) => (by_end(&IMAGES, &uri), Source::S3Location(S3Location { uri })),
        Place::Elsewhere => return unsupported.unless(false, path).map(|()| None),
    };
    let format = format.map(|(.., format)| (*format).to_owned()).ok_or_else(|| unknown(&path))?;
    Ok(Some(Block::Image(Media { format, name: None, source, members })))
}

/// Sound.
pub(super) fn audio(audio: InputAudio, members: Members, path: &str) -> Result<Block, UpstreamError> {
    let InputAudio { data, format, additional_members } = audio;
    let mut all = Members::foreign(additional_members, &format!("{path}.input_audio"))?;
    members.into_iter().for_each(|(name, value)| all.push(name, value));
    Ok(Block::Audio(Media { format, name: None, source: Source::Bytes(data), members: all }))
}

/// A document. `None` if it was left out.
pub(super) fn document(
    file: InputFile,
    mut members: Members,
    names: &mut Names,
    path: &str,
    unsupported: &mut Unsupported,
) -> Result<Option<Block>, UpstreamError> {
    let InputFile { file_data, file_id, filename, additional_members } = file;
    let path = format!("{path}.file");
    Members::foreign(additional_members, &path)?.into_iter().for_each(|(name, value)| members.push(name, value));
    let by_name = || filename.as_deref().and_then(|name| by_end(&DOCUMENTS, name));
    let known = |media_type: &str| DOCUMENTS.iter().find(|(known, ..)| known.eq_ignore_ascii_case(media_type));
    let (format, source) = match (file_id, file_data) {
        (Some(uri), _) if uri.starts_with("s3://") => {
            (by_name().or_else(|| by_end(&DOCUMENTS, &uri)), Source::S3Location(S3Location { uri }))
        }
        (Some(_), _) => return unsupported.unless(false, format!("{path}.file_id")).map(|()| None),
        (None, Some(data)) => match place(data) {
            Place::Here { media_type, base64 } => (known(&media_type).or_else(by_name), Source::Bytes(base64)),
            Place::S3(uri) => (by_name().or_else(|| by_end(&DOCUMENTS, &uri)), Source::S3Location(S3Location { uri })),
            Place::Elsewhere => return unsupported.unless(false, format!("{path}.file_data")).map(|()| None),
        },
        (None, None) => {
            let message = "a file has neither file_data nor file_id";
            return Err(UpstreamError::new(UpstreamErrorKind::InvalidRequest, message).with_param(path));
        }
    };
    let format = format.map(|(.., format)| (*format).to_owned()).ok_or_else(|| unknown(&path))?;
    let name = Some(names.give(filename.as_deref()));
    Ok(Some(Block::Document(Media { format, name, source, members })))
}

/// Where the bytes are.
enum Place {
    Here { media_type: String, base64: String },
    S3(String),
    Elsewhere,
}

fn place(url: String) -> Place {
    if let Some(DataUrl { media_type, base64 }) = DataUrl::parse(&url) {
        return Place::Here { media_type: media_type.to_owned(), base64: base64.to_owned() };
    }
    match url.split_once(':') {
        Some(("s3", _)) => Place::S3(url),
        Some(_) => Place::Elsewhere,
        // OpenAI takes bare base64 of PDF too.
        None => Place::Here { media_type: "application/pdf".to_owned(), base64: url },
    }
}

/// What the end of a name says.
fn by_end<'t>(
    table: &'t [(&'static str, &'static str, &'static str)],
    name: &str,
) -> Option<&'t (&'static str, &'static str, &'static str)> {
    let (_, end) = name.rsplit_once('.')?;
    table.iter().find(|(_, known, _)| end.eq_ignore_ascii_case(known))
}

fn unknown(path: &str) -> UpstreamError {
    let message = format!("{path} is of no kind that Amazon Bedrock takes");
    UpstreamError::new(UpstreamErrorKind::InvalidRequest, message).with_param(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_has_a_name_of_its_own_that_the_api_takes() {
        let mut names = Names::default();
        for (filename, expected) in [
            (Some("Report_2026 (final).v2.pdf"), "Report 2026 (final) v2"),
            (Some("Report 2026  (final)/v2.pdf"), "Report 2026 (final) v2 (2)"),
            (None, "document"),
            (None, "document (2)"),
            (Some("Übersicht"), "bersicht"),
            (Some("…"), "document (3)"),
        ] {
            assert_eq!(names.give(filename), expected, "{filename:?}");
        }
    }
}
