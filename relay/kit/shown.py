"""A request as a person may see it: the names that it calls secret, and the text of secret settings, are masked."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from relay.base.secret import MASK, Secret
from relay.kit.request import Request

SHORTEST_SECRET: Final = 4
"""Shorter texts are not looked for: they would mask what is no secret."""


def shown(request: Request, settings: Mapping[str, Any] | None = None, *, body_bytes: int | None = None) -> dict[str, Any]:
    """`{method, url, headers, body}`; `settings`: those of the destination, whose secrets must show nowhere; `body_bytes`: the body is cut there."""
    secrets = sorted((text for text in _secret_texts(settings or {}) if len(text) >= SHORTEST_SECRET), key=len, reverse=True)
    body = request.body if body_bytes is None else request.body[:body_bytes]
    return {
        "method": request.method,
        "url": _without(masked_url(request), secrets),
        "headers": {name: MASK if name.lower() in request.secrets else _without(value, secrets) for name, value in request.headers},
        "body": _without(body.decode("utf-8", "replace"), secrets),
    }


def masked_url(request: Request) -> str:
    """The address without its secret query values; without its path when the address itself is the secret."""
    if "url" in request.secrets:
        scheme, _, rest = request.url.partition("://")
        return f"{scheme}://{rest.partition('/')[0]}/{MASK}"
    address, mark, query = request.url.partition("?")
    parts = [f"{pair.partition('=')[0]}={MASK}" if pair.partition("=")[0].lower() in request.secrets else pair for pair in query.split("&")]
    return address + mark + "&".join(parts)


def _secret_texts(value: Any) -> list[str]:
    if isinstance(value, Secret):
        return [value.reveal()]
    if isinstance(value, Mapping):
        return [text for item in value.values() for text in _secret_texts(item)]
    return [text for item in value for text in _secret_texts(item)] if isinstance(value, list | tuple) else []


def _without(text: str, secrets: Sequence[str]) -> str:
    for secret in secrets:
        text = text.replace(secret, MASK)
    return text
