"""The settings document that Analytics.js and the mobile libraries load before they send anything. Pure.

Promise: every host in it is relay's. Without the `Segment.io` entry, or without `metrics.host`, the client would report to a third party.
"""

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

from relay.workspace.rules import SchemaSettings


def api_host(public_url: str, host: str, *, secure: bool) -> tuple[str, str]:
    """(apiHost, protocol) as a client outside sees them: from `public_url` when set, else from the request's own Host."""
    if public_url:
        parts = urlsplit(public_url)
        return f"{parts.netloc}{parts.path.rstrip('/')}/v1", parts.scheme or "https"
    return f"{host}/v1", "https" if secure else "http"


def browser_plan(schema: SchemaSettings, planned: Iterable[str] | None) -> dict[str, Any]:
    """The `plan` section: which track events device mode may handle (semantics page 4). `planned`: names of the plan; None: there is none.

    The rules themselves are not part of it, and a name is listed only where it differs from the default. What is disabled here still comes in,
    and is judged again.
    """
    default = {"enabled": True, "integrations": {}}
    allows_all = planned is None or schema.track.allow_unplanned_events
    named = {} if allows_all else dict.fromkeys(planned or (), default)
    blocked = {name: {"enabled": False, "integrations": {}} for name, setting in schema.events.items() if not setting.enabled}
    track = {"__default": {"enabled": allows_all, "integrations": {}}, **named, **blocked}
    return {"track": track, "identify": {"__default": default}, "group": {"__default": default}}


def settings_document(write_key: str, host: str, protocol: str, plan: Mapping[str, Any]) -> dict[str, Any]:
    """The document for one write key. One key in `integrations`: a second one would make the client load legacy code."""
    return {
        "integrations": {
            "Segment.io": {
                "apiKey": write_key,
                "apiHost": host,
                "protocol": protocol,
                "unbundledIntegrations": [],
                "addBundledMetadata": True,
                "maybeBundledConfigIds": {},
            }
        },
        "plan": plan,
        "edgeFunction": {},
        "analyticsNextEnabled": True,
        "middlewareSettings": {"routingRules": []},
        "enabledMiddleware": {},
        "metrics": {"sampleRate": 0, "host": host},
        "legacyVideoPluginsEnabled": False,
        "remotePlugins": [],
    }
