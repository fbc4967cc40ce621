"""What a user agent tells Amplitude of a device, in the words of Amplitude's own parser. Pure.

The parsing is ua-parser's, which is imported when the first user agent comes; its names are translated here.
"""

import re
from functools import lru_cache
from typing import Any, Final

SYSTEMS: Final = {"Mac OS X": "Mac OS", "Chrome OS": "Chromium OS", "Web0S": "webOS"}
VENDORS: Final = {"XiaoMi": "Xiaomi", "Oppo": "OPPO"}
MODELS: Final = {"Mac": "Macintosh", "iOS-Device": None, "Smartphone": None, "Tablet": None, "Feature Phone": None}
"""None: a name that says nothing."""

_TELEVISION = re.compile(r"\bTV\b|SmartTV|SMART-TV|AppleTV|BRAVIA|\bAFT[A-Z]|Roku|CrKey", re.IGNORECASE)
_CONSOLE = re.compile(r"PlayStation|Xbox|Nintendo|\bOuya\b", re.IGNORECASE)
_TABLET = re.compile(r"iPad|Kindle|Silk/|Tablet|PlayBook|\bTAB\b", re.IGNORECASE)
_MOBILE = re.compile(r"iPhone|iPod|Mobile|Windows Phone|BlackBerry|Opera Mini", re.IGNORECASE)
_WATCH = re.compile(r"\bWatch", re.IGNORECASE)


@lru_cache(maxsize=4096)
def device_of(agent: str) -> tuple[tuple[str, str], ...]:
    """`os_name`, `os_version` (the browser's major version: so Amplitude's parser has it), `device_manufacturer`, `device_model`, `device_type`.

    What is not known is left out; a program that is no browser (curl, a bot) tells nothing.
    """
    from ua_parser import parse

    parsed = parse(agent)
    system, browser, device = parsed.os, parsed.user_agent, parsed.device
    if system is None and (device is None or device.brand == "Spider"):
        return ()
    os_name = SYSTEMS.get(system.family, system.family) if system is not None else browser.family if browser is not None else None
    model = _model(device.model, agent) if device is not None else None
    told: dict[str, Any] = {
        "os_name": os_name,
        "os_version": browser.major if browser is not None else None,
        "device_manufacturer": _vendor(device.brand, model) if device is not None else None,
        "device_model": model or os_name,
        "device_type": _type(agent),
    }
    return tuple((name, value) for name, value in told.items() if value)


def _model(model: str | None, agent: str) -> str | None:
    model = MODELS.get(model or "", model)
    if model is None:
        return None
    return f"moto {model}" if f"moto {model}" in agent else model.removeprefix("ONEPLUS ")


def _vendor(brand: str | None, model: str | None) -> str | None:
    if brand is None or brand.startswith("Generic"):
        return "Samsung" if (model or "").startswith("SM-") else None
    return VENDORS.get(brand, brand) if model else None


def _type(agent: str) -> str | None:
    """A desktop has none."""
    if _TELEVISION.search(agent):
        return "smarttv"
    if _CONSOLE.search(agent):
        return "console"
    if _WATCH.search(agent):
        return "wearable"
    if _TABLET.search(agent):
        return "tablet"
    if _MOBILE.search(agent):
        return "mobile"
    return "tablet" if "Android" in agent and agent.startswith("Mozilla") else None
