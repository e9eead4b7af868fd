"""A fully cached rerun of the debug config against the imports alone, and `--help` beside them.

    python benchmarks/cached_rerun.py

Whole processes, in turn, after one run that fills the cache.
"""

from __future__ import annotations

import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).parents[1]
RUNNER = str(ROOT / "local_runner.py")
IMPORTS = "from tfx import v1; from pipeline import local, pipeline, serving_model"
ROUNDS = 5


def seconds(command: list[str], folder: str) -> float:
    start = time.perf_counter()
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return time.perf_counter() - start


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        rerun = [sys.executable, RUNNER, "--config", "debug"]
        seconds(rerun, folder)
        imports, cached = [sys.executable, "-c", IMPORTS], rerun
        rounds = [[seconds(command, folder) for command in (cached, imports)] for _ in range(ROUNDS)]
        helping = statistics.median(seconds([sys.executable, RUNNER, "--help"], folder) for _ in range(ROUNDS))
    rerun_seconds, import_seconds = (statistics.median(times) for times in zip(*rounds, strict=True))
    ratio = statistics.median(one / other for one, other in rounds)
    print(
        f"cached rerun {rerun_seconds:.1f} s, imports {import_seconds:.1f} s: ratio {ratio:.2f}; --help {helping:.2f} s"
    )


if __name__ == "__main__":
    main()
