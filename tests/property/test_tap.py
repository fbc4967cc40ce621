"""For any schedule of rows, patches, acks, pauses and subscriptions: no gap and no double between snapshot and stream, and drops add up."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from relay.observe.filter_bar import parse
from relay.observe.row_filter import RowFilter
from relay.observe.tap import CREDIT, FRAME_ROWS, NOTHING, Entry, Position, Tap, Viewer

RING, QUEUE, RATE = 40, 12, 25
STATES = ("pending", "retry", "dead", "delivered")


class Hands:
    """A clock that stands, and counters."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.counts: dict[str, int] = {}

    def now(self) -> float:
        return self.now_s

    def monotonic(self) -> float:
        return self.now_s

    def count(self, name: str, *labels: str, by: int = 1) -> None:
        self.counts[labels[0]] = self.counts.get(labels[0], 0) + by

    def set(self, name: str, value: float, *labels: str) -> None: ...

    def observe(self, name: str, value: float, *labels: str, by: int = 1) -> None: ...


class Client:
    """What a browser knows: rows by seq, as last heard of."""

    def __init__(self, tap: Tap, text: str, limit: int, resume: Position | None = None) -> None:
        self.tap, self.wanted = tap, RowFilter(parse(text))
        self.viewer: Viewer = tap.subscribe(self.wanted)
        self.start, self.limit = tap.seq, limit
        self.before = [entry.seq for entry in tap.entries() if self.matches(entry)]
        self.scan = self.viewer.scan(limit, resume)
        self.rows: dict[int, dict[str, str]] = {}
        self.unacked: list[int] = []
        self.scanned = False
        self.offered = 0

    def matches(self, entry: Entry) -> bool:
        return self.wanted.matches(entry.row, entry.material)

    def read_ring(self, slices: int) -> None:
        for _ in range(slices):
            if not self.scanned and next(self.scan, self) is self:
                self.scanned = True
                for entry in self.viewer.snapshot:
                    self.draw(entry)

    def draw(self, entry: Entry) -> None:
        assert entry.seq not in self.rows, "a row came twice"
        self.rows[entry.seq] = dict(entry.row["to"])

    def pump(self) -> None:
        before = len(self.unacked)
        taken = self.viewer.take_rows()
        if taken is not None:
            entries, seq = taken
            assert self.scanned
            assert before < CREDIT
            assert len(entries) <= FRAME_ROWS
            self.unacked.append(entries[-1].seq if entries else seq)
            for entry in entries:
                self.draw(entry)
        for entry in self.viewer.take_patches():
            assert entry.seq in self.rows, "a patch for a row that was not sent"
            self.rows[entry.seq] = dict(entry.row["to"])

    def ack(self) -> None:
        if self.unacked:
            seq = self.unacked.pop(0)
            self.viewer.ack(seq)
            self.unacked = [other for other in self.unacked if other > seq]

    def finish(self) -> None:
        self.read_ring(100)
        self.viewer.resume()
        while self.viewer.has_news or self.unacked:
            self.pump()
            self.ack()

    def judge(self) -> None:
        viewer = self.viewer
        dropped = viewer.slow_client + viewer.rate_limited
        streamed = [seq for seq in self.rows if seq > self.start]
        assert self.offered == len(streamed) + dropped
        assert [seq for seq in self.rows if seq <= self.start] == (self.before[-self.limit :] if self.limit else [])
        for entry in self.tap.entries():
            if entry.seq in self.rows:
                assert self.rows[entry.seq] == entry.row["to"]


steps = st.lists(
    st.one_of(
        st.tuples(st.just("publish"), st.integers(1, 60)),
        st.tuples(st.just("patch"), st.integers(0, 50), st.sampled_from(STATES)),
        st.tuples(st.just("second")),
        st.tuples(st.just("subscribe"), st.sampled_from(("", "type:track", "-type:track")), st.sampled_from((0, 3, 1000))),
        st.tuples(st.sampled_from(("read", "pump", "pump", "ack", "ack", "pause", "resume")), st.integers(0, 3)),
    ),
    max_size=60,
)


def row(number: int) -> dict[str, Any]:
    return {"event_id": f"e{number}", "type": ("track", "page", "identify")[number % 3], "to": {"slack": "pending"}}


