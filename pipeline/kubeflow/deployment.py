"""Where and with what the pipeline's steps run on a cluster. Plain data: importing it imports nothing heavy."""

from __future__ import annotations

import dataclasses
import pathlib
import posixpath
from typing import Annotated

from schema.ranges import FOLDER, LINE, Checked, Number, Text

_NAME = r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?"
_KEY = rf"({_NAME}/)?[A-Za-z0-9][A-Za-z0-9_.-]*"
_VALUE = r"[A-Za-z0-9_.-]*"
"""As Kubernetes has them: of an object, of a label or a taint or a kind of device, and what a label or a taint says."""

IMAGE = Text(r"[A-Za-z0-9_./:@-]+", "an image's name, without spaces")
CLAIM = Text(rf"({_NAME}:/[^:]+)?", "CLAIM:/FOLDER, such as data:/mnt/data, or empty; CLAIM in lower case, without '_'")
SECRET = Text(
    rf"{_NAME}:[A-Za-z0-9_.-]+=[A-Za-z_][A-Za-z0-9_]*", "SECRET:KEY=VARIABLE, SECRET in lower case, without '_'"
)
DEVICE = Text(_KEY, "a kind of device, such as nvidia.com/gpu")
NODES = Text(rf"{_KEY}={_VALUE}", "LABEL=VALUE")
TOLERATION = Text(
    rf"{_KEY}(={_VALUE})?:(NoSchedule|PreferNoSchedule|NoExecute)",
    "KEY=VALUE:EFFECT or KEY:EFFECT, with NoSchedule, PreferNoSchedule or NoExecute for EFFECT",
)


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
class Placement(Checked):
    """What every package says of its steps."""

    image: Annotated[str, IMAGE] = "pets-pipeline:latest"
    """The image of every step, see `make image`."""
    pipeline_root: Annotated[str, LINE] = "minio://mlpipeline/v2/artifacts"
    """Where artifacts go: gs://, s3:// or minio://; the default is what KFP's own installation brings."""
    serving_dir: Annotated[str, FOLDER] = ""
    """Where a blessed champion is pushed to: a folder of `volume`, or gs://; empty: `serving` in the volume, or without
    one /tmp/serving, which goes with its container."""
    volume: Annotated[str, CLAIM] = ""
    """CLAIM:/FOLDER mounts a persistent volume claim in every step, for data and pushed models."""
    secret_env: tuple[Annotated[str, SECRET], ...] = ()
    """SECRET:KEY=VARIABLE puts a secret's key into every step's environment."""
    light: Resources = Resources(1, 4)
    """Of each step that neither trains nor reads examples."""
    gpu_type: Annotated[str, DEVICE] = "nvidia.com/gpu"
    """Kubernetes' name of the accelerator."""

    @property
    def folder(self) -> str:
        """Where `volume` is mounted."""
        return self.volume.partition(":")[2]

    @property
    def serving_folder(self) -> str:
        """`serving_dir`, or what it stands for when it is empty."""
        return self.serving_dir or posixpath.join(self.folder or "/tmp", "serving")

    def holds(self, path: str) -> bool:
        """Whether a path lies on `volume`: on a container's other disk there is nothing of this machine's."""
        folder, place = pathlib.PurePosixPath(self.folder), pathlib.PurePosixPath(posixpath.normpath(path))
        return bool(self.volume) and (folder == place or folder in place.parents)


@dataclasses.dataclass(frozen=True)
class Deployment(Placement):
    """The cluster's side of a run: local runs know nothing of it."""

    trainer: Resources = Resources(4, 16)
    """Of each Trainer; they run at the same time."""
    beam: Resources = Resources(2, 8)
    """Of each step that reads examples: ingestion, statistics, Transform, Evaluators, the comparison."""
    trainer_nodes: tuple[Annotated[str, NODES], ...] = ()
    """LABEL=VALUE of the nodes that Trainers may run on."""
    trainer_tolerations: tuple[Annotated[str, TOLERATION], ...] = ()
    """KEY=VALUE:EFFECT or KEY:EFFECT, taints of nodes that Trainers may run on all the same."""
    retries: Annotated[int, Number(ge=0, le=100)] = 2
    """How often a failed step is tried again."""
    serving_model: Annotated[str, LINE] = ""
    """URI of an earlier Trainer's `model` artifact, which the champion would replace: it may not be worse."""

    def resources(self, component: str) -> Resources:
        """What the component of this id gets."""
        if component.startswith("Trainer"):
            return self.trainer
        reads_examples = ("ExampleGen", "StatisticsGen", "Transform", "Evaluator", "ModelComparison", "Edge")
        return self.beam if component.startswith(reads_examples) else self.light
