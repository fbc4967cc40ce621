"""The fields of Amplitude's actions, with the defaults that Segment's mappings are made of."""

from typing import Final

from relay.kit.defaults import each, first_of, path, paths
from relay.kit.definition import Field

CAMPAIGN: Final = {
    "utm_source": "context.campaign.source", "utm_medium": "context.campaign.medium", "utm_campaign": "context.campaign.name",
    "utm_term": "context.campaign.term", "utm_content": "context.campaign.content",
}  # fmt: skip
ALWAYS: Final = {"referrer": "context.page.referrer"} | CAMPAIGN
ONCE: Final = {f"initial_{name}": where for name, where in ALWAYS.items()}
HINTS: Final = ("model", "platformVersion")
PRODUCT: Final = {"price": "number", "revenue": "number", "quantity": "integer", "productId": "string", "revenueType": "string"}


def _texts(*names: str) -> tuple[Field, ...]:
    return tuple(Field(name, name) for name in names)


_USER_ID: Final = Field("user_id", "User ID", allow_null=True, default=path("userId"))
_DEVICE_ID: Final = Field("device_id", "Device ID", default=first_of("context.device.id", "anonymousId"))
_INSERT_ID: Final = Field("insert_id", "Insert ID", help="Amplitude keeps one event of each for 7 days; the setting deduplicate fills it.")
_MIN_ID_LENGTH: Final = Field(
    "min_id_length",
    "Least length of ids",
    type="integer",
    allow_null=True,
    help="Amplitude drops events with ids of less than 5 characters otherwise.",
)
_PROPERTIES: Final = Field("user_properties", "User properties", type="object", default=path("traits"))
_GROUPS: Final = Field("groups", "Groups", type="object", help="Kinds of group, and the groups of this user.")
_WHERE: Final = (
    Field("app_version", "App version", default=path("context.app.version")),
    Field("platform", "Platform", default=path("context.device.type")),
    Field("os_name", "OS name", default=path("context.os.name")),
    Field("os_version", "OS version", default=path("context.os.version")),
    Field("device_brand", "Device brand", default=path("context.device.brand")),
    Field("device_manufacturer", "Device manufacturer", default=path("context.device.manufacturer")),
    Field("device_model", "Device model", default=path("context.device.model")),
    Field("carrier", "Carrier", default=path("context.network.carrier")),
    Field("country", "Country", default=path("context.location.country")),
    Field("region", "Region", default=path("context.location.region")),
    Field("city", "City", default=path("context.location.city")),
    Field("dma", "Market area"),
    Field("language", "Language", default=path("context.locale")),
)
_AGENT: Final = (
    Field("userAgent", "User agent", default=path("context.userAgent")),
    Field(
        "userAgentParsing", "Read the user agent", type="boolean", default=True, help="OS and device are taken from it where the context has none."
    ),
    Field("includeRawUserAgent", "Send the user agent", type="boolean", default=False),
)
_CLIENT_HINTS: Final = Field(
    "userAgentData",
    "Client hints",
    type="object",
    default=paths({name: f"context.userAgentData.{name}" for name in HINTS}),
    properties=_texts(*HINTS),
)
_CAMPAIGN: Final = Field("utm_properties", "Campaign", type="object", default=paths(CAMPAIGN), properties=_texts(*CAMPAIGN))
_REFERRER: Final = Field("referrer", "Referrer", default=path("context.page.referrer"))
_BATCH_ENDPOINT: Final = Field(
    "use_batch_endpoint", "Use the batch endpoint", type="boolean", default=False, help="Slower to show, with higher limits."
)
_PRODUCTS: Final = Field(
    "products", "Products", type="object", multiple=True, additional_properties=True,
    default=each("properties.products", {name: name for name in PRODUCT}),
    properties=tuple(Field(name, name, type=kind) for name, kind in PRODUCT.items()),
)  # fmt: skip
_EVENT: Final = (
    _USER_ID,
    _DEVICE_ID,
    Field("event_type", "Event type", required=True, default=path("event")),
    Field("session_id", "Session ID", type="datetime", default=path("integrations.Actions Amplitude.session_id"), help="When the session began."),
    Field("time", "Time", type="datetime", default=path("timestamp")),
    Field("event_properties", "Event properties", type="object", default=path("properties")),
    _PROPERTIES,
    _GROUPS,
    *_WHERE,
    Field("price", "Price", type="number", default=path("properties.price")),
    Field("quantity", "Quantity", type="integer", default=path("properties.quantity")),
    Field("revenue", "Revenue", type="number", default=path("properties.revenue")),
    Field("productId", "Product ID", default=path("properties.productId")),
    Field("revenueType", "Revenue type", default=path("properties.revenueType")),
    Field("location_lat", "Latitude", type="number", default=path("context.location.latitude")),
    Field("location_lng", "Longitude", type="number", default=path("context.location.longitude")),
    Field("ip", "IP address", default=path("context.ip")),
    Field("idfa", "Advertising ID of iOS", default=first_of("context.device.advertisingId", "context.device.idfa")),
    Field("idfv", "Vendor ID of iOS", default=path("context.device.id")),
    Field("adid", "Advertising ID of Android", default=first_of("context.device.advertisingId", "context.device.idfa")),
    Field("android_id", "Android ID"),
    Field("event_id", "Event number", type="integer"),
    _INSERT_ID,
    Field("library", "Library of the event", default=path("context.library.name")),
    Field(
        "library2", "Library", type="object", default={"behavior": "use_mapping", "mapping": path("context.library.name")},
        properties=(Field("behavior", "Behaviour", choices=("auto", "use_mapping")), Field("mapping", "Library")),
        help="behavior auto: relay's own name is sent.",
    ),
)  # fmt: skip

