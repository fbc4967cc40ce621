"""The outbox as the rest of relay sees it: an append-only log, and consumers that follow it at their own pace.

The algorithm (ledger, parking, hold, replay) is the same for every engine; `outbox.ledger` holds its pure part.
All times named `_s` are unix seconds. A *unit* is (consumer, seq, subscription); a *row* is an exception kept for a unit.
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from relay.base.codes import Door
from relay.base.event import Event
from relay.base.jsonio import loads
from relay.kit.subjects import Subjects
from relay.observe.latency import Latency
from relay.observe.tallies import Tally

RETRY = "retry"
PARKED = "parked"
DEAD = Door.DEAD.value
WHOLE = "*"
"""The subscription of a row for a whole event that is not yet split into units."""
ROUTER = "router"
PAGE = 500
"""Events that a person's order reads at once."""


@dataclass(slots=True)
class Outcome:
    """What became of one unit, or of a whole event: a door, or a row that waits (`retry`, `parked`)."""

    subscription_id: str
    """`*`: the whole event (parked, or dropped before it was split)."""
    result: str
    """A `Door`, `retry` or `parked`."""
    code: str
    attempts: int = 0
    """Attempts made so far, this one included."""
    first_s: float = 0.0
    """When the first attempt was made; 0: none was."""
    due_s: float = 0.0
    """When a retry may go."""
    status: int | None = None
    detail: bytes = b""
    """JSON `{request, response}` of the last failed attempt, secrets masked; kept with a retry or dead row."""


@dataclass(slots=True)
class Settlement:
    """One seq settled: `outcomes` of all its units at once. No outcomes: skipped (its source is not connected).

    `row`: which open row it ends (a subscription id or `*`); None: the seq was scanned from the log.
    `last`: everything from `seq` to `last` ended alike (0: `seq` alone), by doors that keep no row.
    """

    seq: int
    source_id: str
    outcomes: tuple[Outcome, ...] = ()
    keys: tuple[str, ...] = ()
    row: str | None = None
    last: int = 0

    @property
    def seqs(self) -> range:
        return range(self.seq, max(self.seq, self.last) + 1)


class Attempt(NamedTuple):
    """A line of the journal: one attempt, also when it changed nothing (a probe, a hold).

    `last`: one batch held everything from `seq` to `last` (0: `seq` alone); who reads a timeline gets the line of one seq.
    """

    seq: int
    subscription_id: str
    attempt: int
    result: str
    """A door, `retry`, or `hold` (the verdict was about the destination)."""
    code: str
    status: int | None
    duration_ms: float
    at_s: float
    version: int
    last: int = 0

    @property
    def seqs(self) -> range:
        return range(self.seq, max(self.seq, self.last) + 1)

    def of(self, seq: int) -> "Attempt | None":
        """The line of one seq; None: this attempt did not hold it."""
        if self.seq == seq and not self.last:
            return self
        return self._replace(seq=seq, last=0) if self.seq <= seq <= self.last else None


class HeldAttempt(Attempt):
    """An attempt whose verdict was about the destination, with what was asked and answered: for samples, the journal does not keep it."""

    detail: bytes = b""


@dataclass(frozen=True, slots=True)
class Sample:
    """One attempt that failed, or one event that a rule stopped (then without a `detail`), as an example of its code."""

    destination_id: str
    code: str
    result: str
    """`retry`, `dead`, `hold`, `filtered`, `blocked`."""
    seq: int
    at_s: float
    attempt: int = 0
    status: int | None = None
    duration_ms: float = 0.0
    detail: bytes = b""
    """JSON `{request, response}`, secrets masked."""
    message_id: str = ""
    """Filled in when it is stored."""


class SampleGroup(NamedTuple):
    """How many samples of a code are kept, and the newest one's result, status and time."""

    code: str
    n: int
    result: str
    status: int | None
    last_s: float


class Seen(NamedTuple):
    """Events of one type and name that one library sent."""

    type: str
    name: str
    library: str
    version: str
    n: int
    first_ms: int
    last_ms: int


@dataclass(slots=True)
class Row:
    """An exception row. `state`: `retry`, `parked` (both open) or `dead` (closed, kept)."""

    seq: int
    subscription_id: str
    state: str
    source_id: str
    keys: tuple[str, ...] = ()
    attempts: int = 0
    first_s: float = 0.0
    due_s: float = 0.0
    resend: bool = False
    """A person sent it again: it holds no lane."""
    code: str = ""
    status: int | None = None
    changed_s: float = 0.0
    detail: bytes = b""


