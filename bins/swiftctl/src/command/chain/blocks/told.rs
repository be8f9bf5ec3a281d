//! One block in a few lines: what it did, and by whom.

use serde::Deserialize;
use serde_json::Value;

use crate::text::{date, printable, short, size};

/// A block as `/v1/blocks` has it.
#[derive(Deserialize)]
pub(super) struct Block {
    height: u64,
    hash: String,
    #[serde(default)]
    time_ms: u64,
    #[serde(default)]
    transactions: Vec<Transaction>,
}

#[derive(Deserialize)]
struct Transaction {
    author: String,
    #[serde(default)]
    on_behalf_of: Option<String>,
    action: Value,
}

/// A line for the block, and one for each transaction.
pub(super) fn block(block: &Block) -> String {
    let Block { height, hash, time_ms, transactions } = block;
    let mut told = format!("{height}  {}  {}", date::rfc3339(*time_ms), short(hash));
    if transactions.is_empty() {
        told.push_str(if *height == 0 { "  genesis: the network begins" } else { "  no transactions" });
    }
    told.push('\n');
    for transaction in transactions {
        let by = match &transaction.on_behalf_of {
            Some(label) => format!("{} for {label}", short(&transaction.author)),
            None => short(&transaction.author),
        };
        told.push_str(&printable(&format!("    {}, by {by}", action(&transaction.action))));
        told.push('\n');
    }
    told
}

/// What an action does; one this program does not know is shown as it is.
pub(in crate::command) fn action(action: &Value) -> String {
    let known =
        action.as_object().and_then(|map| map.iter().next()).and_then(|(kind, of)| match kind.as_str() {
            "add_file" => {
                let file = of.get("file")?;
                let verb = if of.get("replaces").is_none_or(Value::is_null) { "added" } else { "replaced" };
                let size = size::human(file.get("size")?.as_u64()?);
                Some(format!("{verb} {} ({size}, {})", text(file, "name")?, short(text(file, "file_id")?)))
            }
            "remove_file" => Some(format!("removed {} ({})", text(of, "name")?, short(text(of, "file_id")?))),
            "add_node" => {
                let role = of.pointer("/invitation/terms/role").and_then(Value::as_str).unwrap_or("member");
                let inviter = of.pointer("/invitation/terms/inviter").and_then(Value::as_str).unwrap_or("?");
                let (node, address) = (short(text(of, "node")?), text(of, "address")?);
                Some(format!("took node {node} in as {role} at {address}, invited by {}", short(inviter)))
            }
            "remove_node" => Some(format!("removed node {}", short(text(of, "node")?))),
            "update_node" => {
                let (what, value) = of.get("change")?.as_object()?.iter().next()?;
                let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                Some(format!(
                    "set {} of node {} to {value}",
                    what.replace('_', " "),
                    short(text(of, "node")?)
                ))
            }
            "upgrade" => {
                let (version, from) = (of.get("version")?.as_u64()?, of.get("from_height")?.as_u64()?);
                Some(format!("upgraded the protocol to version {version} from block {from} on"))
            }
            "void" => Some("took a write back that had come too late".to_owned()),
            _ => None,
        });
    known.unwrap_or_else(|| action.to_string())
}

fn text<'a>(value: &'a Value, field: &str) -> Option<&'a str> {
    value.get(field)?.as_str()
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use swift_chain::{Action, FileEntry, Hash, NodeChange, NodeKey};

    use super::*;

    fn told_of(made: &Action) -> String {
        action(&serde_json::to_value(made).unwrap())
    }

    #[test]
    fn every_action_is_told_in_words() {
        let node = NodeKey::from_seed([1; 32]).id();
        let id = Hash::from_bytes([0xab; 32]);
        let file = FileEntry { name: "a.iso".parse().unwrap(), size: 1536, file_id: id, manifest_hash: id };
        let add = |replaces| Action::AddFile { file: file.clone(), replaces };
        assert_eq!(told_of(&add(None)), "added a.iso (1.5 KiB, ababababab)");
        assert_eq!(told_of(&add(Some(id))), "replaced a.iso (1.5 KiB, ababababab)");
        let remove = Action::RemoveFile { name: "a.iso".parse().unwrap(), file_id: id };
        assert_eq!(told_of(&remove), "removed a.iso (ababababab)");
        let short = node.short();
        assert_eq!(told_of(&Action::RemoveNode { node }), format!("removed node {short}"));
        let update = Action::UpdateNode { node, change: NodeChange::ValidatorWeight(2) };
        assert_eq!(told_of(&update), format!("set validator weight of node {short} to 2"));
        let upgrade = Action::Upgrade { version: 2, from_height: 9 };
        assert_eq!(told_of(&upgrade), "upgraded the protocol to version 2 from block 9 on");
        assert_eq!(told_of(&Action::Void {}), "took a write back that had come too late");
    }

    #[test]
    fn an_action_from_the_future_is_shown_as_it_is() {
        assert_eq!(action(&json!({"dance": {"steps": 3}})), r#"{"dance":{"steps":3}}"#);
    }

    #[test]
    fn a_block_has_a_line_and_one_per_transaction() {
        let given = json!({"height": 3, "hash": "cd".repeat(32), "time_ms": 0, "transactions": [
            {"author": "a".repeat(52), "on_behalf_of": "ci", "action": {"remove_node": {"node": "b".repeat(52)}}}]});
        let told = block(&serde_json::from_value(given).unwrap());
        assert_eq!(
            told,
            "3  1970-01-01T00:00:00Z  cdcdcdcdcd\n    removed node bbbbbbbbbb, by aaaaaaaaaa for ci\n"
        );
    }
}
