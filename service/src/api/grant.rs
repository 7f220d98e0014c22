//! What a caller may give to others: no more than it has itself.

use sabir_store::Team;
use tonic::Status;
use uuid::Uuid;

use crate::auth::{Principal, Scopes, fits};
use crate::error::{field_status, out_of_reach};

/// The scopes of these names, if the caller may give them. Sorted, as they are kept.
///
/// # Errors
/// One of them is none, or the caller does not have it.
pub(crate) fn scopes(principal: &Principal, field: &str, names: &[String]) -> Result<Vec<String>, Status> {
    let wanted = Scopes::parse(names.iter().map(String::as_str))
        .map_err(|name| field_status(field, &format!("{name:?} is no scope")))?;
    if !principal.scopes.include(wanted) {
        return Err(out_of_reach("nobody can give scopes that they do not have"));
    }
    Ok(sorted(wanted))
}

/// Refuses to change what may do more than the caller.
///
/// # Errors
/// It may.
pub(crate) fn no_more_than(principal: &Principal, names: &[String]) -> Result<(), Status> {
    // A scope of a version to come is more than anybody has.
    let theirs = Scopes::parse(names.iter().map(String::as_str)).unwrap_or_else(|_| Scopes::all());
    if principal.scopes.include(theirs) {
        return Ok(());
    }
    Err(out_of_reach("only who may do as much can change this"))
}

/// Checks patterns of models that the caller wants to give: each has to fit within the caller's own.
///
/// # Errors
/// One of them does not.
pub(crate) fn models(principal: &Principal, field: &str, patterns: &[String]) -> Result<(), Status> {
    if patterns.is_empty() && !principal.models.is_empty() {
        return Err(field_status(field, "has to be said by who may not ask every model"));
    }
    match patterns.iter().find(|pattern| !principal.may_ask(&[pattern.as_str()])) {
        Some(pattern) => Err(out_of_reach(&format!("{pattern:?} is more than the caller may ask"))),
        None => Ok(()),
    }
}

/// Checks that somebody in this team, whom only the team's patterns confine, may ask no more than the caller: whoever can
/// make a user, or knows the user's password, can ask what the user may.
///
/// # Errors
/// They may.
pub(crate) fn models_of_team(principal: &Principal, team: Option<&Team>) -> Result<(), Status> {
    let theirs = team.map_or(&[][..], |team| &team.models);
    let within =
        |list: &Vec<String>| !theirs.is_empty() && theirs.iter().all(|name| list.iter().any(|own| fits(own, name)));
    if principal.models.iter().all(within) {
        return Ok(());
    }
    Err(out_of_reach("users may ask every model of their team, which is more than the caller may"))
}

/// A name for people: not empty, and without control characters, which terminals would act on.
///
/// # Errors
/// It is empty or has one.
pub(crate) fn name(field: &str, name: &str) -> Result<String, Status> {
    match name.trim() {
        "" => Err(field_status(field, "is required")),
        text if text.chars().any(char::is_control) => Err(field_status(field, "has a control character")),
        text => Ok(text.to_owned()),
    }
}

/// The id in a field; `None` where it is empty.
///
/// # Errors
/// It is none.
pub(crate) fn optional_id(field: &str, id: &str) -> Result<Option<Uuid>, Status> {
    match id {
        "" => Ok(None),
        id => Uuid::try_parse(id).map(Some).map_err(|_| field_status(field, "is no id")),
    }
}

fn sorted(scopes: Scopes) -> Vec<String> {
    let mut names: Vec<String> = scopes.iter().map(|scope| scope.name().to_owned()).collect();
    names.sort();
    names
}
