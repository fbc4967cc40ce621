"""Promises of recover when the pages that lead to the rows are lost: what lies on whole pages comes back, what was deleted does not."""

import random
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from relay.base.jsonio import dumps
from relay.database import care, connect, migrate
from relay.database.pages import opened

NOW = 1_790_000_000.0
EVENTS = 900
"""One a page: so many that the log's tree has a level between root and leaves."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A database of 900 events, 500 dead units and ten suppressed users."""
    path = tmp_path / "relay.db"
    with closing(connect.open_writer(path, durability="process", steps=migrate.load_steps())) as connection:
        connection.execute("BEGIN")
        for seq in range(1, EVENTS + 1):
            connection.execute("INSERT INTO log VALUES (?, 'web', ?, NULL, 'track', 1, ?)", (seq, f"u{seq}", body(seq)))
            connection.execute("INSERT INTO dedup_0 VALUES (?, ?)", (seq * 7919, seq))
            connection.execute("INSERT INTO journal VALUES (?, 'hook', ?, ?, 2, ?)", (seq, seq, seq, b"packed"))
        for seq in range(1, 501):
            connection.execute("INSERT INTO row (consumer, seq, sub, state, source) VALUES ('hook', ?, '*', 'dead', 'web')", (seq,))
        for number in range(10):
            connection.execute("INSERT INTO suppression VALUES (?, 1)", (bytes([number]) * 32,))
        connection.execute("INSERT INTO cursor (name, start, pos) VALUES ('hook', 0, ?)", (EVENTS,))
        connection.execute("UPDATE meta SET value = ? WHERE key = 'head'", (EVENTS,))
        connection.execute("COMMIT")
    return path


def body(seq: int) -> bytes:
    return dumps({"type": "track", "messageId": f"m{seq}", "properties": {"text": "x" * 2500}})


def rows(path: Path, sql: str) -> list[tuple]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(sql).fetchall()


def overwrite(path: Path, numbers: list[int]) -> None:
    """Noise over pages, counted from 1."""
    with path.open("r+b") as file:
        for number in numbers:
            file.seek((number - 1) * 4096)
            file.write(random.Random(number).randbytes(4096))


def root_of(path: Path, table: str) -> int:
    return int(rows(path, f"SELECT rootpage FROM sqlite_master WHERE name = '{table}'")[0][0])


def inner_pages(path: Path, table: str) -> list[int]:
    """The pages between root and leaves."""
    root, content = root_of(path, table), path.read_bytes()
    with opened(path) as pages:
        return [
            number for number in range(3, pages.count + 1) if content[(number - 1) * 4096] == 5 and number != root and pages.root_of(number) == root
        ]


def assert_events(path: Path, expected: set[int]) -> None:
    found = rows(path, "SELECT seq, body FROM log")
    assert {seq for seq, _ in found} == expected
    assert all(content == body(seq) for seq, content in found)
    assert care.check(path) == []


@pytest.mark.parametrize("map_too", [False, True], ids=["map", "no map"])
@pytest.mark.parametrize("header_too", [False, True], ids=["header", "no header"])
def test_all_events_come_back_when_only_what_leads_to_them_is_lost(path: Path, map_too: bool, header_too: bool) -> None:
    inner = inner_pages(path, "log")
    assert inner
    overwrite(path, [*inner, root_of(path, "log"), *[2] * map_too, *[1] * header_too])
    counts = care.recover(path.parent, NOW)
    assert_events(path, set(range(1, EVENTS + 1)))
    assert counts["dedup_0"] == EVENTS
    assert counts["journal"] == EVENTS


def test_what_was_read_in_order_stands(path: Path) -> None:
    overwrite(path, inner_pages(path, "log")[:1])
    care.recover(path.parent, NOW)
    assert_events(path, set(range(1, EVENTS + 1)))


@pytest.mark.parametrize("header_too", [False, True], ids=["header", "no header"])
def test_deleted_events_stay_deleted(path: Path, header_too: bool) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA secure_delete = OFF")
        connection.execute("DELETE FROM log WHERE seq BETWEEN 100 AND 500")
        connection.execute("UPDATE log SET type = 'deleted', body = x'' WHERE seq = 600")
        connection.commit()
    assert body(300)[:500] in path.read_bytes()
    overwrite(path, [*inner_pages(path, "log"), root_of(path, "log"), *[1] * header_too])
    care.recover(path.parent, NOW)
    found = dict(rows(path, "SELECT seq, body FROM log"))
    assert found == {seq: body(seq) if seq != 600 else b"" for seq in range(1, EVENTS + 1) if not 100 <= seq <= 500}


def test_rows_of_other_tables_come_back_by_the_pointer_map(path: Path) -> None:
    overwrite(path, [root_of(path, "dedup_0"), root_of(path, "journal"), root_of(path, "row")])
    counts = care.recover(path.parent, NOW)
    assert (counts["dedup_0"], counts["dedup_1"], counts["journal"]) == (EVENTS, 0, EVENTS)
    assert counts["row"] >= 490  # but for the rows that lay on the root itself
    assert counts["suppression"] == 10


def test_without_the_map_a_row_that_two_tables_allow_is_left(path: Path) -> None:
    overwrite(path, [2, root_of(path, "dedup_0"), root_of(path, "journal")])
    counts = care.recover(path.parent, NOW)
    assert (counts["dedup_0"], counts["dedup_1"], counts["dedup_2"]) == (0, 0, 0)
    assert counts["journal"] == EVENTS
    assert counts["log"] == EVENTS
