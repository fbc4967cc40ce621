"""THE table of process settings: name, type, default, unit, bounds, help. Everything else about settings is derived from it.

`conf/relay.toml`, `relay check --print` and the reader of `[delivery]` overrides in a destination all go by it.
"""

from dataclasses import MISSING, dataclass, field, fields
from typing import Any, get_type_hints

from relay.base.secret import Secret

_NO_SECRET = Secret("")


@dataclass(frozen=True, slots=True)
class SettingSpec:
    """One process setting."""

    table: str
    name: str
    type: str
    """`string`, `secret`, `integer`, `number`, `boolean`, `list` (of strings), `numbers`."""
    default: Any
    unit: str = ""
    help: str = ""
    choices: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None

    @property
    def path(self) -> str:
        return f"{self.table}.{self.name}"


def _about(help: str, *, unit: str = "", choices: tuple[str, ...] = (), minimum: float | None = None, maximum: float | None = None) -> dict[str, Any]:
    return {"help": help, "unit": unit, "choices": choices, "minimum": minimum, "maximum": maximum}


def _setting(default: Any, help: str, **about: Any) -> Any:
    return field(default=default, metadata=_about(help, **about))


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """The public listener: Segment's tracking API."""

    listen: str = _setting("127.0.0.1:8000", "where events come in: address:port, [ipv6]:port or unix:/path")
    public_url: str = _setting("", "the address that clients use, when a proxy stands in front")
    max_body_bytes: int = _setting(512_000, "largest request, after inflating", unit="bytes", minimum=1024)
    max_event_bytes: int = _setting(32_768, "largest event (Segment: 32 KiB)", unit="bytes", minimum=1024)
    max_batch_events: int = _setting(2500, "most events in one batch (Segment: 2500)", minimum=1)
    max_connections: int = _setting(2000, "most open connections", minimum=1)
    max_connections_per_address: int = _setting(200, "most open connections of one address; off behind trusted_proxies", minimum=1)
    head_timeout_s: float = _setting(10, "time for the head of a request", unit="s", minimum=0.1)
    body_timeout_s: float = _setting(20, "time for the body of a request", unit="s", minimum=0.1)
    cors_origins: tuple[str, ...] = _setting(("*",), "origins of web pages that may send events")
    trusted_proxies: tuple[str, ...] = _setting((), "networks whose X-Forwarded-For counts, as 10.0.0.0/8")
    tls_cert: str = _setting("", "certificate chain as a PEM file; with tls_key")
    tls_key: str = _setting("", "private key as a PEM file; with tls_cert")
    drain_s: float = _setting(20, "time to finish what is in flight when stopping", unit="s", minimum=0)


@dataclass(frozen=True, slots=True)
class UiSettings:
    """The private listener: pages, Public API, metrics, health."""

    enabled: bool = _setting(True, "false: no pages; APIs, metrics and health stay")
    listen: str = _setting("127.0.0.1:8001", "where UI and APIs answer; anything but loopback needs a token")
    token: Secret = field(default=_NO_SECRET, metadata=_about("what people and programs log in with"))
    hosts: tuple[str, ...] = _setting((), "further Host names to accept")
    session_hours: float = _setting(12, "how long a login lasts after its last use", unit="h", minimum=0.1)
    max_viewers: int = _setting(20, "most live views at the same time, those of relay tap included", minimum=0)
    ring_events: int = _setting(10_000, "newest events kept in memory for live views", minimum=100, maximum=1_000_000)
    max_rows_per_s: int = _setting(1000, "most rows per second of one live view; beyond it rows are dropped and counted", minimum=1)
    mask: tuple[str, ...] = _setting(
        ("password", "token", "secret", "authorization"), "shown as dots: every value whose key contains one of these, case and separators aside"
    )


@dataclass(frozen=True, slots=True)
class StoreSettings:
    """The data folder and the one database in it."""

    data_dir: str = _setting("./relay-data", "folder of relay.db and archive/; --data wins")
    durability: str = _setting("full", "full: answered after fsync; process: survives a crash of relay only", choices=("full", "process"))
    commit_max_events: int = _setting(1000, "most events in one commit", minimum=1)
    commit_max_bytes: int = _setting(1_048_576, "most bytes in one commit", unit="bytes", minimum=1024)
    memory_max_bytes: int = _setting(33_554_432, "most bytes that wait for a commit; beyond it clients get 429", unit="bytes", minimum=65_536)
    max_db_bytes: int = _setting(10_737_418_240, "largest database; see when_full", unit="bytes", minimum=1_048_576)
    when_full: str = _setting("expire", "expire: give up the oldest of the slowest destination; refuse: answer 503", choices=("expire", "refuse"))
    min_free_bytes: int = _setting(268_435_456, "free room on the disk below which clients get 503", unit="bytes", minimum=0)
    keep_h: float = _setting(72, "how long delivered events stay for debugger, replay and dry run", unit="h", minimum=0)
    keep_dead_days: float = _setting(14, "how long dead letters stay", unit="days", minimum=0)
    keep_tallies_days: float = _setting(30, "how long counts stay", unit="days", minimum=1)
    allow_network_fs: bool = _setting(False, "allow a data folder on a network file system, where locks are not safe")


