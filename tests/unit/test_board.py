"""The board knows whose scan a row waits for."""

from types import SimpleNamespace

from relay.base.clock import SystemClock
from relay.delivery.board import Board
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
