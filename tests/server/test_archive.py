"""The archive on a real disk: readable while it grows, whole after a crash, nothing twice where it can be told."""

import asyncio
import gzip
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from backports import zstd

from relay.base import jsonio
from relay.base.event import Event, event_of
from relay.destinations.archive import DEFINITION
from relay.destinations.archive.care import verify
from relay.destinations.archive.manifest import Manifest
from relay.errors import DeliveryError, Misconfigured, Retryable
from relay.kit.members import GZIP, MEMBER_EVENTS, ZSTD, Codec, ranges_of, walk
from relay.kit.sink import Filing, Sink, SinkContext
from relay.kit.subjects import Subjects

HOUR_MS = 3_600_000
START_MS = 1_764_075_600_000  # 2025-11-25T13:00:00Z


@dataclass
class HandClock:
    """A clock that a test sets by hand."""

    now_s: float = START_MS / 1000 + 60
    monotonic_s: float = 1000.0

    def now(self) -> float:
        return self.now_s

    def monotonic(self) -> float:
        return self.monotonic_s

    def advance(self, seconds: float) -> None:
        self.now_s += seconds
        self.monotonic_s += seconds


@dataclass
class Bench:
    """Opens sinks over one folder, and reads what they wrote."""

    folder: Path
    clock: HandClock = field(default_factory=HandClock)

    def open(self, **settings: Any) -> Sink:
        assert DEFINITION.open_sink is not None
        defaults = {setting.name: setting.default for setting in DEFINITION.settings}
        return DEFINITION.open_sink(defaults | settings, SinkContext(self.clock, self.folder, lambda source_id: source_id.removeprefix("id-")))

    def files(self, source: str = "web") -> list[str]:
        top = self.folder / "archive"
        return sorted(str(path.relative_to(top)) for path in top.rglob("*") if path.is_file() and f"source={source}" in str(path))

    def names(self, source: str = "web") -> list[str]:
        return [name.rpartition("/")[2] for name in self.files(source)]

    def read(self, source: str = "web") -> list[int]:
        """The numbers of the events, file by file, read as any gzip reader would."""
        lines: list[bytes] = []
        for name in self.files(source):
            path = self.folder / "archive" / name
            if not name.endswith(".seqs"):
                data = path.read_bytes()
                lines += (gzip.decompress(data) if ".gz" in name else zstd.decompress(data) if ".zst" in name else data).splitlines()
        return [int(jsonio.loads(line)["properties"]["n"]) for line in lines]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def event(number: int, *, source: str = "web", at_ms: int = START_MS, padding: str = "") -> Event:
    payload = {"type": "track", "event": "Seen", "messageId": f"m{number}", "userId": "u", "properties": {"n": number, "padding": padding}}
    return event_of(payload, f"id-{source}", at_ms, jsonio.dumps(payload))


def some(first: int, last: int, **more: Any) -> list[tuple[int, Event]]:
    return [(number, event(number, **more)) for number in range(first, last + 1)]


def stored(count: int) -> Sequence[DeliveryError | None]:
    return [None] * count


async def test_events_are_readable_while_the_file_grows(bench: Bench) -> None:
    sink = bench.open()
    for first in (1, 4):
        assert await sink.write(some(first, first + 2)) == stored(3)
        assert bench.read() == list(range(1, first + 3))
    assert bench.files() == ["source=web/date=2025-11-25/hour=13/1.ndjson.gz.part"]
    zcat = subprocess.run(["zcat", "-f", bench.folder / "archive" / bench.files()[0]], capture_output=True, check=True)
    assert zcat.stdout.count(b"\n") == 6
    assert zcat.stderr == b""
    await sink.close()
    await sink.close()
    assert bench.files() == ["source=web/date=2025-11-25/hour=13/1-6.ndjson.gz"]
    assert bench.read() == [1, 2, 3, 4, 5, 6]


