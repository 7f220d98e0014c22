//! From a request to its questions: each model and each prompt makes one of what they have in common.

use std::time::Duration;

use sabir_proto::v1::chat_message::Content;
use sabir_proto::v1::{ChatMessage, CreateChatCompletionRequest, FanOutRequest, Role};
use tonic::Status;

use super::{MOST, Question, Rules, invalid};

/// The questions of a request.
///
/// # Errors
/// None at all, too many, some that break rules, names that two have, questions that lack a model or a conversation.
pub(super) fn questions(request: &mut FanOutRequest, rules: &Rules) -> Result<Vec<Question>, Status> {
    let timeout = |millis: Option<i32>| millis.map(|millis| Duration::from_millis(u64::from(millis.unsigned_abs())));
    let usual = timeout(request.branch_timeout_ms);
    let models = std::mem::take(&mut request.models);
    let prompts = std::mem::take(&mut request.prompts);
    let count = models.len().max(1) * prompts.len().max(1) + request.branches.len();
    if count > MOST {
        return Err(invalid("branches", format!("at most {MOST} questions in all; these are {count}")));
    }
    let mut questions = Vec::new();
    match request.request.take() {
        None if models.is_empty() && prompts.is_empty() => {}
        None => return Err(invalid("request", "is required where models or prompts are given")),
        Some(common) => {
            let mut add = |request: CreateChatCompletionRequest| -> Result<(), Status> {
                if request.model.is_empty() {
                    return Err(invalid("models", "names at least one model, unless request.model does"));
                }
                if request.messages.is_empty() {
                    return Err(invalid("prompts", "has at least one prompt, unless request.messages has one"));
                }
                rules.check(&request)?;
                questions.push(Question {
                    id: questions.len().to_string(),
                    request: Box::new(request),
                    timeout: usual,
                });
                Ok(())
            };
            let of_models: Vec<CreateChatCompletionRequest> = match models.is_empty() {
                true => vec![common],
                false => {
                    models.into_iter().map(|model| CreateChatCompletionRequest { model, ..common.clone() }).collect()
                }
            };
            for of_model in of_models {
                if prompts.is_empty() {
                    add(of_model)?;
                    continue;
                }
                for prompt in &prompts {
                    let mut request = of_model.clone();
                    let content = Some(Content::Text(prompt.clone()));
                    request.messages.push(ChatMessage { role: Role::User.into(), content, ..ChatMessage::default() });
                    add(request)?;
                }
            }
        }
    }
    for (index, branch) in std::mem::take(&mut request.branches).into_iter().enumerate() {
        if questions.iter().any(|question| question.id == branch.id) {
            return Err(invalid(format!("branches[{index}].id"), "is the name of another question"));
        }
        let timeout = timeout(branch.timeout_ms).or(usual);
        questions.push(Question { id: branch.id, request: Box::new(branch.request.unwrap_or_default()), timeout });
    }
    if questions.is_empty() {
        return Err(invalid("branches", "there is no question"));
    }
    Ok(questions)
}

#[cfg(test)]
mod tests {
    use sabir_proto::v1::fan_out_request::Branch;

    use super::*;

    fn common() -> Option<CreateChatCompletionRequest> {
        let content = Some(Content::Text("Be brief.".to_owned()));
        let message = ChatMessage { role: Role::System.into(), content, ..ChatMessage::default() };
        Some(CreateChatCompletionRequest { model: "m".to_owned(), messages: vec![message], ..Default::default() })
    }

    fn texts(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn each_model_is_asked_each_prompt() {
        let branch = Branch { id: "own".to_owned(), timeout_ms: Some(5), ..Branch::default() };
        let mut request = FanOutRequest {
            request: common(),
            models: texts(&["a", "b"]),
            prompts: texts(&["x", "y", "z"]),
            branches: vec![branch],
            branch_timeout_ms: Some(9),
            ..FanOutRequest::default()
        };
        let questions = questions(&mut request, &Rules::of_contract()).unwrap();
        let asked: Vec<(&str, &str, usize)> = questions
            .iter()
            .map(|question| (&*question.id, &*question.request.model, question.request.messages.len()))
            .collect();
        assert_eq!(
            asked,
            [("0", "a", 2), ("1", "a", 2), ("2", "a", 2), ("3", "b", 2), ("4", "b", 2), ("5", "b", 2), ("own", "", 0)]
        );
        assert_eq!(questions[0].timeout, Some(Duration::from_millis(9)));
        assert_eq!(questions[6].timeout, Some(Duration::from_millis(5)));
    }

    #[test]
    fn what_makes_no_question_is_refused_by_name() {
        let without_model = common().map(|request| CreateChatCompletionRequest { model: String::new(), ..request });
        let wrong = common().map(|request| CreateChatCompletionRequest { max_tokens: Some(-1), ..request });
        let twice = Branch { id: "0".to_owned(), ..Branch::default() };
        for (request, field) in [
            (FanOutRequest::default(), "branches"),
            (FanOutRequest { models: texts(&["a"]), ..Default::default() }, "request"),
            (FanOutRequest { request: wrong, ..Default::default() }, "max_tokens"),
            (FanOutRequest { request: without_model, ..Default::default() }, "models"),
            (FanOutRequest { request: common(), prompts: vec![String::new(); 101], ..Default::default() }, "branches"),
            (FanOutRequest { request: common(), branches: vec![twice], ..Default::default() }, "branches[0].id"),
        ] {
            let Err(status) = questions(&mut request.clone(), &Rules::of_contract()) else {
                panic!("{request:?} is taken")
            };
            assert!(status.message().starts_with(field), "{status:?}");
        }
    }
}
