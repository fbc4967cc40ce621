"""The board knows whose scan a row waits for."""

from types import SimpleNamespace

from relay.base.clock import SystemClock
from relay.delivery.board import Board
from relay.delivery.brake import Brake, Pace
from relay.delivery.stream import Stream
from relay.outbox.interface import RETRY, Cursor, Row
from relay.workspace.model import Destination, RetryLimits


def stream(name: str, pos: int, end: int | None = None) -> Stream:
    return Stream(SimpleNamespace(name=name, cursor=Cursor(name, 0, pos, end=end)), now_s=0)  # type: ignore[arg-type]


def test_a_row_above_the_scan_of_its_replay_does_not_start_by_the_scan_of_the_live_stream() -> None:
    model = Destination("d", "d", "d", "webhook", (), retry=RetryLimits())
    board = Board(model, SystemClock(), keyless=False, limit=4)
    live, replay = stream("d", 20), stream("d#1", 0, end=9)
    board.streams = {"d": live, "d#1": replay}
    row = board.add_row(replay, Row(2, "s", RETRY, "web", ("u1",)), saved=True)
    board.passed(live)
    assert board.next() is None
    replay.scanned = 2
    board.passed(replay)
    assert board.next() is row


def test_a_replay_that_must_wait_keeps_its_order_and_does_not_keep_others_waiting() -> None:
    model = Destination("d", "d", "d", "webhook", (), retry=RetryLimits())
    board = Board(model, SystemClock(), keyless=False, limit=8)
    slow, other = stream("d#1", 0, end=9), stream("d#2", 0, end=9)
    board.streams = {"d": stream("d", 20), "d#1": slow, "d#2": other}
    rows = [board.add_row(slow, Row(seq, "s", RETRY, "web", (f"u{seq}",)), saved=True) for seq in (1, 2, 3)]
    behind = board.add_row(other, Row(4, "s", RETRY, "web", ("u4",)), saved=True)
    for one in (slow, other):
        one.scanned = 9
        board.passed(one)
    slow.pace = Pace(0.001, Brake())
    slow.pace.take(SystemClock().monotonic())
    assert board.next() is behind
    slow.pace = Pace(0, Brake())
    assert [board.next(), board.next(), board.next()] == rows
