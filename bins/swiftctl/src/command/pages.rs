//! Lists that come in pages.

use serde_json::Value;

use crate::{
    client::{Client, with_query},
    error::Error,
};

/// Rows asked for at once.
const PAGE_LEN: usize = 1000;

/// A list of a node, whose rows are under a field's name.
#[derive(Clone, Copy)]
pub(super) struct List<'a> {
    pub(super) path: &'a str,
    pub(super) field: &'a str,
    pub(super) query: &'a [(&'a str, &'a str)],
}

/// All of a list.
pub(super) async fn all_pages(
    client: &Client,
    what: &str,
    path: &str,
    field: &str,
    query: &[(&str, &str)],
) -> Result<Vec<Value>, Error> {
    let list = List { path, field, query };
    Ok(first_rows(client, what, list, usize::MAX, |_| true).await?.0)
}

/// The first rows of a list, as long as they are wanted, and whether there are no others.
pub(super) async fn first_rows(
    client: &Client,
    what: &str,
    list: List<'_>,
    limit: usize,
    is_wanted: impl Fn(&Value) -> bool,
) -> Result<(Vec<Value>, bool), Error> {
    let (mut rows, mut after) = (Vec::new(), None::<String>);
    loop {
        let before = rows.len();
        let left = limit.saturating_sub(before).min(PAGE_LEN);
        if left == 0 {
            return Ok((rows, false));
        }
        let left = left.to_string();
        let mut query = [&[("limit", left.as_str())], list.query].concat();
        query.extend(after.as_deref().map(|after| ("after", after)));
        let mut page = client.get(what, &with_query(list.path, &query)).await?;
        let next = page.get("next").and_then(Value::as_str).map(str::to_owned);
        match page.get_mut(list.field).map(Value::take) {
            Some(Value::Array(some)) => {
                let len = some.len();
                rows.extend(some.into_iter().take_while(&is_wanted));
                if rows.len() < before + len {
                    return Ok((rows, true));
                }
            }
            _ => {
                return Err(Error::Failed(format!(
                    "{what}: the answer has no {}; is this a SwiftServe node?",
                    list.field
                )));
            }
        }
        if next.is_some() && next == after {
            return Err(Error::Failed(format!("{what}: the node's pages do not end")));
        }
        match next {
            Some(_) => after = next,
            None => return Ok((rows, true)),
        }
    }
}
