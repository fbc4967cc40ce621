"""Replays go as fast as leaves the process room, and never stop."""

from relay.delivery.brake import BUSY, MIN_RATE, Brake, Pace

spent = [0.0]


def brake() -> Brake:
    return Brake(lambda: spent[0])


def replayed(brake: Brake | Pace, seconds: float, *, load: float = 0.0, cost_s: float = 0.0005) -> tuple[float, float]:
    """Events per second and the share of a core that was used, over the last half of so many seconds of virtual time."""
    now, events, half = 0.0, 0, seconds / 2
    spent[0] = at_half = 0.0
    while now < seconds:
        if brake.delay_s(now) <= 0:
            brake.take(now)
            spent[0] += cost_s
            events += now >= half
        now += 0.0005
        spent[0] += 0.0005 * load
        if now < half:
            at_half = spent[0]
    return events / half, (spent[0] - at_half) / half


def test_a_replay_alone_takes_the_share_that_it_may() -> None:
    rate, share = replayed(brake(), 20)
    assert abs(share - BUSY) < 0.1
    assert rate > 1_000


def test_what_live_events_use_is_left_to_them() -> None:
    _, share = replayed(brake(), 20, load=0.4)
    assert abs(share - BUSY) < 0.1


def test_under_full_load_it_creeps_on() -> None:
    rate, _ = replayed(brake(), 20, load=1.0)
    assert 0.9 * MIN_RATE <= rate <= 1.5 * MIN_RATE


def test_its_own_rate_is_the_most() -> None:
    rate, _ = replayed(Pace(50, brake()), 20)
    assert 45 <= rate <= 55


def test_a_pause_says_nothing_of_the_load() -> None:
    one = brake()
    spent[0] = 0.0
    one.delay_s(0.0)
    spent[0] = 100.0
    one.delay_s(100.0)
    assert one._rate > MIN_RATE
