//! What a name must hold for a write of it to happen: `If-Match` and `If-None-Match` (RFC 9110, section 13.1).

use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use swift_chain::FileRecord;

use crate::problem::Problem;

/// What a name must hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Expected {
    /// Whatever it is.
    Anything,
    /// `If-None-Match: *`.
    Nothing,
    /// `If-Match: *`.
    Something,
    /// `If-Match`, with the tags of contents.
    OneOf(Vec<String>),
}

impl Expected {
    /// As the headers of a request say.
    pub(super) fn of(headers: &HeaderMap) -> Result<Self, Problem> {
        let (must, must_not) = (tags(headers, &header::IF_MATCH)?, tags(headers, &header::IF_NONE_MATCH)?);
        match (must.as_deref(), must_not.as_deref()) {
            (None, None) => Ok(Self::Anything),
            (None, Some("*")) => Ok(Self::Nothing),
            (Some("*"), None) => Ok(Self::Something),
            // A weak tag is none that a content has.
            (Some(tags), None) => Ok(Self::OneOf(tags.split(',').map(|tag| tag.trim().to_owned()).collect())),
            (None, Some(_)) => {
                Err(Problem::bad_request("If-None-Match of a write is *: the name must hold nothing"))
            }
            (Some(_), Some(_)) => Err(Problem::bad_request("give either If-Match or If-None-Match")),
        }
    }

    /// Whether it speaks of content that is to be replaced or withdrawn.
    pub(super) fn is_of_content(&self) -> bool {
        matches!(self, Self::Something | Self::OneOf(_))
    }

    /// Refuses where the name holds something else.
    pub(crate) fn check(&self, live: Option<&FileRecord>) -> Result<(), Problem> {
        let tag = live.map(|live| format!("\"{}\"", live.entry.file_id));
        let is_so = match self {
            Self::Anything => true,
            Self::Nothing => live.is_none(),
            Self::Something => live.is_some(),
            Self::OneOf(tags) => tag.as_ref().is_some_and(|tag| tags.contains(tag)),
        };
        let holds = tag.unwrap_or_else(|| "nothing".to_owned());
        let detail = || format!("the name holds {holds}, which is not what the request says it must");
        is_so
            .then_some(())
            .ok_or_else(|| Problem::new(StatusCode::PRECONDITION_FAILED, "precondition_failed", detail()))
    }
}

fn tags(headers: &HeaderMap, name: &HeaderName) -> Result<Option<String>, Problem> {
    let unreadable = |_| Problem::bad_request(format!("{name} is not a list of tags"));
    headers
        .get(name)
        .map(|value| value.to_str().map(|text| text.trim().to_owned()))
        .transpose()
        .map_err(unreadable)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(given: &[(HeaderName, &'static str)]) -> Result<Expected, Problem> {
        let mut headers = HeaderMap::new();
        for (name, value) in given {
            headers.insert(name, header::HeaderValue::from_static(value));
        }
        Expected::of(&headers)
    }

    #[test]
    fn a_request_says_what_a_name_must_hold_or_says_nothing() {
        let (must, must_not) = (header::IF_MATCH, header::IF_NONE_MATCH);
        assert_eq!(of(&[]), Ok(Expected::Anything));
        assert_eq!(of(&[(must_not.clone(), "*")]), Ok(Expected::Nothing));
        assert_eq!(of(&[(must.clone(), " * ")]), Ok(Expected::Something));
        let two = Expected::OneOf(vec!["\"a\"".into(), "W/\"b\"".into()]);
        assert_eq!(of(&[(must.clone(), "\"a\", W/\"b\"")]), Ok(two));
        assert!(of(&[(must_not.clone(), "\"a\"")]).is_err());
        assert!(of(&[(must, "*"), (must_not, "*")]).is_err());
    }
}
