//! The tables, and bringing those of older formats up to date.

use rusqlite::Connection;

use super::sums::{Table, teach};

/// The format of the index file, kept in `user_version`.
pub(super) const FORMAT: i64 = 5;

/// Format 5.
///
/// `objects` has a row per content that a name, a hold or a download ever asked for; `verified_ms` is when all that is held
/// was last known to be sound. `pages` holds the bitmap of durable chunks of partial objects, 32,768 chunks a row. `grains`
/// says which grains are durable of a partial object's chunks that are not durable as a whole, `trees` has the grain trees
/// of these chunks; `bytes` is what `bits` amount to, for `objects.stored`.
///
/// `names.kept` says whether the rule or a pin covers a name: only content of such names is wanted. `visible` says what
/// this store put into the files folder, `todo` which names there must be looked at again. `totals` is kept by triggers, so
/// that the space in use is known without a walk. `keep` has one row once a rule was set. `promised` says which contents this
/// node keeps for others, and until when, `promises` which others keep what this node let go of. `removed` says which names
/// meant a content and do not any more, since when, and who said so. `scrubs` has the pass under way and the last one, `rot`
/// what was found to be unsound since the last one began.
pub(super) const TABLES: [Table; 17] = [
    Table {
        name: "objects",
        columns: &[
            ("id", "INTEGER PRIMARY KEY AUTOINCREMENT"),
            ("file_id", "BLOB NOT NULL"),
            ("manifest_hash", "BLOB NOT NULL"),
            ("len", "INTEGER NOT NULL"),
            ("state", "INTEGER NOT NULL"),
            ("chunks", "INTEGER NOT NULL"),
            ("held", "INTEGER NOT NULL DEFAULT 0"),
            ("has_manifest", "INTEGER NOT NULL DEFAULT 0"),
            ("mtime_ns", "INTEGER NOT NULL DEFAULT 0"),
            ("reserved", "INTEGER NOT NULL DEFAULT 0"),
            ("stored", "INTEGER NOT NULL DEFAULT 0"),
            ("wanted_height", "INTEGER"),
            ("trashed_ms", "INTEGER"),
            ("verified_ms", "INTEGER NOT NULL DEFAULT 0"),
        ],
        constraints: ", UNIQUE(file_id, manifest_hash, len)",
        options: "",
    },
    Table {
        name: "pages",
        columns: &[("object", "INTEGER NOT NULL"), ("page", "INTEGER NOT NULL"), ("bits", "BLOB NOT NULL")],
        constraints: ", PRIMARY KEY(object, page)",
        options: " WITHOUT ROWID",
    },
    Table {
        name: "names",
        columns: &[
            ("name", "TEXT PRIMARY KEY"),
            ("object", "INTEGER NOT NULL"),
            ("height", "INTEGER NOT NULL"),
            ("kept", "INTEGER NOT NULL DEFAULT 1"),
        ],
        constraints: "",
        options: " WITHOUT ROWID",
    },
    Table {
        name: "holds",
        columns: &[("key", "BLOB PRIMARY KEY"), ("object", "INTEGER NOT NULL"), ("payload", "BLOB NOT NULL")],
        constraints: "",
        options: " WITHOUT ROWID",
    },
    Table {
        name: "visible",
        columns: &[
            ("name", "TEXT NOT NULL"),
            ("object", "INTEGER NOT NULL"),
            ("len", "INTEGER NOT NULL"),
            ("mtime_ns", "INTEGER NOT NULL"),
        ],
        constraints: ", PRIMARY KEY(name, object, mtime_ns)",
        options: " WITHOUT ROWID",
    },
    Table {
        name: "todo",
        columns: &[("name", "TEXT PRIMARY KEY")],
        constraints: "",
        options: " WITHOUT ROWID",
    },
    Table {
        name: "totals",
        columns: &[
            ("reserved", "INTEGER NOT NULL"),
            ("stored", "INTEGER NOT NULL"),
            ("applied_height", "INTEGER"),
        ],
        constraints: "",
        options: "",
    },
    Table { name: "keep", columns: &[("rule", "TEXT NOT NULL")], constraints: "", options: "" },
    Table {
        name: "pins",
        columns: &[("name", "TEXT PRIMARY KEY")],
        constraints: "",
        options: " WITHOUT ROWID",
    },
    Table {
        name: "promised",
        columns: &[
            ("object", "INTEGER NOT NULL"),
            ("asker", "BLOB NOT NULL"),
            ("until_ms", "INTEGER NOT NULL"),
        ],
        constraints: ", PRIMARY KEY(object, asker)",
        options: " WITHOUT ROWID",
    },
    Table {
        name: "promises",
        columns: &[
            ("file_id", "BLOB PRIMARY KEY"),
            ("until_ms", "INTEGER NOT NULL"),
            ("statement", "BLOB NOT NULL"),
        ],
        constraints: "",
        options: " WITHOUT ROWID",
    },
    Table {
        name: "grains",
        columns: &[
            ("object", "INTEGER NOT NULL"),
            ("chunk", "INTEGER NOT NULL"),
            ("bits", "INTEGER NOT NULL"),
            ("bytes", "INTEGER NOT NULL"),
        ],
        constraints: ", PRIMARY KEY(object, chunk)",
        options: " WITHOUT ROWID",
    },
    Table {
        name: "trees",
        columns: &[("object", "INTEGER NOT NULL"), ("chunk", "INTEGER NOT NULL"), ("tree", "BLOB NOT NULL")],
        constraints: ", PRIMARY KEY(object, chunk)",
        options: "",
    },
    Table {
        name: "removed",
        columns: &[
            ("name", "TEXT NOT NULL"),
            ("object", "INTEGER NOT NULL"),
            ("removed_ms", "INTEGER NOT NULL"),
            ("member", "TEXT"),
            ("client", "TEXT"),
        ],
        constraints: ", PRIMARY KEY(name, object)",
        options: " WITHOUT ROWID",
    },
    Table {
        name: "scrubs",
        columns: &[
            ("started_ms", "INTEGER PRIMARY KEY"),
            ("before_ms", "INTEGER NOT NULL"),
            ("contents", "INTEGER NOT NULL"),
            ("bytes", "INTEGER NOT NULL"),
            ("bad", "INTEGER NOT NULL"),
            ("ended_ms", "INTEGER"),
        ],
        constraints: "",
        options: "",
    },
    Table {
        name: "rot",
        columns: &[
            ("object", "INTEGER PRIMARY KEY"),
            ("found_ms", "INTEGER NOT NULL"),
            ("chunks", "INTEGER NOT NULL"),
        ],
        constraints: "",
        options: "",
    },
    Table {
        name: "priorities",
        columns: &[("file_id", "BLOB PRIMARY KEY"), ("priority", "INTEGER NOT NULL")],
        constraints: "",
        options: " WITHOUT ROWID",
    },
];

