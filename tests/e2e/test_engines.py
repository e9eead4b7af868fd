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
from typing import Any

import psutil
import pytest
import tensorflow as tf
import tensorflow_data_validation as tfdv
import tensorflow_transform as tft
from conftest import ROOT, Run
from google.protobuf import json_format

from components.metrics.results import Evaluation, read_evaluation
from engines import steps
from engines.cluster import NODES, Cluster, MissingToolError
from pipeline import cause, configs, local
from pipeline.beam import WORKER_SECONDS, Beam
from schema import record, spec_file

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
    config = dataclasses.replace(configs.debug(), beam=beam)
    data_dir = str(first_run.directory.parent / "data")
    steps.run(config, folder, data_dir, first_run.directory / "pipeline", last)
    return folder / "pipeline"


def _served(cluster: Cluster, node: int) -> int:
    """How many workers of a node's pool have found their engine so far."""
    return cluster.log(f"pool_{node}").count(" serves ")


@pytest.fixture(scope="module")
def engine_run(first_run: Run, cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    return _run(first_run, cluster.beam, tmp_path_factory.mktemp("run"))


def _records(artifacts: pathlib.Path, split: str) -> list[bytes]:
    files = sorted(artifacts.glob(f"ExampleGen/examples/*/Split-{split}/*"))
    return list(tf.data.TFRecordDataset([str(file) for file in files], "").as_numpy_iterator())


def test_both_nodes_work(engine_run: pathlib.Path, cluster: Cluster) -> None:
    assert all(_served(cluster, node) for node in NODES)


@pytest.mark.parametrize("split", record.SPLITS)
def test_the_examples_are_those_of_the_direct_runner(engine_run: pathlib.Path, first_run: Run, split: str) -> None:
    expected = _records(first_run.directory / "pipeline", split)
    assert expected
    assert sorted(_records(engine_run, split)) == sorted(expected)


def _leaves(tree: Any, path: str = "") -> dict[str, Any]:
    """The values of nested dicts, lists and tuples, by their paths."""
    if not isinstance(tree, dict | list | tuple):
        return {path: tree}
    items = tree.items() if isinstance(tree, dict) else enumerate(tree)
    return {name: leaf for key, value in items for name, leaf in _leaves(value, f"{path}/{key}").items()}


def _assert_same(here: dict[str, Any], there: dict[str, Any], rel: float) -> None:
    """Floats may differ by `rel`: a sum's last digits depend on the order of adding, so on the number of workers."""
    assert here.keys() == there.keys() != set()
    for path, value in there.items():
        assert here[path] == (pytest.approx(value, rel=rel) if isinstance(value, float) else value), path


def _statistics(artifacts: pathlib.Path, split: str) -> dict[str, Any]:
    [file] = artifacts.glob(f"StatisticsGen/statistics/*/Split-{split}/FeatureStats.pb")
    [dataset] = tfdv.load_stats_binary(str(file)).datasets
    return _leaves({feature.path.step[0]: json_format.MessageToDict(feature) for feature in dataset.features})


@pytest.mark.parametrize("split", record.SPLITS)
def test_the_statistics_are_those_of_the_direct_runner(engine_run: pathlib.Path, first_run: Run, split: str) -> None:
    _assert_same(_statistics(engine_run, split), _statistics(first_run.directory / "pipeline", split), rel=1e-9)


def test_the_transform_graph_is_that_of_the_direct_runner(engine_run: pathlib.Path, first_run: Run) -> None:
    records = tf.constant(_records(first_run.directory / "pipeline", record.TEST)[:4])
    here, there = (_transformed(artifacts, records) for artifacts in (engine_run, first_run.directory / "pipeline"))
    assert here.keys() == there.keys() != set()
    for name in here:
        tf.debugging.assert_equal(here[name], there[name])


def _transformed(artifacts: pathlib.Path, records: tf.Tensor) -> dict[str, tf.Tensor]:
    [graph] = artifacts.glob("Transform/transform_graph/*")
    transform = tft.TFTransformOutput(str(graph))
    return transform.transform_features_layer()(tf.io.parse_example(records, transform.raw_feature_spec()))


@pytest.mark.parametrize("model", configs.debug().contestants)
def test_the_metrics_are_those_of_the_direct_runner(engine_run: pathlib.Path, first_run: Run, model: str) -> None:
    here, there = (
        _plain(read_evaluation(str(next(artifacts.glob(f"Evaluator_{model}/evaluation/*"))), SPEC))
        for artifacts in (engine_run, first_run.directory / "pipeline")
    )
    _assert_same(_leaves(here), _leaves(there), rel=1e-9)


def _plain(evaluation: Evaluation) -> dict[str, Any]:
    return {name: dataclasses.asdict(figures) for name, figures in evaluation.items()}


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


def _assert_examples(artifacts: pathlib.Path, first_run: Run) -> None:
    for split in record.SPLITS:
        assert sorted(_records(artifacts, split)) == sorted(_records(first_run.directory / "pipeline", split))


# What follows ends processes, and starts them again.


def test_the_loss_of_a_node_in_mid_run_is_survived(cluster: Cluster, first_run: Run, tmp_path: pathlib.Path) -> None:
    try:
        with _when_at_work(cluster, lambda: cluster.kill("node_1")):
            artifacts = _run(first_run, cluster.beam, tmp_path, last="ExampleGen")
    finally:
        cluster.start("node_1")
    _assert_examples(artifacts, first_run)


def test_a_worker_pool_that_comes_back_costs_nothing(cluster: Cluster, first_run: Run, tmp_path: pathlib.Path) -> None:
    def restart() -> None:
        cluster.kill("pool_1")
        cluster.start("pool_1")

    with _when_at_work(cluster, restart):
        artifacts = _run(first_run, cluster.beam, tmp_path, last="ExampleGen")
    _assert_examples(artifacts, first_run)


def test_the_loss_of_the_job_server_fails_the_step_and_a_rerun_goes_on(
    cluster: Cluster, first_run: Run, tmp_path: pathlib.Path
) -> None:
    try:
        with (
            pytest.raises(local.ComponentError, match=r"^ExampleGen$") as failure,
            _when_at_work(cluster, lambda: cluster.kill("job_server")),
        ):
            _run(first_run, cluster.beam, tmp_path, last="ExampleGen")
    finally:
        cluster.start("job_server")
    assert failure.value.__cause__
    assert f"the job server at {cluster.beam.job_endpoint} is gone" in cause.sentence(failure.value.__cause__)
    _assert_examples(_run(first_run, cluster.beam, tmp_path, last="ExampleGen"), first_run)


def test_an_interrupted_step_leaves_nothing_running(cluster: Cluster, first_run: Run, tmp_path: pathlib.Path) -> None:
    beam = cluster.beam
    engine = ("--beam.runner", beam.runner, "--beam.job-endpoint", beam.job_endpoint)
    pools = ("--beam.worker-pool", beam.worker_pool)
    flink = ("--beam.flink-master", beam.flink_master, "--beam.workers", str(beam.workers)) if beam.workers else ()
    folders = ("--data-dir", str(first_run.directory.parent / "data"), "--run-dir", str(tmp_path / "run"))
    command = [sys.executable, str(ROOT / "local_runner.py"), "--config", "debug", *engine, *flink, *pools, *folders]
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
