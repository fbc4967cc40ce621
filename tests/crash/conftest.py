"""What the crash tests share. `pytest tests/crash --crashes 300` kills more often than the suite does."""

import pytest

CRASHES = 30


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--crashes", type=int, default=CRASHES, help="how often relay is killed under load")


@pytest.fixture
def crashes(request: pytest.FixtureRequest) -> int:
    """How many kills; the default too when pytest was started above this folder and does not know the option."""
    return int(request.config.getoption("crashes", CRASHES))
