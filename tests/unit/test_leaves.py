"""Promises of pages and leaves: every row that is there is found, damage costs its own rows only, and nothing is made up."""

import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relay.database.leaves import Row, rows_of
from relay.database.pages import opened

SIZES = [512, 1024, 4096, 65_536]
VALUES = st.one_of(
    st.none(),
    st.integers(-(2**63), 2**63 - 1),
    st.sampled_from([0, 1, -1, 127, 128, 2**15, 2**23, 2**31, 2**47, -(2**47) - 1]),
    st.floats(allow_nan=False),
    st.text(max_size=300),
    st.binary(max_size=20),
    st.integers(0, 12_000).map(lambda size: b"x" * size),  # on overflow pages
)
TABLES = st.dictionaries(st.integers(-(2**63), 2**63 - 1), st.tuples(VALUES, VALUES), max_size=40)


def write(path: Path, page_bytes: int, vacuum: int, table: dict[int, tuple]) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA page_size = {page_bytes}")
        connection.execute(f"PRAGMA auto_vacuum = {vacuum}")
        connection.execute("PRAGMA secure_delete = OFF")
        connection.execute("CREATE TABLE t (a, b)")
        connection.executemany("INSERT INTO t (rowid, a, b) VALUES (?, ?, ?)", ((key, *values) for key, values in table.items()))
        connection.commit()


def read(path: Path) -> list[Row]:
    with opened(path) as pages:
        used = [number for number in range(1, pages.count + 1) if pages.is_in_use(number) is not False]
        return [row for number in used for row in rows_of(pages, number)]


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with TemporaryDirectory() as made:
        yield Path(made)


def new_file(folder: Path) -> Path:
    path = folder / "a.db"
    for file in folder.glob("a.db*"):
        file.unlink()
    return path


@settings(max_examples=60)
@given(st.sampled_from(SIZES), st.sampled_from([0, 1, 2]), TABLES)
def test_every_row_of_a_whole_file_is_found_once(folder: Path, page_bytes: int, vacuum: int, table: dict[int, tuple]) -> None:
    path = new_file(folder)
    write(path, page_bytes, vacuum, table)
    assert sorted(read(path)) == sorted(Row(key, values) for key, values in table.items())


@settings(max_examples=40)
@given(st.sampled_from(SIZES), st.sampled_from([0, 2]), TABLES, st.data())
def test_deleted_rows_do_not_come_back(folder: Path, page_bytes: int, vacuum: int, table: dict[int, tuple], data: st.DataObject) -> None:
    path = new_file(folder)
    write(path, page_bytes, vacuum, table)
    gone = data.draw(st.sets(st.sampled_from(sorted(table)))) if table else set()
    with closing(sqlite3.connect(path)) as connection:
        connection.executemany("DELETE FROM t WHERE rowid = ?", ((key,) for key in gone))
        connection.commit()
    assert sorted(read(path)) == sorted(Row(key, values) for key, values in table.items() if key not in gone)


@settings(max_examples=60)
@given(st.sampled_from(SIZES), st.sampled_from([0, 2]), TABLES, st.integers(0, 2**32), st.floats(0.05, 0.95))
def test_noise_over_whole_pages_makes_no_row_up(folder: Path, page_bytes: int, vacuum: int, table: dict[int, tuple], seed: int, share: float) -> None:
    path = new_file(folder)
    write(path, page_bytes, vacuum, table)
    chance = random.Random(seed)
    content = bytearray(path.read_bytes())
    for start in range(page_bytes, len(content), page_bytes):
        if chance.random() < share:
            content[start : start + page_bytes] = chance.randbytes(page_bytes)
    path.write_bytes(content)
    assert {repr(row) for row in read(path)} <= {repr(Row(key, values)) for key, values in table.items()}


