"""What a cluster can use, and the package's second document: volumes, secrets and nodes of a Kubernetes cluster."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from pipeline import beam
from pipeline.configs import Config
from pipeline.kubeflow.deployment import Deployment, Placement
from trainer_module import networks

_MOST_LEFT_OUT = 64_000
"""Bytes: Linux takes 131,072 in one argument, which holds the step's other parameters too, and quotes twice."""

_A_VOLUME = "the folder of a mounted volume (--deployment.volume CLAIM:/FOLDER)"

_OBJECT_STORES = ("gs://", "s3://", "minio://")


def check(config: Config, deployment: Deployment) -> None:
    """Stops before a cluster would.

    Raises:
        ValueError: a value that KFP or TFX would refuse in the middle of a run, and what to give instead.
    """
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,127}", config.name):
        raise ValueError(f"name is {config.name!r}: Kubeflow takes lower-case letters, digits and hyphens")
    if config.run_dir:
        raise ValueError(
            f"run_dir is {config.run_dir!r}, which no step would write to: artifacts go to deployment.pipeline_root, "
            "pushed models to deployment.serving_dir, so leave it out"
        )
    _check_beam(config)
    check_pipeline_root(deployment.pipeline_root)
    given = {"data_dir": config.data_dir, "serving_dir": deployment.serving_dir}
    given |= {"beam.shared_dir": config.beam.shared_dir, "serving_model": deployment.serving_model}
    for name, place in given.items():
        if place:
            check_place(name, place, deployment)
    _check_networks(config)
    _check_files(config, deployment)
    _check_leave_out(config.data.leave_out)


def check_place(name: str, place: str, placement: Placement) -> None:
    """Stops before a step finds nothing there, or what it writes goes with its container.

    Args:
        name: `data_dir`, `serving_dir`, `beam.shared_dir` or `serving_model`: a flag, or a parameter of a run.
        place: a path or a URI.
        placement: says where the volume is mounted.

    Raises:
        ValueError: it is neither on the volume nor in a bucket that is read there.
    """
    if name == "serving_model" and place.startswith(_OBJECT_STORES):  # the launcher's to fetch, not TensorFlow's
        return
    check_folder(name, place)
    if place.startswith("gs://") or placement.holds(place):
        return
    if name == "serving_dir":
        raise ValueError(
            f"serving_dir is {place!r}, which the image's user may not write and which goes with its "
            f"container: give a folder below {placement.folder or _A_VOLUME}, or gs://"
        )
    _check_held(name, place, placement, "a place", " or in a bucket (gs://)")


def _check_networks(config: Config) -> None:
    """Raises ValueError where a Trainer would: its network has no such width, or no such weights."""
    for name, recipe in config.contestants.items():
        weights = config.weights_of(name)
        # A file lies on the volume, which need not be mounted here.
        looked_at = "none" if networks.NETWORKS[recipe.network].pretrained_widths and weights != "imagenet" else weights
        try:
            networks.check(recipe.network, recipe.width, looked_at)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from error


def _check_files(config: Config, deployment: Deployment) -> None:
    """Raises ValueError unless the steps find every file and folder: they hold none of this machine."""
    for name in config.contestants:
        weights, field = config.weights_of(name), f"{name}.weights" if config.contestants[name].weights else "weights"
        if weights not in ("none", "imagenet"):
            _check_held(field, weights, deployment, "a file", ", 'imagenet' or 'none'")
    data = config.data
    places = [("data.manual_dir", data.manual_dir)]
    if config.data_dir and data.source in ("folder", "coco"):
        from components.datasets import storage  # imports numpy, as below

        given = [("data.masks", data.masks), ("data.metadata", data.metadata)]
        given += [("data.annotations", text.rpartition("=")[2]) for text in data.annotations]
        # As the sources read them: from data_dir, or where only that exists from the working directory.
        found = [(field, storage.located(config.data_dir, path)) for field, path in given if path]
        places += [(field, storage.join(config.data_dir, path)) for field, path in found]
    for field, path in places:
        if path and "://" not in path:
            _check_held(field, path, deployment, "a place", " or in a bucket (gs://)")


def _check_held(field: str, path: str, placement: Placement, what: str, otherwise: str) -> None:
    if not placement.holds(path):
        raise ValueError(
            f"{field} is {path!r}, which no step would find: give {what} below "
            f"{placement.folder or _A_VOLUME}{otherwise}"
        )


def _check_leave_out(path: str) -> None:
    """Raises ValueError where the list, which travels in the package, is too long for a step's command line."""
    if not path:
        return
    from components.example_gen import leave_out  # imports numpy, which --help need not wait for

    size = len(json.dumps(leave_out.read(path)))
    if size > _MOST_LEFT_OUT:
        raise ValueError(
            f"data.leave_out is {path!r}, whose photos take {size:,} bytes in the package, more than the "
            f"{_MOST_LEFT_OUT:,} that a step's command line has room for: take some of them out of the data instead"
        )


