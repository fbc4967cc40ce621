"""What the bucket holds, read back, day by day."""

from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial

from relay.destinations.s3.store import Store
from relay.errors import Retryable
from relay.kit.shelf import Line, Piece, hours_of, lines_of, pages, place_of, safe_slug, seqs_named
from relay.kit.sink import Estimate, Page, Span

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
