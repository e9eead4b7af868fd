"""The Beam steps on real engines: a manager, two nodes, two worker pools and the job server, each a process."""

from __future__ import annotations

import contextlib
import dataclasses
import pathlib
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator

import psutil
import pytest
from conftest import ROOT, Run

from engines import artifacts, steps
from engines.cluster import NODES, Cluster, MissingToolError
from pipeline import cause, configs
from pipeline.beam import WORKER_SECONDS, Beam
from schema import spec_file

SPEC = spec_file.shipped("synthetic_pets")

# The first test waits for the local run and for the same steps on workers that import TensorFlow anew for each job.
pytestmark = [pytest.mark.engines, pytest.mark.timeout(1800)]

SECONDS_TO_END = 2 * WORKER_SECONDS


@pytest.fixture(scope="module", params=["flink", "spark"])
def cluster(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    try:
        ready = Cluster(request.param, tmp_path_factory.mktemp(request.param))
    except MissingToolError as error:
        pytest.skip(str(error))
    with ready:
        yield ready


def _run(first_run: Run, beam: Beam, folder: pathlib.Path, last: str = "") -> pathlib.Path:
    """Runs the debug config's Beam steps on the first run's data and models; returns the folder of the artifacts."""
    config = dataclasses.replace(configs.debug(), data_dir=str(first_run.directory.parent / "data"), beam=beam)
    steps.run(config, folder, first_run.directory / "pipeline", last)
    return folder / "pipeline"


def _served(cluster: Cluster, node: int) -> int:
    """How many workers of a node's pool have found their engine so far."""
    return cluster.log(f"pool_{node}").count(" serves ")


@pytest.fixture(scope="module")
def engine_run(first_run: Run, cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    return _run(first_run, cluster.beam, tmp_path_factory.mktemp("run"))


def test_both_nodes_work(engine_run: pathlib.Path, cluster: Cluster) -> None:
    assert all(_served(cluster, node) for node in NODES)


def test_every_artifact_is_that_of_the_direct_runner(engine_run: pathlib.Path, first_run: Run) -> None:
    assert artifacts.differences(engine_run, first_run.directory / "pipeline", SPEC) == []


@contextlib.contextmanager
def _when_at_work(cluster: Cluster, act: Callable[[], None]) -> Iterator[None]:
    """Acts once a worker of both pools has found its engine, for a job within the context."""
    before = {node: _served(cluster, node) for node in NODES}
    acted = threading.Event()

    def wait_and_act() -> None:
        while any(_served(cluster, node) <= before[node] for node in NODES):
            time.sleep(0.1)
        act()
        acted.set()

    threading.Thread(target=wait_and_act, daemon=True).start()
    yield
    assert acted.is_set()


def _assert_examples(run: pathlib.Path, first_run: Run) -> None:
    assert artifacts.examples(run) == artifacts.examples(first_run.directory / "pipeline")


# What follows ends processes, and starts them again.


def test_the_loss_of_a_node_in_mid_run_is_survived(cluster: Cluster, first_run: Run, tmp_path: pathlib.Path) -> None:
    try:
        with _when_at_work(cluster, lambda: cluster.kill("node_1")):
            run = _run(first_run, cluster.beam, tmp_path, last="ExampleGen")
    finally:
        cluster.start("node_1")
    _assert_examples(run, first_run)


def test_a_worker_pool_that_comes_back_costs_nothing(cluster: Cluster, first_run: Run, tmp_path: pathlib.Path) -> None:
    def restart() -> None:
        cluster.kill("pool_1")
        cluster.start("pool_1")

    with _when_at_work(cluster, restart):
        run = _run(first_run, cluster.beam, tmp_path, last="ExampleGen")
    _assert_examples(run, first_run)


def test_the_loss_of_the_job_server_fails_the_step_and_a_rerun_goes_on(
    cluster: Cluster, first_run: Run, tmp_path: pathlib.Path
) -> None:
    try:
        with (
            pytest.raises(cause.ComponentError, match=r"^ExampleGen$") as failure,
            _when_at_work(cluster, lambda: cluster.kill("job_server")),
        ):
            _run(first_run, cluster.beam, tmp_path, last="ExampleGen")
    finally:
        cluster.start("job_server")
    assert failure.value.__cause__
    assert f"the job server at {cluster.beam.job_endpoint} is gone" in cause.sentence(failure.value.__cause__)
    _assert_examples(_run(first_run, cluster.beam, tmp_path, last="ExampleGen"), first_run)


def test_an_interrupted_step_leaves_nothing_running(cluster: Cluster, first_run: Run, tmp_path: pathlib.Path) -> None:
    folders = ("--data-dir", str(first_run.directory.parent / "data"), "--run-dir", str(tmp_path / "run"))
    command = [sys.executable, str(ROOT / "local_runner.py"), "--config", "debug", *cluster.flags, *folders]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    with process, _when_at_work(cluster, lambda: process.send_signal(signal.SIGTERM)):
        console, _ = process.communicate()
    assert process.returncode == 128 + signal.SIGTERM, console
    _assert_nothing_left(cluster)
    assert cluster.beam.runner != "flink" or "switched from state CANCELLING to CANCELED" in cluster.log("manager")


def _assert_nothing_left(cluster: Cluster) -> None:
    deadline = time.monotonic() + SECONDS_TO_END
    while (left := _left(cluster)) and time.monotonic() < deadline:
        time.sleep(0.5)
    assert not left


def _left(cluster: Cluster) -> list[object]:
    """Workers, which are children of this process's pools, and their temporary files."""
    pools = [child for child in psutil.Process().children() if "pipeline.worker_pool" in child.cmdline()]
    return [*(worker for pool in pools for worker in pool.children()), *cluster.folder.glob("tmp_workers/*/*")]
