"""Seconds between an epoch's start and its first step, with and without tf.data's tuner.

    python benchmarks/epoch_ends.py [--records 'RUN/.../Split-train/*'] [--epochs 8]

TensorFlow 2.21's iterators may wait for their tuner when they are deleted, which an epoch's first step has to await
(trainer_module/inputs.py). Trains the DCNN at 96 pixels; without --records it draws its own.
"""

from __future__ import annotations

import argparse
import dataclasses
import pathlib
import tempfile
import time
from unittest import mock

from pipeline.configs import pets as pets_config  # before TensorFlow, whose environment it sets

# isort: split
import drawings
import keras

from schema import spec_file
from trainer_module import inputs, training
from trainer_module.config import Phase
from trainer_module.models import build_model

DRAWINGS = 1400
"""A training epoch of these takes longer than one of the tuner's sleeps and ends well before the next."""


class FirstSteps(keras.callbacks.Callback):
    """Collects what each epoch takes in all, and up to the end of its first step."""

    def __init__(self) -> None:
        super().__init__()
        self.first: list[float] = []
        self.whole: list[float] = []

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        self._started = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        if batch == 0:
            self.first.append(time.perf_counter() - self._started)

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        self.whole.append(time.perf_counter() - self._started)


def measured(split: inputs.Split, epochs: int, folder: str) -> FirstSteps:
    spec = spec_file.shipped("oxford_iiit_pet")
    config = dataclasses.replace(pets_config().trainer("dcnn", spec).at_size(96), cache_mb=1024)
    data = inputs.train_dataset(split, config, pets_config().data.image_size, f"{folder}/train")
    evaluation = inputs.eval_dataset(dataclasses.replace(split, examples=64), config, 256, f"{folder}/eval").take(2)
    model, clock = build_model(config), FirstSteps()
    training.compile_for(model, Phase(1, 1e-3), steps=len(data) * epochs, config=config, probed=False)
    model.fit(data, validation_data=evaluation, epochs=epochs + 1, shuffle=False, verbose=0, callbacks=[clock])
    return clock


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", help="pattern of TFRecord files of ExampleGen")
    parser.add_argument("--epochs", type=int, default=8, help="after the first, which fills the cache")
    flags = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        records = flags.records or str(drawings.write_records(pathlib.Path(folder) / "drawn", DRAWINGS))
        split = inputs.Split.of([records])
        ours = measured(split, flags.epochs, folder)
        with mock.patch.object(inputs, "_without_tuner", lambda data: data):
            tuned = measured(split, flags.epochs, folder)
    for name, clock in (("without", ours), ("with", tuned)):
        print(f"{name} tf.data's tuner: " + ", ".join(f"{seconds:.1f}" for seconds in clock.first[1:]) + " s")
    our_time, their_time = sum(ours.whole[1:]), sum(tuned.whole[1:])
    ratio = our_time / their_time
    print(f"{flags.epochs} epochs: {our_time:.0f} s without, {their_time:.0f} s with it: ratio {ratio:.2f}")


if __name__ == "__main__":
    main()
