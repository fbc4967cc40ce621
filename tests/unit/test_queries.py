"""Each statement of the SQLite outbox uses the index that it claims, and none reads a whole table unasked."""

import re
import sqlite3
from contextlib import closing

import pytest

from relay.database import migrate
from relay.database.connect import open_writer
from relay.outbox.sqlite.statements import SQL

LOG, ROW, TALLY = "log USING INTEGER PRIMARY KEY", "row USING PRIMARY KEY", "tally USING PRIMARY KEY"
LATENCY, SAMPLE = "latency USING PRIMARY KEY", "sample USING INDEX sample_code"
CURSOR = "cursor USING INDEX sqlite_autoindex_cursor_1"
CLAIMS = {
    "events_after": [f"SEARCH {LOG} (rowid>?)"],
    "events_at": [f"SEARCH {LOG} (rowid=?)"],
    "search": [f"SEARCH {LOG} (rowid>? AND rowid<?)"],
    "sources_between": [f"SEARCH {LOG} (rowid>? AND rowid<?)"],
    "seqs_of_keys": [f"SEARCH {LOG} (rowid>? AND rowid<?)"],
    "bodies": [f"SEARCH {LOG} (rowid>? AND rowid<?)"],
    "tombstone": [f"SEARCH {LOG} (rowid=?)"],
    "tombstones": [f"SEARCH {LOG} (rowid=?)"],
    "every_refused": ["SCAN refused"],
    "empty_refused_at": ["SEARCH refused USING INTEGER PRIMARY KEY (rowid=?)"],
    "delete_refused_at": ["SEARCH refused USING INTEGER PRIMARY KEY (rowid=?)"],
    "every_row": ["SCAN row"],
    "every_sample": ["SCAN sample", f"SEARCH {LOG} (rowid=?)"],
    "delete_samples_at": ["SEARCH sample USING INTEGER PRIMARY KEY (rowid=?)"],
    "oldest": ["SEARCH log"],
    "received_at": [f"SEARCH {LOG} (rowid>?)"],
    "delete_log": [f"SEARCH {LOG} (rowid=?)", f"SEARCH {LOG} (rowid<?)", "SEARCH row USING COVERING INDEX row_seq (seq=?)"],
    "known": [f"SEARCH dedup_{i} USING INTEGER PRIMARY KEY (rowid=?)" for i in range(3)],
    "recent": ["SCAN dedup_recent"],
    "forget_recent": ["SEARCH dedup_recent USING INTEGER PRIMARY KEY (rowid<?)"],
    "next_refused": ["SEARCH refused"],
    "refused_at": ["SEARCH refused USING INTEGER PRIMARY KEY (rowid=?)"],
    "refused_of": ["SEARCH refused USING INDEX refused_message (message_id=?)"],
    "refused_newest": ["SCAN refused"],
    "delete_refused": ["SEARCH refused USING INTEGER PRIMARY KEY (rowid"],
    "get_meta": ["SEARCH meta USING INDEX sqlite_autoindex_meta_1 (key=?)"],
    "source_ids": ["SCAN tally", "SCAN log"],
    "cursor": [f"SEARCH {CURSOR} (name=?)"],
    "cursors": [f"SCAN {CURSOR}"],
    "delete_cursor": [f"SEARCH {CURSOR} (name=?)"],
    "delete_rows_of": ["SEARCH row USING COVERING INDEX row_dead (consumer=?)"],
    "open_rows": [f"SEARCH {ROW} (consumer=?)"],
    "rows_at": [f"SEARCH {ROW} (consumer=? AND seq=?)"],
    "rows_of": ["SEARCH row USING INDEX row_seq (seq=?)"],
    "rows_between": ["SEARCH row USING INDEX row_seq (seq>? AND seq<?)"],
    "dead_rows": [f"SEARCH {ROW} (consumer=? AND seq>?)"],
    "delete_row": [f"SEARCH {ROW} (consumer=? AND seq=? AND sub=?)"],
    "count_rows": ["SEARCH row USING COVERING INDEX row_dead (consumer=?)"],
    "delete_dead_before": ["SCAN cursor", "SEARCH row USING COVERING INDEX row_dead (consumer=? AND state=? AND changed_s<?)"],
    "journal_of": ["SCAN cursor", "SEARCH journal USING INDEX journal_consumer (consumer=? AND first<?)"],
    "journal_before": ["SEARCH journal USING INTEGER PRIMARY KEY (rowid<?)"],
    "delete_journal_before": ["SCAN journal", "SEARCH journal USING INTEGER PRIMARY KEY (rowid=?)"],
    "tallies": [f"SEARCH {TALLY} (minute>? AND minute<?)"],
    "delete_tallies_before": [f"SEARCH {TALLY} (minute<?)"],
    "tally_spans": [f"SEARCH {TALLY} (minute>? AND minute<?)"],
    "latency_spans": [f"SEARCH {LATENCY} (minute>? AND minute<?)"],
    "delete_latencies_before": [f"SEARCH {LATENCY} (minute<?)"],
    "uneven_tally": [f"SEARCH {TALLY} (minute<?)"],
    "uneven_latency": [f"SEARCH {LATENCY} (minute<?)"],
    "fold_tallies": [f"SEARCH {TALLY} (minute>? AND minute<?)"],
    "fold_latencies": [f"SEARCH {LATENCY} (minute>? AND minute<?)"],
    "delete_folded_tallies": [f"SEARCH {TALLY} (minute>? AND minute<?)"],
    "delete_folded_latencies": [f"SEARCH {LATENCY} (minute>? AND minute<?)"],
    "samples": [f"SEARCH {SAMPLE} (destination=? AND code=?)"],
    "sample_groups": [f"SEARCH {SAMPLE} (destination=?)"],
    "delete_old_samples": ["SEARCH sample USING COVERING INDEX sample_code (destination=? AND code=?)"],
    "delete_samples_of": ["SCAN sample"],
    "delete_samples_for": [f"SEARCH {SAMPLE} (destination=?)"],
    "delete_samples_before": ["SCAN sample"],
    "waiting_codes": ["SEARCH row USING INDEX row_dead (consumer=? AND state=?)"],
    "seen": [f"SEARCH {LOG} (rowid>? AND rowid<?)"],
}
WRITES = {"insert_log", "set_meta", "put_cursor", "put_row", "write_journal", "count", "keep_refused", "add_latency", "put_sample", "remember"}
"""They look nothing up but the key of what they write."""
SCANNED = {
    "recent": {"dedup_recent"},
    "source_ids": {"tally", "log"},
    "cursors": {"cursor"},
    "delete_dead_before": {"cursor"},
    "journal_of": {"cursor"},
    "delete_journal_before": {"journal"},
    "refused_newest": {"refused"},
    "delete_samples_of": {"sample"},
    "delete_samples_before": {"sample"},
    "every_refused": {"refused"},
    "every_row": {"row"},
    "every_sample": {"sample"},
}
"""Tables that may be read from their first row on: small, or bounded by a LIMIT."""
TABLES = {"log", "row", "cursor", "journal", "tally", "latency", "sample", "meta", "dedup_0", "dedup_1", "dedup_2", "dedup_recent", "refused"}


