"""Images a second of training on real batches, against the same step on one constant batch: does the model ever wait?

    python benchmarks/input_pipeline.py [--model mobilenet_v3_small] [--records 'RUN/.../Split-train/*']

Without --records it draws its own. The two take turns in one process, after a warm-up that fills the cache;
which of them goes first alternates, so that a machine that slows down favours neither.
"""

from __future__ import annotations

import argparse
import dataclasses
import pathlib
import statistics
import tempfile
import time

from pipeline.configs import pets as pets_config  # before TensorFlow, whose environment it sets

# isort: split
import drawings
import keras
import tensorflow as tf

from schema import spec_file
from trainer_module import inputs
from trainer_module.config import Phase
from trainer_module.models import build_model
from trainer_module.training import compile_for

_DRAWINGS = 512


def images_per_second(model: keras.Model, data: tf.data.Dataset, batch_size: int) -> float:
    """One epoch of Keras' own training loop."""
    start = time.perf_counter()
    model.fit(data, epochs=1, shuffle=False, verbose=0)
    return len(data) * batch_size / (time.perf_counter() - start)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=sorted(pets_config().contestants), default="mobilenet_v3_small")
    parser.add_argument("--records", help="pattern of TFRecord files of ExampleGen")
    parser.add_argument("--rounds", type=int, default=5)
    flags = parser.parse_args()
    config = pets_config()
    training = config.trainer(flags.model, spec_file.shipped("oxford_iiit_pet"))
    with tempfile.TemporaryDirectory() as folder:
        records = flags.records or str(drawings.write_records(pathlib.Path(folder) / "drawn", _DRAWINGS))
        split = inputs.Split.of([records])
        data = inputs.train_dataset(split, training, config.data.image_size, f"{folder}/cache")
        constant = tf.data.Dataset.from_tensors(next(iter(data))).cache().repeat(len(data)).with_options(data.options())
        # A step of a pretrained network costs the same with random weights.
        model = build_model(dataclasses.replace(training, weights="none"))
        compile_for(model, Phase(1, 1e-3), steps=len(data), config=training, probed=False)
        for warm_up in (data, constant):
            model.fit(warm_up, epochs=1, shuffle=False, verbose=0)
        size = training.recipe.batch_size
        speeds: dict[tf.data.Dataset, list[float]] = {data: [], constant: []}
        for number in range(flags.rounds):
            for each in (data, constant) if number % 2 else (constant, data):
                speeds[each].append(images_per_second(model, each, size))
    real, fixed = statistics.median(speeds[data]), statistics.median(speeds[constant])
    ratios = sorted(real / fixed for real, fixed in zip(speeds[data], speeds[constant], strict=True))
    print(
        f"{flags.model}: real batches {real:.1f}, one constant batch {fixed:.1f} images/s: "
        f"ratio {statistics.median(ratios):.3f} ({ratios[0]:.3f} to {ratios[-1]:.3f})"
    )


if __name__ == "__main__":
    main()
