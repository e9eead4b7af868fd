"""Kills local runs at random moments, and checks that the same command, again, loses nothing and leaves nothing.

    python benchmarks/kills.py [--kills 200] [--within 60] [--seed 0] [--folder DIR] [--config debug] [a run's flags]

First an unbroken run, then broken ones, each begun in a new folder and killed (SIGKILL, its whole process group) after
between one and `--within` seconds, again and again until it ends; the logarithm of the delay is uniform, since what is
not kept within an epoch needs a long one now and then. Checked after each kill: every version under serving/ is a whole
model. Checked after each end: every value of metrics.json is the unbroken run's, times and sizes on disk aside; one
version is served, and it is the champion; neither the temporary directory nor the run's own holds anything of the
killed ones. Ends with status 1 at the first thing that is not so.

With `--of RUN_DIR` the kills are not random: a copy of that finished run, whose models were taken from serving/, is
killed once at each of the moments in `SPOTS`, which are few and hard to hit. Start it where the run was started.

A run imports for 10 s what takes a second to fork: this process imports it all once, runs nothing of TensorFlow, and
each run is a fork of it, with a session, a folder and a temporary directory of its own.
"""

from __future__ import annotations

import argparse
import importlib
import json
import math
import os
import pathlib
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

import local_runner
from pipeline import interrupts

_HEAVY = (
    "tfx.v1",
    "tensorflow_model_analysis",
    "pipeline.pipeline",
    "pipeline.local",
    "pipeline.serving_model",
    "components.report.publishing",
    "components.serving_folder",
    "trainer_module.trainer",
)

_OWN = {
    *("seconds", "train_seconds", "milliseconds", "saved_model_milliseconds", "size_bytes"),
    *("images_per_second", "inference_images_per_second", "photos_per_second"),
}
"""Values of metrics.json that no two runs share."""

Kill = Callable[[], None]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--within", type=float, default=60.0, help="seconds; longer than any epoch")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--folder", type=pathlib.Path, help="where to; empty: a temporary one, removed at the end")
    parser.add_argument("--of", type=pathlib.Path, help="a finished run's directory")
    own, flags = parser.parse_known_args()
    for module in _HEAVY:
        importlib.import_module(module)
    with tempfile.TemporaryDirectory() as folder:
        place = (own.folder or pathlib.Path(folder)).absolute()
        if own.of:
            _hit_spots(own.of, place, flags)
        else:
            _kill_at_random(place, flags, own.kills, own.within, random.Random(own.seed))


def _kill_at_random(place: pathlib.Path, flags: list[str], kills: int, within: float, moments: random.Random) -> None:
    started = time.monotonic()
    unbroken = Run(place / "unbroken", flags)
    _expect(unbroken.wait(unbroken.start()) == 0, f"the unbroken run failed, see {unbroken.folder}")
    expected = unbroken.metrics()
    print(f"unbroken: {time.monotonic() - started:.0f} s, {len(expected)} values", flush=True)
    done = number = 0
    while done < kills:
        number += 1
        run = Run(place / f"broken-{number}", flags)
        before = done
        while True:
            process = run.start()
            delay = math.exp(moments.uniform(0, math.log(within))) if done < kills else None
            status = run.wait(process, delay)
            if status is not None:
                break
            done += 1
            run.check_served()
        _expect(status == 0, f"the same command failed with status {status}, see {run.folder}")
        run.check_end(expected)
        print(f"{done} kills; run {number} had {done - before} and is as the unbroken one", flush=True)
        shutil.rmtree(run.folder)


def _hit_spots(finished: pathlib.Path, place: pathlib.Path, flags: list[str]) -> None:
    run = Run(place / "of", flags, pathlib.Path.cwd())
    shutil.copytree(finished, run.run_dir)
    expected = run.metrics()
    shutil.rmtree(run.run_dir / "serving")
    for spot in SPOTS:
        _expect(run.wait(run.start(spot)) == -signal.SIGKILL, f"{spot}: the run was not there, see {run.folder}")
        run.check_served()
        print(f"killed: {spot}", flush=True)
    _expect(run.wait(run.start()) == 0, f"the same command failed, see {run.folder}")
    run.check_end(expected)


