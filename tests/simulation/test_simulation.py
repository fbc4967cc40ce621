"""The outbox page's promises hold under crashes, faults and orders at any moment, and nothing gets stuck."""

from pathlib import Path

from tests.simulation.world import simulate


def test_promises_hold_after_each_commit_and_at_rest(engine: str, seeds: range, tmp_path: Path) -> None:
    for seed in seeds:
        folder = None
        if engine == "sqlite":
            folder = tmp_path / str(seed)
            folder.mkdir()
        result = simulate(seed, folder)
        assert not result.broken, f"on {engine}: {result.report()}"