const INDEXES: &str = "
CREATE INDEX objects_wanted ON objects(wanted_height, id) WHERE state = 0 AND wanted_height IS NOT NULL;
CREATE INDEX objects_trash ON objects(trashed_ms, id) WHERE trashed_ms IS NOT NULL;
CREATE INDEX objects_full ON objects(id) WHERE state = 0 AND held = chunks AND has_manifest = 1;
CREATE INDEX objects_suspect ON objects(id) WHERE state = 2;
CREATE INDEX objects_doomed ON objects(id) WHERE state = 4;
CREATE INDEX objects_whole ON objects(len) WHERE state = 1 AND trashed_ms IS NULL;
CREATE INDEX objects_surplus ON objects(id) WHERE wanted_height IS NULL AND trashed_ms IS NULL AND stored > 0;
CREATE INDEX objects_verified ON objects(verified_ms, id, stored, state) WHERE stored > 0;
CREATE INDEX names_by_object ON names(object, height);
CREATE INDEX holds_by_object ON holds(object);
CREATE INDEX promised_until ON promised(until_ms);
CREATE INDEX promises_until ON promises(until_ms);
CREATE INDEX removed_by_object ON removed(object);
CREATE INDEX removed_since ON removed(removed_ms);
";

/// What keeps `totals`.
const COUNTING: &str = "
CREATE TRIGGER objects_added AFTER INSERT ON objects BEGIN
    UPDATE totals SET reserved = reserved + NEW.reserved, stored = stored + NEW.stored;
END;
CREATE TRIGGER objects_changed AFTER UPDATE OF reserved, stored ON objects BEGIN
    UPDATE totals SET reserved = reserved + NEW.reserved - OLD.reserved, stored = stored + NEW.stored - OLD.stored;
END;
CREATE TRIGGER objects_gone AFTER DELETE ON objects BEGIN
    UPDATE totals SET reserved = reserved - OLD.reserved, stored = stored - OLD.stored;
END;
";

/// Makes the tables of this format in a file that has none, or those of format `found`.
pub(super) fn make(connection: &Connection, found: i64) -> rusqlite::Result<()> {
    if found == 0 {
        for table in &TABLES {
            connection.execute_batch(&table.schema())?;
        }
        connection.execute("INSERT INTO totals(reserved, stored) VALUES(0, 0)", [])?;
    } else {
        for (format, schema) in [(2, SCHEMA_2), (3, SCHEMA_3), (4, SCHEMA_4)] {
            if found < format {
                connection.execute_batch(schema)?;
            }
        }
        take_over(connection)?;
    }
    connection.execute_batch(INDEXES)?;
    connection.execute_batch(COUNTING)
}

