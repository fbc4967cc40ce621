"""Devices of a person: create or update, delete. Pure."""

from typing import Any, Final

from relay.destinations.customerio.api import CONVERT, Fields, Operation, action, operation
from relay.destinations.customerio.people import PERSON
from relay.kit.defaults import path
from relay.kit.definition import Field

TOKEN: Final = Field("device_id", "Device token", required=True, default=path("context.device.token"), help="What push messages are sent to.")
UPDATED: Final = 'event = "Application Installed" or event = "Application Opened" or event = "Device Created or Updated"'
DELETED: Final = 'event = "Application Uninstalled" or event = "Device Deleted"'


def update_device(fields: Fields) -> Operation:
    """The device with its attributes."""
    attributes = dict(fields.get("attributes") or {})
    if fields.get("app_version"):
        attributes["app_version"] = fields["app_version"]
    device: dict[str, Any] = {"token": fields["device_id"], "platform": fields["platform"], "attributes": attributes}
    if "last_used" in fields:
        device["last_used"] = fields["last_used"]
    return operation("person", "add_device", fields, {"device": device})


def delete_device(fields: Fields) -> Operation:
    """The device by its token."""
    return operation("person", "delete_device", fields, {"device": {"token": fields["device_id"]}})


ACTIONS: Final = (
    action(
        "createUpdateDevice", "Create or update a device", "Adds a device to a person, or says that it was used.", UPDATED, update_device,
        (
            PERSON,
            TOKEN,
            Field("app_version", "App version", default=path("context.app.version")),
            Field("platform", "Platform", required=True, default=path("context.device.type"), help="ios or android."),
            Field("last_used", "Last used", default=path("timestamp")),
            Field("attributes", "Attributes", type="object", default=path("properties"), help="Attributes of the device."),
            CONVERT,
        ),
    ),
    action("deleteDevice", "Delete a device", "Takes a device from a person.", DELETED, delete_device, (PERSON, TOKEN)),
)  # fmt: skip
