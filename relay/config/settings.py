"""Process settings: read from the tree, checked, and shown with the origin of each value."""

import ipaddress
import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from relay.base.secret import MASK, Secret
from relay.config.reading import LATER, TableReader, nearest
from relay.config.report import format_problem, format_problems
from relay.config.table import (
    SPECS,
    TABLES,
    AlertSettings,
    DeliverySettings,
    LogSettings,
    MetricsSettings,
    ServerSettings,
    Settings,
    SettingSpec,
    StoreSettings,
    UiSettings,
)
from relay.config.tree import Tree, child
from relay.errors import ConfigError, Problem

__all__ = [
    "SPECS",
    "TABLES",
    "AlertSettings",
    "DeliverySettings",
    "EffectiveRow",
    "Listen",
    "LogSettings",
    "MetricsSettings",
    "ServerSettings",
    "SettingSpec",
    "Settings",
    "StoreSettings",
    "UiSettings",
    "check_settings",
    "effective",
    "format_problem",
    "format_problems",
    "literal",
    "parse_listen",
    "read_settings",
    "unknown_tables",
]

WORKSPACE_TABLES = ("source", "destination", "plan", "matcher")
LATER_TABLES = ("trace", "function")
WORKSPACE_PARTS = {"alerts": ("rule",)}
"""Tables inside a table of settings that belong to the workspace; read there."""
LATER_SETTINGS = {"log": ("payloads",)}


