"""`[[matcher]]` and the `privacy` tables: what they mean, and every mistake with line and remedy."""

from pathlib import Path

import pytest

from relay.errors import ConfigError, Problem
from relay.kit.definition import Definition
from relay.kit.encryption import new_pair
from relay.kit.matchers import STANDARD, Matcher
from relay.workspace.assemble import load
from relay.workspace.digest import digest
from relay.workspace.model import Workspace
from relay.workspace.rules import PrivacyRules

HEAD = '[[source]]\nslug = "web"\nwrite_key = "wk"\n'
TAIL = '\n[[destination]]\nslug = "orders"\ntype = "hook"\n'
PRIVATE, PUBLIC = new_pair(2048)
EC_KEY = """-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEjJEqfQ4EHES22sI7IOleLguZB/nJ
HBGn8mjMx0AYVEKpWq4ZhRJ/ZT1SAT+69nBovJEnyLRmbeNRB24IGR87dQ==
-----END PUBLIC KEY-----
"""


def read(text: str, folder: Path) -> Workspace:
    (folder / "relay.toml").write_text(HEAD + text + TAIL)
    return load(folder / "relay.toml", {"hook": Definition("hook", "Hook")}, environment={}).workspace


def rules(text: str, folder: Path) -> PrivacyRules:
    return read(text, folder).sources[0].privacy


def mistakes(text: str, folder: Path) -> list[Problem]:
    with pytest.raises(ConfigError) as caught:
        read(text, folder)
    return caught.value.problems


def test_an_entry_is_a_path_a_colour_a_matcher_or_a_key(tmp_path: Path) -> None:
    text = '[source.privacy]\nblock = ["red", "traits.iban"]\nmask = ["credit_card", "badge"]\nhash = ["orderRef", "Badge"]\n'
    found = rules(text + '[[matcher]]\nname = "Badge"\ncolor = "red"\nsynonyms = ["staff no"]\n', tmp_path)
    own = Matcher("Badge", "red", ("Badge", "staff no"))
    assert found.block == (own, *(matcher for matcher in STANDARD if matcher.color == "red"), Matcher("traits.iban", path="traits.iban"))
    assert [matcher.name for matcher in found.mask] == ["credit card", "Badge"]
    assert found.hash == (Matcher("orderRef", keys=("orderRef",)), own)
    assert found.entries[:2] == (("block", "red"), ("block", "traits.iban"))


def test_a_named_matcher_means_names_of_things_too(tmp_path: Path) -> None:
    assert [matcher.of_things for matcher in rules('[source.privacy]\nmask = ["name"]\n', tmp_path).mask] == [True]
    of_color = {matcher.name: matcher.of_things for matcher in rules('[source.privacy]\nmask = ["yellow"]\n', tmp_path).mask}
    assert not of_color["name"]
    assert of_color["email"]


def test_matchers_on_keys_and_values(tmp_path: Path) -> None:
    text = """
[[matcher]]
name = "employee id"
color = "yellow"
synonyms = ["staff"]
match = "similar"
[[matcher]]
name = "badge"
on = "value"
pattern = 'B-[0-9]{4}$$'
"""
    assert read(text, tmp_path).matchers == (
        Matcher("employee id", "yellow", ("employee id", "staff"), similar=True),
        Matcher("badge", pattern="B-[0-9]{4}$"),
    )


def test_encryption_means_keys_alone(tmp_path: Path) -> None:
    (tmp_path / "public.pem").write_text(PUBLIC)
    found = rules('[source.privacy]\nencrypt = ["email", "traits.iban"]\npublic_key = "${file:public.pem}"\n', tmp_path)
    assert [(matcher.name, matcher.form) for matcher in found.encrypt] == [("email", ""), ("traits.iban", "")]
    assert found.public_key == PUBLIC.strip() or found.public_key == PUBLIC


def test_a_changed_matcher_is_a_changed_workspace(tmp_path: Path) -> None:
    first = read('[[matcher]]\nname = "badge"\n', tmp_path)
    assert digest(first) != digest(read('[[matcher]]\nname = "badge"\ncolor = "red"\n', tmp_path))


MATCHER_MISTAKES = [
    ('color = "red"', 4, "a matcher needs a name", 'add name = "..."'),
    ('name = "red"', 5, "'red' is the name of a colour", 'choose another name, and write color = "red"'),
    ('name = "a.b"', 5, "'a.b' is no name of a matcher", "up to 100 characters with a letter or digit, and no dot"),
    ('name = "--"', 5, "'--' is no name of a matcher", "up to 100 characters with a letter or digit, and no dot"),
    ('name = "x"\ncolor = "green"', 6, '\'color\' must be "red" or "yellow"', ""),
    ('name = "x"\nmatch = "simular"', 6, "'match' must be", "did you mean 'similar'?"),
    ('name = "x"\nsynonym = ["y"]', 6, "unknown setting 'synonym'", "did you mean 'synonyms'?"),
    ('name = "x"\nsynonyms = ["y", "-"]', 6, "the synonym '-' has no letter or digit", ""),
    ('name = "x"\npattern = "y"', 6, "'pattern' is about values, and this matcher looks at keys", 'write on = "value"'),
    ('name = "x"\non = "value"', 4, "a matcher on values needs a pattern", "add pattern = '...'"),
    ('name = "x"\non = "value"\npattern = ""', 7, "'pattern' is empty", ""),
    ('name = "x"\non = "value"\npattern = "y"\nmatch = "similar"', 8, "'match' is about keys", 'take match out, or write on = "key"'),
    ('name = "x"\non = "value"\npattern = "y"\nsynonyms = ["z"]', 8, "'synonyms' is about keys", ""),
    ('name = "x"\non = "value"\npattern = "a(?=b)"', 7, "'pattern' is no regular expression of RE2", "RE2 has no lookahead"),
    ('name = "x"\non = "value"\npattern = "(?<!a)b"', 7, "'pattern' is no regular expression of RE2", "RE2 has no lookahead"),
    ('name = "x"\non = "value"\npattern = "(a"', 7, "'pattern' is no regular expression of RE2: missing )", "see RE2's syntax"),
    ('name = "x"\non = "value"\npattern = \'(a)\\1\'', 7, "'pattern' is no regular expression of RE2", "see RE2's syntax"),
    ('name = "x"\non = "value"\npattern = "a*"', 7, "'pattern' matches an empty text", "write + instead of *"),
    ('name = "x"\n[[matcher]]\nname = "X"', 7, "another matcher has the name 'x' already", "give each a name of its own"),
]


