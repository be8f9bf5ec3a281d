//! The state in SQLite tables.

use rusqlite::{Connection, OptionalExtension, Params, params};
use serde::{Serialize, de::DeserializeOwned};

use super::{
    DbError,
    sums::{AUTHOR, FILE, MEMBER, META},
};
use crate::{
    encoding,
    genesis::NetworkParams,
    identity::NodeId,
    name::NameKey,
    state::{AuthorRecord, Change, FileRecord, Member, ProtocolSchedule, StateError, StateView},
    transaction::Role,
    validators::ValidatorSet,
};

/// No stored record is larger.
const RECORD_LEN_MAX: usize = 64 * 1024;

/// The tables of one connection as a state. Inside a transaction it sees what that has written.
#[derive(Debug)]
pub struct SqlState<'c>(pub(super) &'c Connection);

pub(super) fn read_meta<T: Serialize + DeserializeOwned>(
    connection: &Connection,
    key: &'static str,
) -> Result<T, DbError> {
    let mut statement =
        connection.prepare_cached(&format!("SELECT value, {META} FROM meta WHERE key = ?1"))?;
    let bytes: Option<Vec<u8>> = statement.query_row([key], |row| row.get(0)).optional()?;
    decode(key, &bytes.ok_or(DbError::Missing(key))?)
}

pub(super) fn write_meta<T: Serialize>(
    connection: &Connection,
    key: &'static str,
    value: &T,
) -> Result<(), DbError> {
    let mut statement = connection.prepare_cached("INSERT OR REPLACE INTO meta VALUES (?1, ?2)")?;
    statement.execute(params![key, encoding::encode(value)])?;
    Ok(())
}

pub(super) fn decode<T: Serialize + DeserializeOwned>(
    what: &'static str,
    bytes: &[u8],
) -> Result<T, DbError> {
    encoding::decode(what, bytes, RECORD_LEN_MAX).map_err(|error| DbError::Damaged { what, error })
}

impl SqlState<'_> {
    fn record<T: Serialize + DeserializeOwned>(
        &self,
        what: &'static str,
        sql: &str,
        parameters: impl Params,
    ) -> Result<Option<T>, DbError> {
        let mut statement = self.0.prepare_cached(sql)?;
        let bytes: Option<Vec<u8>> = statement.query_row(parameters, |row| row.get(0)).optional()?;
        bytes.map(|bytes| decode(what, &bytes)).transpose()
    }

    fn execute(&self, sql: &str, parameters: impl Params) -> Result<(), DbError> {
        self.0.prepare_cached(sql)?.execute(parameters)?;
        Ok(())
    }

    pub(super) fn find_file(&self, key: &NameKey) -> Result<Option<FileRecord>, DbError> {
        self.record("file", &format!("SELECT record, {FILE} FROM files WHERE key = ?1"), [key.as_str()])
    }

    pub(super) fn find_member(&self, node: &NodeId) -> Result<Option<Member>, DbError> {
        self.record(
            "member",
            &format!("SELECT record, {MEMBER} FROM members WHERE node = ?1"),
            [node.as_bytes()],
        )
    }

    pub(super) fn find_author(&self, node: &NodeId) -> Result<AuthorRecord, DbError> {
        let sql = format!("SELECT record, {AUTHOR} FROM authors WHERE node = ?1");
        self.record("author", &sql, [node.as_bytes()]).map(Option::unwrap_or_default)
    }

    pub(super) fn find_removed(&self, node: &NodeId) -> Result<Option<u64>, DbError> {
        let mut statement = self.0.prepare_cached("SELECT height FROM removed WHERE node = ?1")?;
        Ok(statement.query_row([node.as_bytes()], |row| row.get(0)).optional()?)
    }

    pub(super) fn insert_file(&self, key: &NameKey, file: &FileRecord) -> Result<(), DbError> {
        let entry = &file.entry;
        self.execute(
            "INSERT OR REPLACE INTO files VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            params![
                key.as_str(),
                entry.file_id.as_bytes(),
                entry.size,
                file.publisher.as_bytes(),
                file.height,
                encoding::encode(file)
            ],
        )
    }

    /// Writes a block's changes.
    pub(super) fn apply(&self, changes: &[Change]) -> Result<(), DbError> {
        let mut counts: Counts = read_meta(self.0, "counts")?;
        for change in changes {
            self.apply_one(change, &mut counts)?;
        }
        write_meta(self.0, "counts", &counts)
    }

    fn apply_one(&self, change: &Change, counts: &mut Counts) -> Result<(), DbError> {
        match change {
            Change::Params(params) => write_meta(self.0, "params", params),
            Change::Protocol(protocol) => write_meta(self.0, "protocol", protocol),
            Change::Validators(validators) => write_meta(self.0, "validators", validators),
            Change::Member { node, member } => {
                let before = self.find_member(node)?;
                counts.count_member(before.as_ref(), member.as_ref());
                match member {
                    Some(member) => self.execute(
                        "INSERT OR REPLACE INTO members VALUES (?1, ?2)",
                        params![node.as_bytes(), encoding::encode(member)],
                    ),
                    None => self.execute("DELETE FROM members WHERE node = ?1", [node.as_bytes()]),
                }
            }
            Change::Removed { node, height } => self
                .execute("INSERT OR REPLACE INTO removed VALUES (?1, ?2)", params![node.as_bytes(), height]),
            Change::Author { node, record } => self.execute(
                "INSERT OR REPLACE INTO authors VALUES (?1, ?2)",
                params![node.as_bytes(), encoding::encode(record)],
            ),
            Change::File { key, file } => {
                counts.count_file(self.find_file(key)?.as_ref(), file.as_ref());
                match file {
                    Some(file) => self.insert_file(key, file),
                    None => self.execute("DELETE FROM files WHERE key = ?1", [key.as_str()]),
                }
            }
            Change::InvitationUsed { nonce } => {
                self.execute("INSERT OR REPLACE INTO invitations VALUES (?1)", [nonce])
            }
        }
    }
}