@dataclass(slots=True)
class Cursor:
    """How far a consumer is, and its counters. Balance: `head - start + extra = skipped + doors + unscanned + open`."""

    name: str
    start: int
    pos: int
    """Everything up to here is settled."""
    ahead: int = 0
    """Bitmap of settled seqs above pos: bit i is seq pos + 1 + i."""
    end: int | None = None
    """Last seq of a replay; None: follows the head."""
    epoch: int = 0
    extra: int = 0
    skipped: int = 0
    late: int = 0
    """Settlements that came too late and changed nothing."""
    doors: dict[str, int] = field(default_factory=dict)
    state: dict[str, Any] = field(default_factory=dict)
    """What the actor keeps: breaker, hold, replay specification (JSON)."""

    def is_done(self, seq: int) -> bool:
        """Whether `seq` was settled before."""
        return seq <= self.pos or bool(self.ahead >> (seq - self.pos - 1) & 1)


class Appended(NamedTuple):
    """Where an event lies; a duplicate has the seq of the first one (0 when that is no longer known)."""

    seq: int
    duplicate: bool


class Claim(NamedTuple):
    """An event of the log."""

    seq: int
    event: Event


@dataclass(frozen=True, slots=True)
class Past:
    """A piece of the log, and what is stored of its deliveries besides the journal; all read at one moment."""

    claims: list[Claim]
    rows: list[tuple[str, Row]]
    """By consumer."""
    cursors: list[Cursor]


@dataclass(frozen=True, slots=True)
class RefusedMessage:
    """A message that did not become an event, kept for people: refused at ingest, or a duplicate (code `duplicate`)."""

    source_id: str
    code: str
    received_ms: int
    message_id: str = ""
    type: str = ""
    name: str = ""
    user_id: str = ""
    anonymous_id: str = ""
    body: bytes = b""
    """Its JSON; empty when it is not kept (too large, suppressed)."""
    seq: int = 0
    """Of the event that a duplicate repeats; 0: none, or no longer known."""
    refused_id: int = 0
    """Given when it is stored; ids rise with time."""

    @property
    def payload(self) -> Mapping[str, Any]:
        value = loads(self.body) if self.body else {}
        return value if isinstance(value, Mapping) else {}


@dataclass(frozen=True, slots=True)
class Depth:
    """What waits at a consumer."""

    pending: int
    """unscanned + open rows."""
    retry: int
    parked: int
    dead: int
    """Dead letters that are kept."""
    oldest_s: float
    """When the oldest pending event came in; 0: none."""


class Pressure(NamedTuple):
    """Whether ingest may go on."""

    waiting_bytes: int
    memory_max_bytes: int
    full: str = ""
    """Why the database takes no events (disk reserve, read-only ...); empty: it does."""
    retry_after_s: int = 30


@dataclass(frozen=True, slots=True)
class Balance:
    """The books of a consumer after a commit."""

    head: int
    start: int
    extra: int
    skipped: int
    late: int
    doors: Mapping[str, int]
    unscanned: int
    open: int

    @property
    def holds(self) -> bool:
        return self.head - self.start + self.extra == self.skipped + sum(self.doors.values()) + self.unscanned + self.open

    @property
    def accepted(self) -> int:
        return self.head - self.start + self.extra - self.skipped

    @property
    def pending(self) -> int:
        return self.unscanned + self.open


@dataclass(frozen=True, slots=True)
class Selection:
    """Which dead letters: all conditions hold. Empty: all of the consumer."""

    seqs: tuple[int, ...] = ()
    message_ids: tuple[str, ...] = ()
    code: str = ""
    since_s: float = 0.0
    """Died at or after."""
    until_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Changed:
    """A message to the actor of a consumer: rows that another operation opened or closed, or a hold."""

    opened: tuple[Row, ...] = ()
    closed: tuple[tuple[int, str], ...] = ()
    expired: int = 0
    """Every scanned or waiting seq up to here has expired (0: none)."""
    state: dict[str, Any] | None = None
    """The new state, when a person held or resumed."""
    due: tuple[tuple[int, str], ...] = ()
    """Rows that are to be tried now instead of at their time."""
    rescan: bool = False
    """Stored events changed (a user was erased): forget what is not in flight and read it again."""


@dataclass(frozen=True, slots=True)
class Naming:
    """Events of one source that name users without being theirs: relay's own, which tell what a receiver said."""

    source_id: str
    users: Subjects


@dataclass(frozen=True, slots=True)
class Traces:
    """What is kept of users besides the events of the log."""

    waiting: list[tuple[str, int, str]] = field(default_factory=list)
    """Consumer, seq and subscription of rows that wait."""
    dead: list[tuple[str, int, str]] = field(default_factory=list)
    details: list[tuple[str, int, str]] = field(default_factory=list)
    """Rows of others whose last request or answer names them: a batch, or what a receiver said."""
    samples: list[int] = field(default_factory=list)
    refused: list[int] = field(default_factory=list)
    """Refused messages and duplicates."""
    holds: list[str] = field(default_factory=list)
    """Consumers whose hold keeps an answer that names them."""

    @property
    def counts(self) -> dict[str, int]:
        """How many of each, for people."""
        return {
            "waiting": len(self.waiting), "dead_letters": len(self.dead), "samples": len(self.samples) + len(self.details) + len(self.holds),
            "refused": len(self.refused),
        }  # fmt: skip