@pytest.mark.parametrize(("text", "line", "message", "remedy"), MATCHER_MISTAKES)
def test_a_mistake_in_a_matcher_is_told_with_its_place(text: str, line: int, message: str, remedy: str, tmp_path: Path) -> None:
    (problem,) = mistakes("[[matcher]]\n" + text, tmp_path)
    assert message in problem.message
    assert remedy in problem.remedy
    assert problem.place is not None
    assert problem.place.line == line


def test_more_than_a_hundred_matchers_are_refused(tmp_path: Path) -> None:
    (problem,) = mistakes("".join(f'[[matcher]]\nname = "m{number}"\n' for number in range(103)), tmp_path)
    assert "there are more than 100 matchers" in problem.message
    assert len(read("".join(f'[[matcher]]\nname = "m{number}"\n' for number in range(100)), tmp_path).matchers) == 100


def test_a_hundred_large_patterns_do_not_stop_the_start(tmp_path: Path) -> None:
    (problem,) = mistakes('[[matcher]]\nname = "m"\non = "value"\npattern = "((a{100}){100}){100}"\n', tmp_path)
    assert "no regular expression of RE2" in problem.message


RULE_MISTAKES = [
    ('block = ["trait.iban"]', 5, "block 'trait.iban' is no path into context, traits or properties", "did you mean 'traits'?"),
    ('block = ["email", "userId.x"]', 5, "block 'userId.x' is no path", "write context.NAME, traits.NAME or properties.NAME"),
    ('mask = ["traits."]', 5, "mask 'traits.' is no path", ""),
    ('mask = [""]', 5, "mask '' names no key", "write a path"),
    ('hash = "email"', 5, "'hash' must be a list of strings", ""),
    ('bloc = ["red"]', 5, "unknown setting 'bloc'", "did you mean 'block'?"),
    ('encrypt = ["email"]', 5, "encrypt needs a public key", "relay privacy key"),
    ('encrypt = ["email"]\npublic_key = ""', 6, "encrypt needs a public key", "relay privacy key"),
    ('block = ["email"]\npublic_key = "x"', 6, "'public_key' is for encrypt, and nothing is encrypted here", ""),
    ('encrypt = ["email"]\npublic_key = "x"', 6, "'public_key' is no public key in PEM form", "relay privacy key"),
    (f"encrypt = [\"email\"]\npublic_key = '''{EC_KEY}'''", 6, "'public_key' is no RSA key", "relay privacy key"),
    (f"encrypt = [\"email\"]\npublic_key = '''{PRIVATE}'''", 6, "'public_key' holds a private key", "take the private one out"),
]


@pytest.mark.parametrize(("text", "line", "message", "remedy"), RULE_MISTAKES)
def test_a_mistake_in_a_rule_is_told_with_its_place(text: str, line: int, message: str, remedy: str, tmp_path: Path) -> None:
    (problem,) = mistakes("[source.privacy]\n" + text, tmp_path)
    assert 'source "web", privacy' in problem.message
    assert message in problem.message
    assert remedy in problem.remedy
    assert problem.place is not None
    assert problem.place.line == line


def test_a_private_key_is_never_repeated(tmp_path: Path) -> None:
    (problem,) = mistakes(f"[source.privacy]\nencrypt = [\"email\"]\npublic_key = '''{PRIVATE}'''", tmp_path)
    told = repr(problem)
    assert not [line for line in PRIVATE.splitlines() if line in told]


def test_a_short_key_is_refused(tmp_path: Path) -> None:
    from cryptography.hazmat.primitives.asymmetric import rsa
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    short = rsa.generate_private_key(public_exponent=65537, key_size=1024).public_key()
    pem = short.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    (problem,) = mistakes(f"[source.privacy]\nencrypt = [\"email\"]\npublic_key = '''{pem}'''", tmp_path)
    assert "'public_key' has 1024 bits, fewer than 2048" in problem.message


@pytest.mark.parametrize("entry", ["alike", "badge", "yellow"])
def test_encryption_refuses_what_is_not_exact(entry: str, tmp_path: Path) -> None:
    text = f"[source.privacy]\nencrypt = [\"{entry}\"]\npublic_key = '''{PUBLIC}'''\n"
    text += '[[matcher]]\nname = "alike"\ncolor = "yellow"\nmatch = "similar"\n[[matcher]]\nname = "badge"\non = "value"\npattern = "B-"\n'
    (problem,) = mistakes(text, tmp_path)
    assert "encrypt knows keys and synonyms only" in problem.message
    assert problem.remedy == "name the exact matchers, keys or paths one by one"


def test_without_the_library_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "cryptography.hazmat.primitives.asymmetric", None)
    (problem,) = mistakes(f"[source.privacy]\nencrypt = [\"email\"]\npublic_key = '''{PUBLIC}'''", tmp_path)
    assert "'cryptography', which is not installed" in problem.message
    assert problem.remedy == "pip install 'relay[crypto]'"
