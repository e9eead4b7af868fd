"""Beam's portable job API, the way to Flink and Spark: job server and worker pools are processes of their own."""

# No `from __future__ import annotations`: TFX reads the annotations of the copied Trainer as types.

import contextlib
import dataclasses
import io
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import tensorflow as tf
import tensorflow_data_validation as tfdv
import tensorflow_transform as tft
from conftest import ROOT, Run
from google.protobuf import json_format
from rich.console import Console
from tfx import v1 as tfx
from tfx.dsl.component.experimental.annotations import OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types import standard_artifacts

from components.metrics.results import read_evaluation
from pipeline import cause, configs, console, local, pipeline
from pipeline.beam import Beam
from schema import dataset_spec, record

SPEC = dataset_spec.shipped("synthetic_pets")

# The first test waits for the local run and for the same steps on workers that import TensorFlow anew for each job.
pytestmark = [pytest.mark.engines, pytest.mark.timeout(1800)]


@dataclasses.dataclass
class Engine:
    """A job server and two worker pools."""

    beam: Beam
    pools: list[subprocess.Popen]
    logs: list[pathlib.Path]

    def workers(self, pool: int) -> int:
        """How many workers the pool has started so far."""
        return self.logs[pool].read_text().count("Starting worker")

    def kill(self, pool: int) -> None:
        """The pool and its workers die, as a pod or a machine does."""
        os.killpg(self.pools[pool].pid, signal.SIGKILL)
        self.pools[pool].wait()


def _start(log: pathlib.Path, *command: str) -> subprocess.Popen:
    # Pools start workers with the `python` of their PATH.
    environment = {**os.environ, "PATH": f"{pathlib.Path(sys.executable).parent}:{os.environ['PATH']}"}
    with log.open("w") as file:
        return subprocess.Popen(
            [sys.executable, *command], stdout=file, stderr=file, env=environment, start_new_session=True
        )


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("localhost", 0))
        return [one.getsockname()[1] for one in sockets]


def _wait_for(port: int, process: subprocess.Popen, log: pathlib.Path) -> None:
    while process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("localhost", port), timeout=1):
            return
        time.sleep(0.2)
    raise AssertionError(log.read_text())


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    folder = tmp_path_factory.mktemp("engine")
    ports = _free_ports(3)
    names = ("job_server", "pool_0", "pool_1")
    logs = [folder / f"{name}.log" for name in names]
    pool = ("-m", "apache_beam.runners.worker.worker_pool_main", "--service_port")
    commands = [(str(ROOT / "tools" / "beam_job_server.py"), "--port"), pool, pool]
    processes = [_start(log, *command, str(port)) for log, command, port in zip(logs, commands, ports, strict=True)]
    try:
        for port, process, log in zip(ports, processes, logs, strict=True):
            _wait_for(port, process, log)
        pools = f"localhost:{ports[1]},localhost:{ports[2]}"
        beam = Beam("portable", job_endpoint=f"localhost:{ports[0]}", worker_pool=pools, timeout_minutes=10)
        yield Engine(beam, processes[1:], logs[1:])
    finally:
        for process in processes:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@component  # type: ignore[call-overload]
def CopiedTrainer(
    source: Parameter[str],  # type: ignore[type-arg]
    model: OutputArtifact[standard_artifacts.Model],  # type: ignore[type-arg]
    model_run: OutputArtifact[standard_artifacts.ModelRun],  # type: ignore[type-arg]
) -> None:
    """The first run's trained model: training is no Beam step, and takes longest."""
    for artifact, key in ((model, "model"), (model_run, "model_run")):
        [trained] = pathlib.Path(str(source), key).iterdir()
        shutil.copytree(trained, artifact.uri, dirs_exist_ok=True)  # type: ignore[attr-defined]


class _Enough(Exception):
    """The last step of interest is done."""


class _DisplayUntil(console.RunDisplay):
    """Ends the run after one step."""

    def __init__(self, last: str) -> None:
        super().__init__(Console(file=io.StringIO()))
        self._last, self._before = last, ""

    @contextlib.contextmanager
    def component(self, name: str) -> Iterator[dict[str, str]]:
        if self._before == self._last:
            raise _Enough
        self._before = name
        with super().component(name) as outcome:
            yield outcome


def _run(first_run: Run, beam: Beam, folder: pathlib.Path, last: str) -> pathlib.Path:
    """Runs the debug pipeline on the first run's data up to the step `last`; returns the folder of the artifacts."""

    def copied(
        config: configs.Config, model: str, example_gen: object, transform: tfx.components.Transform
    ) -> tfx.types.BaseComponent:
        trained = first_run.directory / "pipeline" / f"Trainer_{model}"
        trainer = CopiedTrainer(source=str(trained)).with_id(trained.name)
        trainer.add_upstream_node(transform)
        return trainer

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pipeline, "_trainer", copied)
        dag = pipeline.create_pipeline(
            dataclasses.replace(configs.debug(), beam=beam),
            pipeline_root=str(folder / "pipeline"),
            serving_dir=str(folder / "serving"),
            data_dir=str(first_run.directory.parent / "data"),
            metadata_connection_config=tfx.orchestration.metadata.sqlite_metadata_connection_config(
                str(folder / "metadata.db")
            ),
        )
    with contextlib.suppress(_Enough):
        local.run(dag, _DisplayUntil(last))
    return folder / "pipeline"


