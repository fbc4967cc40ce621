"""The validator of plans agrees with the JSON-Schema-Test-Suite of draft 7; what it refuses is what a plan must not hold, and nothing else."""

import pytest

from relay.kit.json_schema import compile_schema, mistakes_of
from relay.kit.violations import violations_of
from tests.support.schema_suite import Case, cases

KEYWORDS = (
    "additionalItems", "additionalProperties", "allOf", "anyOf", "boolean_schema", "const", "contains", "default", "dependencies", "enum",
    "exclusiveMaximum", "exclusiveMinimum", "format", "if-then-else", "infinite-loop-detection", "items", "maxItems", "maxLength", "maxProperties", "maximum",
    "minItems", "minLength", "minProperties", "minimum", "multipleOf", "not", "oneOf", "pattern", "patternProperties", "properties",
    "propertyNames", "ref", "required", "type", "uniqueItems", "optional/format/date-time", "optional/format/date", "optional/format/email",
    "optional/format/ipv4", "optional/format/ipv6", "optional/format/uri", "optional/format/time",
)  # fmt: skip


def told(case: Case) -> str:
    """Empty: the validator agrees, and has a violation exactly for what is not valid."""
    if isinstance(case.schema, bool):
        return ""
    validator = compile_schema(case.schema)
    errors = violations_of(validator.iter_errors(case.data))
    if validator.is_valid(case.data) != case.valid:
        return case.name
    return "" if bool(errors) != case.valid else f"{case.name}: {errors}"


@pytest.mark.parametrize("keyword", KEYWORDS)
def test_a_keyword_means_what_the_suite_says(keyword: str) -> None:
    found = list(cases(keyword))
    refused = [(case, mistake) for case in found if not isinstance(case.schema, bool) for mistake in mistakes_of(case.schema)]
    assert [mistake for _, mistake in refused if "outside of this schema" not in mistake.message] == [], "nothing but addresses is refused"
    used = [case for case in found if all(case is not one for one, _ in refused)]
    assert used
    assert [one for one in map(told, used) if one] == []
