//! Who did what: the blocks' transactions from the newest back, also those of one name or one node alone.
//!
//! An index leads from a name or a node to its transactions, so that looking costs as much as is found, however long the
//! ledger is. An entry is 16 bytes of a hash of the name's key or of the node's id, then height and position, most
//! significant byte first. What it leads to is looked at before it is believed.

use rusqlite::{Connection, OptionalExtension, params};

use super::{
    DbError,
    reader::LedgerReader,
    sums::{BLOCK, ENTRY},
};
use crate::{
    block::{Block, SealedBlock},
    hash::sha256,
    identity::NodeId,
    name::NameKey,
    transaction::{Action, SignedTransaction, Transaction},
};

/// A page ends when the blocks that were read for it have so many bytes, or after so many transactions that were not
/// asked for.
const READ_MAX: usize = 16 * 1024 * 1024;
const LOOKED_AT_MAX: usize = 20_000;

/// Where a transaction stands in the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HistoryPlace {
    /// In which block.
    pub height: u64,
    /// At which place of it, from 0.
    pub position: u16,
}

/// Which transactions are looked for.
#[derive(Clone, Debug, Default)]
pub struct HistoryFilter {
    /// Those that gave this name a meaning, or took it.
    pub name: Option<NameKey>,
    /// Those of this node, and those about it: of its inviter, and of who changed or removed it.
    pub node: Option<NodeId>,
    /// Those in blocks that are not older, in milliseconds since 1970.
    pub since_ms: u64,
    /// Those before this one: where the page before ended.
    pub before: Option<HistoryPlace>,
    /// At most so many.
    pub limit: usize,
}

/// A transaction that is final.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryEntry {
    /// Where it stands.
    pub place: HistoryPlace,
    /// Its block's time, in milliseconds since 1970.
    pub time_ms: u64,
    /// What was said, by whom.
    pub signed: SignedTransaction,
}

/// Some of what was looked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HistoryPage {
    /// The newest first.
    pub entries: Vec<HistoryEntry>,
    /// What to go on before, if older ones may be there. A page that was long to look for has fewer than were asked for.
    pub next: Option<HistoryPlace>,
}

impl HistoryFilter {
    fn subject(&self) -> Option<[u8; 16]> {
        self.name.as_ref().map(of_name).or_else(|| self.node.as_ref().map(of_node))
    }

    fn takes(&self, transaction: &Transaction) -> bool {
        let is_name = self.name.as_ref().is_none_or(|name| name_of(transaction).as_ref() == Some(name));
        is_name
            && self.node.as_ref().is_none_or(|node| nodes_of(transaction).any(|concerned| concerned == *node))
    }
}

impl LedgerReader {
    /// What was done, the newest first. A network that was founded anew knows nothing of what was before.
    pub fn history(&self, filter: &HistoryFilter) -> Result<HistoryPage, DbError> {
        let mut search =
            Search { reader: self, filter, page: HistoryPage::default(), block: None, read: 0, looked_at: 0 };
        match filter.subject() {
            Some(subject) => search.along(&subject)?,
            None => search.backwards()?,
        }
        Ok(search.page)
    }
}

/// A page that is being filled.
struct Search<'r> {
    reader: &'r LedgerReader,
    filter: &'r HistoryFilter,
    page: HistoryPage,
    /// The block that was read last: the next transaction is often in it too.
    block: Option<Block>,
    read: usize,
    looked_at: usize,
}

