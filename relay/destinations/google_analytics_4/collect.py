"""The collect call of the Measurement Protocol that all actions share, and Google's rules. Pure.

Google answers 204 to everything, so what it would drop without a word is refused here.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

from relay.base.secret import reveal
from relay.errors import Misconfigured, PayloadError
from relay.kit.currency import CODES
from relay.kit.definition import Action, Delivery, Field
from relay.kit.moment import unix_ms
from relay.kit.post import post_json
from relay.kit.request import Request

HOSTS: Final = {"global": "www.google-analytics.com", "eu": "region1.google-analytics.com"}
SECRETS: Final = frozenset(("api_secret",))
MICROS_PER_MS: Final = 1000

_NUMBER = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*")

Fields = Mapping[str, Any]
Check = Callable[[Fields], None]


@dataclass(frozen=True, slots=True)
class Kind:
    """What tells one action's events from another's."""

    name: str
    """Google's event; empty: what `name_of` makes of the fields."""
    params: tuple[str, ...] = ()
    """Fields that become parameters of the same name."""
    checks: tuple[Check, ...] = ()
    """Raise PayloadError for what Google would drop."""
    client: str = "client_id"
    """The field that holds the client id."""
    name_of: Callable[[Fields], str] | None = None


def action(slug: str, title: str, description: str, fields: tuple[Field, ...], trigger: str, kind: Kind) -> Action:
    """An action that sends events of a kind, each in its own request: client, time and user properties stand outside of the event."""

    def perform(settings: Mapping[str, Any], delivery: Delivery) -> Request:
        fields = delivery.fields
        query, identity = _stream(settings, fields, kind.client)
        _check(fields, kind)
        host = HOSTS[settings.get("region") or "global"]
        return post_json(f"https://{host}/mp/collect?{query}", _body(fields, kind, identity), secrets=SECRETS)

    return Action(slug, title, description, fields=fields, default_trigger=trigger, perform=perform)


def secret_of(settings: Mapping[str, Any]) -> str:
    """The API secret, fit for a query; raises Misconfigured where it is missing."""
    secret = reveal(settings.get("apiSecret"))
    if not secret:
        raise Misconfigured("the setting apiSecret is empty")
    return quote(secret, safe="")


# --- checks ----------------------------------------------------------------------------------------------------------------------


def currency_beside_value(fields: Fields) -> None:
    """A value means nothing without its currency."""
    if fields.get("value") and "currency" not in fields:
        raise PayloadError('field "currency" is required beside "value"', field="currency")


def currency_somewhere(fields: Fields) -> None:
    """The currency of the event, else that of the first product."""
    items = fields.get("items") or [{}]
    if "currency" not in fields and not items[0].get("currency"):
        raise PayloadError('field "currency" is required, for the event or for its first product', field="currency")


def some_items(fields: Fields) -> None:
    """At least one product."""
    if not fields.get("items"):
        raise PayloadError('field "items" needs at least one product', field="items")


def _check(fields: Fields, kind: Kind) -> None:
    _check_currency(fields.get("currency"), "currency")
    for check in kind.checks:
        check(fields)
    for index, item in enumerate(fields.get("items") or ()):
        if "item_id" not in item and "item_name" not in item:
            raise PayloadError(
                f'field "items" needs an item_id or an item_name for each product; number {index + 1} has none', field=f"items[{index}]"
            )
        _check_currency(item.get("currency"), f"items[{index}].currency")
    for name, value in (fields.get("params") or {}).items():
        is_items = name == "items" and isinstance(value, list)
        if not is_items and (value is None or isinstance(value, Mapping | list)):
            raise PayloadError(f'field "params.{name}" must be a string, a number or a boolean', field=f"params.{name}")
    for name, value in (fields.get("user_properties") or {}).items():
        if isinstance(value, Mapping | list):
            raise PayloadError(f'field "user_properties.{name}" must be a string, a number, a boolean or null', field=f"user_properties.{name}")


def _check_currency(currency: str | None, field: str) -> None:
    if currency and currency.upper() not in CODES:
        raise PayloadError(f'field "{field}" must be a code of ISO 4217', field=field)


# --- body ------------------------------------------------------------------------------------------------------------------------


def _stream(settings: Mapping[str, Any], fields: Fields, client: str) -> tuple[str, dict[str, str]]:
    """The query that names the stream, and the key of the body that names the device. The colons of a Firebase app id stay as they are."""
    secret = secret_of(settings)
    if fields.get("data_stream_type") == "Mobile App":
        stream, setting, device, name = settings.get("firebaseAppId"), "firebaseAppId", "app_instance_id", "firebase_app_id"
    else:
        stream, setting, device, name = settings.get("measurementId"), "measurementId", client, "measurement_id"
    if not stream:
        raise Misconfigured(f"the setting {setting} is empty")
    if not fields.get(device):
        raise PayloadError(f'field "{device}" is required and has no value', field=device)
    key = "app_instance_id" if device == "app_instance_id" else "client_id"
    return f"api_secret={secret}&{name}={quote(str(stream), safe=':')}", {key: fields[device]}


def _body(fields: Fields, kind: Kind, identity: dict[str, str]) -> dict[str, Any]:
    params = {name: fields[name] for name in (*kind.params, "engagement_time_msec") if name in fields}
    if "items" in kind.params:
        params.setdefault("items", [])
    name = kind.name_of(fields) if kind.name_of is not None else kind.name
    body: dict[str, Any] = {**identity, "events": [{"name": name, "params": params | (fields.get("params") or {})}]}
    if "user_id" in fields:
        body["user_id"] = fields["user_id"]
    if "user_properties" in fields:
        body["user_properties"] = {key: {"value": value} for key, value in fields["user_properties"].items()}
    micros = _micros(fields.get("timestamp_micros"))
    if micros is not None:
        body["timestamp_micros"] = micros
    given = (("ad_user_data", fields.get("ad_user_data_consent")), ("ad_personalization", fields.get("ad_personalization_consent")))
    consent = {key: value for key, value in given if value}
    return body | ({"consent": consent} if consent else {})


def _micros(text: str | None) -> int | None:
    """Unix time in microseconds: a number is one already."""
    if text is None:
        return None
    if _NUMBER.fullmatch(text):
        return int(float(text))
    moment = unix_ms(text)
    if moment is None:
        raise PayloadError('field "timestamp_micros" is no time', field="timestamp_micros")
    return moment * MICROS_PER_MS