class Run:
    """A run in its own folder, started as often as need be."""

    def __init__(self, folder: pathlib.Path, flags: list[str], started_in: pathlib.Path | None = None) -> None:
        self.folder = folder
        self._started_in = started_in or folder
        self.run_dir = folder / "run"
        self._temporary = folder / "temporary"
        self._temporary.mkdir(parents=True, exist_ok=True)
        self._flags = [*flags, "--run-dir", str(self.run_dir)]

    def start(self, spot: str = "") -> int:
        """Forks a run that kills itself at a spot of `SPOTS`, if there is one; returns its process id."""
        sys.stdout.flush()
        process = os.fork()
        if process == 0:
            self._run(spot)
        return process

    def _run(self, spot: str) -> NoReturn:
        os.setsid()
        os.chdir(self._started_in)
        os.environ["TMPDIR"] = str(self._temporary)
        tempfile.tempdir = None
        console = os.open(self.folder / "console.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        for stream in (1, 2):
            os.dup2(console, stream)
        sys.argv = ["local_runner.py", *self._flags]
        if spot:
            SPOTS[spot](lambda: os.killpg(0, signal.SIGKILL))
        interrupts.end_with(local_runner.main)

    def wait(self, process: int, seconds: float | None = None) -> int | None:
        """The exit status; None where the run was killed, for it did not end in time."""
        end = time.monotonic() + (seconds if seconds is not None else float("inf"))
        while time.monotonic() < end:
            ended, status = os.waitpid(process, os.WNOHANG)
            if ended:
                return os.waitstatus_to_exitcode(status)
            time.sleep(0.02)
        os.killpg(process, signal.SIGKILL)
        os.waitpid(process, 0)
        return None

    def metrics(self) -> dict[str, Any]:
        """Every value of metrics.json by its path, but those in `_OWN`."""
        return dict(_values(json.loads((self.run_dir / "report" / "metrics.json").read_text())))

    def check_served(self) -> None:
        """Every version is one of the run's champions, byte for byte."""
        pushed = ("pipeline/ModelComparison/champion/*/*", "pipeline/Edge/model/*/*")
        champions = [_content(path) for pattern in pushed for path in self.run_dir.glob(pattern)]
        for version in self.run_dir.glob("serving/[0-9]*"):
            _expect(_content(version) in champions, f"{version} is no whole champion")

    def check_end(self, expected: dict[str, Any]) -> None:
        """The run is as the unbroken one, and alone."""
        found = self.metrics()
        differing = [path for path in expected.keys() | found.keys() if expected.get(path) != found.get(path)]
        _expect(not differing, f"{len(differing)} values differ in {self.run_dir}: {sorted(differing)[:5]}")
        self.check_served()
        served = list((self.run_dir / "serving").iterdir())
        _expect(len(served) == 1, f"served are {served}")
        left = [*self._temporary.iterdir(), *self.run_dir.glob(".*.new"), *self.run_dir.glob(".*.old")]
        left += [*self.run_dir.glob(".temporary*"), *self.run_dir.glob("pipeline/*/checkpoints/*")]
        left += self.run_dir.glob("pipeline/*/.system/stateful_working_dir/*")
        _expect(not left, f"left behind: {left}")


def _values(tree: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(tree, dict | list):
        for key, value in tree.items() if isinstance(tree, dict) else enumerate(tree):
            if key not in _OWN:
                yield from _values(value, f"{path}/{key}")
    else:
        yield path, tree


def _content(folder: pathlib.Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def _expect(holds: bool, message: str) -> None:
    if not holds:
        sys.exit(message)


def _around(owner: Any, name: str, concerned: Callable[..., bool], kill: Kill, after: bool = False) -> None:
    """Makes a function kill the run before or after its first call whose arguments are `concerned`."""
    function = getattr(owner, name)

    def killing(*given: Any, **named: Any) -> Any:
        hit = concerned(*given, **named)
        if hit and not after:
            kill()
        result = function(*given, **named)
        if hit:
            kill()
        return result

    setattr(owner, name, killing)


def _in_pusher(kill: Kill, moment: str) -> None:
    from tfx.dsl.io import fileio
    from tfx.orchestration.portable import launcher

    if moment == "copying":
        _around(fileio, "copy", lambda _, target, **more: ".incoming-" in str(target), kill, after=True)
    elif moment == "publishing":
        node = launcher.Launcher
        _around(
            node,
            "_publish_successful_execution",
            lambda self, *_, **more: self._pipeline_node.node_info.id == "Pusher",
            kill,
        )
    else:
        _around(os, "rename", lambda source, _: ".incoming-" in str(source), kill, after=moment == "renamed")


def _in_report(kill: Kill, moment: str) -> None:
    _around(pathlib.Path, "rename", lambda path, _: path.name == ".report.new", kill, after=moment == "renamed")


SPOTS: dict[str, Callable[[Kill], None]] = {
    "Pusher, one file copied": lambda kill: _in_pusher(kill, "copying"),
    "Pusher, copied and not renamed": lambda kill: _in_pusher(kill, "copied"),
    "Pusher, renamed": lambda kill: _in_pusher(kill, "renamed"),
    "Pusher, not published": lambda kill: _in_pusher(kill, "publishing"),
    "report, the old one moved away": lambda kill: _in_report(kill, "moved"),
    "report, renamed": lambda kill: _in_report(kill, "renamed"),
}
"""What makes a run kill itself: each takes the function that does."""


if __name__ == "__main__":
    main()
