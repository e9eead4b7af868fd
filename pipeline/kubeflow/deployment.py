"""Where and with what the pipeline's steps run on a cluster. Plain data: importing it imports nothing heavy."""

from __future__ import annotations

import dataclasses
from typing import Annotated

from schema.ranges import FOLDER, LINE, Checked, Number, Text

TOLERATION = Text(r"[^=:]+(=[^:]*)?:\w+", "KEY=VALUE:EFFECT or KEY:EFFECT")


@dataclasses.dataclass(frozen=True)
class Resources(Checked):
    """What a step's container may use; Kubernetes reserves as much."""

    cpu: Annotated[float, Number(gt=0, le=10_000)]
    """Cores."""
    memory_gb: Annotated[float, Number(gt=0, le=100_000)]
    """10^9 bytes."""
    gpus: Annotated[int, Number(ge=0, le=1_000)] = 0
    """Accelerators of `Deployment.gpu_type`."""


@dataclasses.dataclass(frozen=True)
class Deployment(Checked):
    """The cluster's side of a run: local runs know nothing of it."""

    image: Annotated[str, LINE] = "pets-pipeline:latest"
    """The image of every step, see `make image`."""
    pipeline_root: Annotated[str, LINE] = "minio://mlpipeline/v2/artifacts"
    """Where artifacts go: gs://, s3:// or minio://; the default is what KFP's own installation brings."""
    serving_dir: Annotated[str, FOLDER] = "/mnt/pets/serving"
    """Where a blessed champion is pushed to: a folder of `volume`, or gs://."""
    volume: Annotated[str, Text(r"([^:/]+:/[^:]+)?", "CLAIM:/FOLDER, such as data:/mnt/data, or empty")] = ""
    """CLAIM:/FOLDER mounts a persistent volume claim in every step, for data and pushed models."""
    secret_env: tuple[Annotated[str, Text(r"[^:=]+:[^:=]+=[^:=]+", "SECRET:KEY=VARIABLE")], ...] = ()
    """SECRET:KEY=VARIABLE puts a secret's key into every step's environment."""
    trainer: Resources = Resources(4, 16)
    """Of each Trainer; they run at the same time."""
    beam: Resources = Resources(2, 8)
    """Of each step that reads examples: ingestion, statistics, Transform, Evaluators, the comparison."""
    light: Resources = Resources(1, 4)
    """Of each of the others."""
    gpu_type: Annotated[str, LINE] = "nvidia.com/gpu"
    """Kubernetes' name of the accelerator."""
    trainer_nodes: tuple[Annotated[str, Text(r"[^=]+=.*", "LABEL=VALUE")], ...] = ()
    """LABEL=VALUE of the nodes that Trainers may run on."""
    trainer_tolerations: tuple[Annotated[str, TOLERATION], ...] = ()
    """KEY=VALUE:EFFECT or KEY:EFFECT, taints of nodes that Trainers may run on all the same."""
    retries: Annotated[int, Number(ge=0, le=100)] = 2
    """How often a failed step is tried again."""
    serving_model: Annotated[str, LINE] = ""
    """URI of an earlier Trainer's `model` artifact, which the champion would replace: it may not be worse."""

    @property
    def folder(self) -> str:
        """Where `volume` is mounted."""
        return self.volume.partition(":")[2]

    def resources(self, component: str) -> Resources:
        """What the component of this id gets."""
        if component.startswith("Trainer"):
            return self.trainer
        reads_examples = ("ExampleGen", "StatisticsGen", "Transform", "Evaluator", "ModelComparison", "Edge")
        return self.beam if component.startswith(reads_examples) else self.light