/// Gives every row of format 4 its sum.
fn take_over(connection: &Connection) -> rusqlite::Result<()> {
    let mut drops = String::new();
    {
        let sql =
            "SELECT type, name FROM sqlite_schema WHERE type IN ('index', 'trigger') AND sql IS NOT NULL";
        let mut statement = connection.prepare(sql)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let (kind, name): (String, String) = (row.get(0)?, row.get(1)?);
            drops += &format!("DROP {kind} \"{}\";", name.replace('"', "\"\""));
        }
    }
    connection.execute_batch(&drops)?;
    // It stood beside the others whatever their format.
    connection.execute_batch(
        "CREATE TABLE IF NOT EXISTS priorities(file_id BLOB PRIMARY KEY, priority INTEGER NOT NULL) WITHOUT ROWID",
    )?;
    for table in &TABLES {
        let (name, columns) = (table.name, table.column_names());
        connection.execute_batch(&format!("ALTER TABLE {name} RENAME TO {name}_4"))?;
        connection.execute_batch(&table.schema())?;
        connection.execute_batch(&format!("INSERT INTO {name}({columns}) SELECT {columns} FROM {name}_4"))?;
    }
    // No number of a content is used twice, also not of one that is gone.
    connection.execute_batch(
        "DELETE FROM sqlite_sequence WHERE name = 'objects';
         INSERT INTO sqlite_sequence(name, seq) SELECT 'objects', seq FROM sqlite_sequence WHERE name = 'objects_4';",
    )?;
    for table in &TABLES {
        connection.execute_batch(&format!("DROP TABLE {}_4", table.name))?;
    }
    Ok(())
}

/// Why a file of this format is not sound, if it is not: looks at every page, every row, and at the tables' own form.
pub(super) fn find_damage(connection: &Connection) -> rusqlite::Result<Option<String>> {
    let reason: String = connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
    if reason != "ok" {
        return Ok(Some(reason));
    }
    let plain = Connection::open_in_memory()?;
    teach(&plain)?;
    make(&plain, 0)?;
    if form(&plain)? != form(connection)? {
        return Ok(Some("its tables are not those of this program".into()));
    }
    for table in &TABLES {
        connection.query_row(&table.look_through(), [], |_| Ok(()))?;
    }
    Ok(None)
}

/// How tables, indexes and triggers are defined.
fn form(connection: &Connection) -> rusqlite::Result<Vec<(String, String, Option<String>)>> {
    let sql =
        "SELECT type, name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite_stat%' ORDER BY type, name";
    let mut statement = connection.prepare(sql)?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    rows.collect()
}

/// What format 2 had besides format 1.
const SCHEMA_2: &str = "
ALTER TABLE names ADD COLUMN kept INTEGER NOT NULL DEFAULT 1;
CREATE TABLE keep(rule TEXT NOT NULL);
CREATE TABLE pins(name TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE promised(
    object INTEGER NOT NULL,
    asker BLOB NOT NULL,
    until_ms INTEGER NOT NULL,
    PRIMARY KEY(object, asker)
) WITHOUT ROWID;
CREATE INDEX promised_until ON promised(until_ms);
CREATE TABLE promises(file_id BLOB PRIMARY KEY, until_ms INTEGER NOT NULL, statement BLOB NOT NULL) WITHOUT ROWID;
CREATE INDEX promises_until ON promises(until_ms);
CREATE INDEX objects_whole ON objects(len) WHERE state = 1 AND trashed_ms IS NULL;
CREATE INDEX objects_surplus ON objects(id) WHERE wanted_height IS NULL AND trashed_ms IS NULL AND stored > 0;
";

/// What format 3 had besides.
const SCHEMA_3: &str = "
CREATE TABLE grains(
    object INTEGER NOT NULL,
    chunk INTEGER NOT NULL,
    bits INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    PRIMARY KEY(object, chunk)
) WITHOUT ROWID;
CREATE TABLE trees(
    object INTEGER NOT NULL,
    chunk INTEGER NOT NULL,
    tree BLOB NOT NULL,
    PRIMARY KEY(object, chunk)
);
";

/// What format 4 had besides.
const SCHEMA_4: &str = "
CREATE TABLE removed(
    name TEXT NOT NULL,
    object INTEGER NOT NULL,
    removed_ms INTEGER NOT NULL,
    member TEXT,
    client TEXT,
    PRIMARY KEY(name, object)
) WITHOUT ROWID;
CREATE INDEX removed_by_object ON removed(object);
CREATE INDEX removed_since ON removed(removed_ms);
ALTER TABLE objects ADD COLUMN verified_ms INTEGER NOT NULL DEFAULT 0;
CREATE INDEX objects_verified ON objects(verified_ms, id, stored, state) WHERE stored > 0;
CREATE TABLE scrubs(
    started_ms INTEGER PRIMARY KEY,
    before_ms INTEGER NOT NULL,
    contents INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    bad INTEGER NOT NULL,
    ended_ms INTEGER
);
CREATE TABLE rot(object INTEGER PRIMARY KEY, found_ms INTEGER NOT NULL, chunks INTEGER NOT NULL);
";
