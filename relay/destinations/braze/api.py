"""Requests to Braze's REST API, whom they are about, and what its answers say. Pure."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final

from relay.base.secret import reveal
from relay.errors import DeliveryError, PayloadError, Permanent
from relay.kit.defaults import path
from relay.kit.definition import Action, Delivery, Field, Performed
from relay.kit.moment import iso_utc, unix_ms
from relay.kit.post import Headers, post_json
from relay.kit.request import Request, Response
from relay.kit.steps import Steps
from relay.kit.window import read_window

SECRETS: Final = frozenset(("authorization",))
LARGEST_BATCH: Final = 75
"""Braze takes 75 objects of all kinds in one request."""
MANY: Final[Headers] = (("x-braze-batch", "true"),)
NOBODY: Final = "one of external_id, user_alias, braze_id or email is needed"

Fields = Mapping[str, Any]
Build = Callable[[Mapping[str, Any], Fields], list[dict[str, Any]]]
"""Settings and fields to the objects of one event; raises PayloadError for an event that cannot be sent."""

EXTERNAL_ID: Final = Field("external_id", "External id", default=path("userId"), help="The user's id.")
USER_ALIAS: Final = Field(
    "user_alias", "User alias", type="object", properties=(Field("alias_name", "Alias name"), Field("alias_label", "Alias label")),
    help="Another name of the user; both parts are needed.",
)  # fmt: skip
BRAZE_ID: Final = Field("braze_id", "Braze id", allow_null=True, default=path("properties.braze_id"), help="Braze's own id of the user.")
UPDATE_ONLY: Final = Field("_update_existing_only", "Only update", type="boolean", default=False, help="Makes no new users.")
BATCHING: Final = (
    Field("enable_batching", "Batch", type="boolean", default=True, help="Sends several objects in one request."),
    Field("batch_size", "Batch size", type="number", default=LARGEST_BATCH, help="Most events in one request, at most 75."),
)


def post(settings: Mapping[str, Any], where: str, body: Mapping[str, Any], headers: Headers = ()) -> Request:
    """`where`: the path of the API."""
    key = ("authorization", f"Bearer {reveal(settings['api_key'])}")
    return post_json(settings["endpoint"].rstrip("/") + where, body, (key, *headers), secrets=SECRETS)


def delete_user(settings: Mapping[str, Any], user_id: str) -> Request:
    """Deletes the profile with this external id."""
    return post(settings, "/users/delete", {"external_ids": [user_id]})


def whom(fields: Fields) -> dict[str, Any]:
    """The ids of the user. Raises PayloadError when there is none."""
    ids = {name: fields[name] for name in ("braze_id", "external_id", "email") if name in fields}
    alias = fields.get("user_alias") or {}
    if alias.get("alias_name") and alias.get("alias_label"):
        ids["user_alias"] = {"alias_name": alias["alias_name"], "alias_label": alias["alias_label"]}
    if not any(ids.values()):
        raise PayloadError(NOBODY, field="external_id")
    return ids


def iso_time(value: Any) -> str | None:
    """A date as Braze wants it; None: it is none."""
    ms = unix_ms(value)
    return None if ms is None else iso_utc(ms)


def track(kind: str, build: Build, settings: Mapping[str, Any], delivery: Delivery) -> Performed:
    """The objects of one event; `kind`: attributes, events or purchases. More than one request takes go in several, up to the first that fails."""
    objects = build(settings, delivery.fields)
    return _track(settings, kind, objects) if len(objects) <= LARGEST_BATCH else _track_parts(settings, kind, objects)


def _track_parts(settings: Mapping[str, Any], kind: str, objects: list[dict[str, Any]]) -> Steps[None]:
    for start in range(0, len(objects), LARGEST_BATCH):
        response = yield _track(settings, kind, objects[start : start + LARGEST_BATCH])
        if not response.is_ok or named_errors(response):
            return


def track_batch(kind: str, build: Build, settings: Mapping[str, Any], deliveries: Sequence[Delivery]) -> Performed:
    """The objects of all events that can be sent; too many of them are refused, so that the batch is halved."""
    if len(deliveries) == 1:
        return track(kind, build, settings, deliveries[0])
    built = [_try(build, settings, delivery) for delivery in deliveries]
    objects = [one for each in built if isinstance(each, list) for one in each]
    if not objects:
        raise next(each for each in built if isinstance(each, PayloadError))
    if len(objects) > LARGEST_BATCH:
        raise Permanent(f"the batch holds {len(objects)} objects, Braze takes {LARGEST_BATCH}", status=413)
    return _track(settings, kind, objects)


def _track(settings: Mapping[str, Any], kind: str, objects: list[dict[str, Any]]) -> Request:
    return post(settings, "/users/track", {kind: objects}, MANY if len(objects) > 1 else ())


def _try(build: Build, settings: Mapping[str, Any], delivery: Delivery) -> list[dict[str, Any]] | PayloadError:
    try:
        return build(settings, delivery.fields)
    except PayloadError as error:
        return error


def read_answer(build: Build, deliveries: Sequence[Delivery], response: Response) -> Sequence[DeliveryError | None] | None:
    """An answer of success names the objects that failed by their place; events that were not sent are refused beside it."""
    if response.status == 429:
        return read_window("Braze", deliveries, response)
    if not response.is_ok:
        return None
    built = [_try(build, {}, delivery) for delivery in deliveries]
    owners = [index for index, each in enumerate(built) if isinstance(each, list) for _ in each]
    errors: list[DeliveryError | None] = [
        Permanent(each.message, code=each.code, status=400) if isinstance(each, PayloadError) else None for each in built
    ]
    for place, reason in named_errors(response):
        if 0 <= place < len(owners):
            errors[owners[place]] = errors[owners[place]] or Permanent(f"Braze refuses it: {reason}", status=400)
    return errors


def read_single(deliveries: Sequence[Delivery], response: Response) -> Sequence[DeliveryError | None] | None:
    """As `read_answer`, for what is sent alone."""
    if response.status == 429:
        return read_window("Braze", deliveries, response)
    named = named_errors(response) if response.is_ok else []
    return [Permanent(f"Braze refuses it: {named[0][1]}", status=400)] if named else None


def named_errors(response: Response) -> list[tuple[int, str]]:
    """Place and reason of each object that failed."""
    if b'"errors"' not in response.body:
        return []
    errors = response.json_object().get("errors")
    found = []
    for error in errors if isinstance(errors, list) else ():
        place = error.get("index", 0) if isinstance(error, dict) else 0
        reason = error.get("type") if isinstance(error, dict) else error
        found.append((place if isinstance(place, int) else -1, str(reason or "no reason given")))
    return found


def tracking(slug: str, title: str, description: str, trigger: str, kind: str, build: Build, fields: tuple[Field, ...]) -> Action:
    """An action that sends the objects that `build` makes to `/users/track`, alone or with others."""
    return Action(
        slug=slug, title=title, description=description, fields=(*fields, UPDATE_ONLY, *BATCHING), default_trigger=trigger,
        perform=partial(track, kind, build), perform_batch=partial(track_batch, kind, build), read_answer=partial(read_answer, build),
        batch_size=LARGEST_BATCH,
    )  # fmt: skip
