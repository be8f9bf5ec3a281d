//! Indexes of older formats, and changes of one that go past the store.

use std::fs;
use std::path::Path;

use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::{Connection, types::ValueRef};

/// Lets a connection of a test write rows: it works sums out by the description of the format.
pub(crate) fn open_index(path: &Path) -> Connection {
    let index = Connection::open(path).unwrap();
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
    index.create_scalar_function("row_sum", -1, flags, |context| Ok(sum(context, 0))).unwrap();
    index
        .create_scalar_function("intact", -1, flags, |context| Ok(context.get::<i64>(0)? == sum(context, 1)))
        .unwrap();
    index
}

fn sum(context: &Context<'_>, from: usize) -> i64 {
    let mut bytes = Vec::new();
    for at in from..context.len() {
        match context.get_raw(at) {
            ValueRef::Null => bytes.push(0),
            ValueRef::Integer(number) => {
                bytes.push(1);
                bytes.extend(number.to_le_bytes());
            }
            ValueRef::Real(_) => panic!("there are no such numbers"),
            value @ (ValueRef::Text(content) | ValueRef::Blob(content)) => {
                bytes.push(if matches!(value, ValueRef::Text(_)) { 3 } else { 4 });
                bytes.extend((content.len() as u64).to_le_bytes());
                bytes.extend(content);
            }
        }
    }
    i64::from_le_bytes(blake3::hash(&bytes).as_bytes()[..8].try_into().unwrap())
}

/// Writes a closed index as format 4 had it.
pub(crate) fn to_format_4(path: &Path) -> Connection {
    let old = path.with_extension("old");
    let index = Connection::open(&old).unwrap();
    index.execute_batch(include_str!("format_4.sql")).unwrap();
    index.execute("ATTACH ?1 AS new", [path.to_str().unwrap()]).unwrap();
    let list = |sql: &str| -> Vec<String> {
        let mut statement = index.prepare(sql).unwrap();
        let rows = statement.query_map([], |row| row.get(0)).unwrap();
        rows.map(Result::unwrap).collect()
    };
    index.execute("DELETE FROM totals", []).unwrap();
    let tables = "SELECT name FROM main.sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'
        ORDER BY name = 'totals'";
    for table in list(tables) {
        let columns = list(&format!("SELECT name FROM pragma_table_info('{table}', 'main')")).join(", ");
        let copy = format!("INSERT INTO main.{table}({columns}) SELECT {columns} FROM new.{table}");
        index.execute(&copy, []).unwrap();
    }
    drop(index);
    fs::rename(&old, path).unwrap();
    Connection::open(path).unwrap()
}
