"""The users of a deletion request, and how what is theirs is told from the rest. Pure.

An event is a user's when the id is one of its user keys, which are what the log is kept by: `userId`, the `previousId` of an alias, both ids of
an identify, and the `anonymousId` where there is no `userId`. Text of other kinds (requests, answers) is a user's when it *mentions* the id:
as a JSON string, as a part of a URL, or as a word, so that `user-1` is not found in `user-10`.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final
from urllib.parse import quote

import re2

from relay.base import jsonio
from relay.base.event import event_of

MEMORY_BYTES: Final = 64 * 1024 * 1024
WORD_CHARS: Final = 6
"""An id that is shorter, or a number, could be any word: it is found only in quotes and in URLs."""


class Subjects:
    """The users with these ids."""

    def __init__(self, user_ids: Iterable[str]) -> None:
        self.user_ids = frozenset(user_ids)
        forms = sorted({form for user_id in self.user_ids for form in forms_of(user_id)})
        words = sorted({form for user_id in self.user_ids if len(user_id) >= WORD_CHARS and not user_id.isdigit() for form in forms_of(user_id)})
        self._any = _compile(_any_of(forms))
        self._mention = _compile(_mention_of(forms, words))

    def __len__(self) -> int:
        return len(self.user_ids)

    def touches(self, data: bytes) -> bool:
        """Whether the bytes of an id stand anywhere in it: what does not is nothing of theirs."""
        return bool(self._any.search(data))

    def owns(self, line: bytes) -> bool:
        """Whether this JSON is an event of theirs; False for what is no event."""
        if not self.touches(line):
            return False
        try:
            return self.owns_message(jsonio.loads(line))
        except ValueError:
            return False

    def owns_message(self, message: Any) -> bool:
        """Whether this message is theirs, as it came in or as it is stored."""
        if not isinstance(message, Mapping):
            return False
        plain = {**message, **{name: _text(message.get(name)) for name in ("userId", "anonymousId", "previousId")}}
        try:
            event = event_of({"messageId": "", "type": "", **plain}, "", 0, b"")
            return not self.user_ids.isdisjoint(event.keys)
        except (TypeError, AttributeError):
            return False

    def mentions(self, data: bytes | str) -> bool:
        """Whether this text names one of them."""
        return bool(self._mention.search(data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data))

    def places(self, data: bytes) -> Iterator[tuple[int, int]]:
        """Start and end of every place where the bytes of an id stand, whatever is around them."""
        for found in self._any.finditer(data):
            yield found.span()


def forms_of(user_id: str) -> set[bytes]:
    """How an id may be written: as it is, in JSON, in JSON within JSON, in a URL."""
    once = jsonio.dumps(user_id)[1:-1]
    twice = jsonio.dumps(once.decode())[1:-1]
    return {user_id.encode("utf-8", "surrogatepass"), once, twice, quote(user_id, safe="").encode()}


def _any_of(forms: Iterable[bytes]) -> bytes:
    return b"(?:" + b"|".join(map(re2.escape, forms)) + b")"


def _mention_of(forms: Iterable[bytes], words: Iterable[bytes]) -> bytes:
    named = _any_of(forms)
    ways = [b'"' + named + rb'["\\]', b"[/=]" + named + rb'(?:[/?&#"\\\s]|$)', b"^" + named + b"$"]
    if words := list(words):
        ways.append(rb"(?:^|[^A-Za-z0-9_\-])" + _any_of(words) + rb"(?:$|[^A-Za-z0-9_\-])")
    return b"|".join(ways)


def _compile(pattern: bytes) -> Any:
    """Bytes stand for themselves, whatever they are."""
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    options.max_mem = MEMORY_BYTES
    options.log_errors = False
    return re2.compile(pattern, options)


def _text(value: Any) -> str:
    """An id as relay stores it; `4.0` is `4`."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    return value if isinstance(value, str) else jsonio.js_dumps(value).decode()
