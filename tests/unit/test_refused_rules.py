"""Rules that cannot be meant: `relay check` refuses each with file, line and a remedy, and exit code 78."""

import json
from pathlib import Path

import pytest

from relay.cli import main

SOURCE = '[[source]]\nslug = "web"\nwrite_key = "k"\n'
"""Three lines."""
DESTINATION = '[[destination]]\nslug = "hook"\ntype = "webhook"\nsettings = { url = "https://hooks.example/" }\n'
FILTER = '[[destination.filter]]\nif = "all"\n'
CHANGE = '[[source.transformation]]\nif = "all"\n'

Row = tuple[str, int, str, str]
"""What is written, the line of the mistake, how the message begins after what it is about, and how the remedy begins (empty: the message tells it)."""

FILTERS: list[Row] = [
    ('actions=[{type="DELETE"}]', 10, '\'type\' must be "SAMPLE", "DROP", "DROP_PROPERTIES" or', ''),
    ('actions=[{type="SAMPLE",percent=2}]', 10, "'percent' must be at most 1", '0.02 keeps 2 %'),
    ('actions=[{type="SAMPLE",percent=nan}]', 10, 'nan is no number that JSON can hold', 'write digits, at most 19 of them'),
    ('actions=[{type="SAMPLE",percent="10%"}]', 10, "'percent' must be a number", ''),
    ('actions=[{type="SAMPLE",percent=true}]', 10, "'percent' must be a number", ''),
    ('actions=[{type="SAMPLE"}]', 10, "SAMPLE needs 'percent'", 'percent = 0.1 keeps a tenth'),
    ('actions=[{type="DROP_PROPERTIES",fields=["a"]}]', 10, "'fields' must be a table", ''),
    ('actions=[{type="DROP_PROPERTIES",fields={properties="a"}}]', 10, "'properties' must be a list of strings", ''),
    ('actions=[{type="ALLOW_PROPERTIES"}]', 10, "ALLOW_PROPERTIES needs 'fields'", 'fields = { context = ["ip"] } names'),
    ('actions=[{type="DROP",fields={a=["b"]}}]', 10, "DROP takes no 'fields'", 'remove it, or choose another type'),
    ('actions=[]', 10, 'a filter needs actions', 'add actions = [{ type = "DROP" }]'),
    ('actions=[{type="DROP"}]\ntitel="x"', 11, "unknown key 'titel'", "did you mean 'title'?"),
    ('actions=[{type="DROP_PROPERTIES",fields={""=["type"]}}]', 10, 'an event cannot be without messageId and type', 'drop others, or use DROP'),
]  # fmt: skip
CHANGES: list[Row] = [
    ('hashPropertiesConfiguration={algorithm="CRC32",paths=["properties.a"]}', 6, '\'algorithm\' must be "MD5", "SHA1", "SHA224", "SHA256",', ''),
    ('hashPropertiesConfiguration={algorithm="MD5",encoding="hex",paths=["properties.a"]}', 6, '\'encoding\' must be "HEX", "BASE16", "BASE64" or', "did you mean 'HEX'?"),
    ('hashPropertiesConfiguration={algorithm="MD5"}', 6, 'it needs paths', 'add paths = ["traits.email"]'),
    ('hashPropertiesConfiguration={algorithm="MD5",paths=["userId"]}', 6, "'userId' is an id of the message, which stays", 'properties.userId or traits.userId'),
    ('propertyRenames=[{oldName="userId",newName="context.u"}]', 6, "'userId' is an id of the message, which stays", 'properties.userId or traits.userId'),
    ('propertyRenames=[{oldName="properties.a.b.c.d.e",newName="properties.a"}]', 6, "'properties.a.b.c.d.e' is too deep", 'rename at most 4 levels below'),
    ('propertyRenames=[{oldName="properties.rows.$.id",newName="properties.a"}]', 6, "'properties.rows.$.id' reaches into a list by '$'", "leave '$' out, or name the whole list"),
    ('propertyRenames=[{oldName="properties.a",newName="properties.a"}]', 6, 'old and new name are the same', 'choose another new name'),
    ('propertyRenames=[{oldName="properties.a",newName="properties.b"},{oldName="properties.a",newName="properties.c"}]', 6, "'properties.a' is renamed twice", 'change each path once, or make two'),
    ('propertyRenames=[{oldName="properties.a",newName="properties.b"}]\npropertyValueTransformations=[{propertyPaths=["properties.b"],propertyValue="x"}]', 7, "'properties.b' is set twice", 'change each path once, or make two'),
    ('propertyValueTransformations=[{propertyPaths=["properties.b"],propertyValue="x"},{propertyPaths=["properties.b"],propertyValue="y"}]', 6, "'properties.b' is set twice", 'change each path once, or make two'),
    ('propertyRenames=[{oldName="properties.a",newName="properties.b"}]\nhashPropertiesConfiguration={algorithm="MD5",paths=["properties.a.x"]}', 7, "'properties.a.x' is set and renamed (as 'properties.a')", 'change each path once, or make two'),
    ('propertyRenames=[{oldName="properties.a"}]', 6, 'it needs newName', 'add newName = "properties.plan"'),
    ('propertyValueTransformations=[{propertyPaths=["properties.a0","properties.a1","properties.a2","properties.a3","properties.a4","properties.a5","properties.a6","properties.a7","properties.a8","properties.a9","properties.a10"],propertyValue="x"}]', 6, "'propertyPaths' must be at most 10 paths", 'repeat the value with the rest'),
    ('fqlDefinedProperties=[{fql="event",propertyName="properties.a"},{fql="event",propertyName="properties.b"}]', 6, 'a transformation has at most one FQL-defined property', 'make two transformations of it'),
    ('fqlDefinedProperties=[{fql="event",propertyName="properties.a"}]\npropertyRenames=[{oldName="properties.c",newName="properties.d"}]', 6, 'renames and fqlDefinedProperties do not go together', 'make two transformations of it'),
    ('allowProperties=["context.ip"]', 6, "'context.ip' must begin with properties or traits", 'this works inside properties and traits'),
    ('allowProperties="properties.a"', 6, "'allowProperties' must be a list of strings", ''),
    ('drop=true\nnewEventName="x"', 6, 'it drops the event, so its other changes are never made', 'remove them, or drop'),
    ('propertyValueTransformations=[{propertyPaths=["messageId"],propertyValue="x"}]', 6, "'messageId' cannot be set: relay tells events apart by it", 'properties.messageId names the property'),
    ('propertyValueTransformations=[{propertyPaths=["type"],propertyValue="x"}]', 6, "'type' cannot be set: relay tells events apart by it", 'properties.type names the property'),
    ('propertyValueTransformations=[{propertyPaths=["properties.a"],propertyValue=99999999999999999999999}]', 6, '99999999999999999999999 is no number that JSON can hold', 'write digits, at most 19 of them'),
    ('propertyValueTransformations=[{propertyPaths=["properties.a"],propertyValue=nan}]', 6, 'nan is no number that JSON can hold', 'write digits, at most 19 of them'),
]  # fmt: skip
SOURCES: list[Row] = [
    ('[[source.filter]]\nif="all"\nactions=[{type="DROP"}]', 4, 'filters belong to destinations', 'write [[destination.filter]], or change'),
    ('[[source.transformation]]\nif="event=\'A\'"\ndrop=true\n[[source.transformation]]\nif="event = \'A\'"\nnewEventName="B"', 8, 'transformation 1 has the same if', 'put both into one, or switch one of'),
    ('[[source.transformation]]\nif="type=\'identify\'"\nnewEventName=\'x\'', 6, 'only a track has an event name, and the condition holds for', 'add type = "track" to the if, or remove'),
    ('[source.schema]\n[source.schema.track]\nallowUnplanedEvents=false', 6, "unknown setting 'allowUnplanedEvents'", "did you mean 'allowUnplannedEvents'?"),
    ('[source.schema]\n[source.schema.track]\nallowUnplannedEvents="no"', 6, "'allowUnplannedEvents' must be true or false", ''),
    ('[source.schema]\n[source.schema.track]\ncommonEventOnViolations="DROP"', 6, '\'commonEventOnViolations\' must be "ALLOW", "BLOCK",', ''),
    ('[source.schema]\nforwardingViolationsTo="nobody"', 5, "unknown source 'nobody'", 'add a [[source]] with this slug'),
    ('[source.schema]\nforwardingBlockedEventsTo="web"', 5, "'forwardingBlockedEventsTo' names the source itself", 'forward to another source'),
    ('[source.schema]\n[source.schema.events.K]\nenable=false', 6, "unknown setting 'enable'", "did you mean 'enabled'?"),
    ('[source.schema]\n[source.schema.events.K]\nintegrations={nobody=false}', 6, "unknown destination 'nobody'", 'write the slug of a destination'),
    ('[source.schema]\ntraits={email="no"}', 5, "'email' must be true or false", ''),
    ('[source.schema]\nforwardingBlockedEventsTo="two"\n[[source]]\nslug="two"\nwrite_key="k2"\n[source.schema]\nforwardingViolationsTo="web"', 5, '\'forwardingBlockedEventsTo\' makes a circle: "two" forwards', 'forward to a source of its own'),
    ('[source.schema]\nforwardingBlockedEventsTo="two"\n[[source]]\nslug="two"\nwrite_key="k2"\n[source.schema]\nforwardingViolationsTo="three"\n[[source]]\nslug="three"\nwrite_key="k3"\n[source.schema]\nforwardingViolationsTo="web"', 5, '\'forwardingBlockedEventsTo\' makes a circle: "two" forwards', 'forward to a source of its own'),
    ('[source.privacy]\nblok=["a"]', 5, "unknown setting 'blok'", "did you mean 'block'?"),
    ('[source.privacy]\nblock=["traits..email"]', 5, "block 'traits..email' is no path into context, traits or", 'join names with single dots; \\. is a'),
    ('[source.privacy]\nblock=["user.email"]', 5, "block 'user.email' is no path into context, traits or", 'write context.NAME, traits.NAME or'),
    ('[source.privacy]\nblock=[""]', 5, "block '' names no key", 'write a path, the name of a matcher,'),
    ('plan="nope"', 4, "unknown plan 'nope'", 'add a [[plan]] with this slug'),
    ('plan=5', 4, "'plan' must be a string", ''),
]  # fmt: skip
DESTINATIONS: list[Row] = [
    ('[[destination.filter]]\nif=5\nactions=[{type="DROP"}]', 9, "'if' must be a string", ''),
    ('[[destination.filter]]\nif="event = \'x"\nactions=[{type="DROP"}]', 9, 'filter, character 9: a text has no end', "close it with '"),
    ('[destination.filter]\nif="all"\nactions=[{type="DROP"}]', 8, "'filter' must be a list of tables", 'write [[destination.filter]]'),
    ('[destination.privacy]\nencrypt=["email"]', 9, 'encrypt needs a public key', 'make a pair with: relay privacy key'),
    ('[[matcher]]\nname="m"\non="value"\npattern=\'a(?=b)\'', 11, "'pattern' is no regular expression of RE2: invalid perl", 'RE2 has no lookahead, lookbehind and'),
    ('[[matcher]]\nname="m"\non="value"\npattern=\'(a)\\1\'', 11, "'pattern' is no regular expression of RE2: invalid escape", "see RE2's syntax"),
    ('[[matcher]]\nname="m"\non="value"\npattern=".*"', 11, "'pattern' matches an empty text, so it matches every value", 'write + instead of *, or name what must'),
    ('[[matcher]]\nname="m"\non="value"\npattern="((a{1,1000}){1,1000}){1,1000}"', 11, "'pattern' is no regular expression of RE2: invalid", "see RE2's syntax"),
    ('[[matcher]]\nname="red"', 9, "'red' is the name of a colour", 'choose another name, and write color ='),
    ('[[matcher]]\nname="m"\nmatch="fuzzy"', 10, '\'match\' must be "exact" or "similar"', ''),
    ('[[matcher]]\nname="m"\n[[matcher]]\nname="M"', 11, "another matcher has the name 'm' already", 'give each a name of its own'),
    ('[[matcher]]\nname="m"\non="value"\npattern="a"\nmatch="similar"', 12, "'match' is about keys, and this matcher looks at values", 'take match out, or write on = "key"'),
    ('consent_categories=[1]', 8, "'consent_categories' must be a list of strings", ''),
    ('consent_categories=[""]', 8, "'consent_categories' holds an empty id, which nobody can", "write the category's id"),
    ('[destination.sync]\nexclude=["tracks"]', 8, "'sync' is for warehouses, which Webhook is not", 'use [[destination.filter]], or a'),
]  # fmt: skip
PLANS: list[Row] = [
    ('{"rules": [\n  {"type": "TRACK",}\n]}', 2, 'is no JSON: trailing comma is not allowed', 'mend the JSON syntax'),
    ('{}', 1, "a plan needs a list 'rules'", 'write {"rules": [{"type": "TRACK",'),
    ('{"rules":["x"]}', 1, 'a rule must be an object', 'write {"rules": [{"type": "TRACK",'),
    ('{"rules":[\n{"type":"TRAK","key":"K","jsonSchema":{},"version":1}]}', 2, "unknown type 'TRAK'", "did you mean 'TRACK'?"),
    ('{"rules":[\n{"type":"IDENTIFY","key":"K","jsonSchema":{},"version":1}]}', 2, 'a rule of type IDENTIFY has no key; only TRACK has one', 'remove it'),
    ('{"rules":[\n{"type":"TRACK","key":"K","jsonSchema":{},"version":0}]}', 2, 'the version must be a number, 1 or more, not 0', 'write "version": 1'),
    ('{"rules":[\n{"type":"TRACK","key":"K","jsonSchema":{},"version":"1"}]}', 2, "the version must be a number, 1 or more, not '1'", 'write "version": 1'),
    ('{"rules":[\n{"type":"TRACK","key":"K","version":1}]}', 2, 'a rule needs a jsonSchema, which is an object', 'add "jsonSchema": {"type": "object"}'),
    ('{"rules":[\n{"type":"TRACK","key":"K","jsonSchema":"{}","version":1}]}', 2, 'a rule needs a jsonSchema, which is an object', 'add "jsonSchema": {"type": "object"}'),
    ('{"rules":[\n{"type":"TRACK","key":"K","jsonSchema":{"type":"object"},"version":1},\n{"type":"TRACK","key":"K","jsonSchema":{"type":"object"},"version":1}]}', 3, 'TRACK "K" stands here a second time', 'the first one is in line 2; change key'),
    ('{"rules":[\n{"type":"TRACK","key":"K","jsonSchema":{"$ref":"https://x.example/s.json"},"version":1}]}', 2, 'refers to "https://x.example/s.json", which is outside of', 'copy what is meant into definitions'),
    ('{"rules":[\n{"type":"TRACK","key":"K","jsonSchema":{"properties":{"a":{"$ref":"file:///etc/passwd"}}},"version":1}]}', 2, 'refers to "file:///etc/passwd", which is outside of this', 'copy what is meant into definitions'),
    ('{"rules":[\n{"type":"TRACK","key":"K","jsonSchema":{"properties":{"a":{"$ref":"#/definitions/nope"}}},"version":1}]}', 2, 'refers to "#/definitions/nope", which is not there', 'add it, or mend the path: it starts at'),
    ('{"rules":[\n{"type":"TRACK","key":"K","jsonSchema":{"$ref":"#"},"version":1}]}', 2, 'refers to "#", which leads back to itself and says nothing', 'say what is meant there'),
    ('{"rules":[\n{"type":"TRACK","key":"K","jsonSchema":{"properties":{"properties":{"properties":{"a":{"type":"strng"}}}}},"version":1}]}', 2, 'unknown type "strng"', 'one of array, boolean, integer, null,'),
    ('{"rules":[\n{"type":"TRACK","key":"K","jsonSchema":{"properties":{"properties":{"properties":{"a":{"pattern":"^(?!x)"}}}}},"version":1}]}', 2, 'the pattern "^(?!x)" looks ahead or behind, which takes no', 'say what must match; what must not'),
    ('{"rules":[\n{"type":"TRACK","key":"K","jsonSchema":{"properties":{"properties":{"properties":{"a":{"pattern":"[a"}}}}},"version":1}]}', 2, 'the pattern "[a" is no regular expression', 'close every bracket; a backslash is'),
    ('{"rules":[\n{"type":"TRACK","key":"K","jsonSchema":{"properties":{"properties":{"required":"a"}}},"version":1}]}', 2, '\'required\' is not valid draft 7: "a" is not of type "array"', "JSON Schema's page of the keyword says"),
    ('{"rules":[\n{"type":"TRACK","key":"K","jsonSchema":{"properties":{"properties":{"properties":{"a":{"minimum":"1"}}}}},"version":1}]}', 2, '\'minimum\' is not valid draft 7: "1" is not of type "number"', "JSON Schema's page of the keyword says"),
    ('{"rules":[\n{"type":"TRACK","key":"K","jsonSchema":{"$schema":"https://json-schema.org/draft/2020-12/schema"},"version":1}]}', 2, '"https://json-schema.org/draft/2020-12/schema" is a later', 'write it in draft 7: "$schema":'),
    ('{"rules":[\n{"type":"TRACK","key":"K","jsonSchema":{},"x-owner":5,"version":1}]}', 2, "'x-owner' must be a string or a list of strings", ''),
]  # fmt: skip


