"""The scan of a stream: reads chunks of the log in order and has each event decided, once (rule 5.3)."""

from collections.abc import Sequence
from functools import partial

from relay.delivery.carefully import carefully
from relay.delivery.crashes import hand
from relay.delivery.decisions import Decisions
from relay.delivery.desk import Desk
from relay.delivery.stream import Stream
from relay.pipeline.decision import Sourced

CHUNK = 500


class Scan:
    """Moves the scan position of the streams of one destination."""

    def __init__(self, desk: Desk, decisions: Decisions) -> None:
        self._desk = desk
        self._decisions = decisions

    async def step(self, stream: Stream) -> bool:
        """Read on, if there is room; returns whether it moved."""
        if stream.caution and stream.caution.is_over(self._desk.clock.monotonic()):
            await stream.relax()
        feed = stream.feed or self._desk.means.feed
        if not stream.may_scan or not self._desk.wants_more(stream) or stream.scanned >= feed.upto:
            return False
        rewound, alone = stream.rewound, self._desk.means.alone
        entries, upto = await feed.entries(stream.consumer, stream.scanned, min(1 if stream.caution else CHUNK, self._desk.room))
        if stream.caution and alone and entries:
            name = hand(entries[0].seq)
            if stream.caution.is_suspect(name) and alone.locked():
                return False
            return await carefully(alone, [(stream, stream.caution, name)], partial(self._take_in, stream, rewound, entries, upto))
        return await self._take_in(stream, rewound, entries, upto)

    async def _take_in(self, stream: Stream, rewound: int, entries: Sequence[Sourced], upto: int) -> bool:
        """Decide a chunk that was read from the scan position on; returns whether the scan moved."""
        board = self._desk.board
        if stream.rewound != rewound:
            return True  # this chunk is old, and begins too late
        if stream.end is not None:
            upto = min(upto, stream.end)
        before = stream.scanned
        for entry in entries:
            if not stream.scanned < entry.seq <= upto:
                continue  # the scan went on while this chunk was read
            if entry.seq > stream.scanned + 1:
                stream.skip(stream.scanned + 1, entry.seq - 1)
            known = stream.mirror.is_done(entry.seq) or (stream.name, entry.seq) in board.items
            if not known and not self._decisions.meet(stream, entry):
                upto = entry.seq - 1
                break
            stream.scanned = entry.seq
        if upto > stream.scanned:
            stream.skip(stream.scanned + 1, upto)
            stream.scanned = upto
        board.passed(stream)
        return stream.scanned > before
