"""The captured governance cases, through a real workspace."""

from pathlib import Path
from typing import Any

import pytest

from tests.support.governance import CASES, check, run


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_a_case_delivers_what_it_should_and_nothing_else(case: dict[str, Any], tmp_path: Path) -> None:
    check(case, run(case, tmp_path))
