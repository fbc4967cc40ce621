"""The settings document that Analytics.js and the mobile libraries load before they send anything. Pure.

Promise: every host in it is relay's. Without the `Segment.io` entry, or without `metrics.host`, the client would report to a third party.
"""

from typing import Any
from urllib.parse import urlsplit


def api_host(public_url: str, host: str, *, secure: bool) -> tuple[str, str]:
    """(apiHost, protocol) as a client outside sees them: from `public_url` when set, else from the request's own Host."""
    if public_url:
        parts = urlsplit(public_url)
        return f"{parts.netloc}{parts.path.rstrip('/')}/v1", parts.scheme or "https"
    return f"{host}/v1", "https" if secure else "http"


def settings_document(write_key: str, host: str, protocol: str) -> dict[str, Any]:
    """The document for one write key. One key in `integrations`: a second one would make the client load legacy code."""
    default = {"__default": {"enabled": True, "integrations": {}}}
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
        "plan": {"track": default, "identify": default, "group": default},
        "edgeFunction": {},
        "analyticsNextEnabled": True,
        "middlewareSettings": {"routingRules": []},
        "enabledMiddleware": {},
        "metrics": {"sampleRate": 0, "host": host},
        "legacyVideoPluginsEnabled": False,
        "remotePlugins": [],
    }
