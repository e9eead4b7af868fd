"""Images a second of a training step with our batch normalisation against the same step with Keras' own layer.

    python benchmarks/batch_norm.py [--model dcnn] [--size 96]

One constant batch, in turns, in one process; both steps start from the same weights.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import statistics
import time
from unittest import mock

from pipeline.configs import pets as pets_config  # before TensorFlow, whose environment it sets

# isort: split
import keras
import numpy as np

from schema import record, spec_file
from trainer_module import training
from trainer_module.config import Phase, TrainerConfig
from trainer_module.models import build_model, dcnn, heads

STEPS = 20


def constant_batch(model: str, size: int) -> tuple[TrainerConfig, np.ndarray, dict[str, np.ndarray]]:
    """A contestant of `pets` without weights, and its one batch: noise, the breeds in turn, masks of noise."""
    spec = spec_file.shipped("oxford_iiit_pet")
    given = dataclasses.replace(pets_config(), weights="none", label="breed")
    config = given.trainer(model, spec).at_size(size)
    generator, count = np.random.default_rng(0), config.recipe.batch_size
    image = generator.uniform(-1, 1, (count, size, size, 3)).astype(np.float32)
    classes = len(spec.label(config.label).classes)
    targets = {
        config.label: np.eye(classes, dtype=np.float32)[np.arange(count) % classes],
        record.MASK: generator.integers(0, 2, (count, size, size, 1)).astype(np.float32),
    }
    return config, image, targets


def with_keras_layer() -> contextlib.ExitStack:
    stack = contextlib.ExitStack()
    for module in (dcnn, heads):
        stack.enter_context(mock.patch.object(module, "BatchNormalization", keras.layers.BatchNormalization))
    return stack


def compiled(config: TrainerConfig) -> keras.Model:
    keras.utils.set_random_seed(config.seed)
    model = build_model(config)
    training.compile_for(model, Phase(1, 1e-4), steps=100, config=config, probed=False)
    return model


def images_per_second(model: keras.Model, batch: tuple, steps: int = STEPS) -> float:
    start = time.perf_counter()
    for _ in range(steps):
        model.train_on_batch(*batch)
    return steps * len(batch[0]) / (time.perf_counter() - start)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=sorted(pets_config().contestants), default="dcnn")
    parser.add_argument("--size", type=int, default=96, help="side of the network's input, in pixels")
    parser.add_argument("--rounds", type=int, default=5)
    flags = parser.parse_args()
    config, image, targets = constant_batch(flags.model, flags.size)
    ours = compiled(config)
    with with_keras_layer():
        theirs = compiled(config)
    for model in (ours, theirs):
        images_per_second(model, (image, targets), steps=3)
    rounds = [[images_per_second(model, (image, targets)) for model in (ours, theirs)] for _ in range(flags.rounds)]
    our_speed, their_speed = (statistics.median(speeds) for speeds in zip(*rounds, strict=True))
    ratio = statistics.median(mine / other for mine, other in rounds)
    print(
        f"{flags.model} at {flags.size}: fused kernel {our_speed:.0f}, Keras' layer {their_speed:.0f} images/s: "
        f"ratio {ratio:.2f}"
    )


if __name__ == "__main__":
    main()
