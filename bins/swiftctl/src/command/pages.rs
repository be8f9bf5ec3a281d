//! Lists that come in pages.

use serde_json::Value;

use crate::{
    client::{Client, with_query},
    error::Error,
};

/// Rows asked for at once.
const PAGE_LEN: &str = "1000";

/// All pages of a list, whose rows are under a field's name.
pub(super) async fn all_pages(
    client: &Client,
    what: &str,
    path: &str,
    field: &str,
    query: &[(&str, &str)],
) -> Result<Vec<Value>, Error> {
    let (mut rows, mut after) = (Vec::new(), None::<String>);
    loop {
        let mut query = [&[("limit", PAGE_LEN)], query].concat();
        query.extend(after.as_deref().map(|after| ("after", after)));
        let mut page = client.get(what, &with_query(path, &query)).await?;
        let next = page.get("next").and_then(Value::as_str).map(str::to_owned);
        match page.get_mut(field).map(Value::take) {
            Some(Value::Array(some)) => rows.extend(some),
            _ => {
                return Err(Error::Failed(format!(
                    "{what}: the answer has no {field}; is this a SwiftServe node?"
                )));
            }
        }
        if next.is_some() && next == after {
            return Err(Error::Failed(format!("{what}: the node's pages do not end")));
        }
        match next {
            Some(_) => after = next,
            None => return Ok(rows),
        }
    }
}