@pytest.fixture(scope="module")
def connection(tmp_path_factory: pytest.TempPathFactory):
    with closing(open_writer(tmp_path_factory.mktemp("plans") / "relay.db", durability="process", steps=migrate.load_steps())) as opened:
        yield opened


def plan(connection: sqlite3.Connection, statement: str) -> list[str]:
    names = re.findall(r"(?<!\w):(\w+)", statement)
    values = {name: "[]" if name in ("seqs", "hashes", "keys") else 1 for name in names} if names else (1,) * statement.count("?")
    return [line[3] for line in connection.execute(f"EXPLAIN QUERY PLAN {statement}", values)]


def test_every_statement_is_covered_by_the_table() -> None:
    assert set(SQL) == set(CLAIMS) | WRITES


@pytest.mark.parametrize("name", sorted(CLAIMS))
def test_a_statement_uses_its_index(connection: sqlite3.Connection, name: str) -> None:
    lines = plan(connection, SQL[name])
    for claim in CLAIMS[name]:
        assert any(line.startswith(claim) for line in lines), (claim, lines)
    scanned = {line.split()[1] for line in lines if line.startswith("SCAN ")} & TABLES
    assert scanned == SCANNED.get(name, set()), lines


@pytest.mark.parametrize("name", sorted(WRITES - {"insert_log"}))
def test_a_write_reads_no_table(connection: sqlite3.Connection, name: str) -> None:
    assert not [line for line in plan(connection, SQL[name]) if line.startswith("SCAN ")]