def refused(folder: Path, text: str, capsys: pytest.CaptureFixture[str], plan: str | None = None) -> list[dict[str, str]]:
    """What `relay check` says."""
    path = folder / "relay.toml"
    path.write_text(text)
    if plan is not None:
        (folder / "plan.json").write_text(plan)
    assert main(["check", str(path), "--no-network", "--json"]) == 78
    errors: list[dict[str, str]] = json.loads(capsys.readouterr().out)["errors"]
    for error in errors:
        assert Path(error["file"]).is_relative_to(folder)
        assert error["line"]
        assert error["remedy"] or "must be" in error["message"]
    return errors


def check(error: dict[str, str], file: str, row: Row) -> None:
    _, line, message, remedy = row
    assert (Path(error["file"]).name, error["line"]) == (file, line)
    assert message in error["message"]
    assert remedy in error["remedy"]


@pytest.mark.parametrize("row", FILTERS, ids=lambda row: row[0])
def test_a_filter(row: Row, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    check(refused(tmp_path, SOURCE + DESTINATION + FILTER + row[0], capsys)[0], "relay.toml", row)


@pytest.mark.parametrize("row", CHANGES, ids=lambda row: row[0])
def test_a_transformation(row: Row, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    check(refused(tmp_path, SOURCE + CHANGE + row[0] + "\n" + DESTINATION, capsys)[0], "relay.toml", row)


@pytest.mark.parametrize("row", SOURCES, ids=lambda row: row[0])
def test_a_source(row: Row, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    check(refused(tmp_path, SOURCE + row[0] + "\n" + DESTINATION, capsys)[0], "relay.toml", row)


@pytest.mark.parametrize("row", DESTINATIONS, ids=lambda row: row[0])
def test_a_destination(row: Row, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    check(refused(tmp_path, SOURCE + DESTINATION + row[0], capsys)[0], "relay.toml", row)


@pytest.mark.parametrize("row", PLANS, ids=lambda row: row[0])
def test_a_plan(row: Row, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = SOURCE + 'plan = "p"\n' + DESTINATION + '[[plan]]\nslug = "p"\nfile = "plan.json"\n'
    check(refused(tmp_path, text, capsys, row[0])[0], "plan.json", row)


def test_an_eleventh_filter(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (error,) = refused(tmp_path, SOURCE + DESTINATION + (FILTER + 'actions = [{ type = "DROP" }]\n') * 11, capsys)
    check(error, "relay.toml", ("", 38, "a destination has at most 10 filters", "join conditions"))


def test_a_plan_without_its_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (error,) = refused(tmp_path, SOURCE + DESTINATION + '[[plan]]\nslug = "p"\nfile = "nowhere.json"\n', capsys)
    check(error, "relay.toml", ("", 10, "nowhere.json cannot be read: No such file", "check the path"))