EVENT: Final = (
    *_EVENT,
    _PRODUCTS,
    Field("setOnce", "Set once", type="object", additional_properties=True, default=paths(ONCE), properties=_texts(*ONCE)),
    Field("setAlways", "Set always", type="object", additional_properties=True, default=paths(ALWAYS), properties=_texts(*ALWAYS)),
    Field("add", "Add", type="object", help="Numbers that are added to user properties."),
    _BATCH_ENDPOINT,
    *_AGENT,
    _MIN_ID_LENGTH,
    _CLIENT_HINTS,
)
PURCHASE: Final = (
    Field("trackRevenuePerProduct", "Revenue per product", type="boolean", default=False, help="Otherwise once, with the order."),
    *_EVENT,
    _PRODUCTS,
    _BATCH_ENDPOINT,
    *_AGENT,
    _CAMPAIGN,
    _REFERRER,
    _MIN_ID_LENGTH,
    _CLIENT_HINTS,
)
IDENTIFY: Final = (
    _USER_ID,
    _DEVICE_ID,
    _PROPERTIES,
    _GROUPS,
    *_WHERE,
    Field("paying", "Paying", type="boolean"),
    Field("start_version", "First app version"),
    _INSERT_ID,
    *_AGENT,
    _CAMPAIGN,
    _REFERRER,
    _MIN_ID_LENGTH,
    Field("library", "Library of the event", default=path("context.library.name")),
    _CLIENT_HINTS,
)
MAP_USER: Final = (
    Field("user_id", "User ID", default=path("previousId")),
    Field("global_user_id", "Global user ID", default=path("userId")),
    _MIN_ID_LENGTH,
)
GROUP: Final = (
    _USER_ID,
    _DEVICE_ID,
    _INSERT_ID,
    Field("time", "Time", default=path("timestamp")),
    Field("group_properties", "Group properties", type="object", default=path("traits")),
    Field("group_type", "Kind of group", required=True),
    Field("group_value", "Group", required=True),
    _MIN_ID_LENGTH,
)
