"""`[[matcher]]` and the `privacy` tables of sources and destinations: from the tree to rules, every mistake with its place."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from relay.config.reading import TableReader, nearest
from relay.config.tree import Tree, child
from relay.errors import ConfigError, Place, Problem
from relay.kit.edits import split_path
from relay.kit.encryption import compile_encryption
from relay.kit.matchers import COLORS, SECTIONS, Matcher, compile_pattern, normal, with_standard
from relay.workspace.filters import tables_in
from relay.workspace.rules import PrivacyRules

MATCHERS_MAX: Final = 100
MATCHES: Final = ("exact", "similar")
LOOKS_ON: Final = ("key", "value")
PATTERN_MAX_CHARS: Final = 1_000
NAME_MAX_CHARS: Final = 100
_HOW: Final = ("block", "mask", "hash", "encrypt")


def read_matchers(tree: Tree, problems: list[Problem]) -> tuple[Matcher, ...]:
    """Every `[[matcher]]`."""
    whole = TableReader(tree, "", "the configuration", problems, tree.data)
    found: dict[str, Matcher] = {}
    for number, reader in enumerate(tables_in(whole, "matcher", "[[matcher]]"), 1):
        matcher = _matcher(reader, number)
        if number == MATCHERS_MAX + 1:
            reader.complain(f"there are more than {MATCHERS_MAX} matchers", remedy="put synonyms into one matcher")
        if matcher is None:
            continue
        if normal(matcher.name) in found:
            reader.complain(f"another matcher has the name '{found[normal(matcher.name)].name}' already", "name", "give each a name of its own")
        found.setdefault(normal(matcher.name), matcher)
    return tuple(found.values())


def _matcher(reader: TableReader, number: int) -> Matcher | None:
    """None when it has no name that a rule could use."""
    name: str = reader.take("name", "string", "")
    reader.label = f'matcher "{name}"' if name else f"matcher {number}"
    color: str = reader.take("color", "string", "", choices=COLORS)
    on: str = reader.take("on", "string", "key", choices=LOOKS_ON)
    synonyms: tuple[str, ...] = reader.take("synonyms", "list", ())
    match: str = reader.take("match", "string", "exact", choices=MATCHES)
    pattern: str = reader.take("pattern", "string", "")
    reader.finish()
    if not _is_named(reader, name):
        return None
    if on == "value":
        _check_pattern(reader, pattern)
        for key in ("synonyms", "match"):
            if key in reader.table:
                reader.complain(f"'{key}' is about keys, and this matcher looks at values", key, f'take {key} out, or write on = "key"')
        return Matcher(name, color, pattern=pattern)
    if "pattern" in reader.table:
        reader.complain("'pattern' is about values, and this matcher looks at keys", "pattern", 'write on = "value"')
    for index, synonym in enumerate(synonyms):
        if not normal(synonym):
            reader.problems.append(Problem(f"{reader.label}: the synonym '{synonym}' has no letter or digit", _item(reader, "synonyms", index)))
    return Matcher(name, color, tuple(dict.fromkeys((name, *synonyms))), similar=match == "similar")


def _is_named(reader: TableReader, name: str) -> bool:
    if not name:
        if "name" not in reader.table:
            reader.complain("a matcher needs a name", remedy='add name = "..."')
        return False
    if name.lower() in COLORS:
        reader.complain(f"'{name}' is the name of a colour", "name", f'choose another name, and write color = "{name.lower()}"')
    elif "." in name or len(name) > NAME_MAX_CHARS or not normal(name):
        reader.complain(f"'{name}' is no name of a matcher", "name", f"up to {NAME_MAX_CHARS} characters with a letter or digit, and no dot")
    else:
        return True
    return False


def _check_pattern(reader: TableReader, pattern: str) -> None:
    if not pattern:
        if "pattern" not in reader.table:
            reader.complain("a matcher on values needs a pattern", remedy="add pattern = '...'")
        elif not reader.is_open(reader.at("pattern")):
            reader.complain("'pattern' is empty", "pattern", "write a regular expression (RE2)")
        return
    if len(pattern) > PATTERN_MAX_CHARS:
        reader.complain(f"'pattern' is longer than {PATTERN_MAX_CHARS} characters", "pattern", "split it into several matchers")
        return
    try:
        matches_nothing = compile_pattern(pattern)(b"")
    except ValueError as error:
        remedy = (
            "RE2 has no lookahead, lookbehind and backreferences: say what must stand there" if "perl operator" in str(error) else "see RE2's syntax"
        )
        reader.complain(f"'pattern' is no regular expression of RE2: {error}", "pattern", remedy)
        return
    if matches_nothing:
        reader.complain("'pattern' matches an empty text, so it matches every value", "pattern", "write + instead of *, or name what must be there")


def read_privacy(reader: TableReader, matchers: Sequence[Matcher]) -> PrivacyRules:
    """The `privacy` table of a source or destination: an entry with a dot is a path; the others name a colour, a matcher or a key."""
    table = reader.take("privacy", "object", {})
    inner = TableReader(reader.tree, reader.at("privacy"), f"{reader.label}, privacy", reader.problems, table)
    entries = {how: inner.take(how, "list", ()) for how in _HOW}
    public_key: str = inner.take("public_key", "string", "")
    inner.finish()
    meant = {how: tuple(_meant_by(inner, how, entries[how], matchers)) for how in _HOW}
    if entries["encrypt"]:
        meant["encrypt"] = tuple(replace(matcher, form="") for matcher in meant["encrypt"])
        _check_key(inner, public_key)
    elif "public_key" in table:
        inner.complain("'public_key' is for encrypt, and nothing is encrypted here", "public_key", "name fields in encrypt, or take the key out")
    listed = tuple((how, entry) for how in _HOW for entry in entries[how])
    return PrivacyRules(**meant, public_key=public_key, entries=listed, place=reader.tree.places.get(reader.at("privacy")))


def _meant_by(reader: TableReader, how: str, entries: Sequence[str], own: Sequence[Matcher]) -> list[Matcher]:
    """The matchers that the entries of one list mean."""
    known, found = with_standard(own), []
    for index, entry in enumerate(entries):
        mistake, remedy, matchers = _meant(entry, known)
        if how == "encrypt" and (vague := [matcher.name for matcher in matchers if matcher.similar or matcher.pattern]):
            mistake = f"takes in the matcher '{vague[0]}', which is not exact; encrypt knows keys and synonyms only"
            remedy = "name the exact matchers, keys or paths one by one"
        if mistake:
            reader.problems.append(Problem(f"{reader.label}: {how} '{entry}' {mistake}", _item(reader, how, index), remedy))
        found += matchers
    return found


def _meant(entry: str, known: Sequence[Matcher]) -> tuple[str, str, list[Matcher]]:
    """What is wrong with an entry and a remedy, and the matchers that it means."""
    if "." in entry:
        keys = split_path(entry)
        if len(keys) < 2 or keys[0] not in SECTIONS or not all(keys):
            joined = r"join names with single dots; \. is a dot within a name"
            remedy = joined if keys[0] in SECTIONS else nearest(keys[0], SECTIONS) or "write context.NAME, traits.NAME or properties.NAME"
            return "is no path into context, traits or properties", remedy, []
        return "", "", [Matcher(entry, path=entry)]
    if entry.lower() in COLORS:
        return "", "", [matcher for matcher in known if matcher.color == entry.lower()]
    if not (plain := normal(entry)):
        return "names no key", "write a path, the name of a matcher, red or yellow, or a key", []
    named = next((matcher for matcher in known if normal(matcher.name) == plain), None)
    return "", "", [replace(named, of_things=True) if named is not None else Matcher(entry, keys=(entry,))]


def _check_key(reader: TableReader, public_key: str) -> None:
    if reader.is_open(reader.at("public_key")):
        return
    if not public_key:
        key = "public_key" if "public_key" in reader.table else "encrypt"
        reader.complain(
            "encrypt needs a public key", key, 'make a pair with: relay privacy key --out-public FILE, and add public_key = "${file:FILE}"'
        )
        return
    try:
        compile_encryption(public_key)
    except ConfigError as error:
        for problem in error.problems:
            reader.complain(problem.message, "public_key", problem.remedy)


def _item(reader: TableReader, key: str, index: int) -> Place:
    return reader.tree.place(child(reader.at(key), index))
