"""The calls that delete a user at a receiver: the exact requests, and what answers mean, on a real socket."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from relay.access.operator import SIGNAL
from relay.base.jsonio import dumps
from relay.control.forget import kind_of
from relay.destinations import load_catalog
from relay.errors import Misconfigured
from relay.kit.request import Request, Response
from relay.kit.steps import rehearse
from relay.pipeline.compiled import CompiledDestination
from relay.workspace.model import Destination
from tests.support.app import running, source, table
from tests.support.receiver import Receiver, answer
from tests.support.waiting import eventually

CATALOG = load_catalog()
USER = 'u 1/"é'
HIT = Response(200, {}, dumps({"total_count": 1, "data": [{"id": "p1"}]}))
MISS = Response(200, {}, dumps({"total_count": 0, "data": []}))

SETTINGS: Mapping[str, dict[str, Any]] = {
    "amplitude": {"apiKey": "key", "secretKey": "secret"},
    "braze": {"api_key": "key", "endpoint": "https://rest.fra-01.braze.eu/"},
    "customerio": {"siteId": "site", "apiKey": "key", "accountRegion": "EU"},
    "fullstory": {"apiKey": "eu1.key"},
    "intercom": {"accessToken": "token", "endpoint": "europe"},
    "iterable": {"apiKey": "key"},
    "klaviyo": {"api_key": "key"},
    "loops": {"apiKey": "key"},
}
REQUESTS: Mapping[str, list[tuple[str, str, Any]]] = {
    "amplitude": [
        ("POST", "https://amplitude.com/api/2/deletions/users", {"user_ids": [USER], "requester": "relay", "ignore_invalid_id": "True"}),
    ],
    "braze": [("POST", "https://rest.fra-01.braze.eu/users/delete", {"external_ids": [USER]})],
    "customerio": [("POST", "https://track-eu.customer.io/api/v2/entity", {"type": "person", "action": "delete", "identifiers": {"id": USER}})],
    "fullstory": [("DELETE", "https://api.eu1.fullstory.com/v2/users?uid=u%201%2F%22%C3%A9", None)],
    "intercom": [
        ("POST", "https://api.eu.intercom.io/contacts/search", {"query": {"field": "external_id", "operator": "=", "value": USER}}),
        ("DELETE", "https://api.eu.intercom.io/contacts/p1", None),
    ],
    "iterable": [("DELETE", "https://api.iterable.com/api/users/byUserId/u%201%2F%22%C3%A9", None)],
    "klaviyo": [
        ("GET", "https://a.klaviyo.com/api/profiles?filter=equals%28external_id%2C%22u%201%2F%5C%22%C3%A9%22%29", None),
        (
            "POST", "https://a.klaviyo.com/api/data-privacy-deletion-jobs",
            {"data": {"type": "data-privacy-deletion-job", "attributes": {"profile": {"data": {"type": "profile", "id": "p1"}}}}},
        ),
    ],
    "loops": [("POST", "https://app.loops.so/api/v1/contacts/delete", {"userId": USER})],
}  # fmt: skip


def asked(slug: str, *answers: Response) -> list[Request]:
    on_delete = CATALOG[slug].on_delete
    assert on_delete is not None
    performed = on_delete(SETTINGS[slug], USER)
    return [performed] if isinstance(performed, Request) else rehearse(performed, answers)[1]


def test_every_destination_that_deletes_users_is_in_the_table() -> None:
    assert {slug for slug, definition in CATALOG.items() if definition.on_delete} == REQUESTS.keys() == SETTINGS.keys()


@pytest.mark.parametrize("slug", sorted(REQUESTS))
def test_the_requests_are_those_of_the_api(slug: str) -> None:
    told = []
    for request in asked(slug, HIT, Response(202)):
        body = None if not request.body else json.loads(request.body)
        told.append((request.method, request.url, body))
        assert "authorization" in request.secrets or "api-key" in request.secrets
    assert told == REQUESTS[slug]


@pytest.mark.parametrize("slug", ["intercom", "klaviyo"])
def test_a_user_that_is_not_known_there_is_not_deleted(slug: str) -> None:
    assert len(asked(slug, MISS)) == 1
    assert len(asked(slug, Response(503))) == 1


def test_the_receipt_calls_each_destination_what_it_is() -> None:
    kinds: dict[str, set[str]] = {}
    for slug, definition in CATALOG.items():
        model = Destination(slug, slug, slug, slug, ())
        kinds.setdefault(kind_of(CompiledDestination(model, definition, (), frozenset(), (), 1)), set()).add(slug)
    kinds.pop("destination")
    assert kinds == {"archive": {"archive", "s3"}, "warehouse": {"postgres", "clickhouse"}, "stream": {"kafka", "nats", "redis", "email"}}


def test_amplitude_needs_the_secret_key() -> None:
    on_delete = CATALOG["amplitude"].on_delete
    assert on_delete is not None
    with pytest.raises(Misconfigured, match="secret_key"):
        on_delete({"apiKey": "key"}, USER)


@pytest.mark.parametrize(
    ("answers", "status", "erased", "requests"),
    [
        ([], "FINISHED", 2, 2),
        ([answer(503), answer(429, {"retry-after": "1"})], "FINISHED", 2, 4),
        ([answer(404)], "FINISHED", 2, 2),
        ([answer(400)], "FAILED", 1, 2),
        ([answer(401)], "FAILED", 0, 1),
    ],
)
async def test_what_answers_mean(answers: list[Any], status: str, erased: int, requests: int, tmp_path: Path) -> None:
    async with Receiver() as receiver:
        receiver.script(*answers)
        braze = {
            "slug": "brz", "type": "braze", "settings": {"api_key": "key", "endpoint": "https://rest.iad-01.braze.com"},
            "endpoint": receiver.url, "allow_private": receiver.allow,
        }  # fmt: skip
        async with running(source() + table("destination", braze), tmp_path) as relay:
            job = await relay.app.forget.start(["u1", "u2"], "DELETE_ONLY", SIGNAL)

            async def ended() -> dict[str, Any]:
                told = await relay.app.forget.job(int(job["id"]))
                assert told["finished_s"]
                return told

            told = await eventually(ended, 20)
            (entry,) = [one for one in told["stores"] if one["name"] == "brz"]
            assert (entry["status"], entry["found"], entry["erased"]) == (status, 2, erased)
            assert bool(entry["error"]) is (status == "FAILED")
            assert told["status"] == ("PARTIAL_SUCCESS" if status == "FAILED" else "FINISHED")
            assert [request.path for request in receiver.requests] == ["/users/delete"] * requests
