"""Where and with what the pipeline's steps run on a cluster. Plain data: importing it imports nothing heavy."""

from __future__ import annotations

import dataclasses
from typing import Literal

BASELINE_MODELS = Literal["dcnn", "mobilenet_v3_small"]


@dataclasses.dataclass(frozen=True)
class Resources:
    """What a step's container may use; Kubernetes reserves as much."""

    cpu: float
    """Cores."""
    memory_gb: float
    """10^9 bytes."""
    gpus: int = 0
    """Accelerators of `Deployment.gpu_type`."""


@dataclasses.dataclass(frozen=True)
class Deployment:
    """The cluster's side of a run: local runs know nothing of it."""

    image: str = "pets-pipeline:latest"
    """The image of every step, see `make image`."""
    pipeline_root: str = "minio://mlpipeline/v2/artifacts"
    """Where artifacts go: gs://, s3:// or minio://; the default is what KFP's own installation brings."""
    serving_dir: str = "/mnt/pets/serving"
    """Where a blessed champion is pushed to: a folder of `volume`, or gs://."""
    volume: str = ""
    """CLAIM:FOLDER mounts a persistent volume claim in every step, for data and pushed models."""
    secret_env: tuple[str, ...] = ()
    """SECRET:KEY=VARIABLE puts a secret's key into every step's environment."""
    trainer: Resources = Resources(4, 16)
    """Of each Trainer; the two run at the same time."""
    beam: Resources = Resources(2, 8)
    """Of each step that reads examples: ingestion, statistics, Transform, Evaluators, the comparison."""
    light: Resources = Resources(1, 4)
    """Of each of the others."""
    gpu_type: str = "nvidia.com/gpu"
    """Kubernetes' name of the accelerator."""
    trainer_nodes: tuple[str, ...] = ()
    """LABEL=VALUE of the nodes that Trainers may run on."""
    trainer_tolerations: tuple[str, ...] = ()
    """KEY=VALUE:EFFECT or KEY:EFFECT, taints of nodes that Trainers may run on all the same."""
    retries: int = 2
    """How often a failed step is tried again."""
    uncached: tuple[str, ...] = ()
    """Components that run every time, such as `Pusher`."""
    baseline: tuple[tuple[BASELINE_MODELS, str], ...] = ()
    """MODEL URI of earlier Trainers' `model` artifacts that the new models are compared with."""

    def resources(self, component: str) -> Resources:
        """What the component of this id gets."""
        if component.startswith("Trainer"):
            return self.trainer
        reads_examples = ("TfdsExampleGen", "StatisticsGen", "Transform", "Evaluator", "ModelComparison")
        return self.beam if component.startswith(reads_examples) else self.light
