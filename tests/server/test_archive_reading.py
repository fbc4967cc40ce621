"""The archive read back, listed, verified and pruned: what was written comes in order, and what is wrong with a file is told."""

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from relay.base import jsonio
from relay.base.event import Event, event_of
from relay.cli import main
from relay.destinations.archive import DEFINITION
from relay.destinations.archive.care import prunable, prune, verify
from relay.destinations.archive.manifest import Manifest, digest_of
from relay.errors import Retryable
from relay.kit.sink import Archive, SinkContext, Span
from tests.server.test_archive import HOUR_MS, START_MS, Bench, abandon

HOUR_S = 3600
START_S = START_MS / 1000


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def event(number: int, *, source: str = "web", at_ms: int = START_MS) -> Event:
    received = datetime.fromtimestamp(at_ms / 1000, UTC).isoformat()
    payload = {"type": "track", "event": "Seen", "messageId": f"m{number}", "userId": "u", "receivedAt": received, "properties": {"n": number}}
    return event_of(payload, f"id-{source}", at_ms, jsonio.dumps(payload))


def some(*numbers: int, **more: Any) -> list[tuple[int, Event]]:
    return [(number, event(number, **more)) for number in numbers]


def archive(bench: Bench, **settings: Any) -> Archive:
    assert DEFINITION.open_archive is not None
    return DEFINITION.open_archive(settings, SinkContext(bench.clock, bench.folder, lambda source_id: source_id.removeprefix("id-")))


async def numbers(bench: Bench, span: Span) -> list[int]:
    found = []
    async for page in archive(bench).read(span):
        found += [seq for seq, event in page.events if event.message_id == f"m{seq}"]
    return found


@pytest.mark.parametrize("compression", ["gzip", "zstd", "none"])
async def test_events_of_several_sources_come_by_hour_and_seq(bench: Bench, compression: str) -> None:
    sink = bench.open(compression=compression)
    await sink.write([*some(1, 3, 5), *some(2, 4, source="ios"), *some(9, 10, at_ms=START_MS + HOUR_MS)])
    await sink.write([*some(7, 6, 8), *some(11, at_ms=START_MS + HOUR_MS)])
    both = Span(("id-web", "id-ios"))
    in_order = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]
    if compression != "none":  # a finished plain file does not know its seqs
        assert await numbers(bench, both) == in_order
    await sink.close()
    read = [page async for page in archive(bench).read(both)]
    events = [event for page in read for _, event in page.events]
    assert sorted(event.message_id for event in events) == sorted(f"m{number}" for number in in_order)
    if compression != "none":
        assert await numbers(bench, both) == in_order
    assert {event.source_id for event in events} == {"id-web", "id-ios"}
    assert all(event.body == event_of(event.payload, event.source_id, event.received_ms, event.body).body for event in events)
    assert sorted(await numbers(bench, Span(("id-ios",)))) == [2, 4]


async def test_the_span_bounds_source_and_time(bench: Bench) -> None:
    sink = bench.open()
    await sink.write([*some(1), *some(2, at_ms=START_MS + 500), *some(3, at_ms=START_MS + HOUR_MS), *some(4, source="ios")])
    web = ("id-web",)
    assert await numbers(bench, Span(web)) == [1, 2, 3]
    assert await numbers(bench, Span(web, since_s=START_S + 0.5)) == [2, 3]
    assert await numbers(bench, Span(web, until_s=START_S + 0.5)) == [1]
    assert await numbers(bench, Span(web, START_S + 1, START_S + HOUR_S)) == []
    assert await numbers(bench, Span(("id-nobody",))) == []
    await sink.close()


async def test_a_mark_goes_on_where_it_was_also_after_the_files_got_their_names(bench: Bench) -> None:
    sink = bench.open()
    await sink.write(some(*range(1, 1201)))
    pages = [page async for page in archive(bench).read(Span(("id-web",)))]
    assert [len(page.events) for page in pages] == [500, 500, 200]
    await sink.close()
    rest = await numbers(bench, Span(("id-web",), after=pages[0].mark))
    assert rest == list(range(501, 1201))
    assert await numbers(bench, Span(("id-web",), after=pages[2].mark)) == []


