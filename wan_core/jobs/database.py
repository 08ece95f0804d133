"""The SQLite file under the job store: opening, checking, migrating, one connection per thread."""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
import weakref
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from wan_core.failpoints import failpoint
from wan_core.jobs.lock import HomeLock
from wan_core.schema.errors import StoreError

log = logging.getLogger(__name__)

BUSY_SECONDS = 10.0
_LONGEST_REASON = 120
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)

# MIGRATIONS[n] leads from schema version n to n + 1; rows are only ever added.
MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        """
        CREATE TABLE jobs (
            sequence INTEGER PRIMARY KEY AUTOINCREMENT,
            id TEXT NOT NULL UNIQUE,
            status TEXT NOT NULL CHECK (status IN ('queued', 'running', 'done', 'failed', 'cancelled')),
            model TEXT NOT NULL,
            request TEXT NOT NULL,
            work REAL NOT NULL,
            work_seconds REAL,
            created REAL NOT NULL,
            started REAL,
            finished REAL,
            updated REAL,
            attempts INTEGER NOT NULL DEFAULT 0,
            cancel_requested REAL,
            stage TEXT,
            step INTEGER NOT NULL DEFAULT 0,
            total INTEGER NOT NULL DEFAULT 0,
            seconds REAL NOT NULL DEFAULT 0,
            message TEXT NOT NULL DEFAULT '',
            preview_version INTEGER NOT NULL DEFAULT 0,
            result TEXT,
            error TEXT NOT NULL DEFAULT ''
        )
        """,
        "CREATE INDEX jobs_by_status ON jobs (status, sequence)",
        "CREATE INDEX jobs_by_model ON jobs (model, status, sequence)",
        """
        CREATE TABLE worker (
            only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
            state TEXT NOT NULL DEFAULT 'stopped'
                CHECK (state IN ('stopped', 'starting', 'idle', 'loading', 'busy')),
            pid INTEGER,
            heartbeat REAL NOT NULL DEFAULT 0,
            device TEXT NOT NULL DEFAULT '',
            memory_used INTEGER NOT NULL DEFAULT 0,
            memory_total INTEGER NOT NULL DEFAULT 0,
            components TEXT NOT NULL DEFAULT '{}',
            message TEXT NOT NULL DEFAULT ''
        )
        """,
        "INSERT INTO worker (only_row) VALUES (1)",
    ),
    ("ALTER TABLE worker ADD COLUMN machine TEXT NOT NULL DEFAULT ''",),
    ("ALTER TABLE jobs ADD COLUMN profile TEXT", "ALTER TABLE jobs ADD COLUMN lower TEXT"),
    (
        "ALTER TABLE jobs ADD COLUMN position INTEGER NOT NULL DEFAULT 0",
        "UPDATE jobs SET position = sequence",
        "ALTER TABLE jobs ADD COLUMN favourite INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE jobs ADD COLUMN tags TEXT NOT NULL DEFAULT '[]'",
        "ALTER TABLE jobs ADD COLUMN deleted REAL",
        "DROP INDEX jobs_by_status",
        "CREATE INDEX jobs_by_status ON jobs (status, deleted, position)",
        "CREATE INDEX jobs_by_end ON jobs (finished, sequence) "
        "WHERE deleted IS NULL AND finished IS NOT NULL",
        "CREATE INDEX jobs_starred ON jobs (finished, sequence) "
        "WHERE favourite AND deleted IS NULL AND finished IS NOT NULL",
        "CREATE INDEX jobs_tagged ON jobs (sequence, tags) WHERE tags != '[]'",
        "CREATE INDEX jobs_deleted ON jobs (deleted) WHERE deleted IS NOT NULL",
        "ALTER TABLE worker ADD COLUMN paused INTEGER NOT NULL DEFAULT 0",
    ),
    (
        "CREATE INDEX jobs_of_model_by_end ON jobs (model, finished, sequence) "
        "WHERE deleted IS NULL AND finished IS NOT NULL",
    ),
    (
        "ALTER TABLE jobs ADD COLUMN owner TEXT NOT NULL DEFAULT ''",
        "CREATE INDEX jobs_of_owner ON jobs (owner, finished, sequence) WHERE owner != ''",
    ),
)

SEARCHED = "words"
"""How the names of the tables begin that ``wan_core.jobs.words`` makes as this SQLite allows."""


class _Damaged(sqlite3.DatabaseError):
    """Our own checks found that the file is not as it was written."""


class _Newer(_Damaged):
    """The file is in order, but of a version that does not exist yet."""


class _Connection(sqlite3.Connection):
    """A connection that can be held by a weak reference (the base class cannot)."""


