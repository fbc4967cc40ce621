"""`RELAY_TEST_DEBUG=1`: the asyncio debug mode, also in processes that a test starts; a module of tests fails when asyncio complained.

The mode finds callbacks from a foreign thread, tasks that were forgotten, exceptions that nobody took, and makes aiohttp strict. Slow
callbacks are not looked at (they depend on the machine), nor peers that go away during a handshake.
"""

import gc
import logging
import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

# for every test with @given: a busy machine is no fault of what is tested
settings.register_profile("relay", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("relay")

DEBUG = os.environ.get("RELAY_TEST_DEBUG") == "1"
if DEBUG:
    os.environ["PYTHONASYNCIODEBUG"] = "1"  # before asyncio and aiohttp look at it


def pytest_configure(config: pytest.Config) -> None:
    config.option.asyncio_debug = config.option.asyncio_debug or DEBUG  # the loops of the tests themselves do not go by the environment


NO_FAULT = ("Executing ", "Error on transport creation for incoming connection")


class Complaints(logging.Handler):
    """Keeps what asyncio logs as a warning or worse."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.told: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if not text.startswith(NO_FAULT):
            self.told.append(f"{text} {logging.Formatter().formatException(record.exc_info)}" if record.exc_info else text)


@pytest.fixture(autouse=DEBUG, scope="module")
def asyncio_has_no_complaint() -> Iterator[None]:
    complaints, log = Complaints(), logging.getLogger("asyncio")
    log.addHandler(complaints)
    yield
    gc.collect()  # a forgotten task is told when it goes
    log.removeHandler(complaints)
    assert complaints.told == []
