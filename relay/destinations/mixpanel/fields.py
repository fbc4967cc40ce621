"""The fields of Mixpanel's actions, with the defaults that Segment's mappings are made of."""

from typing import Final

from relay.kit.defaults import each, first_of, path, paths
from relay.kit.definition import Field

UTM: Final = {
    "utm_source": "context.campaign.source", "utm_medium": "context.campaign.medium", "utm_campaign": "context.campaign.name",
    "utm_term": "context.campaign.term", "utm_content": "context.campaign.content",
}  # fmt: skip
BROWSER: Final = ("mobile", "platform", "architecture", "bitness", "model", "platformVersion", "uaFullVersion", "wow64")
"""What `context.userAgentData` may hold."""
PRODUCT: Final = ("product_id", "sku", "category", "name", "brand", "variant", "price", "quantity", "coupon", "position", "url", "image_url")
TYPES: Final = {"mobile": "boolean", "wow64": "boolean", "price": "number", "quantity": "integer", "position": "number"}

_EVENT_NAME: Final = Field("event", "Event name", required=True, default=path("event"))
_DETAILS: Final = (
    Field("distinct_id", "Distinct ID", default=first_of("userId", "anonymousId")),
    Field("anonymous_id", "Anonymous ID", default=path("anonymousId"), help="Also the device id."),
    Field("user_id", "User ID", default=path("userId")),
    Field("group_id", "Group ID", default=path("context.groupId")),
    Field("insert_id", "Insert ID", default=path("messageId"), help="Mixpanel keeps one event of each."),
    Field("time", "Time", type="datetime", default=path("timestamp")),
    Field("app_name", "App name", default=path("context.app.name")),
    Field("app_namespace", "App namespace", default=path("context.app.namespace")),
    Field("app_build", "App build", default=path("context.app.build")),
    Field("app_version", "App version", default=path("context.app.version")),
    Field("os_name", "OS name", default=path("context.os.name")),
    Field("os_version", "OS version", default=path("context.os.version")),
    Field("device_id", "Device ID", default=path("context.device.id")),
    Field("device_type", "Device type", default=path("context.device.type")),
    Field("device_name", "Device name", default=path("context.device.name")),
    Field("device_manufacturer", "Device manufacturer", default=path("context.device.manufacturer")),
    Field("device_model", "Device model", default=path("context.device.model")),
    Field("bluetooth", "Bluetooth", type="boolean", default=path("context.network.bluetooth")),
    Field("carrier", "Carrier", default=path("context.network.carrier")),
    Field("cellular", "Cellular", type="boolean", default=path("context.network.cellular")),
    Field("wifi", "Wi-Fi", type="boolean", default=path("context.network.wifi")),
    Field("country", "Country", default=path("context.location.country")),
    Field("region", "Region", default=path("context.location.region")),
    Field("language", "Language", default=path("context.locale")),
    Field("library_name", "Library", default=path("context.library.name")),
    Field("library_version", "Library version", default=path("context.library.version")),
    Field("ip", "IP address", default=path("context.ip")),
    Field("idfa", "Advertising ID of iOS", default=first_of("context.device.advertisingId", "context.device.idfa")),
    Field("url", "URL", default=path("context.page.url")),
    Field("screen_width", "Screen width", type="number", default=path("context.screen.width")),
    Field("screen_height", "Screen height", type="number", default=path("context.screen.height")),
    Field("screen_density", "Screen density", type="number", default=path("context.screen.density")),
    Field("referrer", "Referrer", default=path("context.page.referrer")),
    Field("userAgent", "User agent", default=path("context.userAgent"), help="Gives the browser and its version."),
    Field("advertising_id", "Advertising ID", default=path("context.device.advertisingId")),
    Field("ad_tracking_enabled", "Ad tracking enabled", default=path("context.device.adTrackingEnabled")),
    Field("timezone", "Time zone", default=path("context.timezone")),
    Field("app_platform", "App platform", default=path("context.app.platform")),
    Field("name", "Original name", default=first_of("event", "name")),
    Field("event_properties", "Properties", type="object", default=path("properties")),
    Field("context", "Context", type="object", default=path("context")),
    Field("utm_properties", "Campaign", type="object", default=paths(UTM), properties=tuple(Field(name, name) for name in UTM)),
    Field("enable_batching", "Batch events", type="boolean", default=True),
    Field("batch_size", "Batch size", type="number", default=1000, minimum=1, maximum=2000, help="Most events in one request."),
    Field(
        "userAgentData", "Client hints", type="object", default=paths({name: f"context.userAgentData.{name}" for name in BROWSER}),
        properties=tuple(Field(name, name, type=TYPES.get(name, "string")) for name in BROWSER),
    ),
)  # fmt: skip
_USER: Final = (
    Field("ip", "IP address", default=path("context.ip")),
    Field("user_id", "User ID", allow_null=True, default=path("userId")),
    Field("anonymous_id", "Anonymous ID", allow_null=True, default=path("anonymousId")),
)

EVENT: Final = (_EVENT_NAME, *_DETAILS)
PURCHASE: Final = (
    Field("generatePurchaseEventPerProduct", "An event per product", type="boolean", default=True),
    *_DETAILS,
    Field(
        "products", "Products", type="object", multiple=True, additional_properties=True,
        default=each("properties.products", {name: name for name in PRODUCT}),
        properties=tuple(Field(name, name, type=TYPES.get(name, "string")) for name in PRODUCT),
    ),
    _EVENT_NAME,
)  # fmt: skip
IDENTIFY: Final = (*_USER, Field("traits", "User properties", type="object", default=path("traits")))
GROUP: Final = (
    Field("group_key", "Group key", help="The kind of group; $group_id where it is left out."),
    Field("group_id", "Group ID", required=True, default=path("groupId")),
    Field("traits", "Group properties", type="object", default=path("traits")),
)
ALIAS: Final = (
    Field("alias", "Alias", allow_null=True, default=first_of("userId", "anonymousId")),
    Field("distinct_id", "Distinct ID", default=path("previousId")),
)
INCREMENT: Final = (*_USER, Field("increment", "Increments", type="object", required=True, default=path("properties.increment")))
