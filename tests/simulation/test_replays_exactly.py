"""A seed is the whole truth: the same seed gives the same trace, in this process and in another one."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.simulation.world import simulate

SEEDS = (3, 18, 31, 77)
PROGRAM = """
import hashlib, structlog
from tests.simulation.world import simulate
structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
print(hashlib.sha256("\\n".join(line for seed in {seeds} for line in simulate(seed).trace).encode()).hexdigest())
"""


@pytest.mark.parametrize("seed", SEEDS)
def test_a_seed_gives_the_same_trace_each_time(seed: int, tmp_path: Path) -> None:
    assert simulate(seed).trace == simulate(seed).trace
    traces = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        traces.append(simulate(seed, tmp_path / name).trace)
    assert traces[0] == traces[1]


def test_a_seed_gives_the_same_trace_in_another_process_whatever_its_hash_seed() -> None:
    here = hashlib.sha256("\n".join(line for seed in SEEDS for line in simulate(seed).trace).encode()).hexdigest()
    for hash_seed in ("1", "2"):
        command = [sys.executable, "-c", PROGRAM.format(seeds=SEEDS)]
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(Path(__file__).parents[2])}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=120)
        assert done.stdout.strip() == here
