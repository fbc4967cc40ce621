"""Governance over HTTP: the captured cases in one running relay, the explanation of a filtered event, selective sync, and the preview."""

from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.support.app import Running, running, source, webhook
from tests.support.governance import CASES, Delivered, check, config_of, filled, messages_of
from tests.support.receiver import Receiver


async def ask(relay: Running, path: str, body: Any = None) -> tuple[int, Any]:
    headers = {"Authorization": f"Bearer {relay.app.cli_token}"}
    async with aiohttp.ClientSession() as http:
        method = "POST" if body is not None else "GET"
        async with http.request(method, f"{relay.app.ui_url}/ui/api/{path}", json=body, headers=headers) as answer:
            return answer.status, await answer.json()


async def test_every_case_holds_in_one_running_relay(tmp_path: Path) -> None:
    async with Receiver() as receiver:
        named = [(f"c{number}-", case) for number, case in enumerate(CASES)]
        config = "".join(config_of(filled(case, prefix), tmp_path, receiver.url, receiver.allow, prefix) for prefix, case in named)
        async with running(config, tmp_path) as relay:
            for prefix, case in named:
                assert await relay.send(messages_of(filled(case, prefix)), f"{prefix}main") == 200
            for prefix, case in named:
                names = [prefix + name for name in case["destinations"]]
                await relay.settled(*names)
                got = [Delivered(request.path[1 + len(prefix) :], request.json) for request in receiver.requests if request.path[1:] in names]
                check(case, got, prefix)


async def test_the_event_page_names_the_filter_that_dropped_it(tmp_path: Path) -> None:
    drop = {"title": "No tests", "if": "event = 'Tested'", "actions": [{"type": "DROP"}]}
    async with Receiver() as receiver, running(source() + webhook("orders", receiver, filter=[drop]), tmp_path) as relay:
        message_id = await relay.track("u1")
        await relay.settled("orders")
        assert receiver.requests == []
        assert await relay.counted("orders", "filtered") == {"FILTERED_BY_RULES": 1}
        _, told = await ask(relay, f"events?message_id={message_id}")
        (at,) = told["events"][0]["destinations"]
        stage = next(one for one in at["stages"] if one["stage"] == "filters")
        assert (stage["outcome"], stage["code"], stage["text"]) == ("dropped", "FILTERED_BY_RULES", 'filter 1 "No tests"')
        assert at["why"] == 'Filtered (FILTERED_BY_RULES): filter 1 "No tests".'


async def test_a_source_may_keep_an_event_name_from_one_destination_and_a_reload_changes_it(tmp_path: Path) -> None:
    async with Receiver() as receiver:
        hooks = webhook("one", receiver) + webhook("two", receiver)
        kept = source(schema={"events": {"Tested": {"integrations": {"one": False}}}}) + hooks
        async with running(kept, tmp_path) as relay:
            await relay.track("u1")
            await relay.send([relay.event("u1") | {"integrations": {"one": True}}])
            await relay.settled("one", "two")
            assert sorted(request.path for request in receiver.requests) == ["/one", "/two", "/two"]
            assert await relay.counted("one", "filtered") == {"FILTERED_BY_INTEGRATIONS_OBJECT": 1}
            await relay.reload(source() + hooks)
            await relay.track("u1")
            await relay.settled("one", "two")
            assert [request.path for request in receiver.requests].count("/one") == 2


PAYLOAD = {"type": "track", "event": "Paid", "userId": "u1", "properties": {"total": 5, "password": "hunter2", "email": "a@b.example"}}


@pytest.fixture
async def relay(tmp_path: Path) -> Any:
    async with Receiver() as receiver, running(source() + webhook("orders", receiver), tmp_path) as relay:
        yield relay


async def test_a_filter_is_tried_on_a_stored_event(relay: Running) -> None:
    message_id = await relay.track("u1", "Paid", total=5, token="t-1")
    _, told = await ask(relay, f"events?message_id={message_id}")
    fields = {"if": "event = 'Paid'", "actions": [{"type": "DROP_PROPERTIES", "fields": {"properties": ["total"]}}]}
    status, shown = await ask(relay, "preview", {"destination": "orders", "filter": fields, "event_id": told["events"][0]["event_id"]})
    assert status == 200
    assert shown["inputPayload"]["properties"] == {"total": 5, "token": "•••"}
    assert shown["result"]["properties"] == {"token": "•••"}
    assert shown["changes"] == [{"path": "properties.total", "before": 5, "after": None}]
    assert (shown["text"], shown["problems"]) == ("filter 1: event = 'Paid'", [])


async def test_a_payload_of_ones_own_is_dropped_or_changed(relay: Running) -> None:
    status, shown = await ask(relay, "preview", {"filter": {"if": "properties.total > 1", "actions": [{"type": "DROP"}]}, "payload": PAYLOAD})
    assert (status, shown["result"], shown["text"]) == (200, None, "filter 1: properties.total > 1")
    change = {"if": "all", "newEventName": "Bought", "propertyRenames": [{"oldName": "password", "newName": "secret_word"}]}
    _, shown = await ask(relay, "preview", {"source": "web", "transformation": change, "payload": PAYLOAD})
    assert (shown["result"]["event"], shown["result"]["properties"]["secret_word"]) == ("Bought", "•••")
    assert "hunter2" not in str(shown)


@pytest.mark.parametrize(
    ("asked", "message", "at"),
    [
        ({"filter": {"if": "event =", "actions": [{"type": "DROP"}]}}, "filter, character 8", "if"),
        ({"filter": {"if": "all", "actions": [{"type": "SAMPLE"}]}}, "SAMPLE needs 'percent'", "actions[0]"),
        ({"transformation": {"if": "all", "hashPropertiesConfiguration": {"paths": ["a"], "algorithm": "SHA3"}}}, "'algorithm'", "hashPropertiesConfiguration.algorithm"),
    ],
)  # fmt: skip
async def test_a_rule_that_would_not_be_saved_is_told_with_its_place(asked: dict[str, Any], message: str, at: str, relay: Running) -> None:
    status, told = await ask(relay, "preview", asked | {"payload": PAYLOAD})
    assert status == 400
    (problem,) = told["error"]["problems"]
    assert message in problem["message"]
    assert problem["at"] == at


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        ({"payload": PAYLOAD}, 400), ({"filter": {"if": "all", "actions": [{"type": "DROP"}]}}, 400), ({"filter": [], "payload": PAYLOAD}, 400),
        ({"filter": {"if": "all", "actions": [{"type": "DROP"}]}, "payload": {"type": "trak"}}, 400),
        ({"filter": {"if": "all", "actions": [{"type": "DROP"}]}, "payload": PAYLOAD | {"userId": 5}}, 400),
        ({"filter": {"if": "all", "actions": [{"type": "DROP"}]}, "event_id": "e99999"}, 404), ({"filter": {}, "event_id": "x", "destination": "no"}, 404),
        ({"transformation": {}, "payload": PAYLOAD, "source": "no"}, 404), ({"filters": []}, 400),
    ],
)  # fmt: skip
async def test_a_wrong_question_is_refused(asked: dict[str, Any], status: int, relay: Running) -> None:
    assert (await ask(relay, "preview", asked))[0] == status