class Consumer(Protocol):
    """The write side of one consumer. A successor's open makes this one's settles change nothing (epoch)."""

    name: str
    cursor: Cursor
    """As read when it opened; the live copy is in the store."""
    rows: Sequence[Row]
    """Open rows as read when it opened."""
    on_change: Callable[[Changed], None] | None
    """Set by the actor; messages that came before it was set are in `changes`."""
    changes: list[Changed]

    async def read(self, after: int, limit: int, sources: frozenset[str] | None = None) -> tuple[list[Claim], int]:
        """Events after `after` in order, of these sources only, and the seq up to which the log was looked at."""
        ...

    async def fetch(self, seqs: Sequence[int]) -> dict[int, Event]:
        """The events of rows; one that is missing is no error (the ledger has decided)."""
        ...

    async def settle(
        self,
        settlements: Sequence[Settlement],
        *,
        attempts: Sequence[Attempt] = (),
        state: Mapping[str, Any] | None = None,
        derived: Sequence[Event] = (),
        tally: Tally | None = None,
    ) -> None:
        """One transaction: cursor, rows, counters, journal, state. Returns after the commit; StoreError when the store is gone for good.

        A full disk is waited out, not raised. `state` is a patch (None removes a key); `tally` is the router's, whose outcomes are not counted.
        """
        ...


class History(Protocol):
    """The read side, for people."""

    async def find(self, message_id: str, source_id: str | None = None) -> list[Claim]:
        """The stored events with this messageId, by the dedup keys; for older ones the log is searched, newest first, for some seconds."""
        ...

    async def at(self, seq: int) -> Claim | None:
        """The event at a seq; None: it is not kept (any more)."""
        ...

    async def events(self, seqs: Sequence[int]) -> dict[int, Event]:
        """The events at some seqs, as far as they are kept."""
        ...

    async def refused(self, *, refused_id: int = 0, message_id: str = "", limit: int = 500) -> list[RefusedMessage]:
        """Refused messages and duplicates: one by its id, all of a messageId, or (neither given) the newest; oldest first."""
        ...

    async def timeline(self, seq: int) -> list[tuple[str, Attempt]]:
        """(consumer, attempt) of one event, oldest first."""
        ...

    async def rows(self, seq: int) -> list[tuple[str, Row]]: ...

    async def past(self, before: int, limit: int) -> Past:
        """The events among the `limit` seqs below `before`."""
        ...

    async def attempts_before(self, line: int, limit: int) -> list[tuple[int, str, list[Attempt]]]:
        """The journal backwards: (line, consumer, attempts) of up to `limit` lines below `line`, newest first; 0: from its end."""
        ...

    async def waiting(self, name: str, limit: int) -> list[Row]:
        """Open rows of a consumer, those that changed last first."""
        ...

    async def dead(self, name: str, which: Selection, *, after_seq: int = 0, limit: int = 500) -> list[tuple[Row, Event | None]]: ...

    async def count_dead(self, name: str, which: Selection) -> int: ...

    def scan(
        self, *, after: int = 0, until: int | None = None, since_s: float = 0.0, until_s: float = 0.0, page: int = PAGE
    ) -> AsyncIterator[list[Claim]]:
        """Stored events in order, in pages; small ones cost more, and hold up the rest of the process less."""
        ...

    async def tallies(self, since_minute: int, until_minute: int) -> Tally:
        """The counts of the minutes from `since_minute` up to, but without, `until_minute`."""
        ...

    async def tally_spans(self, since_minute: int, until_minute: int, step: int) -> Tally:
        """Counts of these minutes added up in spans of `step`; a key's minute is the first one of its span.

        First attempts and others are added up as well (`first` is false), and a destination's counts over its sources (`source_id` is empty).
        """
        ...

    async def latency_spans(self, since_minute: int, until_minute: int, step: int) -> Latency:
        """Delivery times of these minutes, in the same way."""
        ...

    async def samples(self, destination_id: str, code: str) -> list[Sample]:
        """The samples of a code that are kept, newest first."""
        ...

    async def sample_groups(self, destination_id: str) -> list[SampleGroup]: ...

    async def waiting_codes(self, name: str) -> dict[str, int]:
        """How many rows of a consumer wait for a retry, by code."""
        ...

    async def seen(self, source_id: str, *, since_s: float, newest: int) -> list[Seen]:
        """What a source sent since then, of the log's `newest` events at most (of all sources), in pages."""
        ...