async def test_a_file_that_is_finished_while_it_is_read_is_read_to_its_end(bench: Bench) -> None:
    sink = bench.open()
    for first in range(1, 2001, 200):
        await sink.write(some(*range(first, first + 200)))
    found: list[int] = []
    async for page in archive(bench).read(Span(("id-web",))):
        found += [seq for seq, _ in page.events]
        await sink.close()
    assert found == list(range(1, 2001))


async def test_what_lies_there_twice_comes_once(bench: Bench) -> None:
    sink = bench.open(roll_bytes=1)
    for _ in range(2):
        await sink.write(some(1, 2, 3))
    await sink.close()
    assert len(bench.names()) == 2
    assert await numbers(bench, Span(("id-web",))) == [1, 2, 3]


async def test_the_count_is_exact_for_whole_files_and_an_upper_bound_at_the_edges(bench: Bench) -> None:
    sink = bench.open()
    await sink.write([*some(1), *some(2, at_ms=START_MS + 500), *some(3, 4, at_ms=START_MS + HOUR_MS)])
    told = await archive(bench).count(Span(("id-web",)))
    assert (told.events, told.files, told.exact) == (4, 2, True)
    assert told.bytes > 0
    edge = await archive(bench).count(Span(("id-web",), since_s=START_S + 0.2))
    assert (edge.events, edge.exact) == (4, False)
    assert (await archive(bench).count(Span(("id-web",), since_s=START_S + HOUR_S))).events == 2
    assert (await archive(bench).count(Span(("id-web",), since_s=START_S + 2 * HOUR_S))).events == 0
    await sink.close()


async def test_a_damaged_member_stops_the_reading_with_its_file(bench: Bench) -> None:
    sink = bench.open()
    await sink.write(some(1, 2, 3))
    await sink.write(some(4, 5, 6))
    await sink.close()
    path = bench.folder / "archive" / bench.files()[0]
    data = bytearray(path.read_bytes())
    data[80] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(Retryable, match="damaged file"):
        await numbers(bench, Span(("id-web",)))


# the manifest


async def test_each_finished_file_stands_in_the_manifest(bench: Bench) -> None:
    sink = bench.open()
    await sink.write([*some(5, 1), *some(2, at_ms=START_MS + 1500)])
    assert Manifest(bench.folder / "archive").entries() == {}
    await sink.close()
    ((file, entry),) = Manifest(bench.folder / "archive").entries().items()
    path = bench.folder / "archive" / file
    assert file == "source=web/date=2025-11-25/hour=13/1-5.ndjson.gz"
    assert (entry.count, entry.first_seq, entry.last_seq, entry.bytes) == (3, 1, 5, path.stat().st_size)
    assert (entry.first_time, entry.last_time) == ("2025-11-25T13:00:00.000Z", "2025-11-25T13:00:01.500Z")
    assert entry.sha256 == digest_of(path)
    assert entry.raw_bytes == sum(len(event.body) + 1 for _, event in [*some(5, 1), *some(2, at_ms=START_MS + 1500)])


@pytest.mark.parametrize("compression", ["gzip", "zstd", "none"])
async def test_what_a_crash_left_is_in_the_manifest_when_it_is_finished(bench: Bench, compression: str) -> None:
    crashed = bench.open(compression=compression)
    await crashed.write([*some(1, 2), *some(3, at_ms=START_MS + 1500)])
    await asyncio.to_thread(abandon, crashed)
    again = bench.open(compression=compression)
    await again.write(some(4, at_ms=START_MS + 2000))
    await again.close()
    first = next(entry for entry in Manifest(bench.folder / "archive").entries().values() if entry.first_seq == 1)
    assert (first.count, first.first_time, first.last_time) == (3, "2025-11-25T13:00:00.000Z", "2025-11-25T13:00:01.500Z")
    assert [fault for _, fault in verify(bench.folder / "archive") if fault] == []


