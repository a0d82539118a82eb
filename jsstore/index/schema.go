package index

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"os"
	"path/filepath"

	_ "modernc.org/sqlite" // the driver
)

// schemaVersion is the version of the tables and of their content. A file with another version
// is thrown away and built again.
const schemaVersion = 2

// The tables. Times are milliseconds since the epoch, null for none. Each execution is in one
// class, which is given by its task, queue, status and whether it is a root. There are few
// classes, so each of these properties narrows a search to the ends of a few ranges of one
// index, and the members of the classes give counts.
const tables = `
CREATE TABLE about (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE classes (
	id INTEGER PRIMARY KEY, task TEXT NOT NULL, queue TEXT NOT NULL, status TEXT NOT NULL, root INTEGER NOT NULL,
	members INTEGER NOT NULL);
CREATE TABLE executions (
	key INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE,
	part INTEGER NOT NULL, sequence INTEGER NOT NULL, -- of the message that the row comes from
	message INTEGER NOT NULL, -- the message that queued it: twice the sequence, plus the part; 0 none was seen, 1 several
	class INTEGER NOT NULL, created INTEGER NOT NULL, started INTEGER, finished INTEGER,
	vanishes INTEGER, lies INTEGER NOT NULL, -- when it stops to count; 1 if its record stays in the bucket nevertheless
	parent TEXT, failed INTEGER, record BLOB NOT NULL);
CREATE TABLE metadata (
	name TEXT NOT NULL, value TEXT NOT NULL, made INTEGER NOT NULL, execution INTEGER NOT NULL, -- made is when the execution was created
	PRIMARY KEY (name, value, made, execution)) WITHOUT ROWID;
-- All other keys of the bucket. Without them its messages could not be counted.
CREATE TABLE keys (key TEXT PRIMARY KEY, sequence INTEGER NOT NULL, vanishes INTEGER) WITHOUT ROWID;
-- In lower case and by trigrams, so that any part of a message can be found. It has no
-- positions, so each match is checked.
CREATE VIRTUAL TABLE errors USING fts5(text, content='', contentless_delete=1, tokenize='trigram case_sensitive 1', detail=none);
`

// The indexes are created after the first build, since sorting a million rows once is faster
// than a million insertions into each index.
const indexes = `
CREATE INDEX IF NOT EXISTS by_created ON executions (created);
CREATE INDEX IF NOT EXISTS by_class ON executions (class, created);
CREATE INDEX IF NOT EXISTS by_sequence ON executions (part, sequence);
CREATE INDEX IF NOT EXISTS by_started ON executions (started) WHERE started IS NOT NULL;
CREATE INDEX IF NOT EXISTS by_finished ON executions (finished) WHERE finished IS NOT NULL;
CREATE INDEX IF NOT EXISTS by_vanishes ON executions (vanishes) WHERE vanishes IS NOT NULL;
CREATE INDEX IF NOT EXISTS by_parent ON executions (parent) WHERE parent IS NOT NULL;
CREATE INDEX IF NOT EXISTS by_failed ON executions (created) WHERE failed IS NOT NULL;
CREATE INDEX IF NOT EXISTS keys_by_sequence ON keys (sequence);
CREATE INDEX IF NOT EXISTS keys_by_vanishes ON keys (vanishes) WHERE vanishes IS NOT NULL;
CREATE INDEX IF NOT EXISTS strange ON keys (key) WHERE instr(key, '=') = 0;
`

// connect opens the database. The file may be missing, or may be no database.
func connect(path string) (*sql.DB, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	q := url.Values{"_txlock": {"immediate"}, "_pragma": {
		"busy_timeout(10000)", "journal_mode(wal)",
		"synchronous(normal)",          // a power failure may lose the latest reads, and damages nothing
		"cache_size(-65536)",           // 64 MiB
		"wal_autocheckpoint(8192)",     // pages: a build writes most of them often
		"journal_size_limit(67108864)", // 64 MiB
		"temp_store(memory)",
	}}
	return sql.Open("sqlite", (&url.URL{Scheme: "file", Path: path, RawQuery: q.Encode()}).String())
}

// prepared reports whether the database has this schema.
func prepared(ctx context.Context, db *sql.DB) (bool, error) {
	var version int
	if err := db.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version); err != nil {
		return false, err
	}
	return version == schemaVersion, nil
}

// prepare creates the tables in an empty database.
func prepare(ctx context.Context, db *sql.DB) error {
	_, err := db.ExecContext(ctx, fmt.Sprintf("BEGIN IMMEDIATE; %s PRAGMA user_version = %d; COMMIT", tables, schemaVersion))
	return err
}

// remove removes the files of a database.
func remove(path string) error {
	for _, suffix := range []string{"-wal", "-shm", ""} {
		if err := os.Remove(path + suffix); err != nil && !os.IsNotExist(err) {
			return err
		}
	}
	return nil
}
