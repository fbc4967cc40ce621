"""The client of a running relay: the console's JSON over http.client, so that a command starts fast.

Address and token come from the options; what is missing, from the configuration that `serve` would read. Every failure is a `Failure` with the exit code of the table and a remedy. The token is sent, never printed.
"""

import functools
import http.client
import ipaddress
import json
import os
import socket
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
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
    config: Path | None = None
    """The configuration that --config named."""
    data: Path | None = None
    """The data folder of the relay of this machine."""

    def __repr__(self) -> str:
        return f"Remote({self.url})"

    def get(self, path: str, **query: Any) -> Any:
        """The JSON of `/ui/api/<path>`; query values that are None or empty are left out."""
        return self.ask("GET", path, query=query)

    def post(self, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """POST `body` to `/ui/api/<path>`, and its JSON answer."""
        return self.ask("POST", path, body=body or {})

    def ask(
        self, method: str, path: str, *, query: Mapping[str, Any] | None = None, body: Mapping[str, Any] | None = None, timeout_s: float = TIMEOUT_S
    ) -> Any:
        """One call of the console. Raises Failure for everything but 2xx."""
        wanted = {key: value for key, value in (query or {}).items() if value not in (None, "", [])}
        target = f"/ui/api/{path}" + (f"?{urlencode(wanted, doseq=True)}" if wanted else "")
        headers = {"accept": "application/json"}
        if self.token:
            headers["authorization"] = f"Bearer {self.token}"
        data = None if body is None else json.dumps(body).encode()
        if method != "GET":
            headers["content-type"] = "application/json"  # the console takes changes as JSON only, a body or not
        answer = call(self.url, method, target, headers=headers, body=data, timeout_s=timeout_s)
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
            remedy = "Name a token with --token, --token-file or RELAY_TOKEN, or the data folder with --data, or the configuration with --config."
        elif status == 401:
            remedy = f"The token came from {self.token_from}; it is not one of the relay at {self.url}."
        elif status == 403:
            remedy = f"The token came from {self.token_from}; make one with enough rights with `relay token new`."
        return exits.Failure(EXIT_BY_STATUS.get(status, exits.PROBLEMS), message, remedy)


def part(text: str) -> str:
    """One part of a path, quoted."""
    return quote(text, safe="")


def remote_options(command: F) -> F:
    """Add --url --token --token-file --data --config, handed to the command as `remote: Remote`."""

    @address_options
    @click.option("--token", envvar="RELAY_TOKEN", help="The token to use (also RELAY_TOKEN).")
    @click.option("--token-file", type=click.Path(path_type=Path), help="A file that holds the token.")
    @click.option("--data", type=click.Path(path_type=Path), envvar="RELAY_DATA", help="The data folder whose cli.token is used (also RELAY_DATA).")
    @functools.wraps(command)
    def wrapped(*args: Any, remote: Remote, token: str | None, token_file: Path | None, data: Path | None, **kwargs: Any) -> Any:
        return command(*args, remote=authorized(remote, token, token_file, data), **kwargs)

    return wrapped  # type: ignore[return-value]


def filter_option(takes: str) -> Callable[[F], F]:
    """Add --filter, as `filter_text`; an empty one is wrong usage, for it would take everything."""

    def given(_context: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
        if value is not None and not value.strip():
            raise click.BadParameter("the filter is empty; leave the option out to take everything")
        return value

    return click.option("--filter", "filter_text", metavar="FQL", callback=given, help=f"Only {takes} this takes, written as a trigger.")


def address_options(command: F) -> F:
    """Add --url and --config, handed to the command as `remote: Remote` without a token."""

    @click.option("--url", envvar="RELAY_URL", help=f"Where relay's UI listens (also RELAY_URL); as configured, or {DEFAULT_URL}.")
    @click.option("--config", type=click.Path(path_type=Path), help="The configuration that names address and data folder; searched as `serve` does.")
    @functools.wraps(command)
    def wrapped(*args: Any, url: str | None, config: Path | None, **kwargs: Any) -> Any:
        found, data = configured(config)
        return command(*args, remote=Remote(url or found, config=config, data=data), **kwargs)

    return wrapped  # type: ignore[return-value]


def configured(config: Path | None) -> tuple[str, Path]:
    """Address of the UI and data folder, as `serve` would find them. A configuration with mistakes says what it can."""
    from relay.config.settings import check_settings
    from relay.config.tree import survey

    if config is not None and not config.is_file():
        raise exits.Failure(exits.CONFIG_WRONG, f"{config}: there is no such file", "Check --config.")
    tree, _ = survey(config, environment=os.environ)
    settings, _ = check_settings(tree)
    return _url_of(settings.ui.listen), Path(settings.store.data_dir)


def _url_of(listen: str) -> str:
    """The URL that reaches a listener from the same machine."""
    from relay.config.settings import parse_listen

    try:
        where = parse_listen(listen)
    except ValueError:
        return DEFAULT_URL
    if where.unix_path:
        return f"unix:{where.unix_path}"
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(where.host, where.host)  # noqa: S104 - how to reach it, nothing is bound
    return f"http://[{host}]:{where.port}" if ":" in host else f"http://{host}:{where.port}"


def authorized(remote: Remote, token: str | None, token_file: Path | None, data: Path | None) -> Remote:
    """With the first token found: file, option or environment (by click), the data folder's cli.token.

    The token of this machine goes to another one only when --data asks for it.
    """
    remote = replace(remote, data=data or remote.data)
    if token_file is not None:
        return replace(remote, token=_read_token(token_file), token_from=str(token_file))
    if token:
        return replace(remote, token=token.strip(), token_from="--token or RELAY_TOKEN")  # noqa: S106 - words for messages
    if data is None and not _is_local(remote):
        return remote
    assert remote.data is not None
    local = remote.data / "cli.token"
    try:
        return replace(remote, token=local.read_text().strip(), token_from=str(local))
    except (FileNotFoundError, NotADirectoryError):
        return remote
    except PermissionError as error:
        remedy = "Run the command as the user that relay runs as, or use --token."
        raise exits.Failure(exits.NOT_ALLOWED, f"{local} cannot be read", remedy) from error


def _is_local(remote: Remote) -> bool:
    if remote.url.startswith("unix:") or remote.url == configured(remote.config)[0]:
        return True
    try:
        host = urlsplit(remote.url).hostname or ""
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _read_token(path: Path) -> str:
    try:
        text = path.read_text().strip()
    except OSError as error:
        raise exits.Failure(exits.NOT_ALLOWED, f"the token file {path} cannot be read: {os.strerror(error.errno or 0)}") from error
    if not text:
        raise exits.Failure(exits.NOT_ALLOWED, f"the token file {path} is empty")
    return text
