"""The history of ``state.db``: what an assistant's store holds, as numbered migrations.

Never edit one; add to the end. Tests open stores of every released version.
"""

from __future__ import annotations

from ploinky.base.database import Migration

_THREADS = (
    """CREATE TABLE threads (
        session TEXT PRIMARY KEY, kind TEXT NOT NULL, channel TEXT, user TEXT, title TEXT,
        created_at TEXT NOT NULL, updated_at TEXT NOT NULL, version INTEGER NOT NULL,
        count INTEGER NOT NULL, summary TEXT, summary_to INTEGER NOT NULL DEFAULT 0)""",
    """CREATE TABLE messages (
        position INTEGER PRIMARY KEY AUTOINCREMENT, session TEXT NOT NULL, id TEXT NOT NULL, role TEXT NOT
        NULL, content TEXT NOT NULL, data TEXT, run_id TEXT, at TEXT NOT NULL, archived INTEGER NOT NULL
        DEFAULT 0, UNIQUE (session, id))""",
    "CREATE INDEX messages_live ON messages (session, archived, position)",
)
_RUNS = (
    """CREATE TABLE runs (
        id TEXT PRIMARY KEY, session TEXT NOT NULL, kind TEXT NOT NULL, status TEXT NOT NULL, model TEXT,
        created_at TEXT NOT NULL, started_at TEXT, ended_at TEXT, request TEXT NOT NULL, error TEXT,
        input_tokens INTEGER NOT NULL DEFAULT 0, output_tokens INTEGER NOT NULL DEFAULT 0, cost REAL,
        notes TEXT)""",
    "CREATE INDEX runs_status ON runs (status)",
    "CREATE INDEX runs_session ON runs (session, created_at)",
    """CREATE TABLE events (
        id INTEGER PRIMARY KEY AUTOINCREMENT, session TEXT NOT NULL, run_id TEXT, seq INTEGER,
        kind TEXT NOT NULL, at TEXT NOT NULL, data TEXT NOT NULL)""",
    "CREATE INDEX events_session ON events (session, id)",
    "CREATE INDEX events_run ON events (run_id, id)",
)
_APPROVALS = (
    """CREATE TABLE approvals (
        id TEXT PRIMARY KEY, run_id TEXT, session TEXT NOT NULL, tool TEXT NOT NULL, arguments TEXT NOT NULL,
        digest TEXT NOT NULL, why TEXT NOT NULL, risk TEXT NOT NULL, status TEXT NOT NULL,
        created_at TEXT NOT NULL, expires_at TEXT NOT NULL, resolved_at TEXT, resolved_by TEXT, reason TEXT,
        used INTEGER NOT NULL DEFAULT 0)""",
    "CREATE INDEX approvals_status ON approvals (status)",
    """CREATE TABLE grants (
        id TEXT PRIMARY KEY, tool TEXT NOT NULL, digest TEXT, pattern TEXT, uses_left INTEGER,
        expires_at TEXT, created_at TEXT NOT NULL, created_by TEXT NOT NULL, revoked_at TEXT)""",
    """CREATE TABLE incidents (
        id TEXT PRIMARY KEY, reason TEXT NOT NULL, opened_at TEXT NOT NULL, opened_by TEXT NOT NULL,
        cleared_at TEXT, cleared_by TEXT, revoked TEXT NOT NULL)""",
    """CREATE TABLE trace (
        id INTEGER PRIMARY KEY AUTOINCREMENT, at TEXT NOT NULL, kind TEXT NOT NULL, session TEXT, run_id TEXT,
        data TEXT NOT NULL)""",
)
_AUTONOMY = (
    """CREATE TABLE jobs (
        id TEXT PRIMARY KEY, name TEXT NOT NULL, schedule TEXT NOT NULL, action TEXT NOT NULL,
        enabled INTEGER NOT NULL, missed TEXT NOT NULL, retries INTEGER NOT NULL, created_at TEXT NOT NULL,
        created_by TEXT NOT NULL, next_at TEXT, attempt INTEGER NOT NULL DEFAULT 0, running TEXT)""",
    """CREATE TABLE job_runs (
        id INTEGER PRIMARY KEY AUTOINCREMENT, job TEXT NOT NULL, due_at TEXT NOT NULL, started_at TEXT NOT
        NULL, ended_at TEXT, attempt INTEGER NOT NULL, outcome TEXT NOT NULL, detail TEXT, run_id TEXT)""",
    "CREATE INDEX job_runs_job ON job_runs (job, id)",
    "CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL)",
    """CREATE TABLE spending (
        id INTEGER PRIMARY KEY AUTOINCREMENT, at REAL NOT NULL, kind TEXT NOT NULL, tokens INTEGER NOT NULL,
        cost REAL NOT NULL, run_id TEXT)""",
    "CREATE INDEX spending_at ON spending (at)",
)
_SEARCH = (
    """CREATE TABLE indexed_files (
        path TEXT PRIMARY KEY, area TEXT NOT NULL, mtime_ns INTEGER NOT NULL, size INTEGER NOT NULL,
        digest TEXT NOT NULL)""",
    """CREATE TABLE chunks (
        id INTEGER PRIMARY KEY AUTOINCREMENT, path TEXT NOT NULL, area TEXT NOT NULL, first_line INTEGER NOT
        NULL, text TEXT NOT NULL, at REAL NOT NULL)""",
    "CREATE INDEX chunks_path ON chunks (path)",
    """CREATE VIRTUAL TABLE chunk_words USING fts5(
        text, content='chunks', content_rowid='id', tokenize='porter unicode61')""",
    """CREATE TRIGGER chunks_added AFTER INSERT ON chunks BEGIN
        INSERT INTO chunk_words(rowid, text) VALUES (new.id, new.text); END""",
    """CREATE TRIGGER chunks_gone AFTER DELETE ON chunks BEGIN
        INSERT INTO chunk_words(chunk_words, rowid, text) VALUES ('delete', old.id, old.text); END""",
    """CREATE TABLE proposals (
        id TEXT PRIMARY KEY, path TEXT NOT NULL, before_digest TEXT NOT NULL, text TEXT NOT NULL, why TEXT
        NOT NULL, status TEXT NOT NULL, created_at TEXT NOT NULL, resolved_at TEXT)""",
)
_MEANING = (
    """CREATE TABLE vectors (
        digest TEXT NOT NULL, model TEXT NOT NULL, vector BLOB NOT NULL, PRIMARY KEY (digest, model))
        WITHOUT ROWID""",
    "CREATE TABLE consolidated (digest TEXT PRIMARY KEY, at TEXT NOT NULL) WITHOUT ROWID",
)
_CONTINUATIONS = (
    "CREATE TABLE continuations (digest BLOB PRIMARY KEY, session TEXT NOT NULL, at TEXT NOT NULL)",
    "CREATE INDEX continuations_at ON continuations (at)",
)

MIGRATIONS = (
    Migration("0001_threads", _THREADS),
    Migration("0002_runs", _RUNS),
    Migration("0003_approvals", _APPROVALS),
    Migration("0004_autonomy", _AUTONOMY),
    Migration("0005_search", _SEARCH),
    Migration("0006_meaning", _MEANING),
    Migration("0007_continuations", _CONTINUATIONS),
)
