-- The tables of format 4, as the program that knew no other made them.
CREATE TABLE objects(
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    file_id BLOB NOT NULL,
    manifest_hash BLOB NOT NULL,
    len INTEGER NOT NULL,
    state INTEGER NOT NULL,
    chunks INTEGER NOT NULL,
    held INTEGER NOT NULL DEFAULT 0,
    has_manifest INTEGER NOT NULL DEFAULT 0,
    mtime_ns INTEGER NOT NULL DEFAULT 0,
    reserved INTEGER NOT NULL DEFAULT 0,
    stored INTEGER NOT NULL DEFAULT 0,
    wanted_height INTEGER,
    trashed_ms INTEGER,
    UNIQUE(file_id, manifest_hash, len)
);
CREATE INDEX objects_wanted ON objects(wanted_height, id) WHERE state = 0 AND wanted_height IS NOT NULL;
CREATE INDEX objects_trash ON objects(trashed_ms, id) WHERE trashed_ms IS NOT NULL;
CREATE INDEX objects_full ON objects(id) WHERE state = 0 AND held = chunks AND has_manifest = 1;
CREATE INDEX objects_suspect ON objects(id) WHERE state = 2;
CREATE INDEX objects_doomed ON objects(id) WHERE state = 4;
CREATE TABLE pages(
    object INTEGER NOT NULL,
    page INTEGER NOT NULL,
    bits BLOB NOT NULL,
    PRIMARY KEY(object, page)
) WITHOUT ROWID;
CREATE TABLE names(name TEXT PRIMARY KEY, object INTEGER NOT NULL, height INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX names_by_object ON names(object, height);
CREATE TABLE holds(key BLOB PRIMARY KEY, object INTEGER NOT NULL, payload BLOB NOT NULL) WITHOUT ROWID;
CREATE INDEX holds_by_object ON holds(object);
CREATE TABLE visible(
    name TEXT NOT NULL,
    object INTEGER NOT NULL,
    len INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    PRIMARY KEY(name, object, mtime_ns)
) WITHOUT ROWID;
CREATE TABLE todo(name TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE totals(reserved INTEGER NOT NULL, stored INTEGER NOT NULL, applied_height INTEGER);
INSERT INTO totals VALUES(0, 0, NULL);
CREATE TRIGGER objects_added AFTER INSERT ON objects BEGIN
    UPDATE totals SET reserved = reserved + NEW.reserved, stored = stored + NEW.stored;
END;
CREATE TRIGGER objects_changed AFTER UPDATE OF reserved, stored ON objects BEGIN
    UPDATE totals SET reserved = reserved + NEW.reserved - OLD.reserved, stored = stored + NEW.stored - OLD.stored;
END;
CREATE TRIGGER objects_gone AFTER DELETE ON objects BEGIN
    UPDATE totals SET reserved = reserved - OLD.reserved, stored = stored - OLD.stored;
END;
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
PRAGMA user_version = 4;
