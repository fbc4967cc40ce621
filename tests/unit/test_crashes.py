"""What counts as a suspect, and when it is guilty."""

import json
from types import SimpleNamespace
from typing import cast

import pytest

from relay.delivery.crashes import CAREFUL_S, CAREFUL_TIMES, ENDS, Caution, hand
from relay.delivery.stream import Stream
from relay.outbox.interface import PARKED, RETRY, WHOLE, Consumer, Cursor, Row

A, B = hand(1), hand(2, Row(2, "sub", RETRY, "web"))


def after_an_end(caution: Caution) -> Caution:
    """The next run, on what was on disk when the process ended."""
    return Caution(json.loads(json.dumps(caution.patch()["started"])), now_s=0)


def test_names_tell_an_event_from_the_row_of_a_subscription() -> None:
    assert (A, B) == ("1/*", "2/sub")


CASES = [
    ("in hand", lambda caution: caution.take(A), {A: 1}),
    ("in hand twice", lambda caution: (caution.take(A), caution.take(A)), {A: 1}),
    ("one of two came back", lambda caution: (caution.take(A), caution.take(A), caution.put_back(A)), {A: 1}),
    ("came back", lambda caution: (caution.take(A), caution.put_back(A)), None),
    ("two", lambda caution: (caution.take(A), caution.take(B)), {A: 1, B: 1}),
    ("forgotten", lambda caution: (caution.take(A), caution.forget()), None),
    ("came back after it was forgotten", lambda caution: (caution.take(A), caution.forget(), caution.put_back(A)), None),
]


@pytest.mark.parametrize(("act", "written"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_what_is_in_hand_is_written(act, written) -> None:
    caution = Caution(None, now_s=0)
    act(caution)
    assert caution.patch() == {"started": written}


def test_an_event_that_is_in_hand_at_three_ends_is_guilty_and_no_other_one_is() -> None:
    caution = Caution(None, now_s=0)
    caution.take(B)  # beside it at the first end; alone it comes back
    for end in range(ENDS):
        assert not caution.is_guilty(A)
        assert caution.is_suspect(A) == (end > 0)
        caution.take(A)
        caution = after_an_end(caution)
        if caution.is_suspect(B):
            caution.take(B)
            caution.put_back(B)
            caution.clear(B)
    assert caution.is_guilty(A)
    assert not caution.is_suspect(B)


def test_a_suspect_stays_one_until_its_outcome_is_known() -> None:
    caution = Caution({A: 2}, now_s=0)
    caution.take(A)  # decided
    caution.put_back(A)
    assert caution.patch() == {"started": {A: 2}}
    caution.take(A)  # attempted
    assert after_an_end(caution).is_guilty(A)
    caution.put_back(A)
    caution.clear(A)
    assert caution.patch() == {"started": None}


@pytest.mark.parametrize(
    ("written", "times", "at_s", "over"),
    [
        (None, 0, 0, False), (None, 0, CAREFUL_S, True), (None, CAREFUL_TIMES - 1, 1, False), (None, CAREFUL_TIMES, 1, True),
        ({A: 1}, CAREFUL_TIMES, 1, False), ({A: 1}, CAREFUL_TIMES, CAREFUL_S, True),
    ],
)  # fmt: skip
def test_care_ends_after_a_while(written, times: int, at_s: float, over: bool) -> None:
    caution = Caution(written, now_s=0)
    for _ in range(times):
        caution.take(B)
        caution.put_back(B)
    assert caution.is_over(at_s) == over


def test_what_was_settled_meanwhile_is_no_suspect() -> None:
    """A crash after the commit of an outcome: nobody will handle that event again, so nothing would ever strike it off."""
    started = {"3/*": 1, "4/*": 2, "6/*": 1, "5/sub": 1, "2/sub": 1}
    cursor = Cursor("d", 0, 4, ahead=0b10, state={"started": started})  # 1 to 4 and 6 are settled
    consumer = SimpleNamespace(name="d", cursor=cursor, rows=[Row(2, "sub", RETRY, "web"), Row(3, WHOLE, PARKED, "web")])
    stream = Stream(cast(Consumer, consumer), now_s=0, careful=True)
    assert stream.caution
    assert stream.caution.patch() == {"started": {"3/*": 1, "2/sub": 1}}
