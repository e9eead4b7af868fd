"""What runs the Beam steps, as Beam's own flags. Imports nothing heavy."""

from __future__ import annotations

import dataclasses
import os
from typing import Annotated, Literal

from schema.ranges import LINE, Checked, Number


@dataclasses.dataclass(frozen=True)
class Beam(Checked):
    """The engine of the steps that read examples; docs/scaling.md says which to use when."""

    runner: Literal["direct", "flink", "spark", "dataflow"] = "direct"
    """`direct`: the step's own machine."""
    workers: Annotated[int, Number(ge=0, le=100_000)] = 0
    """direct: processes (0: inside the step's own); flink: parallelism (0: the cluster's); dataflow: most machines."""
    job_endpoint: Annotated[str, LINE] = ""
    """flink, spark: HOST:PORT of the job server."""
    flink_master: Annotated[str, LINE] = ""
    """flink: HOST:PORT of its REST interface, where a job is cancelled."""
    worker_pool: Annotated[str, LINE] = ""
    """flink, spark: HOST:PORT of a worker pool of our image, as seen from the engine's nodes."""
    image: Annotated[str, LINE] = ""
    """dataflow, or instead of `worker_pool`: the container image that nodes start workers from."""
    project: Annotated[str, LINE] = ""
    """dataflow: the Google Cloud project."""
    region: Annotated[str, LINE] = ""
    """dataflow: where its machines are, such as europe-west4."""
    temp_location: Annotated[str, LINE] = ""
    """dataflow: gs://BUCKET/FOLDER for its temporary files."""
    shared_dir: Annotated[str, LINE] = ""
    """Kubeflow: a folder that steps and workers both reach; artifacts pass through it (pipeline.kubeflow.sharing)."""
    timeout_minutes: Annotated[int, Number(ge=1, le=30_000)] = 720
    """flink, spark: a job that has not ended by then fails its step."""


_FIELDS = {
    "direct": ((), ("workers",)),
    "flink": (("job_endpoint", "flink_master"), ("worker_pool", "image", "workers", "shared_dir", "timeout_minutes")),
    "spark": (("job_endpoint",), ("worker_pool", "image", "shared_dir", "timeout_minutes")),
    "dataflow": (("image", "project", "region", "temp_location"), ("workers", "shared_dir")),
}
"""What each runner must be told, and what it may be told besides."""


def pipeline_args(beam: Beam) -> list[str]:
    """TFX's `beam_pipeline_args` for the preset.

    Raises:
        ValueError: a field is missing, or set though the runner does not read it; the message names it.
    """
    _check(beam)
    if beam.runner == "direct":
        # Beam's DirectRunner first looks for a Go binary to download; these name the engine it would fall back to.
        mode = "multi_processing" if beam.workers else "in_memory"
        return [f"--direct_running_mode={mode}", f"--direct_num_workers={beam.workers or 1}", *_HAS_TFX]
    if beam.runner == "dataflow":
        limit = [f"--max_num_workers={beam.workers}"] if beam.workers else []
        cloud = [f"--{name}={getattr(beam, name)}" for name in ("project", "region", "temp_location")]
        return ["--runner=DataflowRunner", *cloud, f"--sdk_container_image={beam.image}", *limit]
    keep = WORKER_SECONDS if beam.runner == "flink" else beam.timeout_minutes * 60  # Spark's workers end with their job
    return [
        f"--runner={JOB_SERVER_RUNNER}",
        f"--job_endpoint={beam.job_endpoint}",
        *([f"--flink_master={beam.flink_master}"] if beam.flink_master else []),
        # What Beam applies this to is a job's whole life with some job servers, see JobServerRunner.
        f"--job_server_timeout={beam.timeout_minutes * 60}",
        f"--environment_type={'DOCKER' if beam.image else 'EXTERNAL'}",
        f"--environment_config={beam.image or beam.worker_pool}",
        # Otherwise a worker is started anew, which imports TensorFlow, for each stage of a job.
        f"--environment_cache_millis={1000 * keep}",
        *([f"--parallelism={beam.workers}"] if beam.workers else []),
        *([f"--sdk_container_image={beam.image}"] if beam.image else _HAS_TFX),
    ]


# Workaround: every Beam step leaves 52 MB in the temporary directory, and takes 3 s for it.
# Cause: unless told of an image, TFX's BaseBeamExecutor builds a source package of itself for the workers; those of the
# direct runner are of this machine, those of a worker pool of our image. Neither kind reads the flag.
# Can go when TFX leaves that to those who need it.
_HAS_TFX = ["--sdk_container_image=of-the-workers"]


WORKER_SECONDS = 60
"""How long Flink keeps a worker, also a dead one, for another stage of its job."""

JOB_SERVER_RUNNER = "pipeline.job_server_runner.JobServerRunner"


def check_folder(beam: Beam, name: str, folder: str) -> None:
    """Raises ValueError unless workers on other machines can reach `folder` by the same name."""
    if beam.runner == "dataflow" and not folder.startswith("gs://"):
        raise ValueError(f"{name} is {folder!r}: with beam.runner dataflow it must be gs://, which its workers read")
    if beam.runner != "direct" and not (os.path.isabs(folder) or "://" in folder):
        raise ValueError(
            f"{name} is {folder!r}: with beam.runner {beam.runner} it must be an absolute path, of a folder that the "
            "workers mount at the same place, or gs://"
        )


def _check(beam: Beam) -> None:
    required, optional = _FIELDS[beam.runner]
    for name in required:
        if not getattr(beam, name):
            raise ValueError(f"beam.{name} is missing: beam.runner {beam.runner} needs it")
    for field in dataclasses.fields(Beam):
        if field.name not in ("runner", *required, *optional) and getattr(beam, field.name) != field.default:
            raise ValueError(f"beam.{field.name} is set, and beam.runner {beam.runner} does not read it: leave it out")
    if "worker_pool" in optional and bool(beam.worker_pool) == bool(beam.image):
        raise ValueError(f"beam.runner {beam.runner} needs one of beam.worker_pool and beam.image, not both or none")
    if beam.runner == "dataflow" and not beam.temp_location.startswith("gs://"):
        raise ValueError(f"beam.temp_location is {beam.temp_location!r}: give gs://BUCKET/FOLDER")
