"""The events call of the Graph API that all actions share, and what its answer means. Pure."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote

from relay.base.secret import reveal
from relay.destinations.facebook_conversions_api.fields import EXTINFO
from relay.destinations.facebook_conversions_api.person import user_data_of
from relay.errors import DeliveryError, Misconfigured, PayloadError, Retryable
from relay.kit.currency import CODES
from relay.kit.definition import Action, Delivery, Field
from relay.kit.moment import unix_ms
from relay.kit.post import post_json
from relay.kit.request import Request, Response

API: Final = "https://graph.facebook.com/v24.0"
SECRETS: Final = frozenset(("authorization",))
BATCH_SIZE: Final = 1000
"""Most events that Meta takes in one request."""
DELIVERIES: Final = ("in_store", "curbside", "home_delivery")

BAD_TOKEN: Final = frozenset((102, 190))
RATE_LIMITS: Final = frozenset((4, 17, 32, 613))
UNKNOWN_PIXEL: Final = (100, 33)
"""Code and subcode: there is no such object, or the token may not see it."""
MS_FROM: Final = 100_000_000_000
"""A number in text that is at least this is in ms: in seconds it were the year 5138."""

Custom = Callable[[Mapping[str, Any]], dict[str, Any]]


def action(slug: str, title: str, description: str, fields: tuple[Field, ...], trigger: str, name: str, keys: tuple[str, ...]) -> Action:
    """An action whose events are called `name` (empty: the field `event_name`); `keys`: its fields that are part of `custom_data`."""

    def perform(settings: Mapping[str, Any], delivery: Delivery) -> Request:
        return _request(settings, [_event(delivery.fields, name, keys)], delivery.fields)

    def perform_batch(settings: Mapping[str, Any], deliveries: Sequence[Delivery]) -> Request:
        return _request(settings, [_event(delivery.fields, name, keys) for delivery in deliveries], deliveries[0].fields)

    return Action(
        slug,
        title,
        description,
        fields=fields,
        default_trigger=trigger,
        perform=perform,
        perform_batch=perform_batch,
        read_answer=read_answer,
        batch_size=BATCH_SIZE,
        batch_keys=("test_event_code",),
    )


def headers_of(settings: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """The token; raises Misconfigured where it is missing."""
    token = reveal(settings.get("accessToken"))
    if not token:
        raise Misconfigured("the setting accessToken is empty")
    return (("authorization", f"Bearer {token}"),)


def pixel_url(settings: Mapping[str, Any]) -> str:
    """The address of the pixel; raises Misconfigured where its id is missing."""
    if not settings.get("pixelId"):
        raise Misconfigured("the setting pixelId is empty")
    return f"{API}/{quote(str(settings['pixelId']), safe='')}"


def read_answer(deliveries: Sequence[Delivery], response: Response) -> Sequence[DeliveryError | None] | None:
    """Meta answers 400 to many troubles; `error.code` tells them apart: a bad token, a rate limit, a passing trouble, or a bad event."""
    if response.status < 400:
        return None
    error = response.json_object().get("error")
    if not isinstance(error, Mapping):
        return None
    code = error.get("code")
    message = f"Meta answers {code}: {error.get('message') or 'no reason given'}"
    if code in BAD_TOKEN or (code, error.get("error_subcode")) == UNKNOWN_PIXEL:
        raise Misconfigured(message, code="credentials", status=response.status)
    if code in RATE_LIMITS or (isinstance(code, int) and 80_000 <= code < 81_000):
        raise Retryable(message, code="429", status=response.status)
    if error.get("is_transient") is True:
        raise Retryable(message, status=response.status)
    return None


def _request(settings: Mapping[str, Any], events: list[dict[str, Any]], fields: Mapping[str, Any]) -> Request:
    body: dict[str, Any] = {"data": events}
    test_code = fields.get("test_event_code") or settings.get("testEventCode")
    if test_code:
        body["test_event_code"] = test_code
    return post_json(f"{pixel_url(settings)}/events", body, headers_of(settings), secrets=SECRETS)


def _event(fields: Mapping[str, Any], name: str, keys: tuple[str, ...]) -> dict[str, Any]:
    _check_values(fields)
    user_data = user_data_of(fields["user_data"])
    if not user_data:
        raise PayloadError('field "user_data" holds nothing that identifies a person', field="user_data")
    if name and fields["action_source"] == "website" and "client_user_agent" not in user_data:
        raise PayloadError('field "user_data.client_user_agent" is required from a website', field="user_data.client_user_agent")
    event: dict[str, Any] = {"event_name": name or fields["event_name"], "event_time": _event_time(fields["event_time"])}
    event |= {key: fields[key] for key in ("action_source", "event_source_url", "event_id") if key in fields}
    event["user_data"] = user_data
    custom_data = _custom_data(fields, keys)
    if custom_data is not None:
        event["custom_data"] = custom_data
    app = fields.get("app_data_field") or {}
    if app.get("use_app_data"):
        event["app_data"] = _app_data(app)
    if fields.get("data_processing_options"):
        event["data_processing_options"] = ["LDU"]
        event |= {key: fields.get(key) or 0 for key in ("data_processing_options_country", "data_processing_options_state")}
    return event


def _check_values(fields: Mapping[str, Any]) -> None:
    """Raises PayloadError for what Meta would refuse."""
    currency = fields.get("currency")
    if currency and currency not in CODES:
        raise PayloadError('field "currency" must be a code of ISO 4217, in capitals', field="currency")
    for index, item in enumerate(fields.get("contents") or ()):
        if not item.get("id"):
            raise PayloadError(f'field "contents" needs an id for each product; number {index + 1} has none', field=f"contents[{index}].id")
        if item.get("delivery_category") and item["delivery_category"] not in DELIVERIES:
            place = f"contents[{index}].delivery_category"
            raise PayloadError(f'field "{place}" must be one of {", ".join(DELIVERIES)}', field=place)


def _event_time(text: str) -> int:
    """Unix time in seconds, of a date, or of a number in seconds or ms."""
    if text.strip().isdecimal():
        number = int(text)
        return number // 1000 if number >= MS_FROM else number
    moment = unix_ms(text)
    if moment is None:
        raise PayloadError('field "event_time" is no time', field="event_time")
    return moment // 1000


def _custom_data(fields: Mapping[str, Any], keys: tuple[str, ...]) -> dict[str, Any] | None:
    """The further properties, without those that have a field of their own; these go first, or are left out. None: there is nothing to tell."""
    custom = fields.get("custom_data")
    if not keys:
        return custom
    kept = {key: value for key, value in (custom or {}).items() if key not in keys}
    return kept | {key: fields[key] for key in keys if key in fields}


def _app_data(app: Mapping[str, Any]) -> dict[str, Any]:
    data: dict[str, Any] = {key: int(app.get(key) is True) for key in ("advertiser_tracking_enabled", "application_tracking_enabled")}
    if "madId" in app:
        data["madid"] = app["madId"]
    return data | {"extinfo": [app.get(name, "") for name in EXTINFO]}