class Database:
    """A WAL database with the schema above, shared by threads and processes.

    A damaged file, or one of a newer version, is set aside as ``<name>.bad`` and a fresh one started.
    WAL with ``synchronous=NORMAL``: a killed process loses nothing, a power cut at most the last moments.

    Attributes:
        notice: what was wrong with the file, in one sentence; empty if nothing was.

    Raises:
        StoreError: the file cannot be opened or written, or it is damaged and in use.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.notice = ""
        self._local = threading.local()
        self._connections: weakref.WeakSet[_Connection] = weakref.WeakSet()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                self._check_and_migrate()
            except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
                if not _is_damage(error):
                    raise
                self._set_aside(error)
                self._check_and_migrate()
        except (sqlite3.Error, OSError) as error:
            raise StoreError(
                f"The job store {path} cannot be opened ({error}); check that its folder is writable "
                "and the disk is not full."
            ) from error

    def fetch(self, statement: str, *values: Any) -> list[sqlite3.Row]:
        """The rows of a query.

        Raises:
            StoreError: the file cannot be read just now.
        """
        with _sqlite_errors_in_words():
            return self.connection().execute(statement, values).fetchall()

    def connection(self) -> sqlite3.Connection:
        """This thread's connection; a forked child gets its own, as SQLite demands."""
        local = self._local
        if getattr(local, "pid", None) != os.getpid():
            connection = sqlite3.connect(
                self.path,
                timeout=BUSY_SECONDS,
                isolation_level=None,
                check_same_thread=False,
                factory=_Connection,
            )
            connection.row_factory = sqlite3.Row
            connection.text_factory = _lenient_text
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            local.connection, local.pid = connection, os.getpid()
            self._connections.add(connection)
        return local.connection

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """A write transaction: all of it happens, or nothing.

        Raises:
            StoreError: the file cannot be written just now; a full disk, mostly.
        """
        with _sqlite_errors_in_words():
            connection = self.connection()
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                failpoint("commit")
                connection.execute("COMMIT")
                failpoint("committed")
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")

    def close(self) -> None:
        """Close every thread's connection; the next use opens a new one."""
        for connection in list(self._connections):
            connection.close()
        self._local = threading.local()

    def _check_and_migrate(self) -> None:
        connection = self.connection()
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version > len(MIGRATIONS):
            raise _Newer(
                f"was written by a newer Wan Studio (schema {version}, this one knows {len(MIGRATIONS)})"
            )
        verdict = connection.execute("PRAGMA integrity_check(1)").fetchone()[0]
        if verdict != "ok":
            raise _Damaged(verdict)
        with self.transaction():
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            for statement in (s for migration in MIGRATIONS[version:] for s in migration):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
        if _schema(connection) != _intended_schema():
            raise _Damaged("its tables are not as they were made")

    def _set_aside(self, error: sqlite3.DatabaseError | UnicodeDecodeError) -> None:
        """Never under a studio that is using it: what that wrote would go to the file that is set aside.

        Raises:
            StoreError: there is one.
        """
        self.close()
        found = " ".join(str(error).split())
        reason = found if isinstance(error, _Newer) else f"was damaged ({found[:_LONGEST_REASON]})"
        lock = HomeLock(self.path.parent)
        try:
            lock.acquire(wait_seconds=0)
        except StoreError as in_use:
            raise StoreError(f"The job store {self.path.name} {reason}. {in_use}") from error
        try:
            bad = self._renamed()
        finally:
            lock.release()
        self.notice = (
            f"The job store {reason}; it is kept as {bad.name}, and a new one was started, which takes "
            "finished videos into its history again."
        )
        log.error("%s", self.notice)

    def _renamed(self) -> Path:
        """Give the file, and what SQLite keeps beside it, another name: what is beside it first."""
        bad = self.path.with_name(self.path.name + ".bad")
        number = 1
        while bad.exists():
            number += 1
            bad = self.path.with_name(f"{self.path.name}.{number}.bad")
        for suffix in ("-shm", "-wal", ""):
            part = self.path.with_name(self.path.name + suffix)
            if part.exists():
                part.rename(bad.with_name(bad.name + suffix))
        return bad


@contextmanager
def _sqlite_errors_in_words() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise StoreError(
            f"The job store cannot be used just now ({error}); check that the disk has free space, "
            "then try again."
        ) from error


def _is_damage(error: sqlite3.DatabaseError | UnicodeDecodeError) -> bool:
    """Whether the file itself is at fault; sqlite3 may fail to decode even the message that says so."""
    if isinstance(error, _Damaged | UnicodeDecodeError):
        return True
    code = getattr(error, "sqlite_errorcode", None)
    return code is not None and code & 0xFF in _DAMAGED


def _schema(connection: sqlite3.Connection) -> dict[str, str]:
    rows = connection.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
    return {name: sql for name, sql in rows if not name.startswith(SEARCHED)}


def _intended_schema() -> dict[str, str]:
    with closing(sqlite3.connect(":memory:")) as connection:
        for statement in (s for migration in MIGRATIONS for s in migration):
            connection.execute(statement)
        return _schema(connection)


def _lenient_text(content: bytes) -> str:
    return content.decode("utf-8", "replace")
