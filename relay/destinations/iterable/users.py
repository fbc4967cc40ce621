"""Create or update a user. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from relay.destinations.iterable.api import BATCHING, LARGEST_BATCH, MERGE, USER_ID, check_user, post, read_answer, user_data
from relay.kit.defaults import path
from relay.kit.definition import Action, Delivery, Field
from relay.kit.request import Request


def update_user(settings: Mapping[str, Any], delivery: Delivery) -> Request:
    """One user."""
    check_user(delivery.fields)
    return post(settings, "/api/users/update", _user(delivery.fields))


def update_users(settings: Mapping[str, Any], deliveries: Sequence[Delivery]) -> Request:
    """Several users, those of whom nothing is known left out; a single one goes alone."""
    if len(deliveries) == 1:
        return update_user(settings, deliveries[0])
    users = [_user(one.fields) for one in deliveries if one.fields.get("email") or one.fields.get("userId")]
    if not users:
        check_user(deliveries[0].fields)
    body: dict[str, Any] = {"updateOnly": True} if deliveries[0].fields.get("updateOnly") else {}
    return post(settings, "/api/users/bulkUpdate", body | {"users": users})


def _user(fields: Mapping[str, Any]) -> dict[str, Any]:
    known = {name: fields[name] for name in ("email", "userId", "mergeNestedObjects") if name in fields}
    return known | {"dataFields": user_data(fields.get("dataFields"), fields)}


UPDATE_USER: Final = Action(
    slug="updateUser",
    title="Create or update a user",
    description="Writes the traits of a user, and makes the user when there is none.",
    fields=(
        Field("email", "E-mail", format="email", default=path("traits.email")),
        USER_ID,
        Field("dataFields", "Data fields", type="object", default=path("traits")),
        Field("phoneNumber", "Phone", allow_null=True, default=path("traits.phone")),
        MERGE,
        BATCHING[0],
        Field("updateOnly", "Only update", type="boolean", help="Makes no new users; for batches, and only where Iterable has switched it on."),
        BATCHING[1],
    ),
    default_trigger='type = "identify"',
    perform=update_user,
    perform_batch=update_users,
    read_answer=read_answer,
    batch_size=LARGEST_BATCH,
    batch_keys=("updateOnly",),
)
