//! Pages of lists, as <https://google.aip.dev/158> has them. A page token is the id of the last row; it grants nothing.

use sabir_store::Page;
use tonic::Status;
use uuid::Uuid;

use crate::error::field_status;

/// How long a page is when its caller does not say.
pub(crate) const USUAL: u32 = 50;

/// The page that a caller asks for.
///
/// # Errors
/// The token is none of ours.
pub(crate) fn page(size: i32, token: &str) -> Result<Page, Status> {
    let after = match token {
        "" => None,
        token => Some(Uuid::try_parse(token).map_err(|_| field_status("page_token", "is no page token"))?),
    };
    Ok(Page { after, limit: limit(size) })
}

/// How many rows at most. The contract's bounds keep it from being negative.
pub(crate) fn limit(size: i32) -> u32 {
    u32::try_from(size).ok().filter(|size| *size > 0).unwrap_or(USUAL)
}

/// The token of the page after these rows; empty if there is none.
pub(crate) fn next_page_token(page: Page, ids: impl ExactSizeIterator<Item = Uuid>) -> String {
    let is_full = ids.len() == page.limit as usize;
    ids.last().filter(|_| is_full).map(|last| last.to_string()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_leads_to_the_next_page() {
        let first = page(0, "").unwrap();
        assert_eq!(first, Page { after: None, limit: USUAL });
        let ids: Vec<Uuid> = (0..2).map(Uuid::from_u128).collect();
        let two = Page { after: None, limit: 2 };
        let token = next_page_token(two, ids.iter().copied());
        assert_eq!(page(2, &token).unwrap(), Page { after: Some(ids[1]), limit: 2 });
        assert_eq!(next_page_token(first, ids.iter().copied()), "", "a page that is not full is the last");
        assert!(page(1, "'; DROP TABLE budget").is_err());
    }
}
