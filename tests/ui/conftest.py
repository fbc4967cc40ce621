"""The tools as a fixture."""

import pytest

from tests.support.ui_tools import Tools, ui_tools


@pytest.fixture(scope="session")
def tools() -> Tools:
    return ui_tools()
