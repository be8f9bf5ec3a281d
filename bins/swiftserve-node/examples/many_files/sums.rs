//! The sums of the index's rows, as `docs/formats.md` says they are: without these functions SQLite writes no row.

use rusqlite::{
    Connection,
    functions::{Context, FunctionFlags},
    types::ValueRef,
};

pub(crate) fn teach(connection: &Connection) -> rusqlite::Result<()> {
    let flags =
        FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC | FunctionFlags::SQLITE_INNOCUOUS;
    connection.create_scalar_function("row_sum", -1, flags, |row| Ok(sum(row, 0)))?;
    connection.create_scalar_function("intact", -1, flags, |row| {
        Ok(row.get_raw(0) == ValueRef::Integer(sum(row, 1)))
    })
}

/// The first 8 bytes of BLAKE3 over the values from one on.
fn sum(row: &Context<'_>, first: usize) -> i64 {
    let mut bytes = Vec::new();
    for at in first..row.len() {
        match row.get_raw(at) {
            ValueRef::Null => bytes.push(0),
            ValueRef::Integer(number) => bytes.extend([&[1][..], &number.to_le_bytes()].concat()),
            ValueRef::Real(number) => bytes.extend([&[2][..], &number.to_le_bytes()].concat()),
            ValueRef::Text(text) => bytes.extend(counted(3, text)),
            ValueRef::Blob(blob) => bytes.extend(counted(4, blob)),
        }
    }
    let mut start = [0; 8];
    start.copy_from_slice(&blake3::hash(&bytes).as_bytes()[..8]);
    i64::from_le_bytes(start)
}

fn counted(kind: u8, value: &[u8]) -> Vec<u8> {
    [&[kind][..], &(value.len() as u64).to_le_bytes(), value].concat()
}
