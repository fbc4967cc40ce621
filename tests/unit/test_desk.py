"""When the scan reads on: at once when nothing is ready, else in fair portions."""

from types import SimpleNamespace

from relay.base.chance import SystemChance
from relay.base.clock import SystemClock
from relay.delivery.desk import HELD_WINDOW, Desk, Means
from relay.delivery.lanes import Item
from relay.outbox.interface import Cursor
from relay.workspace.model import Destination


def desk() -> Desk:
    destination = SimpleNamespace(destination=Destination("d", "d", "d", "webhook", ()), subscriptions=())
    means = Means(None, None, None, SystemClock(), SystemChance(), None)  # type: ignore[arg-type]
    return Desk(destination, means, SimpleNamespace(name="d", cursor=Cursor("d", 0, 0), rows=()))  # type: ignore[arg-type]


def test_a_scan_with_ready_events_waits_until_a_quarter_of_the_room_is_free() -> None:
    one = desk()
    for seq in range(1, one.window - 1):
        one.board.add(Item(seq, "web", (f"u{seq}",), "d"))
    assert one.room == 2
    assert not one.wants_more(one.live)
    for item in [item for item in one.board.items.values() if item.seq <= one.window // 4]:
        one.board.vanish(item)
    assert one.wants_more(one.live)


def test_a_scan_reads_on_whenever_nothing_is_ready() -> None:
    one = desk()
    for seq in range(1, one.window - 1):
        one.board.add(Item(seq, "web", ("u",), "d"))
    first = one.board.next()
    assert first is not None
    one.board.take_off(first)
    assert one.wants_more(one.live)
    one.board.loose += 2
    assert not one.wants_more(one.live), "no room"


def test_a_shut_gate_leaves_little_room() -> None:
    one = desk()
    one.gate.obey({"hold": {"by": "user"}})
    assert one.room == HELD_WINDOW