async def test_a_line_is_the_whole_message(bench: Bench) -> None:
    sink = bench.open()
    stretched = event(1)
    stretched.packed = b'{"type":"track",\n"messageId":"m1",\r\n"properties":{"n":1}}'
    await sink.write([(1, stretched), (2, event(2))])
    data = gzip.decompress((bench.folder / "archive" / bench.files()[0]).read_bytes())
    first, second, end = data.split(b"\n")
    assert jsonio.loads(first)["messageId"] == "m1"
    assert second == event(2).body
    assert end == b""
    await sink.close()


async def test_sources_and_hours_have_folders_of_their_own(bench: Bench) -> None:
    sink = bench.open()
    await sink.write(
        [
            (1, event(1)),
            (2, event(2, source="ios")),
            (3, event(3, at_ms=START_MS + HOUR_MS)),
            (4, event(4, source="ios")),
            (5, event(5, at_ms=START_MS + 11 * HOUR_MS)),
        ]
    )
    assert bench.files() == [
        "source=web/date=2025-11-25/hour=13/1-1.ndjson.gz",
        "source=web/date=2025-11-25/hour=14/3-3.ndjson.gz",
        "source=web/date=2025-11-26/hour=00/5.ndjson.gz.part",
    ]
    assert bench.files("ios") == ["source=ios/date=2025-11-25/hour=13/2.ndjson.gz.part"]
    await sink.close()


async def test_a_file_is_finished_at_its_size(bench: Bench) -> None:
    sink = bench.open(roll_bytes=1000)
    for number in range(1, 5):
        await sink.write([(number, event(number, padding="x" * 600))])
    assert bench.names() == ["1-2.ndjson.gz", "3-4.ndjson.gz"]
    await sink.close()


async def test_a_file_is_finished_at_its_age_and_when_its_hour_is_over(bench: Bench) -> None:
    sink = bench.open(roll_minutes=10)
    await sink.write(some(1, 2))
    bench.clock.advance(599)
    await sink.tick()
    assert bench.names() == ["1.ndjson.gz.part"]
    bench.clock.advance(1)
    await sink.tick()
    assert bench.names() == ["1-2.ndjson.gz"]
    slow = bench.open(roll_minutes=600)
    await slow.write(some(3, 4))
    bench.clock.advance(3600)
    await slow.tick()
    assert bench.names() == ["1-2.ndjson.gz", "3-4.ndjson.gz"]
    await sink.close()
    await slow.close()


@pytest.mark.parametrize("compression", ["gzip", "zstd", "none"])
async def test_what_a_crash_left_is_finished_and_not_written_twice(bench: Bench, compression: str) -> None:
    crashed = bench.open(compression=compression)
    await crashed.write([*some(1, 3), *some(7, 8)])
    await asyncio.to_thread(abandon, crashed)
    again = bench.open(compression=compression)
    assert await again.write(some(7, 10)) == stored(4)
    assert sorted(bench.read()) == [1, 2, 3, 7, 8, 9, 10]
    await again.close()
    ending = {"gzip": "ndjson.gz", "zstd": "ndjson.zst", "none": "ndjson"}[compression]
    assert bench.names() == [f"1-8.{ending}", f"9-10.{ending}"]


async def test_a_retried_event_with_a_low_seq_is_not_taken_for_a_repeated_one(bench: Bench) -> None:
    crashed = bench.open()
    await crashed.write([*some(1, 3), *some(7, 8)])
    await asyncio.to_thread(abandon, crashed)
    again = bench.open()
    await again.write(some(4, 7))
    assert sorted(bench.read()) == [1, 2, 3, 4, 5, 6, 7, 8]
    await again.close()


async def test_a_finished_file_is_remembered_too(bench: Bench) -> None:
    first = bench.open()
    await first.write(some(1, 5))
    await first.close()
    second = bench.open()
    assert await second.write(some(4, 6)) == stored(3)
    assert sorted(bench.read()) == [1, 2, 3, 4, 5, 6]
    await second.close()


