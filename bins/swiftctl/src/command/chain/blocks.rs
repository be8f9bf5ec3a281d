//! Blocks as people read them.

mod told;

use serde_json::Value;

pub(in crate::command) use self::told::action as told_action;

use crate::{
    api::Status,
    client::{Client, understand, with_query},
    error::Error,
    output::{Output, note},
};

/// Blocks asked for at once.
const PAGE_LEN: u64 = 100;

/// Lists blocks from a height on, or the newest ones.
pub(super) async fn list(
    client: &Client,
    output: Output,
    from: Option<u64>,
    limit: u64,
) -> Result<(), Error> {
    let what = "cannot list the blocks";
    let from = match from {
        Some(from) => from,
        None => {
            let status: Status = understand(what, &client.get(what, "/v1/status").await?)?;
            (status.height + 1).saturating_sub(limit).max(1)
        }
    };
    let (blocks, next) = pages(client, what, from, limit).await?;
    let told = blocks.iter().map(|block| understand(what, block).map(|block| told::block(&block)));
    let told: String = told.collect::<Result<_, _>>()?;
    output.show(&blocks, || told)?;
    if !output.is_json() {
        let command = client.command();
        match next {
            Some(next) => note(&format!("next: {command} inspect-chain --from {next}")),
            None if blocks.is_empty() => note("there are no blocks here; the genesis block is not listed"),
            None => note(&format!("next: {command} inspect-chain --verify")),
        }
    }
    Ok(())
}

async fn pages(
    client: &Client,
    what: &str,
    from: u64,
    limit: u64,
) -> Result<(Vec<Value>, Option<u64>), Error> {
    let (mut blocks, mut next) = (Vec::new(), Some(from));
    while let Some(from) = next {
        let left = limit.saturating_sub(blocks.len() as u64);
        if left == 0 {
            break;
        }
        let (from_text, left) = (from.to_string(), left.min(PAGE_LEN).to_string());
        let path = with_query("/v1/blocks", &[("from", &from_text), ("limit", &left)]);
        let mut page = client.get(what, &path).await?;
        match page.get_mut("blocks").map(Value::take) {
            Some(Value::Array(page)) => blocks.extend(page),
            _ => {
                return Err(Error::Failed(format!(
                    "{what}: the answer has no blocks; is this a SwiftServe node?"
                )));
            }
        }
        next = page.get("next").and_then(Value::as_u64);
        if next.is_some_and(|next| next <= from) {
            return Err(Error::Failed(format!("{what}: the node's pages do not end")));
        }
    }
    Ok((blocks, next))
}
