"""The HTTP request an action asks for, and the answer it gets. Treated as immutable (frozen would double the cost of making one)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from relay.base import jsonio


@dataclass(slots=True)
class Request:
    """One HTTP request; `secrets` names the headers and query keys (lower case) that are masked wherever it is shown."""

    method: str
    url: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    timeout_s: float | None = None
    """None: the destination's own `timeout_s`."""
    secrets: frozenset[str] = frozenset()


@dataclass(slots=True)
class Response:
    """An answer; `body` holds at most 64 KiB, not decompressed; header names are lower case."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    duration_ms: float = 0.0

    @property
    def is_ok(self) -> bool:
        """Whether the status is one of success (2xx)."""
        return 200 <= self.status < 300

    def json_object(self) -> Mapping[str, Any]:
        """The JSON object that the body is; empty when it is none."""
        try:
            data = jsonio.loads(self.body)
        except ValueError:
            return {}
        return data if isinstance(data, dict) else {}


class Transport(Protocol):
    """Sends requests for one destination, behind its address guard."""

    async def send(self, request: Request) -> Response:
        """Any HTTP answer is returned. Raises Retryable (timeout, reset, DNS, TLS) or Misconfigured (refused address)."""
        ...

    async def close(self) -> None:
        """Close pooled connections; calling it twice is harmless."""
        ...