@settings(max_examples=150)
@given(
    st.sampled_from(SIZES), st.sampled_from([0, 2]), TABLES, st.lists(st.tuples(st.floats(0, 0.999), st.binary(min_size=1, max_size=40)), min_size=1)
)
def test_any_damage_is_read_to_the_end_without_an_error(
    folder: Path, page_bytes: int, vacuum: int, table: dict[int, tuple], damage: list[tuple[float, bytes]]
) -> None:
    path = new_file(folder)
    write(path, page_bytes, vacuum, table)
    content = bytearray(path.read_bytes())
    for place, noise in damage:
        start = int(place * len(content))
        content[start : start + len(noise)] = noise
    path.write_bytes(content)
    read(path)


@settings(max_examples=60)
@given(st.binary(max_size=20_000), st.binary(max_size=5_000))
def test_any_bytes_are_read_to_the_end_without_an_error(folder: Path, content: bytes, wal: bytes) -> None:
    path = new_file(folder)
    path.write_bytes(content)
    path.with_name("a.db-wal").write_bytes(wal)
    read(path)


def test_an_overflow_chain_that_leads_into_itself_costs_its_row_only(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    write(path, 4096, 0, {1: ("small", 1), 2: (b"x" * 100_000, 2), 3: ("small", 3)})
    content = bytearray(path.read_bytes())
    chain = [number for number in range(3, len(content) // 4096) if content[(number - 1) * 4096 + 4 : number * 4096] == b"x" * 4092]
    content[(chain[5] - 1) * 4096 : (chain[5] - 1) * 4096 + 4] = chain[2].to_bytes(4, "big")
    path.write_bytes(content)
    assert read(path) == [Row(1, ("small", 1)), Row(3, ("small", 3))]


def test_free_pages_that_list_each_other_end(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    write(path, 512, 0, {key: (b"y" * 300, key) for key in range(400)})
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DELETE FROM t WHERE rowid > 10")
        connection.commit()
    content = bytearray(path.read_bytes())
    trunk = int.from_bytes(content[32:36], "big")
    content[(trunk - 1) * 512 : (trunk - 1) * 512 + 4] = trunk.to_bytes(4, "big")
    path.write_bytes(content)
    with opened(path) as pages:
        assert pages.is_in_use(trunk) is False
        assert pages.is_in_use(3) is None  # the list is not whole, so nothing is known of the others


def test_the_wal_counts_up_to_its_last_whole_commit(tmp_path: Path) -> None:
    path, wal = tmp_path / "a.db", tmp_path / "a.db-wal"
    write(path, 4096, 2, {1: ("old", 1)})
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("UPDATE t SET a = 'new'")
        first = wal.stat().st_size
        connection.execute("INSERT INTO t (rowid, a, b) VALUES (2, 'more', 2)")
        both = wal.read_bytes()
        content = path.read_bytes()
    path.write_bytes(content)
    for kept, expected in [
        (both, [Row(1, ("new", 1)), Row(2, ("more", 2))]),
        (both[:-1], [Row(1, ("new", 1))]),
        (both[: first + 100] + b"\xff" + both[first + 101 :], [Row(1, ("new", 1))]),
        (both[:40] + b"\xff" + both[41:], [Row(1, ("old", 1))]),
        (both[:10], [Row(1, ("old", 1))]),
    ]:
        wal.write_bytes(kept)
        assert read(path) == expected


def test_without_a_header_the_pages_are_as_relay_makes_them(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    table = {key: ("z" * 200, key) for key in range(200)}
    write(path, 4096, 2, table)
    with closing(sqlite3.connect(path)) as connection:
        (root,) = connection.execute("SELECT rootpage FROM sqlite_master").fetchone()
        connection.execute("DELETE FROM t WHERE rowid >= 100")
        connection.commit()
    content = bytearray(path.read_bytes())
    content[:4096] = bytes(4096)
    path.write_bytes(content)
    assert read(path) == [Row(key, table[key]) for key in range(100)]
    with opened(path) as pages:
        roots = {pages.root_of(number) for number in range(3, pages.count + 1) if pages.is_in_use(number) and list(rows_of(pages, number))}
    assert roots == {root}
