"""What is wrong with a URL that a person has written into a setting or a mapping."""

from functools import lru_cache
from urllib.parse import urlsplit


@lru_cache(maxsize=1024)
def url_problem(url: str) -> str:
    """Why relay cannot send to `url`; empty: it can. The answer never repeats the URL, which may hold a secret."""
    if any(character <= " " or character == "\x7f" for character in url):
        return "the URL holds a space or a control character"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return "the URL cannot be read"
    if parts.scheme not in ("http", "https"):
        return "the URL must start with https:// or http://"
    if not parts.hostname or port == 0:
        return "the URL names no host"
    if "@" in parts.netloc:
        return "the URL holds a user name or password; send them in a header instead"
    return ""