impl Search<'_> {
    /// Follows an entry of the index to the one before it.
    fn along(&mut self, subject: &[u8; 16]) -> Result<(), DbError> {
        let first = entry(subject, HistoryPlace { height: 0, position: 0 });
        let end = self.filter.before.map_or_else(
            || entry(subject, HistoryPlace { height: u64::MAX, position: u16::MAX }),
            |before| entry(subject, before),
        );
        let connection = self.reader.connection();
        let sql = format!(
            "SELECT entry, {ENTRY} FROM history WHERE entry >= ?1 AND entry < ?2 ORDER BY entry DESC"
        );
        let mut statement = connection.prepare_cached(&sql)?;
        let mut rows = statement.query(params![first, end])?;
        while let Some(row) = rows.next()? {
            let place = place_of(&row.get::<_, [u8; 26]>(0)?);
            if !self.look_at(place)? {
                break;
            }
        }
        Ok(())
    }

    fn backwards(&mut self) -> Result<(), DbError> {
        // A place beyond the head may have come from a node that is ahead.
        let head = self.reader.head()?.height;
        let mut height = self.filter.before.map_or(head, |before| before.height.min(head));
        while height > 0 {
            if self.read > READ_MAX {
                self.page.next = Some(HistoryPlace { height: height + 1, position: 0 });
                return Ok(());
            }
            let Some(block) = self.load(height)? else { return Err(DbError::Missing("block")) };
            let (len, time_ms) = (block.transactions.len(), block.header.time_ms);
            if time_ms < self.filter.since_ms {
                return Ok(());
            }
            for position in (0..u16::try_from(len).unwrap_or(u16::MAX)).rev() {
                let place = HistoryPlace { height, position };
                if self.filter.before.is_none_or(|before| place < before) && !self.look_at(place)? {
                    return Ok(());
                }
            }
            height -= 1;
        }
        Ok(())
    }

    /// Takes a transaction if it is looked for. False when the page is full, or what comes is older than what is.
    fn look_at(&mut self, place: HistoryPlace) -> Result<bool, DbError> {
        let (filter, is_full) = (self.filter, self.page.entries.len() >= self.filter.limit);
        if is_full || self.read > READ_MAX || self.looked_at > LOOKED_AT_MAX {
            self.page.next = Some(place.following());
            return Ok(false);
        }
        self.looked_at += 1;
        let Some(block) = self.load(place.height)? else { return Err(DbError::Missing("block")) };
        let time_ms = block.header.time_ms;
        if time_ms < filter.since_ms {
            return Ok(false);
        }
        let signed = block.transactions.get(usize::from(place.position));
        let signed = signed.ok_or(DbError::Missing("transaction"))?;
        if filter.takes(&signed.transaction) {
            let entry = HistoryEntry { place, time_ms, signed: signed.clone() };
            self.page.entries.push(entry);
        }
        Ok(true)
    }

    fn load(&mut self, height: u64) -> Result<Option<&Block>, DbError> {
        if self.block.as_ref().is_none_or(|block| block.header.height != height) {
            let connection = self.reader.connection();
            let sql = format!("SELECT body, {BLOCK} FROM blocks WHERE height = ?1");
            let body: Option<Vec<u8>> =
                connection.prepare_cached(&sql)?.query_row([height], |row| row.get(0)).optional()?;
            self.read += body.as_ref().map_or(0, Vec::len);
            self.block = body.map(|body| read_block(&body)).transpose()?;
        }
        Ok(self.block.as_ref())
    }
}

impl HistoryPlace {
    /// The first place that is not before this one's.
    fn following(self) -> Self {
        match self.position.checked_add(1) {
            Some(position) => Self { position, ..self },
            None => Self { height: self.height + 1, position: 0 },
        }
    }
}

/// Enters a block that becomes final.
pub(super) fn note(connection: &Connection, block: &Block) -> Result<(), DbError> {
    // A node may be both author and concerned.
    let mut statement = connection.prepare_cached("INSERT OR IGNORE INTO history VALUES (?1)")?;
    let height = block.header.height;
    for (position, signed) in block.transactions.iter().enumerate() {
        let place = HistoryPlace { height, position: u16::try_from(position).unwrap_or(u16::MAX) };
        for node in nodes_of(&signed.transaction) {
            statement.execute([entry(&of_node(&node), place)])?;
        }
        if let Some(name) = name_of(&signed.transaction) {
            statement.execute([entry(&of_name(&name), place)])?;
        }
    }
    Ok(())
}