def _check_beam(config: Config) -> None:
    """Raises ValueError unless Beam's workers can reach data and artifacts."""
    beam.pipeline_args(config.beam)
    if config.beam.runner == "direct":
        return
    if not config.beam.shared_dir:
        raise ValueError(
            f"beam.shared_dir is missing: on Kubeflow beam.runner {config.beam.runner} needs a folder that steps "
            "and workers both reach: below the folder of deployment.volume, or gs://"
        )
    beam.check_folder(config.beam, "beam.shared_dir", config.beam.shared_dir)
    beam.check_folder(config.beam, "data_dir", config.data_dir)


def check_pipeline_root(pipeline_root: str) -> None:
    """Raises ValueError unless KFP's launcher can keep artifacts there, and so hand TFX its local copies."""
    if not pipeline_root.startswith(_OBJECT_STORES):
        raise ValueError(
            f"pipeline_root is {pipeline_root!r}, which TFX cannot read in a container: KFP's launcher copies "
            f"artifacts only from and to {', '.join(_OBJECT_STORES)}. Give one of these (KFP brings minio://mlpipeline/v2/artifacts;"
            " another store behind an S3 gateway is s3://); mounted folders are for data_dir and serving_dir"
        )


def check_folder(name: str, folder: str) -> None:
    """Raises ValueError unless TensorFlow can read or write the folder in a container."""
    if folder.startswith(("s3://", "minio://")):
        raise ValueError(
            f"{name} is {folder!r}, which TensorFlow cannot read: mount the bucket or another volume in every step "
            f"(--deployment.volume CLAIM:/FOLDER) and give a path below /FOLDER, or use gs://"
        )
    if not folder.startswith(("gs://", "/")):
        raise ValueError(f"{name} is {folder!r}: in a container it must be an absolute path or gs://")


def check_plain(name: str, folder: str, placement: Placement) -> None:
    """Raises ValueError unless the step of `watch` finds a folder of plain files there."""
    if not placement.holds(folder):
        raise ValueError(
            f"{name} is {folder!r}, but the step reads plain files: mount their volume (--deployment.volume "
            f"CLAIM:/FOLDER) and give a path below {placement.folder or '/FOLDER'}"
        )


def platform_spec(executors: list[str], deployment: Placement) -> dict[str, Any]:
    """KFP's `platforms` document (kubernetes_platform/proto/kubernetes_executor_config.proto); empty if nothing is set.

    Args:
        executors: names of the package's executors, `exec-TASK`.
        deployment: what to mount and where to run.
    """
    settings = {executor: of for executor in executors if (of := _settings(executor, deployment))}
    return {"platforms": {"kubernetes": {"deploymentSpec": {"executors": settings}}}} if settings else {}


def _settings(executor: str, deployment: Placement) -> dict[str, Any]:
    settings: dict[str, Any] = {}
    if executor == "exec-ServingModel":
        return settings  # an importer is no container
    if deployment.volume:
        claim, folder = deployment.volume.split(":")
        settings["pvcMount"] = [{"mountPath": folder, "constant": claim, "pvcNameParameter": _constant(claim)}]
    for secret_env in deployment.secret_env:
        secret, key, variable = re.split("[:=]", secret_env)
        keys = [{"secretKey": key, "envVar": variable}]
        entry = {"secretName": secret, "secretNameParameter": _constant(secret), "keyToEnv": keys}
        settings.setdefault("secretAsEnv", []).append(entry)
    if isinstance(deployment, Deployment) and executor.startswith("exec-Trainer"):
        if deployment.trainer_nodes:
            settings["nodeSelector"] = {"labels": dict(node.split("=", 1) for node in deployment.trainer_nodes)}
        tolerations = [_toleration(text) for text in deployment.trainer_tolerations]
        if tolerations:
            settings["tolerations"] = tolerations
    return settings


def _toleration(text: str) -> dict[str, str]:
    taint, _, effect = text.rpartition(":")
    key, equals, value = taint.partition("=")
    if not equals:
        return {"key": key, "operator": "Exists", "effect": effect}
    return {"key": key, "operator": "Equal", "value": value, "effect": effect}


def placement_of(documents: Sequence[Any]) -> Placement:
    """Which volume a package's steps have, as `platform_spec` says it in one of these documents; without one, none."""
    for document in documents:
        for settings in document["platforms"]["kubernetes"]["deploymentSpec"]["executors"].values():
            for mount in settings.get("pvcMount", ()):
                return Placement(volume=f"{mount['constant']}:{mount['mountPath']}")
    return Placement()


def _constant(value: str) -> dict[str, Any]:
    return {"runtimeValue": {"constant": value}}