@dataclass(frozen=True, slots=True)
class DeliverySettings:
    """How destinations are served; each of these may be set again in a [[destination]]."""

    order: str = _setting("user", "user: in order per user; none; strict: one after the other", choices=("user", "none", "strict"))
    first_delay_s: float = _setting(1, "delay before the second attempt; doubles from there", unit="s", minimum=0.01)
    max_delay_s: float = _setting(3600, "longest delay between attempts", unit="s", minimum=0.01)
    give_up_after_s: float = _setting(259_200, "age at which an event is given up", unit="s", minimum=0)
    min_attempts: int = _setting(5, "attempts before an event is given up, whatever its age", minimum=1)
    schedule_s: tuple[float, ...] = _setting((), "delays instead of first_delay_s and max_delay_s; the last one repeats", unit="s", minimum=0.01)
    timeout_s: float = _setting(15, "longest attempt", unit="s", minimum=0.01, maximum=600)
    concurrency: int = _setting(8, "attempts at the same time", minimum=1, maximum=1000)
    rate_per_s: float = _setting(0, "most attempts per second; 0: no limit", minimum=0)
    max_waiting: int = _setting(10_000, "most events that wait for a retry; beyond it new ones stay in the log", minimum=1)
    response_sample_bytes: int = _setting(2048, "how much of an answer is kept with a failure", unit="bytes", minimum=0, maximum=65_536)


@dataclass(frozen=True, slots=True)
class LogSettings:
    """What relay writes to stdout about itself."""

    level: str = _setting("info", "least level", choices=("debug", "info", "warning", "error"))
    format: str = _setting("auto", "auto: console on a terminal, else json", choices=("auto", "console", "json"))


@dataclass(frozen=True, slots=True)
class MetricsSettings:
    """Prometheus metrics at /metrics of the UI listener."""

    enabled: bool = _setting(True, "serve /metrics")
    token: Secret = field(default=_NO_SECRET, metadata=_about("bearer token that the scraper must send"))


@dataclass(frozen=True, slots=True)
class AlertSettings:
    """Watching sources, destinations and relay itself; the rules are `[[alerts.rule]]`."""

    enabled: bool = _setting(True, "watch, and send what is found as events of the source relay")
    check_every_s: float = _setting(
        30, "time between two looks; a rule fires when two in a row find its condition", unit="s", minimum=0.1, maximum=3600
    )
    repeat_every_h: float = _setting(6, "time between reminders of an alert that goes on; 0: no reminders", unit="h", minimum=0)


@dataclass(frozen=True, slots=True)
class Settings:
    """All process settings."""

    server: ServerSettings = ServerSettings()
    ui: UiSettings = UiSettings()
    store: StoreSettings = StoreSettings()
    delivery: DeliverySettings = DeliverySettings()
    log: LogSettings = LogSettings()
    metrics: MetricsSettings = MetricsSettings()
    alerts: AlertSettings = AlertSettings()

    @staticmethod
    def defaults() -> "Settings":
        """What relay runs with when nothing is configured."""
        return Settings()


_TYPES: dict[Any, str] = {
    str: "string",
    Secret: "secret",
    int: "integer",
    float: "number",
    bool: "boolean",
    tuple[str, ...]: "list",
    tuple[float, ...]: "numbers",
}

TABLES: dict[str, type] = get_type_hints(Settings)
"""Table name to the dataclass that holds it."""


def _specs(table: str, owner: type) -> list[SettingSpec]:
    hints = get_type_hints(owner)
    assert all(entry.default is not MISSING for entry in fields(owner))
    return [SettingSpec(table, entry.name, _TYPES[hints[entry.name]], entry.default, **entry.metadata) for entry in fields(owner)]


SPECS: tuple[SettingSpec, ...] = tuple(spec for table, owner in TABLES.items() for spec in _specs(table, owner))
"""Every process setting, in the order of the example file."""
