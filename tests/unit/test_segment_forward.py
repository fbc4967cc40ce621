"""Forwarding to a tracking API: the call, the time, and events that would go round in a circle."""

import json
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from relay.base import jsonio
from relay.base.codes import CODES
from relay.base.event import event_of
from relay.base.secret import Secret
from relay.destinations import segment
from relay.destinations.segment import DEFINITION
from relay.errors import Misconfigured, Permanent
from relay.pipeline.decision import Sourced
from relay.pipeline.destination_side import destination_side
from tests.support.captured import compile_case, requests_of

CASES = json.loads((Path(segment.__file__).parent / "cases.json").read_text())
SENT = [case for case in CASES if case["expect"]["outcome"] == "sent"]


@pytest.mark.parametrize("case", SENT, ids=lambda case: case["id"])
def test_events_go_to_the_batch_call(case: dict[str, Any]) -> None:
    asked = requests_of(case, DEFINITION)
    assert isinstance(asked, list)
    (request,), (expected,) = asked, case["expect"]["deliveries"][0]["requests"]
    parts = urlsplit(request.url)
    assert (request.method, parts.hostname, parts.path) == (expected["method"], expected["host"], expected["path"])
    assert json.loads(request.body) == expected["json"]
    assert dict(request.headers).items() >= expected["headers"].items()
    assert request.secrets == {"authorization"}


def test_an_event_that_has_passed_the_key_is_stopped() -> None:
    (case,) = [case for case in CASES if case["id"] == "segment-looped"]
    with pytest.raises(Permanent) as caught:
        requests_of(case, DEFINITION)
    assert caught.value.code == case["expect"]["deliveries"][0]["error"]["code"] == "looped"
    assert caught.value.code in CODES


def test_a_looped_event_takes_no_other_down_with_it() -> None:
    (looped,) = [case for case in CASES if case["id"] == "segment-looped"]
    compiled = compile_case(looped, DEFINITION, {})
    results = [
        destination_side(Sourced(1, event_of(event, "web", 0, jsonio.dumps(event))), compiled) for event in (looped["event"], CASES[0]["event"])
    ]
    assert results[0][0].batch_key != results[1][0].batch_key  # type: ignore[union-attr]


def test_a_mapping_cannot_hide_a_loop() -> None:
    (case,) = [case for case in CASES if case["id"] == "segment-looped"]
    hidden = case | {"subscriptions": [{"action": "forward", "trigger": 'type = "track"', "overrides": {"data": {"userId": "u"}}}]}
    with pytest.raises(Permanent):
        requests_of(hidden, DEFINITION)


def test_the_stored_event_is_left_as_it_is() -> None:
    event = json.loads(json.dumps(CASES[0]["event"]))
    requests_of(CASES[0] | {"event": event}, DEFINITION)
    assert event == CASES[0]["event"]


@pytest.mark.parametrize("context", [None, {"repeatChain": "0"}, {"repeatChain": ["0"]}])
def test_a_strange_context_is_no_obstacle(context: Any) -> None:
    event = CASES[0]["event"] | {"context": context}
    asked = requests_of(CASES[0] | {"event": event}, DEFINITION, {"writeKey": Secret("wk_made_up")})
    assert isinstance(asked, list)
    (message,) = json.loads(asked[0].body)["batch"]
    assert message["context"]["repeatChain"][:-1] == (["0"] if context else [])
    assert message["messageId"] == "m-1"


def test_an_empty_write_key_holds_the_destination() -> None:
    with pytest.raises(Misconfigured):
        requests_of(CASES[0], DEFINITION, {"writeKey": Secret("")})


@pytest.mark.parametrize("endpoint", ["api.segment.io", "https://u:p@api.segment.io", "https://api.segment.io/?a=1"])
def test_a_wrong_endpoint_is_told(endpoint: str) -> None:
    assert DEFINITION.check is not None
    assert DEFINITION.check({"endpoint": endpoint})
    assert not DEFINITION.check({"endpoint": "https://api.segment.io"})
