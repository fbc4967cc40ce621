"""What the answers of Customer.io, Braze, Iterable, Klaviyo and Loops say of each event, and the steps that follow an answer."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from relay.base.event import event_of
from relay.cli.trial import run_case
from relay.destinations import load_catalog
from relay.kit.definition import Delivery
from relay.kit.request import Response

CATALOG = load_catalog()
SETTINGS: Mapping[str, dict[str, Any]] = {
    "braze": {"api_key": "key", "endpoint": "https://rest.iad-01.braze.com"},
    "customerio": {"siteId": "site", "apiKey": "key"},
    "iterable": {"apiKey": "key"},
    "klaviyo": {"api_key": "key"},
    "loops": {"apiKey": "key"},
}


def track(number: int, properties: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    return {
        "type": "track", "event": "Chapter Finished", "messageId": f"m-{number}", "userId": f"u-{number}", "properties": properties or {},
        "timestamp": "2026-01-10T09:11:05.250Z", "receivedAt": "2026-01-10T09:59:06.480Z",
    } | more  # fmt: skip


def answer(status: int, body: Any = None, **headers: str) -> dict[str, Any]:
    return {"status": status, "body": {} if body is None else body, "headers": headers}


async def deliver(destination: str, action: str, events: Sequence[dict[str, Any]], *answers: Mapping[str, Any], **overrides: Any) -> Any:
    """The one delivery of `events` by an action with its default mapping, changed by `overrides`; `type` is the trigger."""
    kind = events[0]["type"]
    case = {
        "id": "it", "destination": destination, "settings": SETTINGS[destination], "now": "2026-01-15T12:00:00.000Z", "events": events,
        "subscriptions": [{"action": action, "trigger": f'type = "{kind}"', "mapping": "default", "overrides": overrides}], "answers": answers,
    }  # fmt: skip
    return (await run_case(case, CATALOG))["deliveries"][0]


def results(delivery: Any) -> list[str]:
    return [one["result"] for one in delivery["results"]]


async def test_customerio_names_the_operations_that_it_refuses() -> None:
    refusal = {"errors": [{"batch_index": 1, "reason": "invalid", "field": "name", "message": "too long"}]}
    delivery = await deliver("customerio", "trackEvent", [track(1), track(2), track(3)], answer(207, refusal))
    assert results(delivery) == ["delivered", "dead", "delivered"]
    assert delivery["results"][1]["message"] == "Customer.io refuses it: name: too long"


@pytest.mark.parametrize("body", [{}, {"errors": []}, {"errors": None}, {"errors": [{"batch_index": 9}, "odd"]}, '"errors"', '{"errors": ['])
async def test_customerio_has_taken_what_it_does_not_name(body: Any) -> None:
    assert results(await deliver("customerio", "trackEvent", [track(1), track(2)], answer(200, body))) == ["delivered"] * 2


@pytest.mark.parametrize(("status", "result"), [(400, "split"), (429, "retry"), (500, "retry"), (401, "hold")])
async def test_customerio_decides_for_the_whole_batch_by_its_status(status: int, result: str) -> None:
    assert results(await deliver("customerio", "trackEvent", [track(1), track(2)], answer(status))) == [result] * 2


async def test_loops_takes_a_repeat_for_delivered_and_a_false_success_for_a_refusal() -> None:
    assert results(await deliver("loops", "sendEvent", [track(1)], answer(409, {"success": False}))) == ["delivered"]
    assert results(await deliver("loops", "sendEvent", [track(1)], answer(200, {"success": False, "message": "no"}))) == ["dead"]
    assert results(await deliver("loops", "sendEvent", [track(1)], answer(200, {"success": True}))) == ["delivered"]
    assert results(await deliver("loops", "sendEvent", [track(1)], answer(200, "fine"))) == ["delivered"]


def order(number: int, products: int) -> dict[str, Any]:
    return track(number, {"products": [{"product_id": f"p-{index}", "price": 1} for index in range(products)]})


async def test_braze_names_the_objects_that_it_refuses_among_those_that_were_sent() -> None:
    nobody = track(1) | {"userId": None}
    named = {"message": "success", "errors": [{"type": "'name' is required", "input_array": "events", "index": 1}]}
    delivery = await deliver("braze", "trackEvent", [nobody, track(2), track(3)], answer(201, named))
    assert results(delivery) == ["dead", "delivered", "dead"]
    assert [one["code"] for one in delivery["results"]] == ["PAYLOAD_VALIDATION_FAILED", "delivered", "BAD_REQUEST"]
    assert len(delivery["requests"][0]["json"]["events"]) == 2


async def test_braze_refuses_an_order_of_which_one_purchase_failed() -> None:
    named = {"message": "success", "errors": [{"type": "bad price", "input_array": "purchases", "index": 2}]}
    assert results(await deliver("braze", "trackPurchase", [order(1, 2), order(2, 1), order(3, 1)], answer(201, named))) == [
        "delivered",
        "dead",
        "delivered",
    ]


async def test_an_error_in_the_answer_to_a_single_event_is_its_end() -> None:
    named = {"message": "success", "errors": [{"type": "bad", "index": 0}]}
    assert results(await deliver("braze", "trackEvent", [track(1)], answer(201, named))) == ["dead"]
    overrides = {"alias_name": "a", "alias_label": "b"}
    assert results(await deliver("braze", "createAlias", [track(1)], answer(201, {"errors": ["bad"]}), **overrides)) == ["dead"]
    assert results(await deliver("braze", "createAlias", [track(1)], answer(201, {"aliases_processed": 1}), **overrides)) == ["delivered"]


async def test_braze_gets_no_more_objects_in_a_request_than_it_takes() -> None:
    assert results(await deliver("braze", "trackPurchase", [order(1, 40), order(2, 40)])) == ["split"] * 2
    delivery = await deliver("braze", "trackPurchase", [order(1, 160)])
    assert [len(one["json"]["purchases"]) for one in delivery["requests"]] == [75, 75, 10]
    delivery = await deliver("braze", "trackPurchase", [order(1, 160)], answer(201), answer(500))
    assert (len(delivery["requests"]), results(delivery)) == (2, ["retry"])


@pytest.mark.parametrize(("status", "result"), [(400, "split"), (429, "retry"), (500, "retry"), (401, "hold")])
async def test_braze_decides_for_the_whole_batch_by_its_status(status: int, result: str) -> None:
    assert results(await deliver("braze", "trackEvent", [track(1), track(2)], answer(status))) == [result] * 2


def test_braze_says_when_its_window_ends() -> None:
    read = CATALOG["braze"].actions["trackEvent"].read_answer
    assert read is not None
    event = event_of(track(1), "web", 0, b"{}")
    for header, wait_s in (("1030", 30.0), ("900", 1.0)):
        errors = read([Delivery({}, event, 1000.0)], Response(429, {"x-ratelimit-reset": header}))
        assert errors is not None
        assert errors[0] is not None
        assert errors[0].retry_after_s == wait_s
    assert read([Delivery({}, event, 1000.0)], Response(429, {"x-ratelimit-reset": "soon"})) is None
    assert read([Delivery({}, event, 1000.0)], Response(429, {"x-ratelimit-reset": "1030", "retry-after": "5"})) is None


async def test_iterable_lists_the_users_and_events_that_it_did_not_take() -> None:
    events = [track(1, {"email": "Ada@Example.com"}), track(2), track(3) | {"event": "Odd"}, track(4) | {"userId": None}, track(5)]
    body = {
        "successCount": 1, "failCount": 3, "invalidEmails": ["ada@example.com"], "disallowedEventNames": ["Odd"],
        "failedUpdates": {"conflictUserIds": ["u-2"], "notFoundEmails": []},
    }  # fmt: skip
    delivery = await deliver("iterable", "trackEvent", events, answer(200, body))
    assert results(delivery) == ["dead", "dead", "dead", "dead", "delivered"]
    assert [one.get("message") for one in delivery["results"]] == [
        "Iterable refuses it: invalidEmails", "Iterable refuses it: conflictUserIds", "Iterable refuses it: disallowedEventNames",
        "email or userId is needed", None,
    ]  # fmt: skip
    assert len(delivery["requests"][0]["json"]["events"]) == 4


@pytest.mark.parametrize(
    ("reply", "result"),
    [
        (answer(200, {"code": "Success"}), "delivered"),
        (answer(200, {"code": "InvalidEmailAddressError", "msg": "no"}), "dead"),
        (answer(200, "fine"), "delivered"),
        (answer(400, {"code": "BadParams"}), "dead"),
        (answer(429), "retry"),
        (answer(401), "hold"),
    ],
)
async def test_iterable_says_in_the_body_whether_it_took_one(reply: Any, result: str) -> None:
    assert results(await deliver("iterable", "trackEvent", [track(1)], reply)) == [result]


async def test_a_batch_of_nobody_is_never_sent() -> None:
    nobody = [track(number) | {"userId": None, "anonymousId": f"a-{number}"} for number in (1, 2)]
    for destination in ("iterable", "braze"):
        delivery = await deliver(destination, "trackEvent", nobody)
        assert (delivery["requests"], results(delivery)) == ([], ["split"] * 2)


PROFILE = {"profile": {"email": {"@path": "$.properties.email"}}}


def refusal(*places: int) -> dict[str, Any]:
    pointer = "/data/attributes/events-bulk-create/data/{}/attributes/profile"
    return {"errors": [{"status": 400, "detail": "bad", "source": {"pointer": pointer.format(place)}} for place in places]}


async def test_klaviyo_names_the_events_for_which_it_refuses_a_batch() -> None:
    events = [track(1), track(2, {"email": "a@example.com"}), track(3, {"email": "b@example.com"}), track(4, {"email": "c@example.com"})]
    delivery = await deliver("klaviyo", "trackEvent", events, answer(400, refusal(1, 9)), **PROFILE)
    assert results(delivery) == ["dead", "retry", "dead", "retry"]
    assert [one["code"] for one in delivery["results"]] == ["PAYLOAD_VALIDATION_FAILED", "RETRY", "BAD_REQUEST", "RETRY"]


@pytest.mark.parametrize(
    ("reply", "result"),
    [(answer(202), "delivered"), (answer(400, {"errors": [{"detail": "no"}]}), "split"), (answer(400, "no"), "split"), (answer(429), "retry"), (answer(503), "retry"),
     (answer(401), "hold")],
)  # fmt: skip
async def test_klaviyo_decides_for_the_whole_batch_when_it_names_none(reply: Any, result: str) -> None:
    events = [track(1, {"email": "a@example.com"}), track(2, {"email": "b@example.com"})]
    assert results(await deliver("klaviyo", "trackEvent", events, reply, **PROFILE)) == [result] * 2


@pytest.mark.parametrize(
    ("answers", "asked", "result"),
    [
        ([answer(201, {"data": {"id": "K1"}}), answer(204)], ["POST", "POST"], "delivered"),
        ([answer(409, {"errors": [{"meta": {"duplicate_profile_id": "K1"}}]}), answer(200), answer(204)], ["POST", "PATCH", "POST"], "delivered"),
        ([answer(409, {"errors": [{}]})], ["POST"], "dead"),
        ([answer(500)], ["POST"], "retry"),
        ([answer(201, {"data": {"id": "K1"}}), answer(500)], ["POST", "POST"], "retry"),
        ([answer(409, {"errors": [{"meta": {"duplicate_profile_id": "K1"}}]}), answer(429)], ["POST", "PATCH"], "retry"),
        ([answer(200, {})], ["POST"], "dead"),
    ],
)
async def test_klaviyo_updates_a_profile_that_is_there_already(answers: list[Any], asked: list[str], result: str) -> None:
    delivery = await deliver("klaviyo", "upsertProfile", [track(1)], *answers, email="ada@example.com", list_id="L1")
    assert [one["method"] for one in delivery["requests"]] == asked
    assert results(delivery) == [result]


async def test_klaviyo_is_asked_for_every_page_of_the_profiles_that_leave_a_list() -> None:
    following = "https://a.klaviyo.com/api/profiles/?page%5Bcursor%5D=2"
    pages = [answer(200, {"data": [{"id": "K1"}], "links": {"next": following}}), answer(200, {"data": [{"id": "K2"}], "links": {"next": None}})]
    fields = {"email": {"@template": "{{userId}}@example.com"}, "list_id": "L 1"}
    delivery = await deliver("klaviyo", "removeProfileFromList", [track(1), track(2)], *pages, answer(204), **fields)
    assert [one["method"] for one in delivery["requests"]] == ["GET", "GET", "DELETE"]
    assert delivery["requests"][0]["query"]["filter"] == 'any(email,["u-1@example.com","u-2@example.com"])'
    assert delivery["requests"][2]["path"] == "/api/lists/L%201/relationships/profiles/"
    assert [one["id"] for one in delivery["requests"][2]["json"]["data"]] == ["K1", "K2"]
    assert results(delivery) == ["delivered"] * 2


@pytest.mark.parametrize(
    ("reply", "result"), [(answer(200, {"data": []}), "delivered"), (answer(500), "retry"), (answer(200, '{"data": [{"id'), "retry")]
)
async def test_klaviyo_removes_nobody_whom_it_did_not_find(reply: Any, result: str) -> None:
    delivery = await deliver("klaviyo", "removeProfileFromList", [track(1)], reply, email="ada@example.com", list_id="L1")
    assert ([one["method"] for one in delivery["requests"]], results(delivery)) == (["GET"], [result])


async def test_a_link_to_another_host_is_not_followed() -> None:
    page = answer(200, {"data": [], "links": {"next": "https://evil.example.com/"}})
    delivery = await deliver("klaviyo", "removeProfileFromList", [track(1)], page, email="ada@example.com", list_id="L1")
    assert len(delivery["requests"]) == 1


async def test_the_events_of_an_orders_products_stop_at_the_first_that_fails_and_keep_their_ids() -> None:
    fields = {"profile": {"external_id": "u-1"}, "products": {"@path": "$.properties.products"}}
    delivery = await deliver("klaviyo", "orderCompleted", [order(1, 3)], answer(202), answer(202), answer(503), **fields)
    assert [one["json"]["data"]["attributes"]["unique_id"] for one in delivery["requests"]] == ["m-1", "m-1-0", "m-1-1"]
    assert results(delivery) == ["retry"]
