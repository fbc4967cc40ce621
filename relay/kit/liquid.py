"""`@liquid`: templates in Liquid, parsed and run by python-liquid, with the filters and the printing of LiquidJS.

Imported only when a mapping uses it. Promises: a template is at most 1,000 characters, cannot loop or load, and its work is bounded by
the texts it may make (`MAX_TEXT_CHARS`), which keeps it far below the 500 ms of the reference without asking a clock.
"""

import difflib
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Final, TextIO

from liquid import Environment
from liquid.builtin.output import Output, OutputNode
from liquid.builtin.tags.echo_tag import EchoNode, EchoTag
from liquid.exceptions import LiquidError
from liquid.undefined import is_undefined

from relay.errors import PayloadError
from relay.kit.js import length_of
from relay.kit.liquid_filters import FILTERS, MAX_TEXT_CHARS, UNUSED, filter_of, print_liquid
from relay.kit.paths import Constant, Node

MAX_CHARS: Final = 1_000
REFUSED_TAGS: Final = ("case", "for", "include", "layout", "render", "tablerow", "block")
REFUSED_FILTERS: Final = (
    "array_to_sentence_string", "concat", "find", "find_exp", "find_index", "find_index_exp", "group_by", "group_by_exp", "has", "has_exp",
    "map", "newline_to_br", "reject", "reject_exp", "reverse", "sample", "sort", "sort_natural", "type", "uniq", "where_exp",
)  # fmt: skip
"""Those of the reference, and `sample`, which needs chance."""

Refuse = Callable[[str, str], Node]
"""Takes what is wrong and the remedy."""


def compile_liquid(text: str, refuse: Refuse) -> Node:
    """The template as a node; what is wrong with it goes to `refuse`."""
    if not text:
        return Constant("")
    if length_of(text) > MAX_CHARS:
        return refuse(f"a template is at most {MAX_CHARS} characters long, this has {length_of(text)}", "split it into two fields")
    try:
        template = _environment().from_string(text)
        used = template.analyze()
    except LiquidError as error:
        return refuse(*_explain(error))
    for name in used.filters:
        if name in REFUSED_FILTERS:
            return refuse(f'the filter "{name}" is not allowed', f"filters are {', '.join(FILTERS)}")
        near = difflib.get_close_matches(name, FILTERS, n=1, cutoff=0.8) if name not in FILTERS else []
        if near:
            return refuse(f'"{name}" is no filter', f'did you mean "{near[0]}"?')

    def render(payload: Any) -> str:
        try:
            return template.render(payload if isinstance(payload, Mapping) else {})
        except RecursionError:
            raise PayloadError("@liquid: a value is nested too deep") from None
        except LiquidError as error:
            raise PayloadError(f"@liquid: {_explain(error)[0]}") from None
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
            # The library tells wrong arguments of a filter by whatever its code raises.
            raise PayloadError("@liquid: a filter or a comparison does not fit the values of this event") from None

    return render


def _explain(error: LiquidError) -> tuple[str, str]:
    """What is wrong, with its line, and the remedy."""
    token = error.token
    said = str(error.args[0]) if error.args else "the template is wrong"
    tag = next((name for name in REFUSED_TAGS if token is not None and token.value == name), "")
    if tag:
        return f'the tag "{tag}" is not allowed', "tags are if, unless, assign, capture, comment, cycle, echo, increment, decrement, raw"
    place = ""
    if token is not None and token.start_index >= 0:
        place = f"character {token.start_index + 1}: "
    return f"{place}{said}", ""


class _PrintedNode(OutputNode):
    def render_to_output(self, context: Any, buffer: TextIO) -> int:
        return buffer.write(print_liquid(_known(self.expression.evaluate(context))))


class _Printed(Output):
    node_class = _PrintedNode


class _EchoedNode(EchoNode):
    render_to_output = _PrintedNode.render_to_output


class _Echoed(EchoTag):
    node_class = _EchoedNode


class _Environment(Environment):
    output_stream_limit = MAX_TEXT_CHARS
    local_namespace_limit = 8 * MAX_TEXT_CHARS
    string_first_and_last = True
    string_sequences = True

    def setup_tags_and_filters(self, *, extra: bool = False) -> None:
        super().setup_tags_and_filters(extra=extra)
        for name in REFUSED_TAGS:
            self.tags.pop(name, None)
        self.add_tag(_Printed)
        self.add_tag(_Echoed)
        self.filters = {name: _adapt(name) for name in FILTERS}


@lru_cache(maxsize=1)
def _environment() -> Environment:
    return _Environment(strict_filters=False)


def _known(value: Any) -> Any:
    if isinstance(value, range):
        return list(value[: MAX_TEXT_CHARS + 1])
    return None if is_undefined(value) else value


def _adapt(name: str) -> Callable[..., Any]:
    """A filter as the library calls it: undefined is null for the value, and left out for arguments."""
    apply = filter_of(name)

    def call(value: Any, *arguments: Any, **named: Any) -> Any:
        given = [UNUSED if is_undefined(argument) else argument for argument in arguments]
        return apply(_known(value), given, named)

    return call
