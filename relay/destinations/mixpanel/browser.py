"""Browser and version as Mixpanel's own libraries name them: the first sign in the user agent that fits decides."""

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Final

_VERSION: Final = r"(\d+(?:\.\d+)+)"

Sign = Callable[[str], bool]


def _any_of(*texts: str) -> Sign:
    return lambda agent: any(text in agent for text in texts)


def _all_of(*texts: str) -> Sign:
    return lambda agent: all(text in agent for text in texts)


_BLACKBERRY = re.compile(r"BlackBerry|PlayBook|BB10", re.IGNORECASE)

_BROWSERS: Final[tuple[tuple[Sign, str, str], ...]] = (
    (_all_of(" OPR/", "Mini"), "Opera Mini", ""),
    (_any_of(" OPR/"), "Opera", rf"(?:Opera|OPR)/{_VERSION}"),
    (lambda agent: _BLACKBERRY.search(agent) is not None, "BlackBerry", rf"BlackBerry {_VERSION}"),
    (_any_of("IEMobile", "WPDesktop"), "Internet Explorer Mobile", rf"rv:{_VERSION}"),
    (_any_of("SamsungBrowser/"), "Samsung Internet", rf"SamsungBrowser/{_VERSION}"),
    (_any_of("Edge", "Edg/"), "Microsoft Edge", rf"Edge?/{_VERSION}"),
    (_any_of("FBIOS"), "Facebook Mobile", ""),
    (_any_of("Chrome"), "Chrome", rf"Chrome/{_VERSION}"),
    (_any_of("CriOS"), "Chrome iOS", rf"CriOS/{_VERSION}"),
    (_any_of("UCWEB", "UCBrowser"), "UC Browser", rf"(?:UCBrowser|UCWEB)/{_VERSION}"),
    (_any_of("FxiOS"), "Firefox iOS", rf"FxiOS/{_VERSION}"),
    (_all_of("Safari", "iPhone"), "Mobile Safari", rf"Version/{_VERSION}"),
    (_any_of("Safari"), "Safari", rf"Version/{_VERSION}"),
    (_any_of("Android"), "Android Mobile", rf"android\s{_VERSION}"),
    (_any_of("Konqueror"), "Konqueror", rf"Konqueror:{_VERSION}"),
    (_any_of("Firefox"), "Firefox", rf"Firefox/{_VERSION}"),
    (_any_of("MSIE", "Trident/"), "Internet Explorer", rf"(?:rv:|MSIE ){_VERSION}"),
    (_any_of("Gecko"), "Mozilla", rf"rv:{_VERSION}"),
)
"""Sign, name, and the pattern of the version (empty: it is not told), in the order in which they are tried."""


@lru_cache(maxsize=4096)
def browser_of(agent: str) -> tuple[str, str | None]:
    """Name (empty: unknown) and version, or None."""
    for fits, name, pattern in _BROWSERS:
        if fits(agent):
            found = re.search(pattern, agent) if pattern else None
            return name, found[1] if found else None
    return "", None
