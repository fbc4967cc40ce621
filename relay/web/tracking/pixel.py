"""The tracking pixel: an event in the address of a picture, for e-mails and pages without script."""

import base64
import binascii
from typing import Any, Final

from aiohttp import web

from relay.errors import RequestError
from relay.web.tracking.body import parse_object

TRANSPARENT_GIF: Final = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")
PIXEL_HEADERS: Final = {"Content-Type": "image/gif", "Cache-Control": "no-store"}


def pixel_message(request: web.Request) -> dict[str, Any]:
    """The event: `data` as base64 JSON (either alphabet, padding optional), or a query with dotted keys."""
    data = request.query.get("data")
    if data is None:
        return _from_query(request)
    text = data.replace(" ", "+").replace("-", "+").replace("_", "/").rstrip("=")
    try:
        body = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise RequestError(400, "bad_encoding", "data is not base64") from error
    return parse_object(body)


def _from_query(request: web.Request) -> dict[str, Any]:
    message: dict[str, Any] = {}
    for dotted, value in request.query.items():
        *path, last = dotted.split(".")
        node = message
        for part in path:
            child = node.setdefault(part, {})
            if not isinstance(child, dict):
                break
            node = child
        else:
            node[last] = value
    return message
