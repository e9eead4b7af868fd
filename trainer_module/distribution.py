"""Which devices a network trains on: one, or every GPU of the machine."""

from __future__ import annotations

import json
import os

import keras
import tensorflow as tf


def strategy(batch_size: int) -> tf.distribute.Strategy:
    """One device where there is at most one GPU, else all GPUs, which share each batch of `batch_size` pictures.

    Raises:
        ValueError: the GPUs cannot share a batch equally, or TF_CONFIG asks for several workers.
    """
    _refuse_workers(os.environ.get("TF_CONFIG") or "{}")
    gpus = [device.name for device in tf.config.list_logical_devices("GPU")]
    return over(gpus, batch_size) if len(gpus) > 1 else tf.distribute.get_strategy()


def over(devices: list[str], batch_size: int) -> tf.distribute.Strategy:
    """A strategy that gives each of `devices` an equal part of every training batch.

    Raises:
        ValueError: the parts would not be equal.
    """
    if batch_size % len(devices):
        raise ValueError(
            f"batch_size is {batch_size}, which {len(devices)} devices cannot share equally: use a multiple of "
            f"{len(devices)}; it counts the pictures of a step on all devices together"
        )
    # The default's collective operations mix up those of `share_norms` and the optimizer's: "Shape mismatch".
    return tf.distribute.MirroredStrategy(devices, cross_device_ops=tf.distribute.HierarchicalCopyAllReduce())


def share_norms(model: keras.Model) -> None:
    """Lets batch normalisation see the whole batch: a device's own part would make training depend on their number."""
    if tf.distribute.get_strategy().num_replicas_in_sync == 1:
        return
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.synchronized = True


def _refuse_workers(tf_config: str) -> None:
    """Raises ValueError where TF_CONFIG names more than this one process.

    Keras 3.15 with TensorFlow trains on several devices of one process. Under `MultiWorkerMirroredStrategy` its
    `Model.fit` stops: "Attempt to convert a value (PerReplica ...) with an unsupported type". With that mended it does
    train (benchmarks/two_workers.py), but no runner starts a Trainer step more than once: docs/scaling.md.
    """
    cluster = json.loads(tf_config).get("cluster", {})
    tasks = [f"{job} {address}" for job, addresses in cluster.items() for address in addresses]
    if len(tasks) > 1:
        raise ValueError(
            f"TF_CONFIG names {len(tasks)} tasks ({', '.join(tasks)}): Keras 3 trains with TensorFlow in one process. "
            "Unset TF_CONFIG, and give the Trainer one machine with several GPUs"
        )
