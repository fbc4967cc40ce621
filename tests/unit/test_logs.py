"""What is logged is masked, cut and printable, and a log that cannot be written stops nothing."""

import io
import json
import logging
import timeit
from collections.abc import Iterator

import pytest
import structlog

from relay.base.secret import MASK, Secret
from relay.observe import facts, logs
from relay.observe.observer import Observer


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def lines(level: str = "debug", form: str = "json") -> io.StringIO:
    stream = io.StringIO()
    logs.configure(level, form, stream=stream, cache=False)
    return stream


def logged(**keys: object) -> dict[str, object]:
    stream = lines()
    structlog.get_logger("relay.test").info("thing.happened", **keys)
    told: dict[str, object] = json.loads(stream.getvalue())
    return told


def test_a_line_carries_utc_time_level_and_room() -> None:
    told = logged(entries=3)
    assert (told["event"], told["level"], told["logger"], told["entries"]) == ("thing.happened", "info", "relay.test", 3)
    assert str(told["timestamp"]).endswith("Z")


@pytest.mark.parametrize(
    "key", ["authorization", "Authorization", "password", "user_password", "shared_secret", "sharedSecret", "token", "api_key", "apiKey", "api-key", "cookie",
            "Set-Cookie", "write_key", "writeKey"],
)  # fmt: skip
def test_secret_keys_are_masked_at_any_depth(key: str) -> None:
    told = logged(**{key: "canary"}, nested={"a": [{"b": {key: "canary"}}]}, headers=[(key, "canary")], pair=(key, "canary"))
    assert "canary" not in json.dumps(told)
    assert told[key] == MASK


def test_a_wrapped_secret_never_shows() -> None:
    assert "canary" not in json.dumps(logged(value=Secret("canary"), deep={"x": [Secret("canary")]}))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("x" * 5000, "x" * 1024 + "..."), (b"x" * 5000, "x" * 1024 + "..."), (2**70, str(2**70)), ("\ud800", "\\ud800"), (b"\xff", "\ufffd"), (None, None),
        (1.5, 1.5), (True, True), ({1: 2}, {"1": 2}), ({"a"}, ["a"]),
    ],
)  # fmt: skip
def test_every_value_can_be_printed_and_is_cut(value: object, expected: object) -> None:
    assert logged(value=value)["value"] == expected


def test_a_structure_without_an_end_is_cut() -> None:
    endless: list[object] = []
    endless.append(endless)
    assert "..." in json.dumps(logged(value=endless))


def test_control_characters_are_escaped_on_the_console() -> None:
    stream = lines(form="console")
    structlog.get_logger("relay.test").info("thing.happened", name="\x1b[31mred\x9b\u202eabc\nnext", nested={"\x1bkey": "\x07"})
    text = stream.getvalue()
    assert text.count("\n") == 1
    assert not {"\x1b", "\x9b", "\u202e", "\x07"} & set(text)
    assert "\\x1b[31mred" in text


def test_a_traceback_is_kept_and_escaped() -> None:
    stream = lines(form="console")
    try:
        raise ValueError("\x1b[2J")
    except ValueError:
        structlog.get_logger("relay.test").exception("thing.failed")
    text = stream.getvalue()
    assert "Traceback" in text
    assert "\x1b" not in text


class Full(io.StringIO):
    def write(self, text: str) -> int:
        raise OSError(28, "No space left on device")


def test_a_log_that_cannot_be_written_never_raises() -> None:
    closed = io.StringIO()
    closed.close()
    for stream in (Full(), closed):
        logs.configure("info", "json", stream=stream, cache=False)
        structlog.get_logger("relay.test").error("thing.failed")


def test_lines_of_libraries_come_out_in_the_same_shape() -> None:
    stream = lines("info")
    logging.getLogger("aiohttp.server").warning("odd %s", "thing")
    logging.getLogger("aiohttp.access").info("not asked for")
    told = json.loads(stream.getvalue())
    assert (told["event"], told["logger"], told["message"]) == ("library.reported", "library.aiohttp.server", "odd thing")


class Counting:
    def __init__(self) -> None:
        self.seen: list[tuple[str, tuple[str, ...]]] = []

    def count(self, name: str, *labels: str, by: int = 1) -> None:
        self.seen.append((name, labels))

    def set(self, name: str, value: float, *labels: str) -> None:
        self.seen.append((name, labels))

    def observe(self, name: str, value: float, *labels: str, by: int = 1) -> None:
        self.seen.append((name, labels))


def attempted(outcome: str) -> facts.DeliveryAttempted:
    return facts.DeliveryAttempted("orders", "web", "m-1", "webhook", "send", 2, outcome, 200, "delivered", 12.345)


@pytest.mark.parametrize(("outcome", "level"), [("delivered", "debug"), ("retry", "info"), ("hold", "info"), ("dead", "warning")])
def test_an_attempt_is_logged_as_loud_as_it_matters(outcome: str, level: str) -> None:
    stream, counters = lines("debug"), Counting()
    Observer(counters, level="debug").emit(attempted(outcome))
    told = json.loads(stream.getvalue())
    assert (told["event"], told["level"], told["attempt"], told["duration_ms"]) == ("delivery.attempted", level, 2, 12.3)
    assert ("relay_attempts_total", ("orders", outcome)) in counters.seen


def test_a_fact_below_the_level_is_counted_and_not_printed() -> None:
    stream, counters = lines("info"), Counting()
    Observer(counters, level="info").emit(attempted("delivered"))
    assert stream.getvalue() == ""
    assert len(counters.seen) == 2


def test_a_delivered_fact_at_info_is_cheap() -> None:
    from relay.observe.metrics import Metrics
    from relay.observe.tallies import Totals

    observer = Observer(Metrics(Totals(), version="1"))
    best_s = min(timeit.repeat(lambda: observer.emit(attempted("delivered")), number=5_000, repeat=7)) / 5_000
    assert best_s < 15e-6, "3 us on a quiet machine; five times that under load"


@pytest.mark.parametrize(
    "fact",
    [
        facts.RequestRefused(401, "unauthorized"), facts.RequestAccepted("web", 512, 0.1, 2, 1), facts.DestinationHeld("orders", "relay", "gone", 410), facts.DestinationReleased("orders"),
        facts.BreakerChanged("orders", "open"), facts.ActorCrashed("orders", 1.0), facts.ConfigReloaded(2, ("orders",)), facts.ReloadRefused(("wrong",)),
        facts.AlertFired("dead", "orders", "text", 1), facts.AlertResolved("dead", "orders", 9.0, 0), facts.AlertGoesOn("dead", "orders", 1),
        facts.StoreFull("disk"), facts.StoreOpen(), attempted("retry"),
    ],
)  # fmt: skip
def test_every_fact_has_a_line_and_counts_under_names_that_are_exported(fact: facts.Fact) -> None:
    from relay.observe.metrics import Metrics
    from relay.observe.tallies import Totals

    stream = lines("debug")
    Observer(Metrics(Totals(), version="1"), level="debug").emit(fact)
    told = json.loads(stream.getvalue())
    noun, _, verb = str(told["event"]).partition(".")
    assert noun
    assert verb
    assert told["level"] == fact.level
