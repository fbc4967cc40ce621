"""How mistakes in the configuration are shown (command line page, "Errors")."""

from collections.abc import Iterable

from relay.errors import Problem

MAX_LINE = 200


def format_problems(problems: Iterable[Problem], *, word: str = "error") -> str:
    """One entry per problem: place, message, and either the marked line with the remedy or the remedy in brackets."""
    return "\n".join(format_problem(problem, word=word) for problem in problems)


def format_problem(problem: Problem, *, word: str = "error") -> str:
    """One mistake with file, line, what, why and remedy."""
    place = problem.place
    where = "" if place is None else f"{place.file}:{place.line}: " if place.line else f"{place.file}: "
    head = f"{word}: {where}{problem.message}"
    if place is None or not place.line or not place.column or not place.text or place.column > MAX_LINE:
        return f"{head} ({problem.remedy})" if problem.remedy else head
    prefix = f"{place.line:>5} | "
    text = place.text.lstrip()
    column = place.column - 1 - (len(place.text) - len(text))
    caret = " " * (len(prefix) + column) + "^" * place.width
    return f"{head}\n{prefix}{text[:MAX_LINE]}\n{caret} {problem.remedy}".rstrip()
