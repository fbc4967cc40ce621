"""The workspace: frozen values, one numbered version at a time."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from relay.errors import Place
from relay.workspace.rules import Filter, Matcher, Plan, PrivacyRules, SchemaSettings, Transformation

BUILT_IN_SOURCE = "relay"
"""Id and slug of the source of relay's own events: no write key, never configured; a destination takes it only by naming it."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where events come from. A file-owned source's id is its slug."""

    source_id: str
    slug: str
    name: str
    write_keys: tuple[str, ...]
    enabled: bool = True
    plan: str = ""
    """Slug of its tracking plan."""
    schema: SchemaSettings = field(default_factory=SchemaSettings)
    transformations: tuple[Transformation, ...] = ()
    privacy: PrivacyRules = field(default_factory=PrivacyRules)
    place: Place | None = field(default=None, compare=False)
    schema_places: Mapping[tuple[str, str], Place] = field(default_factory=dict, compare=False)
    """Where a file says something about (`events`, name) or (`traits`, name); what is not listed is of the UI."""


@dataclass(frozen=True, slots=True)
class RetryLimits:
    """When a unit is tried again, and when it is given up (reliability page 4)."""

    first_delay_s: float = 1
    max_delay_s: float = 3600
    give_up_after_s: float = 259_200
    min_attempts: int = 5
    schedule_s: tuple[float, ...] = ()
    """Delays that replace first and max delay; the last one repeats."""


@dataclass(frozen=True, slots=True)
class Subscription:
    """One trigger with its action and mapping."""

    subscription_id: str
    """Stable and unique in its destination: the mapping's name as a slug, else `<action>-<position>`."""
    name: str
    action: str
    trigger: str
    mapping: Mapping[str, Any]
    """Field name to value or directive; a field left out takes the action's default."""
    enabled: bool = True


@dataclass(frozen=True, slots=True)
class Destination:
    """Where events go. A file-owned destination's id is its slug."""

    destination_id: str
    slug: str
    name: str
    type: str
    """The definition's slug."""
    source_ids: tuple[str, ...]
    enabled: bool = True
    settings: Mapping[str, Any] = field(default_factory=dict)
    """By Segment's key; values of secret settings are `Secret`; defaults filled in."""
    subscriptions: tuple[Subscription, ...] = ()
    consent_categories: tuple[str, ...] = ()
    """All of them must be allowed by the event's consent."""
    filters: tuple[Filter, ...] = ()
    transformations: tuple[Transformation, ...] = ()
    privacy: PrivacyRules = field(default_factory=PrivacyRules)
    sync_exclude: tuple[str, ...] = ()
    """Of a warehouse: tables, and columns as `table.column`, that it does not get."""
    order: str = "user"
    """`user`, `none`, `strict`."""
    concurrency: int = 8
    rate_per_s: float = 0
    """0: no limit."""
    max_waiting: int = 10_000
    """Open exception rows; beyond it the cursor waits."""
    retry: RetryLimits = RetryLimits()
    retry_all: bool = False
    """Webhooks: also retry what the verdict table calls permanent."""
    timeout_s: float = 15
    response_sample_bytes: int = 2048
    allow_private: tuple[str, ...] = ()
    """`address:port` entries (network or single address) that the address guard lets through."""
    endpoint: str = ""
    """Scheme and host that take the place of those of every request: a proxy, or a test server. Empty: as the definition says."""
    place: Place | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class AlertRule:
    """When to alert. What `threshold` counts depends on the kind (workspace.alert_rules)."""

    name: str
    """Unique; a label of the metrics."""
    kind: str
    threshold: float
    window_m: int
    """Minutes that are looked at, 1 or more."""
    min_events: int
    """With fewer the rule says nothing."""
    subject: str = ""
    """Slug of the one source or destination that it watches; empty: all."""
    enabled: bool = True
    place: Place | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Workspace:
    """Everything a user configured, as one version. Version 0 has not been stored yet."""

    version: int
    sources: tuple[Source, ...]
    destinations: tuple[Destination, ...]
    alert_rules: tuple[AlertRule, ...] = ()
    """Those that were configured; the defaults are not among them."""
    plans: tuple[Plan, ...] = ()
    matchers: tuple[Matcher, ...] = ()
    """The custom ones."""
    colors: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """What a person decided about fields: source id to path to `red`, `yellow` or `green`."""
    created_s: float = 0.0
    created_by: str = ""