async def test_a_replay_in_the_same_run_is_written_again_and_overwrites_nothing(bench: Bench) -> None:
    sink = bench.open(roll_bytes=1)
    for _ in range(3):
        await sink.write(some(1, 2))
    assert bench.names() == ["1-2.2.ndjson.gz", "1-2.3.ndjson.gz", "1-2.ndjson.gz"]
    await sink.close()


async def test_two_sinks_in_one_folder_leave_each_other_alone(bench: Bench) -> None:
    live, replay = bench.open(), bench.open()
    await live.write(some(1, 3))
    await replay.write(some(1, 2))
    await live.write(some(4, 4))
    await replay.close()
    await live.close()
    assert sorted(bench.read()) == [1, 1, 2, 2, 3, 4]
    assert bench.names() == ["1-2.ndjson.gz", "1-4.ndjson.gz"]


@pytest.mark.parametrize("cut", [1, 8, 21, 60])
async def test_a_torn_member_is_cut_off_and_its_events_come_again(bench: Bench, cut: int) -> None:
    crashed = bench.open()
    await crashed.write(some(1, 3))
    path = bench.folder / "archive" / bench.files()[0]
    whole = path.stat().st_size
    await crashed.write(some(4, 6))
    await asyncio.to_thread(abandon, crashed)
    os.truncate(path, max(whole + 1, path.stat().st_size - cut))
    again = bench.open()
    await again.write(some(4, 6))
    await again.close()
    assert sorted(bench.read()) == [1, 2, 3, 4, 5, 6]


async def test_a_last_member_of_zeros_is_not_trusted(bench: Bench) -> None:
    # After a power cut a file may have its new length but not its bytes.
    crashed = bench.open()
    await crashed.write(some(1, 3))
    path = bench.folder / "archive" / bench.files()[0]
    await crashed.write(some(4, 6))
    await asyncio.to_thread(abandon, crashed)
    data = path.read_bytes()
    path.write_bytes(data[:-40] + bytes(40))
    again = bench.open()
    await again.write(some(4, 6))
    await again.close()
    assert sorted(bench.read()) == [1, 2, 3, 4, 5, 6]


async def test_an_open_file_without_a_whole_member_goes(bench: Bench) -> None:
    crashed = bench.open()
    await crashed.write(some(1, 1))
    await asyncio.to_thread(abandon, crashed)
    os.truncate(bench.folder / "archive" / bench.files()[0], 5)
    again = bench.open()
    await again.write(some(1, 1))
    await again.close()
    assert bench.names() == ["1-1.ndjson.gz"]


async def test_a_torn_plain_line_is_cut_off(bench: Bench) -> None:
    crashed = bench.open(compression="none")
    await crashed.write(some(1, 2))
    await asyncio.to_thread(abandon, crashed)
    path = bench.folder / "archive/source=web/date=2025-11-25/hour=13/1.ndjson.part"
    with path.open("ab") as file:
        file.write(b'{"half":')
    again = bench.open(compression="none")
    await again.write(some(3, 3))
    await again.close()
    assert bench.names() == ["1-2.ndjson", "3-3.ndjson"]
    assert bench.read() == [1, 2, 3]


async def test_modes_keep_others_out(bench: Bench) -> None:
    sink = bench.open()
    await sink.write(some(1, 1))
    for path in (bench.folder / "archive").rglob("*"):
        assert path.stat().st_mode & 0o777 == (0o700 if path.is_dir() else 0o600), path
    await sink.close()


@pytest.mark.parametrize("slug", ["../../etc", "a/b", "", "..", "UPPER", "x" * 300, "ü\x00", "\ud800"])
async def test_a_strange_slug_stays_inside_the_folder(bench: Bench, slug: str) -> None:
    sink = bench.open()
    assert await sink.write(some(1, 1, source=slug)) == [None]
    await sink.close()
    assert [path.name for path in bench.folder.iterdir()] == ["archive"]
    (source,) = (bench.folder / "archive").glob("source=*")
    assert source.name.startswith("source=")


