"""What the bucket holds, read back, day by day."""

import asyncio
import zlib
from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial

from relay.destinations.s3.store import Store
from relay.errors import Retryable
from relay.kit.members import PLAIN, codec_of
from relay.kit.shelf import Line, Piece, hours_of, lines_of, pages, place_of, safe_slug, seqs_named
from relay.kit.sink import Estimate, Page, Span
from relay.kit.subjects import Subjects

_Found = tuple[str, str, int]
"""Source id, key, size."""


class ObjectArchive:
    """The Archive over the objects of one bucket."""

    def __init__(self, store: Store, slug_of: Callable[[str], str]) -> None:
        self._store = store
        self._slug_of = slug_of

    async def count(self, span: Span) -> Estimate:
        """From the names alone. Objects of hours at the edges of the span count as a whole."""
        events = size = files = 0
        exact = True
        async for hour, found in self._objects(span):
            exact = exact and hour * 3600 >= span.since_s and (not span.until_s or hour * 3600 + 3600 <= span.until_s)
            for _, key, size_bytes in found:
                held = _count(key.rpartition("/")[2])
                exact = exact and held is not None
                first, last = seqs_named(key.rpartition("/")[2]) or (1, 0)
                events += last - first + 1 if held is None else held
                size += size_bytes
                files += 1
        return Estimate(events, size, files, exact)

    async def read(self, span: Span) -> AsyncIterator[Page]:
        async for page in pages(self._pieces(span), span):
            yield page

    async def find(self, users: Subjects) -> int:
        """How many lines are theirs; every object is read."""
        count = 0
        async for _, lines in self._everything():
            count += await asyncio.to_thread(lambda lines=lines: sum(users.owns(line) for _, line in lines))  # type: ignore[misc]
        return count

    async def erase(self, users: Subjects) -> int:
        """Write the objects that hold a line of theirs again without it, each before the old one goes. Returns how many lines went."""
        erased = 0
        async for key, lines in self._everything():
            rest = await asyncio.to_thread(lambda lines=lines: [one for one in lines if not users.owns(one[1])])  # type: ignore[misc]
            if len(rest) == len(lines):
                continue
            if rest:
                await self._rewrite(key, rest)
            await self._store.delete(key)
            erased += len(lines) - len(rest)
        return erased

    async def _rewrite(self, key: str, lines: Sequence[Line]) -> None:
        folder, _, name = key.rpartition("/")
        named, codec = seqs_named(name), codec_of(name)
        assert named is not None, "only those are looked at"
        text = b"\n".join(line for _, line in lines) + b"\n"
        data = await asyncio.to_thread(codec.pack, text, [seq for seq, _ in lines]) if codec else text
        ending = codec.ending if codec else PLAIN
        await self._store.put(f"{folder}/{named[0]}-{named[1]}.{len(lines)}-{zlib.crc32(text):08x}{ending}", data)

    async def _everything(self) -> AsyncIterator[tuple[str, list[Line]]]:
        """Every object of relay's, whatever its source."""
        async for key, _ in self._store.keys("source="):
            folder, _, name = key.rpartition("/")
            if place_of(folder) and seqs_named(name):
                yield key, await self._load(key)

    async def close(self) -> None:
        await self._store.close()

    async def _pieces(self, span: Span) -> AsyncIterator[tuple[int, Sequence[Piece]]]:
        async for hour, found in self._objects(span):
            pieces = []
            for source_id, key, _ in found:
                named = seqs_named(key.rpartition("/")[2])
                assert named is not None, "only those were kept"
                pieces.append(Piece(named[0], source_id, partial(self._load, key)))
            yield hour, pieces

    async def _load(self, key: str) -> list[Line]:
        try:
            return lines_of(await self._store.get(key), key.rpartition("/")[2])
        except ValueError as error:
            raise Retryable(f"a damaged object ({error}): {key}", code="EIO") from error

    async def _objects(self, span: Span) -> AsyncIterator[tuple[int, list[_Found]]]:
        """Objects of each hour, in the order of the hours; only the names of one day are in memory."""
        slugs = {safe_slug(self._slug_of(source_id)): source_id for source_id in span.sources}
        hours = hours_of(span)
        days = {day for slug in slugs for day in await self._store.folders(f"source={slug}/")}
        for day in sorted(days):
            noon = place_of(f"source=x/{day}/hour=00")
            if noon is None or noon[1] + 24 <= hours.start or noon[1] >= hours.stop:
                continue
            by_hour: dict[int, list[_Found]] = {}
            for slug, source_id in slugs.items():
                async for key, size in self._store.keys(f"source={slug}/{day}/"):
                    folder, _, name = key.rpartition("/")
                    place = place_of(folder)
                    if place and place[1] in hours and seqs_named(name):
                        by_hour.setdefault(place[1], []).append((source_id, key, size))
            for hour in sorted(by_hour):
                yield hour, by_hour[hour]


def _count(name: str) -> int | None:
    """How many events an object holds, by its name; None: it does not tell."""
    middle = name.partition(".")[2].partition(".ndjson")[0]
    count, dash, _ = middle.partition("-")
    return int(count) if dash and count.isdecimal() else None