/// Counters kept beside the tables, so that nobody has to count rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(super) struct Counts {
    pub(super) members: u64,
    pub(super) admins: u64,
    pub(super) files: u64,
    pub(super) bytes: u128,
}

impl Counts {
    fn count_member(&mut self, before: Option<&Member>, after: Option<&Member>) {
        let is_admin = |member: Option<&Member>| member.is_some_and(|member| member.role == Role::Admin);
        self.members =
            (self.members + u64::from(after.is_some())).saturating_sub(u64::from(before.is_some()));
        self.admins = (self.admins + u64::from(is_admin(after))).saturating_sub(u64::from(is_admin(before)));
    }

    fn count_file(&mut self, before: Option<&FileRecord>, after: Option<&FileRecord>) {
        let size = |file: Option<&FileRecord>| file.map_or(0, |file| u128::from(file.entry.size));
        self.files = (self.files + u64::from(after.is_some())).saturating_sub(u64::from(before.is_some()));
        self.bytes = (self.bytes + size(after)).saturating_sub(size(before));
    }
}

fn failed(error: DbError) -> StateError {
    StateError(Box::new(error))
}

impl StateView for SqlState<'_> {
    fn params(&self) -> Result<NetworkParams, StateError> {
        read_meta(self.0, "params").map_err(failed)
    }

    fn protocol(&self) -> Result<ProtocolSchedule, StateError> {
        read_meta(self.0, "protocol").map_err(failed)
    }

    fn validators(&self) -> Result<ValidatorSet, StateError> {
        read_meta(self.0, "validators").map_err(failed)
    }

    fn member(&self, node: &NodeId) -> Result<Option<Member>, StateError> {
        self.find_member(node).map_err(failed)
    }

    fn admin_count(&self) -> Result<u64, StateError> {
        read_meta(self.0, "counts").map(|counts: Counts| counts.admins).map_err(failed)
    }

    fn removed_at(&self, node: &NodeId) -> Result<Option<u64>, StateError> {
        self.find_removed(node).map_err(failed)
    }

    fn author(&self, node: &NodeId) -> Result<AuthorRecord, StateError> {
        self.find_author(node).map_err(failed)
    }

    fn file(&self, key: &NameKey) -> Result<Option<FileRecord>, StateError> {
        self.find_file(key).map_err(failed)
    }

    fn file_below(&self, key: &NameKey, after: Option<&NameKey>) -> Result<Option<FileRecord>, StateError> {
        let (from, to) = key.below();
        let after = after.map_or("", NameKey::as_str);
        let sql = format!(
            "SELECT record, {FILE} FROM files WHERE key >= ?1 AND key < ?2 AND key > ?3 ORDER BY key LIMIT 1"
        );
        self.record("file", &sql, [from.as_str(), to.as_str(), after]).map_err(failed)
    }

    fn invitation_used(&self, nonce: &[u8; 16]) -> Result<bool, StateError> {
        let statement = self.0.prepare_cached("SELECT 1 FROM invitations WHERE nonce = ?1");
        let used = statement.and_then(|mut statement| statement.exists([nonce]));
        used.map_err(|error| failed(error.into()))
    }
}