/// Enters the last blocks that are not in the index, if there are some: a program that does not know of the index may have
/// gone on with a ledger that has one.
pub(super) fn complete(ledger: &LedgerReader) -> Result<(), DbError> {
    let (connection, head) = (ledger.connection(), ledger.head()?.height);
    let mut missing = Vec::new();
    for height in (1..=head).rev() {
        let Some(sealed) = ledger.block(height)? else { return Err(DbError::Missing("block")) };
        if let Some(first) = sealed.block.transactions.first() {
            let entry = entry(&of_node(&first.transaction.author), HistoryPlace { height, position: 0 });
            let sql = "SELECT EXISTS (SELECT 1 FROM history WHERE entry = ?1)";
            if connection.prepare_cached(sql)?.query_row([entry], |row| row.get(0))? {
                break;
            }
            missing.push(height);
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    let transaction = connection.unchecked_transaction()?;
    // The oldest first: what a crash leaves is found again.
    for height in missing.into_iter().rev() {
        let sealed = ledger.block(height)?.ok_or(DbError::Missing("block"))?;
        note(connection, &sealed.block)?;
    }
    Ok(transaction.commit()?)
}

/// Enters all blocks of a ledger that has no index yet.
pub(super) fn note_all(connection: &Connection) -> Result<(), DbError> {
    let mut statement = connection.prepare("SELECT body FROM blocks WHERE height > 0 ORDER BY height")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let body = row.get_ref(0)?.as_blob().map_err(rusqlite::Error::from)?;
        note(connection, &read_block(body)?)?;
    }
    Ok(())
}

fn read_block(body: &[u8]) -> Result<Block, DbError> {
    let sealed = SealedBlock::from_bytes(body);
    sealed.map(|sealed| sealed.block).map_err(|error| DbError::Damaged { what: "block", error })
}

fn name_of(transaction: &Transaction) -> Option<NameKey> {
    match &transaction.action {
        Action::AddFile { file, .. } => Some(file.name.key()),
        Action::RemoveFile { name, .. } => Some(name.key()),
        Action::AddNode { .. }
        | Action::RemoveNode { .. }
        | Action::UpdateNode { .. }
        | Action::Upgrade { .. }
        | Action::Void {} => None,
    }
}

/// The author, and who else it concerns.
fn nodes_of(transaction: &Transaction) -> impl Iterator<Item = NodeId> {
    let (node, inviter) = match &transaction.action {
        Action::AddNode { node, invitation, .. } => (Some(*node), Some(invitation.terms.inviter)),
        Action::RemoveNode { node } | Action::UpdateNode { node, .. } => (Some(*node), None),
        Action::AddFile { .. } | Action::RemoveFile { .. } | Action::Upgrade { .. } | Action::Void {} => {
            (None, None)
        }
    };
    [Some(transaction.author), node, inviter].into_iter().flatten()
}

fn of_name(key: &NameKey) -> [u8; 16] {
    short(sha256(&[b"name\0", key.as_str().as_bytes()]))
}

fn of_node(node: &NodeId) -> [u8; 16] {
    short(sha256(&[b"node\0", node.as_bytes()]))
}

fn short(hash: [u8; 32]) -> [u8; 16] {
    let mut first = [0; 16];
    first.copy_from_slice(&hash[..16]);
    first
}

fn entry(subject: &[u8; 16], place: HistoryPlace) -> [u8; 26] {
    let mut entry = [0; 26];
    entry[..16].copy_from_slice(subject);
    entry[16..24].copy_from_slice(&place.height.to_be_bytes());
    entry[24..].copy_from_slice(&place.position.to_be_bytes());
    entry
}

fn place_of(entry: &[u8; 26]) -> HistoryPlace {
    let (mut height, mut position) = ([0; 8], [0; 2]);
    height.copy_from_slice(&entry[16..24]);
    position.copy_from_slice(&entry[24..]);
    HistoryPlace { height: u64::from_be_bytes(height), position: u16::from_be_bytes(position) }
}
