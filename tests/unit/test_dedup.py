"""A dedup key is found wherever it is on its way from the packed rows into the b-tree, after a rollback and after a restart as well."""

import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from relay.database import migrate
from relay.database.connect import open_writer
from relay.outbox.sqlite import dedup
from relay.outbox.sqlite.dedup import RecentKeys
from relay.outbox.sqlite.transaction import SqliteTransaction


@pytest.fixture
def connection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[sqlite3.Connection]:
    monkeypatch.setattr(dedup, "FOLD_AT", 20)
    monkeypatch.setattr(dedup, "SLICE", 4)
    with closing(open_writer(tmp_path / "relay.db", durability="process", steps=migrate.load_steps())) as opened:
        opened.execute("PRAGMA synchronous = OFF")
        yield opened


def append(tx: SqliteTransaction, hashes: list[int]) -> None:
    first = tx.head() + 1
    assert tx.known(hashes) == {}
    tx.remember(first, hashes)
    tx.set_head(first + len(hashes) - 1)


@pytest.mark.parametrize("seed", range(5))
def test_every_key_is_found_after_any_mix_of_appends_rollbacks_restarts_and_rotations(connection: sqlite3.Connection, seed: int) -> None:
    chance, recent = random.Random(seed), RecentKeys()
    expected: dict[int, int] = {}
    rotations = 0
    for step in range(300):
        connection.execute("BEGIN IMMEDIATE")
        tx, before = SqliteTransaction(connection, recent), dict(expected)
        for _ in range(chance.randint(1, 3)):
            hashes = [chance.randint(-(2**63), 2**63 - 1) for _ in range(chance.randint(1, 9))]
            expected |= zip(hashes, range(tx.head() + 1, tx.head() + 1 + len(hashes)), strict=True)
            append(tx, hashes)
        if rotate := step % 150 == 100:
            tx.rotate()
        if chance.random() < 0.1:
            connection.execute("ROLLBACK")
            expected = before
        else:
            connection.execute("COMMIT")
            rotations += rotate
        if chance.random() < 0.05:
            recent = RecentKeys()
        assert SqliteTransaction(connection, recent).known(list(expected)) == expected
        assert SqliteTransaction(connection, RecentKeys()).known(list(expected)) == expected, "a reader sees the same"
    assert rotations < 3
    in_trees = sum(connection.execute(f"SELECT count(*) FROM dedup_{i}").fetchone()[0] for i in range(3))
    assert 0 < len(expected) - in_trees < 300, "most are in the trees, and the packed rows stay few"


def test_the_third_rotation_forgets_what_was_never_folded(connection: sqlite3.Connection) -> None:
    recent = RecentKeys()
    append(SqliteTransaction(connection, recent), [1, 2, 3])
    for left in (3, 3, 0):
        SqliteTransaction(connection, recent).rotate()
        assert len(SqliteTransaction(connection, recent).known([1, 2, 3])) == left
    assert connection.execute("SELECT count(*) FROM dedup_recent").fetchone() == (0,)
