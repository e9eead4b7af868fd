"""Runs a compiled package step by step on this machine, in KFP's own local engine: no cluster, each step a process.

    python kubeflow_runner.py compile --config debug --output pipeline.yaml
    python tools/replay_package.py pipeline.yaml --folder replay

Each step's command runs in this environment, or behind a command prefix: in a container of the image that `make image`
made, by any engine and as any user.

    python tools/replay_package.py pipeline.yaml --folder /tmp/replay --expect runs/debug/report/metrics.json \\
        --prefix "docker run --rm --user 1000 --volume /tmp/replay:/tmp/replay pets-pipeline:1"

The folder, which must be empty, gets `artifacts/RUN/TASK/KEY`, `data` and `serving`. The exit status is 0 only if every
step succeeded and, with `--expect`, each figure is the same as there but for rounding, which was seen to change a
figure by a millionth.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import pathlib
import shlex
import sys
from collections.abc import Iterator, Sequence
from typing import Any
from unittest import mock

from kfp import components, local
from kfp.local import status, subprocess_task_handler


def main() -> None:
    """Replays, then compares."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("package", type=pathlib.Path, help="what kubeflow_runner.py compile wrote")
    parser.add_argument("--folder", type=pathlib.Path, required=True, help="where outputs go; mount it at its own path")
    parser.add_argument("--prefix", default="", help="a command that runs the command behind it in a container")
    parser.add_argument("--expect", type=pathlib.Path, help="report/metrics.json of another run with the same figures")
    arguments = parser.parse_args()
    folder = arguments.folder.absolute()
    if folder.exists() and any(folder.iterdir()):
        parser.error(f"--folder {folder} is not empty; name a new one")
    prefix = shlex.split(arguments.prefix)
    if prefix:
        os.umask(0)  # The container's user is another than ours, and writes into folders that the engine makes.
    folder.mkdir(parents=True, exist_ok=True)
    replay(arguments.package, folder, prefix)
    if arguments.expect:
        [metrics] = folder.glob("artifacts/*/ModelComparison/report/metrics.json")
        compare(metrics, arguments.expect)


def replay(package: pathlib.Path, folder: pathlib.Path, prefix: Sequence[str]) -> None:
    """Runs the pipeline of `package`.

    Args:
        package: a compiled pipeline with the parameters `data_dir` and `serving_dir`.
        folder: gets `artifacts`, `data` and `serving`.
        prefix: goes before each step's command; with none, `python3` there is the running interpreter.

    Raises:
        RuntimeError: a step failed; its output is on the terminal.
    """

    # Workaround: `only supports running Lightweight Python Components`.
    # Cause: KFP's engine runs a step with a command of its own by a Docker daemon alone.
    # Can go when its subprocess runner takes such steps.
    class Step(subprocess_task_handler.SubprocessTaskHandler):
        def __init__(self, image: str, full_command: list[str], **_: Any) -> None:
            self.command = full_command

        def run(self) -> status.Status:
            command = [*prefix, *self.command]
            if command[0] == "python3":
                command[0] = sys.executable
            failed = subprocess_task_handler.run_local_subprocess(command)
            return status.Status.FAILURE if failed else status.Status.SUCCESS

    local.init(local.SubprocessRunner(use_venv=False), pipeline_root=str(folder / "artifacts"))
    with mock.patch.object(subprocess_task_handler, "SubprocessTaskHandler", Step):
        run = components.load_component_from_file(str(package))
        run(data_dir=str(folder / "data"), serving_dir=str(folder / "serving"))


def compare(metrics: pathlib.Path, expected: pathlib.Path) -> None:
    """Prints how many figures are equal in two `metrics.json`: champion, blessings, and every metric of every slice.

    Raises:
        SystemExit: some are not; the message names them.
    """
    here, there = dict(figures(json.loads(metrics.read_text()))), dict(figures(json.loads(expected.read_text())))
    unequal = [key for key in sorted(here.keys() | there.keys()) if not _same(here.get(key), there.get(key))]
    if unequal:
        lines = (f"  {key}: {here.get(key)} here, {there.get(key)} there" for key in unequal)
        raise SystemExit("\n".join([f"{len(unequal)} of {len(here)} figures are not those of {expected}:", *lines]))
    rounded = sum(here[key] != there[key] for key in here)
    print(f"all {len(here)} figures are those of {expected}" + (f", {rounded} but for rounding" if rounded else ""))


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=1e-5, abs_tol=1e-8)
    return one == other


def figures(metrics: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """What two runs with the same seed have in common, as pairs of a path and a value."""
    yield "champion", metrics["champion"]
    for model, result in metrics["models"].items():
        yield f"{model}/blessed", result["blessed"]
        yield from _leaves(f"{model}/metrics", result["metrics"])


def _leaves(path: str, tree: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield from _leaves(f"{path}/{key}", value)
    else:
        yield path, tree


if __name__ == "__main__":
    main()
