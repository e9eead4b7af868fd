"""The pipeline's Beam steps without its trainings, for holding one engine against another.

Without `from __future__ import annotations`: TFX reads the annotations of the copied Trainer as types.
"""

import contextlib
import io
import pathlib
import shutil
from collections.abc import Iterator
from unittest import mock

from tfx import v1 as tfx
from tfx.dsl.component.experimental.annotations import OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types import standard_artifacts

from pipeline import configs, console, local, pipeline
from trainer_module.config import TrainerConfig


def run(config: configs.Config, folder: pathlib.Path, trained: pathlib.Path, last: str = "") -> None:
    """Runs the pipeline up to the component `last`, by default the last Evaluator.

    Args:
        config: its `beam` names the engine, its `data_dir` the prepared data set.
        folder: gets metadata.db, and below pipeline/ the artifacts.
        trained: the folder of another run's artifacts, whose models are taken.

    Raises:
        cause.ComponentError: see pipeline.local.
    """
    folder.mkdir(exist_ok=True)

    def copied(
        config: TrainerConfig, example_gen: object, transform: tfx.components.Transform
    ) -> tfx.types.BaseComponent:
        name = f"Trainer_{config.model}"
        trainer = CopiedTrainer(source=str(trained / name)).with_id(name)
        trainer.add_upstream_node(transform)
        return trainer

    with mock.patch.object(pipeline, "_trainer", copied):
        dag = local.create(config, folder)
    run_until(dag, last or f"Evaluator_{list(config.contestants)[-1]}")


def run_until(dag: tfx.dsl.Pipeline, last: str) -> None:
    """Runs a pipeline up to a component, and shows nobody; raises ComponentError, see pipeline.local."""

    class Enough(Exception):
        """The last component of interest is done."""

    class Display(console.RunDisplay):
        @contextlib.contextmanager
        def component(self, name: str) -> Iterator[dict[str, str]]:
            with super().component(name) as outcome:
                yield outcome
            if name == last:
                raise Enough

    with contextlib.suppress(Enough):
        local.run(dag, Display(console.Console(file=io.StringIO())))


@component  # type: ignore[call-overload]
def CopiedTrainer(
    source: Parameter[str],  # type: ignore[type-arg]
    model: OutputArtifact[standard_artifacts.Model],  # type: ignore[type-arg]
    model_run: OutputArtifact[standard_artifacts.ModelRun],  # type: ignore[type-arg]
) -> None:
    """Another run's trained model: training is no Beam step, and takes longest."""
    for artifact, key in ((model, "model"), (model_run, "model_run")):
        [trained] = pathlib.Path(str(source), key).iterdir()
        shutil.copytree(trained, artifact.uri, dirs_exist_ok=True)  # type: ignore[attr-defined]
