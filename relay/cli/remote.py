"""The client of a running relay: the console's JSON over http.client, so that a command starts fast.

Every failure is a `Failure` with the exit code of the table and a remedy. The token is sent, never printed.
"""

import functools
import http.client
import json
import os
import socket
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import quote, urlencode, urlsplit

import click

from relay.cli import exits

F = TypeVar("F", bound=Callable[..., Any])

DEFAULT_URL: Final = "http://127.0.0.1:8001"
TIMEOUT_S: Final = 30.0
EXIT_BY_STATUS: Final[Mapping[int, int]] = {
    401: exits.NOT_ALLOWED, 403: exits.NOT_ALLOWED, 404: exits.NO_MATCH, 400: exits.USAGE, 422: exits.USAGE,
    502: exits.UNREACHABLE, 503: exits.UNREACHABLE, 504: exits.UNREACHABLE,
}  # fmt: skip


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: str, timeout_s: float) -> None:
        super().__init__("localhost", timeout=timeout_s)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server said."""

    status: int
    body: bytes

    def json(self) -> Any:
        """The body as JSON, or None when it is none."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None


def call(url: str, method: str, path: str, *, headers: Mapping[str, str], body: bytes | None = None, timeout_s: float = TIMEOUT_S) -> Answer:
    """One HTTP call to relay at `url` (http, https or unix:/path). Raises Failure 69 when nobody answers, 2 for a bad URL."""
    connection, prefix = _connection(url, timeout_s)
    try:
        connection.request(method, prefix + path, body=body, headers=dict(headers))
        answer = connection.getresponse()
        return Answer(answer.status, answer.read())
    except TimeoutError as error:
        raise exits.Failure(exits.UNREACHABLE, f"relay at {url} did not answer within {timeout_s:.0f} s") from error
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise exits.Failure(
            exits.UNREACHABLE,
            f"no relay answers at {url}: {reason}",
            "Start it with `relay serve`, or name the right address with --url or RELAY_URL.",
        ) from error
    finally:
        connection.close()


def _connection(url: str, timeout_s: float) -> tuple[http.client.HTTPConnection, str]:
    if url.startswith("unix:"):
        return _UnixConnection(url.removeprefix("unix:"), timeout_s), ""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port, parts = None, None, urlsplit("")
    if parts.scheme not in ("http", "https") or not host:
        raise exits.Failure(exits.USAGE, f"{url!r} is no URL of a relay", f"It looks like {DEFAULT_URL}.")
    prefix = parts.path.rstrip("/")
    if parts.scheme == "https":
        return http.client.HTTPSConnection(host, port, timeout=timeout_s, context=ssl.create_default_context()), prefix
    return http.client.HTTPConnection(host, port, timeout=timeout_s), prefix


@dataclass(frozen=True, slots=True)
class Remote:
    """A running relay, asked with a person's rights."""

    url: str
    token: str = ""
    token_from: str = ""
    """Where the token came from, for messages."""

    def __repr__(self) -> str:
        return f"Remote({self.url})"

    def get(self, path: str, **query: Any) -> Any:
        """The JSON of `/ui/api/<path>`; query values that are None or empty are left out."""
        return self.ask("GET", path, query=query)

    def post(self, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """POST `body` to `/ui/api/<path>`, and its JSON answer."""
        return self.ask("POST", path, body=body or {})

    def ask(self, method: str, path: str, *, query: Mapping[str, Any] | None = None, body: Mapping[str, Any] | None = None) -> Any:
        """One call of the console. Raises Failure for everything but 2xx."""
        wanted = {key: value for key, value in (query or {}).items() if value not in (None, "", [])}
        target = f"/ui/api/{path}" + (f"?{urlencode(wanted, doseq=True)}" if wanted else "")
        headers = {"accept": "application/json"}
        if self.token:
            headers["authorization"] = f"Bearer {self.token}"
        data = None
        if body is not None:
            data = json.dumps(body).encode()
            headers["content-type"] = "application/json"
        answer = call(self.url, method, target, headers=headers, body=data)
        value = answer.json()
        if 200 <= answer.status < 300 and (value is not None or not answer.body):
            return value if value is not None else {}
        raise self._failure(answer.status, value)

    def probe(self, path: str) -> Answer:
        """GET a path of the listener itself (`/readyz`), without a token."""
        return call(self.url, "GET", path, headers={}, timeout_s=5.0)

    def _failure(self, status: int, value: Any) -> exits.Failure:
        error = value.get("error") if isinstance(value, dict) else None
        if not isinstance(error, dict):
            return exits.Failure(exits.UNREACHABLE, f"what answers at {self.url} is no relay (status {status})", "Check --url or RELAY_URL.")
        message, remedy = str(error.get("message") or error.get("code") or f"status {status}"), ""
        if status == 401 and not self.token:
            remedy = "Name a token with --token, --token-file or RELAY_TOKEN, or the data folder with --data."
        elif status in (401, 403):
            remedy = f"The token came from {self.token_from}; make one with enough rights with `relay token new`."
        return exits.Failure(EXIT_BY_STATUS.get(status, exits.PROBLEMS), message, remedy)


def part(text: str) -> str:
    """One part of a path, quoted."""
    return quote(text, safe="")


def remote_options(command: F) -> F:
    """Add --url --token --token-file --data, handed to the command as `remote: Remote`."""

    @click.option("--url", default=DEFAULT_URL, envvar="RELAY_URL", show_default=True, help="Where relay's UI listens (also RELAY_URL).")
    @click.option("--token", envvar="RELAY_TOKEN", help="The token to use (also RELAY_TOKEN).")
    @click.option("--token-file", type=click.Path(path_type=Path), help="A file that holds the token.")
    @click.option("--data", type=click.Path(path_type=Path), envvar="RELAY_DATA", help="The data folder whose cli.token is used (also RELAY_DATA).")
    @functools.wraps(command)
    def wrapped(*args: Any, url: str, token: str | None, token_file: Path | None, data: Path | None, **kwargs: Any) -> Any:
        return command(*args, remote=connect(url, token, token_file, data), **kwargs)

    return wrapped  # type: ignore[return-value]


def connect(url: str, token: str | None, token_file: Path | None, data: Path | None) -> Remote:
    """The relay at `url`, with the first token found: option, file, environment (by click), the data folder's cli.token."""
    if token_file is not None:
        return Remote(url, _read_token(token_file), str(token_file))
    if token:
        return Remote(url, token.strip(), "--token or RELAY_TOKEN")
    local = (data or Path("relay-data")) / "cli.token"
    if data is None and not local.exists():
        return Remote(url)
    try:
        return Remote(url, local.read_text().strip(), str(local))
    except FileNotFoundError:
        return Remote(url)
    except PermissionError as error:
        raise exits.Failure(
            exits.NOT_ALLOWED, f"{local} cannot be read", "Run the command as the user that relay runs as, or use --token."
        ) from error


def _read_token(path: Path) -> str:
    try:
        text = path.read_text().strip()
    except OSError as error:
        raise exits.Failure(exits.NOT_ALLOWED, f"the token file {path} cannot be read: {os.strerror(error.errno or 0)}") from error
    if not text:
        raise exits.Failure(exits.NOT_ALLOWED, f"the token file {path} is empty")
    return text
