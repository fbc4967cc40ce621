"""Samples: what is taken of settled outcomes, how often, and how much is held in memory."""

from relay.outbox.interface import DEAD, PARKED, RETRY, WHOLE, Attempt, HeldAttempt, Outcome, Settlement
from relay.outbox.ledger import whole
from relay.outbox.sampling import CODES_MAX, EVERY_S, WAITING_BYTES, WAITING_MAX, Sampler


class Clock:
    def __init__(self) -> None:
        self.at_s = 1_000.0

    def now(self) -> float:
        return self.at_s

    def monotonic(self) -> float:
        return self.at_s


def failed(seq: int, code: str = "500", result: str = RETRY, detail: bytes = b"{}") -> Settlement:
    return Settlement(seq, "web", (Outcome("send", result, code, 1, 1.0, 2.0, 500, detail),))


def attempt(seq: int, code: str = "500", result: str = RETRY) -> Attempt:
    return Attempt(seq, "send", 3, result, code, 500, 12.5, 77.0, 1)


def test_a_failed_attempt_is_taken_with_its_time_and_duration() -> None:
    sampler = Sampler(Clock())
    sampler.settled("hook", [failed(1)], [attempt(9), attempt(1)])
    sampler.settled("hook#2", [failed(2, "400", DEAD)], [attempt(2, "400", DEAD)])
    taken = sampler.take()
    assert [(one.destination_id, one.code, one.result, one.seq, one.at_s, one.attempt, one.status, one.duration_ms, one.detail) for one in taken] == [
        ("hook", "500", RETRY, 1, 77.0, 3, 500, 12.5, b"{}"),
        ("hook", "400", DEAD, 2, 77.0, 3, 500, 12.5, b"{}"),
    ]
    assert sampler.take() == []


def test_a_stopped_event_is_taken_without_a_body_and_what_went_well_or_waits_is_not() -> None:
    sampler = Sampler(Clock())
    passed = [
        whole("delivered", "delivered"),
        whole(PARKED, "parked"),
        Outcome("send", RETRY, "breaker_open"),
        whole("filtered", "NO_MATCHING_MAPPING"),
    ]
    sampler.settled("hook", [Settlement(seq, "web", (outcome,)) for seq, outcome in enumerate(passed)], [])
    sampler.settled("hook", [Settlement(10, "", last=20)], [])
    assert [(one.code, one.seq, one.at_s, one.detail) for one in sampler.take()] == [("NO_MATCHING_MAPPING", 3, 1_000.0, b"")]
    assert WHOLE == "*"


def test_a_hold_is_taken_from_its_attempt() -> None:
    sampler = Sampler(Clock())
    held = HeldAttempt(*attempt(4, "credentials", "hold"))
    held.detail = b'{"request":1}'
    sampler.settled("hook", [], [attempt(5, "credentials", "hold"), held])
    assert [(one.code, one.result, one.seq, one.detail) for one in sampler.take()] == [("credentials", "hold", 4, b'{"request":1}')]


def test_one_a_second_of_each_code_and_the_newest_ten_wait() -> None:
    clock = Clock()
    sampler = Sampler(clock)
    for number in range(40):
        sampler.settled("hook", [failed(number), failed(number, "400", DEAD)], [])
        clock.at_s += EVERY_S / 2
    assert [one.seq for one in sampler.waiting("hook", "500")] == list(range(38, 18, -2))
    assert len(sampler.take()) == 2 * WAITING_MAX


def test_memory_is_bounded_and_freed() -> None:
    clock = Clock()
    sampler = Sampler(clock)
    big = b"x" * (WAITING_BYTES // 4)
    for number in range(8):
        sampler.settled("hook", [failed(number, str(number), detail=big)], [])
    taken = sampler.take()
    assert len(taken) == 4
    sampler.give_back(taken)
    assert sampler.take() == taken
    for number in range(2 * CODES_MAX):
        sampler.settled("hook", [failed(number, f"c{number}")], [])
    assert len(sampler.take()) <= CODES_MAX
    clock.at_s += EVERY_S
    sampler.settled("hook", [failed(1, "new")], [])
    assert len(sampler.take()) == 1
