"""Reading a body: within a size, within a time, through one layer of compression, into JSON. Content-Type is ignored: clients send anything.

Promise: whatever comes, the outcome is a value or a `RequestError` with a code of the API. aiohttp's own inflating is switched off (listener):
it could not tell a truncated body from a whole one, and would go on inflating what is refused already.
"""

import asyncio
import zlib
from typing import Any

from aiohttp import ClientError, web
from aiohttp.http_exceptions import HttpProcessingError

from relay.base import jsonio
from relay.errors import RequestError

MIN_BYTES_PER_S = 1024
GRACE_S = 5.0
"""A body may take this long, plus a second for each KiB that has come."""


async def read_bytes(request: web.Request, *, max_bytes: int, timeout_s: float) -> bytes:
    """The body, inflated; RequestError (400, 408) when it is too large, too slow, broken or in an unknown encoding."""
    encoding = request.headers.get("Content-Encoding", "").strip().lower()
    if encoding not in ("", "identity", "gzip", "x-gzip", "deflate"):
        raise RequestError(400, "bad_encoding", "Content-Encoding must be gzip, deflate or identity")
    if (request.content_length or 0) > max_bytes:
        raise _too_large(max_bytes)
    try:
        if request.content.is_eof():
            body = await request.content.readany()
        else:
            body = await _read_slowly(request, max_bytes, timeout_s)
    except TimeoutError as error:
        raise RequestError(408, "timeout", "the body did not come in time") from error
    except (ClientError, HttpProcessingError, web.RequestPayloadError) as error:
        raise RequestError(400, "bad_encoding", "the body is broken") from error
    if len(body) > max_bytes:
        raise _too_large(max_bytes)
    return body if encoding in ("", "identity") or not body else _inflate(body, encoding, max_bytes)


async def _read_slowly(request: web.Request, max_bytes: int, timeout_s: float) -> bytes:
    """Read what is still on its way; the deadline moves with what has come, up to `timeout_s` in all."""
    loop = asyncio.get_running_loop()
    started, body = loop.time(), bytearray()
    async with asyncio.timeout(min(timeout_s, GRACE_S)) as deadline:
        while chunk := await request.content.readany():
            body += chunk
            if len(body) > max_bytes:
                raise _too_large(max_bytes)
            deadline.reschedule(started + min(timeout_s, GRACE_S + len(body) / MIN_BYTES_PER_S))
    return bytes(body)


def _inflate(body: bytes, encoding: str, max_bytes: int) -> bytes:
    """One layer, whole, with nothing behind it, and never more than one byte over the limit."""
    raw_deflate = encoding == "deflate" and body[0] & 0x0F != 8
    inflater = zlib.decompressobj(-15 if raw_deflate else 15 if encoding == "deflate" else 31)
    try:
        plain = inflater.decompress(body, max_bytes + 1)
    except zlib.error as error:
        raise RequestError(400, "bad_encoding", f"the body is no valid {encoding}") from error
    if len(plain) > max_bytes:
        raise _too_large(max_bytes)
    if not inflater.eof or inflater.unused_data:
        raise RequestError(400, "bad_encoding", f"the {encoding} body is cut off, or has something behind its end")
    return plain


def _too_large(max_bytes: int) -> RequestError:
    return RequestError(400, "request_too_large", f"the request is larger than {max_bytes} bytes")


def parse_object(body: bytes) -> dict[str, Any]:
    """The JSON object in `body`, read as leniently as real clients need; RequestError (400) when there is none."""
    try:
        value = jsonio.loads_lenient(body)
    except (ValueError, OverflowError) as error:
        raise RequestError(400, "invalid_json", "the body is not valid JSON") from error
    if not isinstance(value, dict):
        raise RequestError(400, "invalid_body", "the body must be a JSON object")
    return value