@pytest.fixture(scope="module")
def portable_run(first_run: Run, engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    return _run(first_run, engine.beam, tmp_path_factory.mktemp("portable"), last="Evaluator_dcnn")


def _records(artifacts: pathlib.Path, split: str) -> list[bytes]:
    files = sorted(artifacts.glob(f"ExampleGen/examples/*/Split-{split}/*"))
    return list(tf.data.TFRecordDataset([str(file) for file in files], "").as_numpy_iterator())


def test_both_pools_work(portable_run: pathlib.Path, engine: Engine) -> None:
    assert engine.workers(0) > 0
    assert engine.workers(1) > 0


@pytest.mark.parametrize("split", record.SPLITS)
def test_the_examples_are_those_of_the_direct_runner(portable_run: pathlib.Path, first_run: Run, split: str) -> None:
    expected = _records(first_run.directory / "pipeline", split)
    assert expected
    assert _records(portable_run, split) == expected


def _leaves(tree: Any, path: str = "") -> dict[str, Any]:
    """The values of nested dicts and lists, by their paths."""
    if not isinstance(tree, dict | list):
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
def test_the_statistics_are_those_of_the_direct_runner(portable_run: pathlib.Path, first_run: Run, split: str) -> None:
    _assert_same(_statistics(portable_run, split), _statistics(first_run.directory / "pipeline", split), rel=1e-9)


def test_the_transform_graph_is_that_of_the_direct_runner(portable_run: pathlib.Path, first_run: Run) -> None:
    records = tf.constant(_records(first_run.directory / "pipeline", record.TEST)[:4])
    here, there = (_transformed(artifacts, records) for artifacts in (portable_run, first_run.directory / "pipeline"))
    assert here.keys() == there.keys() != set()
    for name in here:
        tf.debugging.assert_equal(here[name], there[name])


def _transformed(artifacts: pathlib.Path, records: tf.Tensor) -> dict[str, tf.Tensor]:
    [graph] = artifacts.glob("Transform/transform_graph/*")
    transform = tft.TFTransformOutput(str(graph))
    return transform.transform_features_layer()(tf.io.parse_example(records, transform.raw_feature_spec()))


def test_the_metrics_are_those_of_the_direct_runner(portable_run: pathlib.Path, first_run: Run) -> None:
    here, there = (
        dataclasses.asdict(read_evaluation(str(next(artifacts.glob("Evaluator_dcnn/evaluation/*"))), SPEC)["overall"])
        for artifacts in (portable_run, first_run.directory / "pipeline")
    )
    assert here["segmentation"]["f1"]["value"] > 0
    _assert_same(_leaves(here), _leaves(there), rel=1e-5)


def _kill_when_at_work(engine: Engine, pool: int) -> threading.Thread:
    """Waits for the pool's next worker, which a job has asked for, and kills both."""
    before = engine.workers(pool)

    def wait_and_kill() -> None:
        while engine.workers(pool) == before:
            time.sleep(0.1)
        engine.kill(pool)

    thread = threading.Thread(target=wait_and_kill, daemon=True)
    thread.start()
    return thread


# The last two tests, in this order: they leave one pool, and none.


def test_the_loss_of_a_pool_in_mid_run_is_survived(
    portable_run: pathlib.Path, first_run: Run, engine: Engine, tmp_path: pathlib.Path
) -> None:
    killer = _kill_when_at_work(engine, 0)
    artifacts = _run(first_run, engine.beam, tmp_path, last="ExampleGen")
    killer.join(timeout=1)
    assert engine.pools[0].poll() is not None
    for split in record.SPLITS:
        assert _records(artifacts, split) == _records(first_run.directory / "pipeline", split)


def test_the_loss_of_every_pool_fails_the_step_with_its_cause(
    portable_run: pathlib.Path, first_run: Run, engine: Engine, tmp_path: pathlib.Path
) -> None:
    _kill_when_at_work(engine, 1)
    with pytest.raises(local.ComponentError, match=r"^ExampleGen$") as failure:
        _run(first_run, engine.beam, tmp_path, last="ExampleGen")
    said = cause.sentence(failure.value.__cause__ or failure.value)
    assert "the Beam job at localhost:" in said
    assert "RuntimeError: no worker pool answers, of localhost:" in said
