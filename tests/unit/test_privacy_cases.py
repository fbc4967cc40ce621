"""Privacy rules from the configuration to the request, in the form of the captured governance cases; explanations must agree."""

from pathlib import Path
from typing import Any

import pytest

from relay.kit.encryption import decrypt, new_pair
from tests.support.governance import check, run

PRIVATE, PUBLIC = new_pair(2048)
EMAIL_SHA256 = "f660ab912ec121d1b1e928a0bb4bc61b15f5ad44d5efdc4e1c92a25e99b8e44a"
TRAITS = {"email": "test@test.com", "plan": "pro", "phone": "+4915112345678", "password": "hunter2"}
IDENTIFY = {"eid": "e1", "type": "identify", "userId": "user-1", "traits": TRAITS}
TRACK = {
    "eid": "e2",
    "type": "track",
    "event": "Bought",
    "userId": "u",
    "context": {"traits": TRAITS},
    "properties": {"total": 1, "items": [{"email": "x"}]},
}


def case(name: str, privacy: dict[str, Any], *expect: dict[str, Any], at: str = "a") -> dict[str, Any]:
    destinations = {"a": {"privacy": privacy}, "b": {}} if at == "a" else {"a": {}, "b": {}}
    plain = [{"at": "b", "eid": "e1", "equal": {"/traits": TRAITS}}, {"at": "b", "eid": "e2", "equal": {"/context/traits": TRAITS}}]
    same = [{**one, "at": "b"} for one in expect]
    made: dict[str, Any] = {
        "id": name,
        "destinations": destinations,
        "events": [IDENTIFY, TRACK],
        "expect": [*expect, *(plain if at == "a" else same)],
    }
    return made if at == "a" else made | {"source": {"privacy": privacy}}


def both(identify: dict[str, Any], track: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    return {"at": "a", "eid": "e1", **identify}, {"at": "a", "eid": "e2", **track}


CASES = [
    case("block-red", {"block": ["red"]}, *both({"absent": ["/traits/password"]}, {"absent": ["/context/traits/password"]})),
    case("block-at-the-source", {"block": ["red", "traits.phone"]}, *both(
        {"equal": {"/traits": {"email": "test@test.com", "plan": "pro"}}}, {"equal": {"/context/traits": {"email": "test@test.com", "plan": "pro"}}}
    ), at="source"),
    case("hash", {"hash": ["email"]}, *both(
        {"equal": {"/traits/email": EMAIL_SHA256, "/traits/plan": "pro"}}, {"equal": {"/context/traits/email": EMAIL_SHA256, "/properties/total": 1}}
    )),
    case("mask-yellow", {"mask": ["yellow"]}, *both(
        {"equal": {"/traits/email": "•••", "/traits/phone": "•••"}}, {"equal": {"/properties/items/0/email": "•••"}}
    )),
    case("encrypt", {"encrypt": ["email"], "public_key": PUBLIC}, *both(
        {"hidden": {"/traits": "test@test.com"}, "equal": {"/traits/plan": "pro"}}, {"hidden": {"/context": "test@test.com"}}
    )),
]  # fmt: skip


@pytest.mark.parametrize("given", CASES, ids=lambda given: given["id"])
def test_a_case_delivers_what_it_should_and_nothing_else(given: dict[str, Any], tmp_path: Path) -> None:
    deliveries = run(given, tmp_path)
    check(given, deliveries)
    for one in deliveries:
        if given["id"] == "encrypt" and one.at == "a" and one.event["type"] == "identify":
            assert decrypt(one.event["traits"]["email"], PRIVATE) == "test@test.com"
