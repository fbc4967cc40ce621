"""What the tests under Node share."""

from pathlib import Path

import pytest

from tests.support.node import installed


@pytest.fixture(scope="session")
def client_folder(pytestconfig: pytest.Config) -> Path:
    return installed(Path(__file__).parent, pytestconfig.cache)
