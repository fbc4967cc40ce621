"""Fields that the actions share."""

from collections.abc import Mapping
from typing import Any, Final

from relay.kit.definition import Field

ACTION_SOURCE: Final = Field(
    "action_source", "Action source", required=True,
    choices=("email", "website", "app", "phone_call", "chat", "physical_store", "system_generated", "other"),
    help="Where it happened; it has no default.",
)  # fmt: skip
EVENT_TIME: Final = Field("event_time", "Event time", required=True, default={"@path": "$.timestamp"}, help="Sent as Unix seconds.")
EVENT_ID: Final = Field("event_id", "Event id", default={"@path": "$.messageId"}, help="Against duplicates, also of the pixel in the page.")
EVENT_SOURCE_URL: Final = Field("event_source_url", "Page URL", default={"@path": "$.context.page.url"}, help="Needed from a website.")

USER_DATA: Final = Field(
    "user_data", "User data", type="object", required=True,
    properties=(
        Field("externalId", "External ids", multiple=True, help="Hashed."),
        Field("email", "E-mail address", help="Hashed."),
        Field("phone", "Phone number", help="With country code; hashed."),
        Field("gender", "Gender", help="m or f; hashed."),
        Field("dateOfBirth", "Date of birth", help="YYYYMMDD; hashed."),
        Field("lastName", "Last name", help="Hashed."),
        Field("firstName", "First name", help="Hashed."),
        Field("city", "City", help="Hashed."),
        Field("state", "State", help="Hashed."),
        Field("zip", "Postal code", help="Hashed."),
        Field("country", "Country", help="Hashed."),
        Field("client_ip_address", "IP address"),
        Field("client_user_agent", "User agent", help="Needed from a website."),
        Field("fbc", "Click id"),
        Field("fbp", "Browser id"),
        Field("subscriptionID", "Subscription id"),
        Field("leadID", "Lead id", type="integer"),
        Field("fbLoginID", "Facebook login id", type="integer"),
        Field("anonId", "Install id", help="Of an app."),
        Field("madId", "Advertising id", help="Of a mobile device."),
        Field("partner_id", "Partner id"),
        Field("partner_name", "Partner name"),
    ),
    default={
        "externalId": {"@if": {"exists": {"@path": "$.userId"}, "then": {"@path": "$.userId"}, "else": {"@path": "$.anonymousId"}}},
        "email": {"@path": "$.context.traits.email"},
        "phone": {"@path": "$.context.traits.phone"},
        "dateOfBirth": {"@path": "$.context.traits.birthday"},
        "lastName": {"@path": "$.context.traits.lastName"},
        "firstName": {"@path": "$.context.traits.firstName"},
        "city": {"@path": "$.context.traits.address.city"},
        "state": {"@path": "$.context.traits.address.state"},
        "zip": {"@path": "$.context.traits.address.postalCode"},
        "client_ip_address": {"@path": "$.context.ip"},
        "client_user_agent": {"@path": "$.context.userAgent"},
        "fbc": {"@path": "$.properties.fbc"},
        "fbp": {"@path": "$.properties.fbp"},
    },
    help="Who it was; at least one of these.",
)  # fmt: skip

EXTINFO: Final = (
    "version", "packageName", "shortVersion", "longVersion", "osVersion", "deviceName", "locale", "timezone", "carrier", "width", "height",
    "density", "cpuCores", "storageSize", "freeStorage", "deviceTimezone",
)  # fmt: skip
"""The order in which Meta wants what is known of a device."""

APP_DATA: Final = Field(
    "app_data_field", "App data", type="object",
    properties=(
        Field("use_app_data", "Send app data", type="boolean", help="Nothing of this object is sent otherwise."),
        Field("advertiser_tracking_enabled", "Tracking allowed on the device", type="boolean"),
        Field("application_tracking_enabled", "Tracking allowed in the app", type="boolean"),
        Field("madId", "Advertising id"),
        Field("version", "System", choices=("i2", "a2"), help="i2: iOS, a2: Android."),
        *(Field(name, name) for name in EXTINFO if name != "version"),
    ),
    default={
        "application_tracking_enabled": {"@path": "$.context.device.adTrackingEnabled"},
        "packageName": {"@path": "$.context.app.namespace"},
        "longVersion": {"@path": "$.context.app.version"},
        "osVersion": {"@path": "$.context.os.version"},
        "deviceName": {"@path": "$.context.device.model"},
        "locale": {"@path": "$.context.locale"},
        "carrier": {"@path": "$.context.network.carrier"},
        "width": {"@path": "$.context.screen.width"},
        "height": {"@path": "$.context.screen.height"},
        "density": {"@path": "$.context.screen.density"},
        "deviceTimezone": {"@path": "$.context.timezone"},
        "madId": {"@path": "$.context.madId"},
    },
    help="For events of an app, with a dataset id as pixel id.",
)  # fmt: skip

CURRENCY: Final = Field("currency", "Currency", default={"@path": "$.properties.currency"}, help="ISO 4217, in capitals.")
CONTENT_CATEGORY: Final = Field("content_category", "Content category")
CONTENT_IDS: Final = Field("content_ids", "Content ids", multiple=True)
CONTENT_NAME: Final = Field("content_name", "Content name")
CONTENT_TYPE: Final = Field("content_type", "Content type", help="product or product_group.")
NUM_ITEMS: Final = Field("num_items", "Number of items", type="integer")
CUSTOM_DATA: Final = Field("custom_data", "Custom data", type="object", help="Further properties; those that have a field of their own go first.")

_CONTENT: Final = {"id": {"@path": "$.product_id"}, "quantity": {"@path": "$.quantity"}, "item_price": {"@path": "$.price"}}


def contents(path: str) -> Field:
    """The products at `path`; each needs an id."""
    return Field(
        "contents", "Contents", type="object", multiple=True,
        properties=(
            Field("id", "Id"),
            Field("quantity", "Quantity", type="integer"),
            Field("item_price", "Price", type="number"),
            Field("delivery_category", "Delivery", help="in_store, curbside or home_delivery."),
        ),
        default={"@arrayPath": [path, _CONTENT]},
        help="The products.",
    )  # fmt: skip


def value(default: Mapping[str, Any] | None = None, *, required: bool = False) -> Field:
    """What it was worth."""
    return Field("value", "Value", type="number", required=required, default=default)


HANDLING: Final = (
    Field("data_processing_options", "Limited data use", type="boolean"),
    Field("data_processing_options_country", "Country of the limit", type="number", choices=(0, 1), help="1: USA; 0: where the IP address is."),
    Field("data_processing_options_state", "State of the limit", type="number", help="1000: California, and so on; 0: where the IP address is."),
    Field("test_event_code", "Test event code", help="Shows the event in the test view; goes before the setting."),
)
BATCHING: Final = (
    Field("enable_batching", "Batch events", type="boolean", help="Sends several events in one request."),
    Field("batch_size", "Batch size", type="integer", help="Most events in one request."),
)