async def test_a_link_that_leads_out_is_refused(bench: Bench, tmp_path_factory: pytest.TempPathFactory) -> None:
    outside = tmp_path_factory.mktemp("outside")
    (bench.folder / "archive").mkdir()
    (bench.folder / "archive" / "source=web").symlink_to(outside)
    sink = bench.open()
    (result,) = await sink.write(some(1, 1))
    assert isinstance(result, Misconfigured)
    assert list(outside.iterdir()) == []
    await sink.close()


async def test_a_path_that_is_no_folder_holds_the_destination(bench: Bench) -> None:
    (bench.folder / "archive").write_text("a file")
    sink = bench.open()
    results = await sink.write(some(1, 2))
    assert [type(result) for result in results] == [Misconfigured, Misconfigured]
    assert results[0] is not None
    assert results[0].code == "INVALID_SETTINGS"
    await sink.close()


async def test_a_full_disk_is_retried_and_loses_nothing(bench: Bench) -> None:
    # RLIMIT_FSIZE makes the kernel refuse the write, as a full disk does (EFBIG in place of ENOSPC).
    sink = bench.open()
    await sink.write(some(1, 3))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    size = (bench.folder / "archive" / bench.files()[0]).stat().st_size
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 10, before[1]))
        results = await sink.write(some(4, 6))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)
    assert [type(result) for result in results] == [Retryable] * 3
    assert results[0] is not None
    assert results[0].code == "EIO"
    assert bench.read() == [1, 2, 3]
    assert await sink.write(some(4, 6)) == stored(3)
    await sink.close()
    assert sorted(bench.read()) == [1, 2, 3, 4, 5, 6]


CRASHING = """
import asyncio, sys
from tests.server.test_archive import Bench, some
from pathlib import Path
async def main():
    sink = Bench(Path(sys.argv[1])).open(roll_bytes=20_000)
    for first in range(1, 1_000_000, 10):
        assert await sink.write(some(first, first + 9)) == [None] * 10
        print(first + 9, flush=True)
asyncio.run(main())
"""