@settings(max_examples=300)
@given(steps)
def test_no_gap_no_double_and_drops_add_up(schedule):
    hands = Hands()
    tap = Tap(hands, hands, ring_rows=RING, queue_rows=QUEUE, max_rate=RATE)
    tap.start()
    clients: list[Client] = []
    number = 0
    for name, *rest in schedule:
        if name == "publish":
            rows = [row(number + index) for index in range(rest[0])]
            number += rest[0]
            tap.publish((one, NOTHING) for one in rows)
            for client in clients:
                client.offered += sum(client.wanted.matches(one, NOTHING) for one in rows)
        elif name == "patch":
            tap.patch(f"e{number - rest[0]}", {"slack": rest[1]})
        elif name == "second":
            hands.now_s += 1
        elif name == "subscribe" and len(clients) < 4:
            clients.append(Client(tap, *rest))
        elif name != "subscribe" and rest[0] < len(clients):
            client = clients[rest[0]]
            {
                "read": lambda client=client: client.read_ring(1),
                "pump": client.pump,
                "ack": client.ack,
                "pause": client.viewer.pause,
                "resume": client.viewer.resume,
            }[name]()
    for client in clients:
        client.finish()
        client.judge()
    assert sum(hands.counts.values()) == sum(client.viewer.slow_client + client.viewer.rate_limited for client in clients)


def made(rows: int = 10) -> tuple[Tap, Hands]:
    hands = Hands()
    tap = Tap(hands, hands, ring_rows=RING, queue_rows=QUEUE, max_rate=RATE)
    tap.start()
    tap.publish((row(number), NOTHING) for number in range(rows))
    return tap, hands


def subscribed(tap: Tap, text: str = "", limit: int = 5, resume: Position | None = None) -> Viewer:
    viewer = tap.subscribe(RowFilter(parse(text)))
    for _ in viewer.scan(limit, resume):
        pass
    return viewer


def test_who_comes_back_in_time_gets_what_is_newer_and_what_has_changed():
    tap, _ = made()
    position = Position(tap.epoch, tap.seq)
    tap.patch("e3", {"slack": "dead"})
    tap.publish([(row(100), NOTHING)])
    tap.patch("e4", {"slack": "dead"})
    viewer = subscribed(tap, resume=position)
    assert not viewer.gap
    assert [entry.row["event_id"] for entry in viewer.snapshot] == ["e100"]
    assert [entry.row["event_id"] for entry in viewer.take_patches()] == ["e4"]


def test_who_comes_back_too_late_is_told_of_the_gap():
    tap, _ = made()
    position = Position(tap.epoch, tap.seq - 1)
    tap.publish((row(number), NOTHING) for number in range(100, 100 + RING))
    assert subscribed(tap, resume=position).gap
    assert subscribed(tap, resume=Position("other", tap.seq)).gap
    assert subscribed(tap, resume=Position(tap.epoch, tap.seq + 1)).gap
    assert not subscribed(tap).gap


def test_a_row_that_comes_to_match_is_sent_late_and_once():
    tap, _ = made()
    viewer = subscribed(tap, "state:dead")
    assert viewer.snapshot == []
    tap.patch("e3", {"slack": "dead"})
    tap.patch("e3", {"ga4": "dead"})
    rows, _ = viewer.take_rows() or ([], 0)
    assert [(entry.row["event_id"], entry.row["to"]) for entry in rows] == [("e3", {"slack": "dead", "ga4": "dead"})]
    assert not viewer.has_news


def test_older_rows_fill_the_ring_from_below_without_doubles():
    tap, _ = made(3)
    assert tap.fill((row(number), NOTHING) for number in (2, 50, 51)) == 2
    assert [entry.row["event_id"] for entry in tap.entries()] == ["e51", "e50", "e0", "e1", "e2"]
    assert tap.fill((row(number), NOTHING) for number in range(100, 200)) == RING - 5
    seqs = [entry.seq for entry in tap.entries()]
    assert seqs == sorted(set(seqs))


def test_a_viewer_who_never_acknowledges_costs_a_bounded_queue_and_nothing_else():
    tap, hands = made(0)
    stalled, reader = subscribed(tap), subscribed(tap)
    got = 0
    for second in range(20):
        hands.now_s += 1
        tap.publish((row(second * 20 + number), NOTHING) for number in range(20))
        stalled.take_rows()
        while (taken := reader.take_rows()) is not None:
            got += len(taken[0])
            reader.ack(taken[1])
    assert (got + reader.slow_client, stalled.rate_limited) == (400, 0)
    assert stalled.slow_client == 20 * 20 - CREDIT * QUEUE - QUEUE


def test_bodies_are_held_within_their_bound(monkeypatch):
    monkeypatch.setattr("relay.observe.tap.HELD_BYTES", 25)

    class Body:
        body = b"x" * 10
        payload: dict[str, Any] = {}

    tap, _ = made(0)
    tap.publish((row(number), Body()) for number in range(5))
    assert [len(entry.material.body) for entry in tap.entries()] == [0, 0, 0, 10, 10]
    assert subscribed(tap, "xxx").scanned == 5
    tap.publish((row(number), Body()) for number in range(5, 5 + RING))
    assert sum(len(entry.material.body) for entry in tap.entries()) == 20
