"""Consent to marketing: subscribe and unsubscribe. Pure."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final

from relay.destinations.klaviyo.api import COUNTRY, Fields, batching, made_of, phone_number, read_batch, send
from relay.errors import PayloadError
from relay.kit.defaults import first_of, path
from relay.kit.definition import Action, Delivery, Field
from relay.kit.request import Request

LARGEST_BATCH: Final = 100
CUSTOM_SOURCE: Final = "-59"
"""By which Klaviyo knows that the consent came through an integration."""


def subscriber(fields: Fields) -> dict[str, Any]:
    """A profile that takes mails, and messages when it has a phone number. The date counts only for an import of old consents."""
    marketing = {"consent": "SUBSCRIBED"}
    if fields.get("historical_import") and fields.get("consented_at"):
        marketing["consented_at"] = fields["consented_at"]
    return _profile(fields, {"marketing": marketing}, {"marketing": marketing})


def unsubscriber(fields: Fields) -> dict[str, Any]:
    """A profile that takes neither any more."""
    no = {"consent": "UNSUBSCRIBED"}
    return _profile(fields, {"marketing": no}, {"marketing": no, "transactional": no})


def _profile(fields: Fields, by_email: Mapping[str, Any], by_phone: Mapping[str, Any]) -> dict[str, Any]:
    phone = phone_number(fields)
    attributes: dict[str, Any] = {"subscriptions": {}}
    if fields.get("email"):
        attributes["email"] = fields["email"]
        attributes["subscriptions"]["email"] = by_email
    if phone is not None:
        attributes["phone_number"] = phone
        attributes["subscriptions"]["sms"] = by_phone
    if len(attributes) == 1:
        raise PayloadError("email or phone_number is needed", field="email")
    return {"type": "profile", "attributes": attributes}


def subscribe(settings: Mapping[str, Any], deliveries: Sequence[Delivery]) -> Request:
    """Those that share a list, a source and a kind of import."""
    fields = deliveries[0].fields
    attributes = {
        "historical_import": bool(fields.get("historical_import")),
        "custom_source": fields.get("custom_source") or CUSTOM_SOURCE,
        "profiles": {"data": made_of(subscriber, deliveries)},
    }
    return _job(settings, "create", "/api/profile-subscription-bulk-create-jobs/", attributes, fields)


def unsubscribe(settings: Mapping[str, Any], deliveries: Sequence[Delivery]) -> Request:
    """Those that share a list."""
    attributes = {"profiles": {"data": made_of(unsubscriber, deliveries)}}
    return _job(settings, "delete", "/api/profile-subscription-bulk-delete-jobs", attributes, deliveries[0].fields)


def _job(settings: Mapping[str, Any], kind: str, where: str, attributes: Mapping[str, Any], fields: Fields) -> Request:
    job: dict[str, Any] = {"type": f"profile-subscription-bulk-{kind}-job", "attributes": attributes}
    if fields.get("list_id"):
        job["relationships"] = {"list": {"data": {"type": "list", "id": fields["list_id"]}}}
    return send(settings, where, {"data": job})


EMAIL: Final = Field("email", "E-mail", format="email", default=first_of("traits.email", "context.traits.email"))
PHONE: Final = Field("phone_number", "Phone", default=first_of("traits.phone", "context.traits.phone"), help="In E.164, or with country_code.")

SUBSCRIBE: Final = Action(
    slug="subscribeProfile",
    title="Subscribe a profile",
    description="Records that a person wants mails or messages.",
    fields=(
        EMAIL,
        PHONE,
        COUNTRY,
        Field("list_id", "List", help="Id of the list that the profile joins; without it, only the consent is recorded."),
        Field("custom_source", "Source", default=CUSTOM_SOURCE, help="What the consent came from, as Klaviyo shows it."),
        Field("historical_import", "Old consents", type="boolean", default=False, help="Takes the date of the consent, and sends no confirmation."),
        Field("consented_at", "Date of the consent", type="datetime", default=path("timestamp")),
        *batching(None, 1000, "list_id", "custom_source", "historical_import"),
    ),
    default_trigger='type = "track" and event = "User Subscribed"',
    perform=lambda settings, delivery: subscribe(settings, (delivery,)),
    perform_batch=subscribe,
    read_answer=partial(read_batch, subscriber),
    batch_size=LARGEST_BATCH,
    batch_keys=("list_id", "custom_source", "historical_import"),
)
UNSUBSCRIBE: Final = Action(
    slug="unsubscribeProfile",
    title="Unsubscribe a profile",
    description="Records that a person wants no more mails or messages.",
    fields=(
        EMAIL,
        PHONE,
        COUNTRY,
        Field("list_id", "List", help="Id of the list that the profile leaves; without it, the person is unsubscribed from everything."),
        *batching(None, LARGEST_BATCH, "list_id"),
    ),
    default_trigger='type = "track" and event = "User Unsubscribed"',
    perform=lambda settings, delivery: unsubscribe(settings, (delivery,)),
    perform_batch=unsubscribe,
    read_answer=partial(read_batch, unsubscriber),
    batch_size=LARGEST_BATCH,
    batch_keys=("list_id",),
)
