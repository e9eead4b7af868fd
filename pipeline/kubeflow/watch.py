"""The package of one step that compares new photos with those that the served model was judged on, for a schedule."""

# Not `from __future__ import annotations`: kfp reads the parameters' types from the functions.

import pathlib

from google.protobuf import json_format
from kfp import dsl

from pipeline.kubeflow import cluster, package
from pipeline.kubeflow.commands import Watch


def write(path: pathlib.Path, command: Watch) -> None:
    """Writes the package.

    Raises:
        ValueError: the pipeline's root or a folder is none that a cluster can use; the message says what is.
    """
    deployment = command.deployment
    cluster.check_pipeline_root(deployment.pipeline_root)
    for name, folder in (("photos", command.photos), ("deployment.serving_dir", deployment.serving_folder)):
        cluster.check_plain(name, folder, deployment)
    package.write_spec(path, _spec(command), deployment)


def _spec(command: Watch) -> package.Spec:
    deployment = command.deployment

    @dsl.container_component
    def watch(photos: str, serving_dir: str) -> dsl.ContainerSpec:
        """Asks the newest version below `serving_dir`; its status is not 0 where the photos differ."""
        flags = ["--window", str(command.window), "--alpha", str(command.alpha)]
        arguments = [photos, "--model", serving_dir, *flags]
        return dsl.ContainerSpec(image=deployment.image, command=["python3", "-m", "serving.watch"], args=arguments)

    @dsl.pipeline(name="watch", pipeline_root=deployment.pipeline_root)
    def pipeline(photos: str = command.photos, serving_dir: str = deployment.serving_folder) -> None:
        step = watch(photos=photos, serving_dir=serving_dir)
        step.set_caching_options(False)  # there are other photos in the same folder every time
        light = deployment.light
        # Whole numbers of the smaller units: KFP takes no fraction of a G.
        step.set_cpu_limit(f"{round(1000 * light.cpu)}m").set_memory_limit(f"{round(1000 * light.memory_gb)}M")
        if light.gpus:
            step.set_accelerator_type(deployment.gpu_type).set_accelerator_limit(light.gpus)

    spec: package.Spec = json_format.MessageToDict(pipeline.pipeline_spec)
    return spec