@dataclass(frozen=True, slots=True)
class Listen:
    """An address to listen at: a host and a port, or the path of a Unix socket."""

    host: str = ""
    port: int = 0
    unix_path: str = ""

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine reaches it."""
        if self.unix_path or self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False


@dataclass(frozen=True, slots=True)
class EffectiveRow:
    """One line of `relay check --print`."""

    key: str
    value: str
    """As a TOML value; secrets masked."""
    origin: str
    """`default`, `file:line`, `environment` or `--set`."""


def read_settings(tree: Tree) -> Settings:
    """The settings of `tree`. Raises ConfigError with every mistake."""
    settings, problems = check_settings(tree)
    if problems:
        raise ConfigError(problems)
    return settings


def check_settings(tree: Tree) -> tuple[Settings, list[Problem]]:
    """The settings, with defaults where a value is wrong, and every mistake."""
    problems = unknown_tables(tree)
    values = {table: _read_table(tree, table, owner, problems) for table, owner in TABLES.items()}
    settings = Settings(**values)
    _check_server(tree, settings.server, problems)
    _check_ui(tree, settings.ui, problems)
    _check_delivery(tree, settings.delivery, problems)
    return settings, problems


def unknown_tables(tree: Tree) -> list[Problem]:
    """A mistake for each top-level name that is no table of this release."""
    known = (*TABLES, *WORKSPACE_TABLES)
    problems = []
    for name in tree.data:
        if name in LATER_TABLES:
            problems.append(Problem(f"table '{name}' is {LATER}", tree.place(child("", name)), "remove it"))
        elif name not in known:
            what = "table" if isinstance(tree.data[name], dict | list) else "setting outside of a table,"
            problems.append(Problem(f"unknown {what} '{name}'", tree.place(child("", name)), nearest(name, known)))
    return problems


def effective(settings: Settings, tree: Tree) -> list[EffectiveRow]:
    """Every setting with its value and where that came from."""
    return [EffectiveRow(spec.path, literal(getattr(getattr(settings, spec.table), spec.name)), tree.origin(spec.path)) for spec in SPECS]


def literal(value: Any) -> str:
    """`value` as TOML; a secret that is set shows as dots."""
    if isinstance(value, Secret):
        return f'"{MASK}"' if value else '""'
    if isinstance(value, list | tuple):
        return f"[{', '.join(literal(item) for item in value)}]"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return json.dumps(value, ensure_ascii=False)


def parse_listen(text: str) -> Listen:
    """Raises ValueError, with what is wrong, when `text` is no address to listen at."""
    if text.startswith("unix:"):
        if len(text) == len("unix:"):
            raise ValueError("needs a path after unix:")
        return Listen(unix_path=text.removeprefix("unix:"))
    host, colon, port = text.rpartition(":")
    if not colon or not host or not (port.isascii() and port.isdigit()) or int(port) > 65_535:
        raise ValueError("must be address:port, [ipv6]:port or unix:/path")
    bare = host.removeprefix("[").removesuffix("]") if host.startswith("[") and host.endswith("]") else host
    if bare != host or ":" in host:
        _must_be_v6(host, bare)
    return Listen(host=bare, port=int(port))


def _must_be_v6(host: str, bare: str) -> None:
    if bare == host:
        raise ValueError("must have brackets around an IPv6 address: [::1]:8000")
    ipaddress.IPv6Address(bare)


def _read_table(tree: Tree, table: str, owner: type, problems: list[Problem]) -> Any:
    data = tree.data.get(table, {})
    if not isinstance(data, dict):
        problems.append(Problem(f"{table}: must be a table", tree.place(table), f"write [{table}]"))
        return owner()
    reader = TableReader(tree, table, table, problems, data)
    values = {spec.name: reader.take_spec(spec, spec.default) for spec in SPECS if spec.table == table}
    reader.known.update(WORKSPACE_PARTS.get(table, ()))
    reader.finish(LATER_SETTINGS.get(table, ()))
    return owner(**values)


def _check_listen(tree: Tree, path: str, text: str, problems: list[Problem]) -> Listen | None:
    try:
        return parse_listen(text)
    except ValueError as error:
        problems.append(Problem(f"{path.partition('.')[0]}: 'listen' {error}", tree.place(path), "write it like 127.0.0.1:8000"))
        return None


def _check_server(tree: Tree, server: ServerSettings, problems: list[Problem]) -> None:
    _check_listen(tree, "server.listen", server.listen, problems)
    if bool(server.tls_cert) != bool(server.tls_key) and not tree.unresolved & {"server.tls_cert", "server.tls_key"}:
        given, missing = ("tls_cert", "tls_key") if server.tls_cert else ("tls_key", "tls_cert")
        problems.append(Problem(f"server: '{given}' is set without '{missing}'", tree.place(f"server.{given}"), f"set '{missing}' as well"))
    for index, network in enumerate(server.trusted_proxies):
        try:
            ipaddress.ip_network(network)
        except ValueError as error:
            problems.append(
                Problem(f"server: 'trusted_proxies': {error}", tree.place(f"server.trusted_proxies[{index}]"), "write it like 10.0.0.0/8")
            )
    if server.public_url and not _is_web_address(server.public_url):
        problems.append(
            Problem("server: 'public_url' must be an http or https address", tree.place("server.public_url"), "as https://in.example.com")
        )
    if server.max_event_bytes > server.max_body_bytes:
        path = "server.max_event_bytes" if "server.max_event_bytes" in tree.places else "server.max_body_bytes"
        problems.append(Problem("server: 'max_event_bytes' is larger than 'max_body_bytes'", tree.place(path), "an event must fit into a request"))


def _is_web_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.username is None


def _check_ui(tree: Tree, ui: UiSettings, problems: list[Problem]) -> None:
    listen = _check_listen(tree, "ui.listen", ui.listen, problems)
    if listen and not listen.is_loopback and not ui.token and "ui.token" not in tree.unresolved:
        message = f"ui: '{ui.listen}' can be reached from other machines, and no token is set"
        problems.append(Problem(message, tree.place("ui.listen"), "set ui.token, or listen at 127.0.0.1"))


def _check_delivery(tree: Tree, delivery: DeliverySettings, problems: list[Problem]) -> None:
    if delivery.first_delay_s > delivery.max_delay_s:
        path = "delivery.first_delay_s" if "delivery.first_delay_s" in tree.places else "delivery.max_delay_s"
        problems.append(Problem("delivery: 'first_delay_s' is larger than 'max_delay_s'", tree.place(path), "the first delay is the shortest"))
