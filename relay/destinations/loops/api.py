"""Requests to Loops, and what its answers say. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from relay.base.secret import reveal
from relay.errors import DeliveryError, Permanent
from relay.kit.definition import Delivery
from relay.kit.post import Headers, post_json
from relay.kit.request import Request, Response

ORIGIN: Final = "https://app.loops.so"
SECRETS: Final = frozenset(("authorization",))


def authorization(settings: Mapping[str, Any]) -> tuple[str, str]:
    """The header that opens the API."""
    return "authorization", f"Bearer {reveal(settings['apiKey'])}"


def request(settings: Mapping[str, Any], method: str, where: str, body: Mapping[str, Any], headers: Headers = ()) -> Request:
    """`where`: the path of the API."""
    return post_json(ORIGIN + where, body, (authorization(settings), *headers), secrets=SECRETS, method=method)


def delete_contact(settings: Mapping[str, Any], user_id: str) -> Request:
    """Deletes the contact with this user id."""
    return request(settings, "POST", "/api/v1/contacts/delete", {"userId": user_id})


def read_answer(deliveries: Sequence[Delivery], response: Response) -> Sequence[DeliveryError | None] | None:
    """`success: false` is a refusal, whatever the status beside it."""
    if not response.is_ok:
        return None
    answer = response.json_object()
    if answer.get("success") is not False:
        return None
    return [Permanent(f"Loops refuses it: {answer.get('message') or 'no reason given'}", status=response.status)] * len(deliveries)