OnSettled = Callable[[str, Sequence[Settlement], Sequence[Attempt]], None]
"""Consumer, what was settled, what was attempted."""
OnChanged = Callable[[str, Changed], None]
"""Consumer, what a person or the upkeep changed."""


class Outbox(Protocol):
    """One log, many consumers. Every method that writes returns after its commit."""

    history: History
    on_settled: list[OnSettled]
    """Called after each commit of a settle that was not late; they must be quick and must not raise."""
    on_changed: list[OnChanged]
    """The same, after every other commit that opened or closed entries of a consumer."""
    on_append: Callable[[int], None] | None
    """Called with the new head after each commit that appended; wakes the router."""
    on_refused: Callable[[Sequence[RefusedMessage]], None] | None
    """Called after the commit with what was refused or a duplicate, as far as it is kept."""

    @property
    def head(self) -> int:
        """The last seq that was committed."""
        ...

    def pressure(self) -> Pressure: ...

    async def append(self, events: Sequence[Event], refused: Sequence[RefusedMessage] = (), *, internal: bool = False) -> Sequence[Appended]:
        """Store events durably, duplicates told; `refused` is counted, and the first of it are kept for people, as duplicates are. Raises StoreError (disk) or Overloaded; `internal` uses the reserve."""
        ...

    async def create(self, name: str, *, at: int | None = None, end: int | None = None, state: Mapping[str, Any] | None = None) -> None:
        """Make a consumer that starts after seq `at` (None: the head as of the commit); an existing one is left as it is."""
        ...

    async def open(self, name: str) -> Consumer:
        """Open a consumer: epoch + 1, and everything that its predecessor settled is in what it reads."""
        ...

    async def names(self) -> list[str]: ...

    async def cursor(self, name: str) -> Cursor | None: ...

    async def set_state(self, name: str, change: Callable[[dict[str, Any]], dict[str, Any]]) -> dict[str, Any]:
        """Change a consumer's state (hold, resume) and tell its actor."""
        ...

    async def resend(self, name: str, which: Selection) -> int:
        """Open dead rows again: attempts 0, no lane. Returns how many."""
        ...

    async def hasten(self, name: str, seqs: Sequence[int]) -> int:
        """Make the waiting retries of these events due now. Returns how many."""
        ...

    async def abandon(self, name: str, seqs: Sequence[int]) -> int:
        """Give up what waits of these events (retries, parked ones); they leave as `discarded`, code `by_hand`. Returns how many."""
        ...

    async def discard(self, name: str, which: Selection) -> int:
        """Throw dead letters away. They were counted when they died, so the balance does not change."""
        ...

    async def expire(
        self, name: str, upto: int, sources: frozenset[str], *, door: Door = Door.EXPIRED, code: str = "expired", only: frozenset[int] | None = None
    ) -> int:
        """Give up everything pending up to a seq (bounded step), by `door`; returns how many entries left. What was not scanned and is not in `only` is skipped."""
        ...

    async def remove(self, name: str, sources: frozenset[str] = frozenset()) -> None:
        """Forget a consumer for good; what is pending leaves as `discarded` (code `destination_removed`)."""
        ...

    async def erase(self, user_ids: Sequence[str], *, after: int = 0, limit: int = 5_000, naming: Naming | None = None) -> tuple[int, int]:
        """Turn a user's events, and those that `naming` means, into tombstones, one slice of the log; returns (how many, seq reached).

        What waits of them leaves as `discarded`, code `forgotten`; dead letters and samples of them go. An outcome that comes later keeps no row.
        """
        ...

    async def count_of(self, user_ids: Sequence[str], *, after: int = 0, limit: int = 5_000, naming: Naming | None = None) -> tuple[int, int]:
        """How many events `erase` would turn in this slice, and the seq reached."""
        ...

    async def traces(self, users: Subjects) -> Traces:
        """What is kept of users besides their events."""
        ...

    async def erase_traces(self, users: Subjects) -> None:
        """Delete what `traces` finds; of rows and holds of others only the text that names them."""
        ...

    async def trim(self) -> int:
        """Delete history that nobody needs (one slice); returns how many log rows went."""
        ...

    async def measured(self, latency: Latency, samples: Sequence[Sample]) -> None:
        """Store delivery times, and samples: the newest ten of a destination and code stay. Refused with StoreError on a full disk."""
        ...

    async def roll_up(self) -> int:
        """Fold old counts into hours and days (a bounded step); returns how many folds were made."""
        ...

    async def balance(self, name: str) -> Balance: ...

    async def depth(self, name: str) -> Depth: ...

    async def close(self) -> None: ...
