"""Losses of `training.fit` in two processes against those of one: what Keras 3 lacks for it, and what it then gives.

    python benchmarks/two_workers.py [--epochs 2]

Both processes are on this machine, joined by TF_CONFIG and `MultiWorkerMirroredStrategy`: once as it is, where Keras
stops, and once with `reduce` mended. No Trainer does so (docs/scaling.md, "Training on several machines"). Trains a
narrow DCNN without dropout, which every process draws for itself, on drawings at 64 pixels.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import json
import multiprocessing
import os
import pathlib
import tempfile
from typing import Any

from pipeline import configs  # before TensorFlow, whose environment it sets

# isort: split
import drawings
import keras
import tensorflow as tf

from engines.cluster import free_ports
from schema import record, spec_file
from trainer_module import inputs, training
from trainer_module.callbacks import History
from trainer_module.config import Phase, TrainerConfig
from trainer_module.models import build_model

BATCH, SIZE = 8, 64
TRAIN, EVAL = 24, 21
"""The last batch of split eval is not full, and the processes' parts of it differ."""

FIGURES = ("loss", "class_loss", "mask_loss", "val_loss")
"""Not `val_class_loss` and `val_mask_loss`: there Keras weighs a full batch, a short one and a process' part alike."""

Epochs = list[dict[str, float]]


class MendedStrategy(tf.distribute.MultiWorkerMirroredStrategy):
    """Reduces what Keras' `fit` asks of it.

    Fault: `Model.fit` stops under the plain strategy, first with "Attempt to convert a value (PerReplica ...) with an
    unsupported type", and were that mended with "Invalid reduction dimension 0 for input with 0 dimensions".
    Cause: Keras 3.15's TensorFlow trainer gives `reduce` a whole batch, a structure, in `_maybe_symbolic_build`, and
    in `reduce_per_replica` asks for the mean of scalars over axis 0. Strategies of one process bear the first and are
    not asked the second.
    Can go when Keras supports several workers: https://github.com/keras-team/keras/issues/20585.
    """

    def reduce(self, reduce_op: Any, value: Any, axis: int | None = None) -> Any:
        """Each tensor of the structure `value` over the processes, and over `axis` where it has one."""

        def single(tensor: Any) -> tf.Tensor:
            scalar = self.experimental_local_results(tensor)[0].shape.rank == 0
            return super(MendedStrategy, self).reduce(reduce_op, tensor, None if scalar else axis)

        return tf.nest.map_structure(single, value)


def trained(folder: pathlib.Path, epochs: int, kind: type | None, worker: int, addresses: list[str]) -> Epochs:
    """The history of a training: of this process alone if `kind` is None, else as `worker` of those at `addresses`."""
    if kind:  # before anything else: "Collective ops must be configured at program startup"
        task = {"type": "worker", "index": worker}
        os.environ["TF_CONFIG"] = json.dumps({"cluster": {"worker": addresses}, "task": task})
    strategy = kind() if kind else tf.distribute.get_strategy()
    config = configs.debug().trainer("dcnn", spec_file.shipped("synthetic_pets"))
    config = config.with_recipe(
        input_size=SIZE,
        phases=(Phase(epochs, 1e-3, backbone_rate=0.1),),
        batch_size=BATCH,
        dropout=0.0,
        width=0.25,
        probe_passes=0,
        ema=0.9,
        weight_decay=0.01,
    )
    split = {name: inputs.Split.of([str(folder / f"Split-{name}" / "*")]) for name in (record.TRAIN, record.EVAL)}
    own = folder / (str(worker) if kind else "alone")

    def data(stage: TrainerConfig) -> training.Data:
        train = inputs.train_dataset(split[record.TRAIN], stage, SIZE, str(own / "train"))
        if not kind:
            inputs.pass_over(train, 1)  # under a strategy Keras reads a batch before the first epoch
        return sharded(train), sharded(inputs.eval_dataset(split[record.EVAL], stage, SIZE, str(own / "eval")))

    keras.utils.set_random_seed(1)
    history = History(config, str(own), TRAIN, EVAL)
    with strategy.scope():
        training.fit(build_model(config), data, config, history)
    return history.epochs


def sharded(data: tf.data.Dataset) -> tf.data.Dataset:
    """Every process makes the whole batch and keeps its part: of files of its own it would make other batches."""
    options = tf.data.Options()
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
    return data.with_options(options)


def run(folder: pathlib.Path, epochs: int, kind: type | None) -> Epochs:
    """The history of the first process; both have the same."""
    addresses = [f"localhost:{port}" for port in free_ports(2)]
    with concurrent.futures.ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as pool:
        workers = range(2 if kind else 1)
        tasks = [pool.submit(trained, folder, epochs, kind, worker, addresses) for worker in workers]
        first, *_ = (task.result() for task in tasks)
        return first


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=2)
    flags = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = drawings.write_splits(pathlib.Path(temporary), TRAIN, EVAL)
        alone = run(folder, flags.epochs, None)
        try:
            run(folder, flags.epochs, tf.distribute.MultiWorkerMirroredStrategy)
            print("two processes, the strategy as it is: trained")
        except ValueError as error:
            print(f"two processes, the strategy as it is: {str(error).splitlines()[0]}")
        two = run(folder, flags.epochs, MendedStrategy)
    pairs = [(one[name], other[name]) for one, other in zip(alone, two, strict=True) for name in FIGURES]
    furthest = max((other / one for one, other in pairs), key=lambda ratio: abs(ratio - 1))
    print(f"two processes, reduce mended: {len(pairs)} losses, furthest ratio to one process' {furthest:.7f}")


if __name__ == "__main__":
    main()
