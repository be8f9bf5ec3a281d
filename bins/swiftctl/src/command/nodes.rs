//! `nodes`: the network's members.

use serde_json::Value;
use swift_chain::NodeId;

use super::pages::all_pages;
use crate::{
    api::{Holds, Node},
    cli::Context,
    client::{Client, understand},
    error::Error,
    output::{Shown, table},
    text::size,
};

/// Characters of an id that are enough to name a node.
const PREFIX_LEN_MIN: usize = 6;

pub(crate) async fn list(context: &Context, shown: &Shown) -> Result<(), Error> {
    let (answer, nodes) = ask(&context.client()?).await?;
    context.output(shown).show(&answer, || {
        table(
            ["node id", "role", "address", "online", "joined", "weight", "holds", "keeps"],
            nodes.into_iter().map(row),
        )
    })
}

async fn ask(client: &Client) -> Result<(Vec<Value>, Vec<Node>), Error> {
    let what = "cannot list the nodes";
    let rows = all_pages(client, what, "/v1/nodes", "nodes", &[]).await?;
    let nodes = rows.iter().map(|row| understand(what, row)).collect::<Result<_, _>>()?;
    Ok((rows, nodes))
}

/// Ids are shown whole: they are what other commands take.
fn row(node: Node) -> [String; 8] {
    let online = match (node.is_self, node.online) {
        (true, _) => "this node",
        (_, true) => "yes",
        (_, false) => "no",
    };
    let (joined, weight) = (node.joined_height.to_string(), node.validator_weight.to_string());
    let unknown = || "-".to_owned();
    let holds = node.holds.map_or_else(unknown, |Holds { files, bytes }| {
        format!("{files} {}, {}", if files == 1 { "file" } else { "files" }, size::human(bytes))
    });
    let keeps = node.keeps.unwrap_or_else(unknown);
    [node.node_id, node.role, node.address, online.into(), joined, weight, holds, keeps]
}

/// The whole id of a member that is named by it, or by its beginning.
pub(super) async fn find(client: &Client, id: &str) -> Result<String, Error> {
    if let Ok(id) = id.parse::<NodeId>() {
        return Ok(id.to_string());
    }
    let (_, nodes) = ask(client).await?;
    Ok(resolve(id, nodes.iter().map(|node| node.node_id.as_str()))?.to_owned())
}

/// The one id that begins so.
fn resolve<'a>(prefix: &str, ids: impl Iterator<Item = &'a str>) -> Result<&'a str, Error> {
    if prefix.chars().count() < PREFIX_LEN_MIN {
        let says =
            format!("{prefix:?} is too short for a node id: give at least {PREFIX_LEN_MIN} characters");
        return Err(Error::Usage(says));
    }
    let prefix = prefix.to_ascii_lowercase();
    let found: Vec<_> = ids.filter(|id| id.starts_with(&prefix)).collect();
    match found.as_slice() {
        [id] => Ok(id),
        [] => Err(Error::NotFound(format!("no node's id begins with {prefix}; `swiftctl nodes` lists them"))),
        several => {
            Err(Error::Usage(format!("{} nodes' ids begin with {prefix}; give more of it", several.len())))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDS: [&str; 3] = ["abcdefgh", "abcdefxx", "zzzzzzzz"];

    #[test]
    fn an_unambiguous_beginning_names_a_node() {
        assert_eq!(resolve("zzzzzz", IDS.into_iter()).unwrap(), "zzzzzzzz");
        assert_eq!(resolve("ABCDEFG", IDS.into_iter()).unwrap(), "abcdefgh");
    }

    #[test]
    fn short_ambiguous_and_unknown_beginnings_are_refused() {
        let exit = |prefix| resolve(prefix, IDS.into_iter()).unwrap_err().exit_code();
        assert_eq!((exit("zzzzz"), exit("abcdef"), exit("yyyyyy")), (2, 2, 3));
        assert_eq!(exit(""), 2);
    }
}