async def test_verify_tells_what_is_wrong(bench: Bench) -> None:
    sink = bench.open(roll_bytes=1)
    for number in range(1, 6):
        await sink.write(some(number))
    await sink.write(some(7, at_ms=START_MS + 30 * HOUR_MS))
    await sink.close()
    root = bench.folder / "archive"
    folder = root / "source=web/date=2025-11-25/hour=13"
    (folder / "1-1.ndjson.gz").unlink()
    with (folder / "2-2.ndjson.gz").open("ab") as file:
        file.write(b"x")
    data = bytearray((folder / "3-3.ndjson.gz").read_bytes())
    data[-9] ^= 1
    (folder / "3-3.ndjson.gz").write_bytes(data)
    (folder / "9-9.ndjson.gz").write_bytes((folder / "4-4.ndjson.gz").read_bytes())
    found = {fault.file.rpartition("/")[2]: fault.code for _, fault in verify(root) if fault}
    assert found == {"1-1.ndjson.gz": "missing", "2-2.ndjson.gz": "size", "3-3.ndjson.gz": "checksum", "9-9.ndjson.gz": "unlisted"}


async def test_prune_takes_old_finished_files_their_lines_and_empty_folders(bench: Bench) -> None:
    sink = bench.open()
    await sink.write([*some(1, 2), *some(3, at_ms=START_MS + HOUR_MS), *some(4, at_ms=START_MS + 30 * HOUR_MS)])
    root = bench.folder / "archive"
    prune(root, prunable(root, START_S + HOUR_S))
    assert bench.names() == ["3-3.ndjson.gz", "4.ndjson.gz.part"]
    prune(root, prunable(root, START_S + 100 * HOUR_S))
    assert bench.names() == ["4.ndjson.gz.part"]
    assert Manifest(root).entries() == {}
    assert not (root / "source=web/date=2025-11-25").exists()
    await sink.write(some(5, at_ms=START_MS + 30 * HOUR_MS))
    await sink.close()
    assert [fault for _, fault in verify(root) if fault] == []
    assert await numbers(bench, Span(("id-web",))) == [4, 5]


# the commands


@pytest.fixture
def stocked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder with five events of the source `default` in its archive, as the current folder's relay-data."""
    monkeypatch.chdir(tmp_path)
    bench = Bench(tmp_path / "relay-data")

    async def fill() -> None:
        sink = bench.open()
        await sink.write([*some(1, 2, 3, source="default"), *some(4, 5, source="default", at_ms=START_MS + HOUR_MS)])
        await sink.close()

    asyncio.run(fill())
    return tmp_path


def test_ls_lists_files_with_what_they_hold(stocked: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["archive", "ls", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [(one["file"].rpartition("/")[2], one["count"], one["growing"]) for one in told["files"]] == [
        ("1-3.ndjson.gz", 3, False),
        ("4-5.ndjson.gz", 2, False),
    ]
    assert main(["archive", "ls", "--until", "2025-11-25T13:30:00Z"]) == 0
    assert "1-3.ndjson.gz" in (lines := capsys.readouterr().out) and "4-5" not in lines
    assert main(["archive", "ls", "--source", "other"]) == 4


def test_export_prints_the_events_in_order(stocked: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    assert main(["archive", "export", "--filter", "properties.n > 2"]) == 0
    assert [jsonio.loads(line)["properties"]["n"] for line in capfdbinary.readouterr().out.splitlines()] == [3, 4, 5]
    assert main(["archive", "export", "--to", "out.ndjson", "--since", "2025-11-25T14:00:00Z"]) == 0
    assert len((stocked / "out.ndjson").read_bytes().splitlines()) == 2
    assert main(["archive", "export", "--to", "out.ndjson"]) == 73
    assert main(["archive", "export", "--source", "nobody"]) == 4


def test_verify_and_prune_end_with_their_codes(stocked: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["archive", "verify"]) == 0
    assert main(["archive", "prune", "--before", "2025-11-25T13:30:00Z"]) == 2, "no terminal to ask on"
    assert main(["archive", "prune", "--before", "2025-11-25T13:30:00Z", "--dry-run"]) == 0
    assert main(["archive", "prune", "--before", "2025-11-25T13:30:00Z", "--yes"]) == 0
    assert main(["archive", "prune", "--before", "2025-11-25T13:30:00Z", "--yes"]) == 4
    next((stocked / "relay-data").rglob("4-5*")).write_bytes(b"")
    capsys.readouterr()
    assert main(["archive", "verify", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["faults"][0]["code"] == "size"
    assert main(["archive", "ls", "--from", "nobody"]) == 2
