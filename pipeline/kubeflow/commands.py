"""The commands of `kubeflow_runner.py`: what each takes. Imports nothing heavy."""

from __future__ import annotations

import dataclasses
import os
import pathlib
from typing import Annotated, Any

import tyro

from pipeline.configs import Config
from pipeline.kubeflow.deployment import Deployment


@dataclasses.dataclass(frozen=True)
class Compile:
    """Writes the package that `submit` and `schedule` send."""

    run: Annotated[Config, tyro.conf.arg(name="")]
    deployment: Deployment = dataclasses.field(default_factory=Deployment)
    output: pathlib.Path = pathlib.Path("pipeline.yaml")
    """The package."""


@dataclasses.dataclass(frozen=True)
class Server:
    """Where Kubeflow Pipelines answers, and who asks."""

    host: str = os.environ.get("KF_PIPELINES_ENDPOINT", "http://ml-pipeline.kubeflow:8888")
    """URL of the API; the default is its address inside a cluster, or $KF_PIPELINES_ENDPOINT."""
    ui_host: str = ""
    """URL of the web pages, for the links that are printed; empty: `host`."""
    namespace: str = ""
    """Profile's namespace; empty where Kubeflow Pipelines runs for one user."""
    token_file: str = ""
    """A file with a bearer token; empty: the service account's, where this process runs in the cluster."""


@dataclasses.dataclass(frozen=True)
class Wait:
    """Follows a run to its end; the exit status is 0 only if it succeeded."""

    run_id: tyro.conf.Positional[str]
    server: Annotated[Server, tyro.conf.arg(name="")] = Server()
    poll_seconds: float = 5.0
    """Time between two questions."""


@dataclasses.dataclass(frozen=True)
class Submit:
    """Starts a run of a package and prints its URL."""

    server: Annotated[Server, tyro.conf.arg(name="")] = Server()
    package: pathlib.Path = pathlib.Path("pipeline.yaml")
    """What `compile` wrote."""
    experiment: str = "pets"
    """Groups runs; made if there is none of this name."""
    run_name: str = ""
    """Empty: the pipeline's name and the time."""
    parameter: tuple[str, ...] = ()
    """NAME=VALUE of the package's parameters; its first line lists them."""
    pipeline_root: str = ""
    """gs://, s3:// or minio://; empty: the package's own."""
    service_account: str = ""
    """That the steps run as; empty: the cluster's default."""
    cache: bool = True
    """Take finished steps of earlier runs from KFP's cache, where the package says so."""
    wait: bool = False
    """Follow the run to its end, as `wait` does."""


@dataclasses.dataclass(frozen=True)
class Schedule(Submit):
    """Starts runs of a package again and again."""

    cron: str = ""
    """Six fields, seconds first: `0 0 3 * * *` is every night at three."""
    every_seconds: int = 0
    """Instead of `cron`: the time between two runs."""


COMMANDS: dict[str, Any] = {"compile": Compile, "submit": Submit, "wait": Wait, "schedule": Schedule}
