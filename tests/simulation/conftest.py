"""Options of the simulation: more seeds, or one seed again. They need the folder on the command line: `pytest tests/simulation --seed 7`."""

from collections.abc import Iterator

import pytest
import structlog

from tests.simulation.plan import BATCHES

MEMORY_SEEDS, SQLITE_SEEDS, BLOCK = 350, 150, 50


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--seeds", type=int, default=MEMORY_SEEDS + SQLITE_SEEDS, help="how many seeds the simulation runs")
    parser.addoption("--seed", type=int, default=None, help="run this one seed, in memory and on SQLite")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "seeds" not in metafunc.fixturenames:
        return
    one = metafunc.config.getoption("seed", None)
    total = int(metafunc.config.getoption("seeds", MEMORY_SEEDS + SQLITE_SEEDS))
    on_sqlite = total * SQLITE_SEEDS // (MEMORY_SEEDS + SQLITE_SEEDS)
    blocks = [("memory", 0, total - on_sqlite), ("sqlite", 1_000_000, on_sqlite), ("memory", BATCHES, total // 5)]
    cases = [(engine, range(first + at, first + min(at + BLOCK, count))) for engine, first, count in blocks for at in range(0, count, BLOCK)]
    if one is not None:
        cases = [("memory", range(one, one + 1)), ("sqlite", range(one, one + 1))]
    metafunc.parametrize(("engine", "seeds"), cases, ids=[f"{engine}-{seeds.start}" for engine, seeds in cases])


@pytest.fixture(autouse=True)
def _silent() -> Iterator[None]:
    """The traces tell more than the logs do."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50), cache_logger_on_first_use=False)
    yield
    structlog.configure(**before)
