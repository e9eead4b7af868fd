"""The commands of `kubeflow_runner.py`: what each takes. Imports nothing heavy."""

from __future__ import annotations

import dataclasses
import os
import pathlib
from typing import Annotated, Any

import tyro

from pipeline.configs import Config
from pipeline.kubeflow import cron
from pipeline.kubeflow.deployment import Deployment, Placement
from schema.ranges import FOLDER, LINE, Checked, Number, Text


@dataclasses.dataclass(frozen=True)
class Compile(Checked):
    """Writes the package that `submit` and `schedule` send."""

    run: Annotated[Config, tyro.conf.arg(name="")]
    deployment: Deployment = dataclasses.field(default_factory=Deployment)
    output: Annotated[pathlib.Path, LINE] = pathlib.Path("pipeline.yaml")
    """The package."""


@dataclasses.dataclass(frozen=True)
class Server(Checked):
    """Where Kubeflow Pipelines answers, and who asks."""

    host: Annotated[str, LINE] = os.environ.get("KF_PIPELINES_ENDPOINT", "http://ml-pipeline.kubeflow:8888")
    """URL of the API; the default is its address inside a cluster, or $KF_PIPELINES_ENDPOINT."""
    ui_host: Annotated[str, LINE] = ""
    """URL of the web pages, for the links that are printed; empty: `host`."""
    namespace: Annotated[str, LINE] = ""
    """Profile's namespace; empty where Kubeflow Pipelines runs for one user."""
    token_file: Annotated[str, LINE] = ""
    """A file with a bearer token; empty: the service account's, where this process runs in the cluster."""


@dataclasses.dataclass(frozen=True)
class Wait(Checked):
    """Follows a run to its end; the exit status is 0 only if it succeeded."""

    run_id: Annotated[tyro.conf.Positional[str], Text(r"[\w.-]+", "a run's id")]
    server: Annotated[Server, tyro.conf.arg(name="")] = Server()
    poll_seconds: Annotated[float, Number(gt=0, le=86_400)] = 5.0
    """Time between two questions."""


@dataclasses.dataclass(frozen=True)
class Sent(Checked):
    """What is said of a package that is sent to a server."""

    server: Annotated[Server, tyro.conf.arg(name="")] = Server()
    package: Annotated[pathlib.Path, LINE] = pathlib.Path("pipeline.yaml")
    """What `compile` wrote."""
    experiment: Annotated[str, LINE] = "pets-pipeline"
    """Groups runs; made if there is none of this name."""
    run_name: Annotated[str, LINE] = ""
    """Empty: the pipeline's name and the time."""
    parameter: tuple[Annotated[str, Text(r"\w+=.*", "NAME=VALUE")], ...] = ()
    """NAME=VALUE of the package's parameters; its first line lists them."""
    pipeline_root: Annotated[str, LINE] = ""
    """gs://, s3:// or minio://; empty: the package's own."""
    service_account: Annotated[str, LINE] = ""
    """That the steps run as; empty: the cluster's default."""
    cache: bool = True
    """Take finished steps of earlier runs from KFP's cache, where the package says so."""


@dataclasses.dataclass(frozen=True)
class Submit(Sent):
    """Starts a run of a package and prints its URL."""

    wait: bool = False
    """Follow the run to its end, as `wait` does."""


@dataclasses.dataclass(frozen=True)
class Schedule(Sent):
    """Starts runs of a package again and again."""

    cron: Annotated[str, LINE] = ""
    """Six fields, seconds first: `0 0 3 * * *` is every night at three."""
    every_seconds: Annotated[int, Number(ge=0, le=100_000_000)] = 0
    """Instead of `cron`: the time between two runs."""

    def __post_init__(self) -> None:
        """Raises ValueError: a field is out of its range, or not just one of cron and every_seconds is given."""
        super().__post_init__()
        if bool(self.cron) == bool(self.every_seconds):
            raise ValueError("cron or --every-seconds must be given, one of them")
        if self.cron:
            cron.check(self.cron)


@dataclasses.dataclass(frozen=True)
class Watch(Checked):
    """Writes a package of one step that watches new photos, for `schedule` to send; a run fails where they differ."""

    photos: Annotated[str, FOLDER] = "/mnt/pets/inbox"
    """The folder of new photos: below the folder of `deployment.volume`."""
    window: Annotated[int, Number(ge=20, le=1_000_000)] = 100
    """Photos that are compared together, see docs/serving.md."""
    alpha: Annotated[float, Number(gt=0, lt=1)] = 0.01
    """Chance of a false alarm in a run."""
    deployment: Placement = dataclasses.field(default_factory=Placement)
    output: Annotated[pathlib.Path, LINE] = pathlib.Path("watch.yaml")
    """The package."""


COMMANDS: dict[str, Any] = {
    "compile": Compile,
    "submit": Submit,
    "wait": Wait,
    "schedule": Schedule,
    "watch": Watch,
}
