"""What a search of the history looks through: one text per job, in an index where SQLite has one.

Both kinds of table answer the same query in the same way: texts are folded to lower case, and a term is found
anywhere in them, so also within Chinese, which has no spaces.
"""

from __future__ import annotations

import logging
import re
import sqlite3
from collections.abc import Mapping

from wan_core.catalog import find_model, is_known
from wan_core.jobs.database import SEARCHED, Database
from wan_core.jobs.rows import json_object
from wan_core.schema import GenerationRequest

log = logging.getLogger(__name__)

_INDEXED = f"{SEARCHED}_indexed"
_PLAIN = f"{SEARCHED}_plain"
_MAKE_INDEXED = f"CREATE VIRTUAL TABLE IF NOT EXISTS {_INDEXED} USING fts5(text, tokenize = 'trigram')"
_MAKE_PLAIN = f"CREATE TABLE IF NOT EXISTS {_PLAIN} (text TEXT NOT NULL)"
_SHORTEST_INDEXED = 3  # SQLite 3.40 finds nothing for two Chinese characters, which are more bytes than that
_UNION = " UNION SELECT sequence FROM jobs WHERE model = ?"
_TERM = re.compile(r'"([^"]+)"|(\S+)')


class Words:
    """The searched texts of the jobs in ``database``.

    Args:
        database: where they are kept.
        indexed: whether to ask for an index; one is only made where SQLite can (FTS5 with trigrams).
    """

    def __init__(self, database: Database, indexed: bool = True) -> None:
        self._table = _INDEXED
        with database.transaction() as connection:
            try:
                connection.execute(_MAKE_INDEXED if indexed else _MAKE_PLAIN)
            except sqlite3.OperationalError as error:
                log.info("The history is searched without an index: %s", error)
                connection.execute(_MAKE_PLAIN)
                indexed = False
            self._table = _INDEXED if indexed else _PLAIN
            self._catch_up(connection)

    @property
    def is_indexed(self) -> bool:
        return self._table == _INDEXED

    def put(self, connection: sqlite3.Connection, sequence: int, request: GenerationRequest) -> None:
        """Write down what the job ``sequence`` is found by."""
        self.drop(connection, sequence)
        connection.execute(
            f"INSERT INTO {self._table} (rowid, text) VALUES (?, ?)", (sequence, searched_text(request))
        )

    def drop(self, connection: sqlite3.Connection, sequence: int) -> None:
        """Forget a job."""
        connection.execute(f"DELETE FROM {self._table} WHERE rowid = ?", (sequence,))

    def condition(self, words: str, titles: Mapping[str, str]) -> tuple[str, list[str]]:
        """SQL that holds for jobs with all words in their text or tags, and the values of its marks.

        ``titles`` are what models are called besides, by their ids; words are found in these, too.

        A part in double quotes is one term, spaces and all. The sign before the sequence has SQLite walk the
        jobs in the order that is asked for, not in that of the texts, which it would have to sort.
        """
        conditions, values = ["1"], []
        for term in terms_of(words):
            pattern, escape = _pattern(term)
            called = [model for model, title in titles.items() if term in title.casefold()]
            text = "text" if len(term) >= _SHORTEST_INDEXED else "+text"  # the sign leaves the index out
            conditions.append(
                f"+jobs.sequence IN (SELECT rowid FROM {self._table} WHERE {text} LIKE ?{escape} UNION "
                f"SELECT sequence FROM jobs WHERE tags != '[]' AND tags LIKE ?{escape}{_UNION * len(called)})"
            )
            values += [pattern, pattern, *called]
        return " AND ".join(conditions), values

    def _catch_up(self, connection: sqlite3.Connection) -> None:
        """Add jobs of a time without this table."""
        rows = connection.execute(
            f"SELECT sequence, request FROM jobs WHERE sequence NOT IN (SELECT rowid FROM {self._table})"
        ).fetchall()
        connection.executemany(
            f"INSERT INTO {self._table} (rowid, text) VALUES (?, ?)",
            [(row["sequence"], _text(json_object(row["request"]))) for row in rows],
        )


def terms_of(words: str) -> list[str]:
    """What is looked for, in lower case."""
    return [(quoted or plain).casefold() for quoted, plain in _TERM.findall(words)]


def searched_text(request: GenerationRequest) -> str:
    """What a job is found by: its prompt, model and LoRAs."""
    return _text(request.model_dump())


def _text(values: dict) -> str:
    model = str(values.get("model", ""))
    title = find_model(model).title if is_known(model) else ""
    loras = [str(use.get("file", "")) for use in values.get("loras") or () if isinstance(use, dict)]
    return "\n".join([str(values.get("prompt", "")), model, title, *loras]).casefold()


def _pattern(term: str) -> tuple[str, str]:
    """A pattern of LIKE; with ESCAPE only where it is needed, as no index is used then."""
    if not set(term) & set("%_\\"):
        return f"%{term}%", ""
    escaped = re.sub(r"([%_\\])", r"\\\1", term)
    return f"%{escaped}%", " ESCAPE '\\'"