@pytest.mark.parametrize("after", [5, 60, 173])
async def test_kill_9_loses_and_repeats_nothing(bench: Bench, after: int) -> None:
    root = Path(__file__).parents[2]
    process = subprocess.Popen([sys.executable, "-c", CRASHING, str(bench.folder)], cwd=root, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    safe = [int(process.stdout.readline()) for _ in range(after)][-1]
    process.kill()
    rest, _ = process.communicate()
    safe = max([safe, *(int(line) for line in rest.split())])
    sink = bench.open()
    await sink.write(some(max(1, safe - 99), safe + 50))
    await sink.close()
    assert sorted(bench.read()) == list(range(1, safe + 51))
    assert not [name for name in bench.names() if name.endswith(".part")]


@pytest.mark.parametrize("codec", [GZIP, ZSTD])
def test_a_member_of_scattered_seqs_still_fits(codec: Codec) -> None:
    seqs = list(range(0, MEMBER_EVENTS * 2, 2))
    member = codec.pack(b"x\n" * len(seqs), seqs)
    assert codec.unpack(member) == b"x\n" * len(seqs)
    assert list(walk(member, codec)) == [(len(member), ranges_of(seqs))]
    assert codec.pack(b"x", [1]) == codec.pack(b"x", [1])


@pytest.mark.parametrize("data", [b"", b"x", gzip.compress(b"foreign"), b"\x1f\x8b\x08\x04" + bytes(60)])
def test_foreign_bytes_are_no_members(data: bytes) -> None:
    assert list(walk(data, GZIP)) == []
    assert list(walk(data, ZSTD)) == []


# deletion


def of(number: int, user: str) -> tuple[int, Event]:
    numbered = event(number)
    payload = {**numbered.payload, "userId": user}
    return number, event_of(payload, "id-web", START_MS + number, jsonio.dumps(payload))


async def mixed(bench: Bench, **settings: Any) -> Sink:
    """Three files, the last of which grows: every third event is of `gone`, and the second file holds nothing else."""
    sink = bench.open(roll_bytes=2_000, **settings)
    for first in range(1, 61, 20):
        users = ["gone" if first == 21 or number % 3 == 0 else "stays" for number in range(first, first + 20)]
        await sink.write([of(number, user) for number, user in zip(range(first, first + 20), users, strict=True)])
    await sink.write([of(number, "gone" if number % 3 == 0 else "stays") for number in range(61, 65)])
    assert len(bench.files()) >= 4
    return sink


def eraser(bench: Bench) -> Any:
    assert DEFINITION.open_archive is not None
    return DEFINITION.open_archive({}, SinkContext(bench.clock, bench.folder, str))


STAYS = [number for number in (*range(1, 21), *range(41, 65)) if number % 3]


@pytest.mark.parametrize("compression", ["gzip", "zstd", "none"])
async def test_the_lines_of_a_user_go_and_the_manifest_tells_what_is_left(bench: Bench, compression: str) -> None:
    sink, users = await mixed(bench, compression=compression), Subjects(["gone", "nobody"])
    assert await eraser(bench).find(users) == 64 - len(STAYS)
    assert isinstance(sink, Filing)
    await sink.finish()
    root = bench.folder / "archive"
    untouched = {file: entry for file, entry in Manifest(root).entries().items() if entry.first_seq > 61}
    assert await eraser(bench).erase(users) == 64 - len(STAYS)
    assert bench.read() == STAYS
    assert (await eraser(bench).find(users), await eraser(bench).erase(users)) == (0, 0)
    assert [fault for _, fault in verify(root) if fault] == []
    entries = Manifest(root).entries()
    assert sum(entry.count for entry in entries.values()) == len(STAYS)
    assert all(entries[file] == entry for file, entry in untouched.items())
    assert not any(
        b"gone" in (gzip.decompress(data) if path.suffix == ".gz" else data)
        for path in root.rglob("*")
        if path.is_file()
        for data in [path.read_bytes()]
    )
    await sink.write([of(65, "stays")])
    await sink.close()
    assert bench.read() == [*STAYS, 65]


async def test_a_file_that_is_being_written_is_left_until_it_is_finished_and_one_that_a_crash_left_is_finished_first(bench: Bench) -> None:
    sink, users = bench.open(), Subjects(["gone"])
    await sink.write([of(1, "gone"), of(2, "stays")])
    assert (await eraser(bench).find(users), await eraser(bench).erase(users)) == (1, 0)
    sink._open["web"].close()  # type: ignore[attr-defined]
    assert await eraser(bench).erase(users) == 1
    assert (bench.read(), bench.names()) == ([2], ["1-2.ndjson.gz"])


@pytest.mark.parametrize("step", ["before the manifest", "before the name"])
async def test_an_erasure_that_a_crash_broke_off_is_finished_by_the_next(bench: Bench, step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    sink, users = bench.open(), Subjects(["gone"])
    await sink.write([of(1, "gone"), of(2, "stays")])
    await sink.close()

    class Crash(BaseException): ...

    def crash(*_: object) -> None:
        raise Crash

    with monkeypatch.context() as patch, pytest.raises(Crash):
        patch.setattr("relay.destinations.archive.manifest.Writing.add" if step == "before the manifest" else "pathlib.Path.replace", crash)
        await eraser(bench).erase(users)
    assert len(bench.files()) == 2
    assert await eraser(bench).erase(users) == 1
    assert (bench.read(), bench.names()) == ([2], ["1-2.ndjson.gz"])
    assert [fault for _, fault in verify(bench.folder / "archive") if fault] == []


def test_the_definition_says_what_is_wrong_with_its_settings() -> None:
    assert DEFINITION.check is not None
    assert DEFINITION.check({"roll_bytes": 1, "roll_minutes": 60}) == []
    assert len(DEFINITION.check({"roll_bytes": 0, "roll_minutes": -1})) == 2


def abandon(sink: Any) -> None:
    """Let go of a sink's files as a killed process does."""
    for file in sink._open.values():
        file.close()
    sink._open.clear()
