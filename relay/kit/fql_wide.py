"""Triggers that say more than the reference's grammar can: the language of filters, over the fields of triggers.

What stays refused is what a person may mean otherwise than it would be read: `and` mixed with `or` on one level, a text without quotes.
"""

from collections.abc import Collection

from relay.kit.fql_filter import condition_of, parts_of, types_in
from relay.kit.fql_parser import Call, Compare, Group, Level, Literal, Node, Not, Path, fail, parse, refuse_mixed
from relay.kit.fql_trigger import FIELDS, FORM, FUNCTIONS, ORDERS, Test
from relay.kit.js import is_number


def compile_text(text: str) -> Test:
    """The test of a trigger; raises ConfigError with position and remedy."""
    return condition_of(_checked(text))


def types_of(text: str, types: Collection[str]) -> frozenset[str]:
    """Those of `types` whose events it may match; raises ConfigError."""
    compile_text(text)
    return types_in(_checked(text), types)


def _checked(text: str) -> Node:
    tree = Literal(1, "all", True) if text.strip() == "all" else parse(text, FORM)
    _check_condition(tree)
    return tree


def _check_condition(node: Node) -> None:
    if isinstance(node, Level):
        inner = next((part for part in node.parts if isinstance(part, Level)), None)
        if inner:
            refuse_mixed(node, inner)
        for part in node.parts:
            _check_condition(part)
    elif isinstance(node, Group):
        if isinstance(node.inner, Group):
            fail(node.inner.at, "parentheses right inside parentheses are not read", "use one pair")
        _check_condition(node.inner)
    elif isinstance(node, Not):
        if isinstance(node.inner, Compare):
            fail(node.inner.at, '"!" stands before a comparison', 'compare with "!=", or put the comparison in parentheses')
        _check_condition(node.inner)
    elif isinstance(node, Path) and len(node.keys) == 1:
        fail(node.at, f'"{node.text}" stands without a comparison', f'compare it, as in {node.text} = "text"')
    elif isinstance(node, Compare) and isinstance(node.right, Path) and len(node.right.keys) == 1:
        fail(node.right.at, f'expected a value, found "{node.right.text}"', f'write "{node.right.text}" in double quotes')
    elif isinstance(node, Compare) and node.op in ORDERS and isinstance(node.right, Literal) and not is_number(node.right.value):
        fail(node.right.at, f'"{node.op}" compares numbers, found {node.right.text}', "write a number")
    else:
        _check_fields(node)


def _check_fields(node: Node) -> None:
    if isinstance(node, Path):
        root = node.keys[0]
        if root not in FIELDS or FIELDS[root] != (len(node.keys) > 1):
            fail(
                node.at,
                f'"{node.text}" is no field of a trigger',
                "fields are " + ", ".join(name + (".<path>" if deep else "") for name, deep in FIELDS.items()),
            )
    if isinstance(node, Call) and node.name in FUNCTIONS:
        for argument in node.arguments:
            if isinstance(argument, Literal) and not isinstance(argument.value, str):
                fail(argument.at, "expected a text", 'put it in "double quotes"')
    for part in parts_of(node):
        _check_fields(part)
