"""What one would write without the pipeline: both networks trained and judged in one script, by tf.data and Keras.

    python benchmarks/plain_run.py [flags of local_runner.py]

It is the reference of whole_run.py: the same data, networks, optimizer, losses, augmentation, probe, epochs and
kept epoch; the rest in plain code. TFDS decodes, `fit` trains, NumPy counts. Nothing is validated, sliced, compared,
reported or pushed. Writes RUN_DIR/MODEL.keras and RUN_DIR/plain.json: each model's accuracy, mask F1 and seconds of
the epochs.
"""

from __future__ import annotations

import json
import pathlib
import sys
import time

from pipeline import flags  # before TensorFlow, whose environment it sets

# isort: split
import keras
import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from components import datasets
from pipeline import pipeline
from pipeline.configs import Config
from schema import record
from schema.dataset_spec import Label
from trainer_module import augmentation, probe
from trainer_module.callbacks import KeepBest, Soup
from trainer_module.config import TrainerConfig
from trainer_module.looks import Looks
from trainer_module.models import build_model
from trainer_module.training import compile_for, rebuilt

LABELS = {"breed": "label", "species": "species"}
TRAIN, EVAL = "train[:90%]", "train[90%:]"
BACKGROUND = 2


class EpochSeconds(keras.callbacks.Callback):
    """Collects {"phase": number, "seconds": seconds} of each epoch, its validation included, as the Trainer does."""

    def __init__(self) -> None:
        super().__init__()
        self.phase = 0
        self.epochs: list[dict[str, float]] = []

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        self._started = time.monotonic()

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        self.epochs.append({"phase": self.phase, "seconds": time.monotonic() - self._started})


def pictures(builder: tfds.core.DatasetBuilder, split: str, size: int, label: Label) -> tf.data.Dataset:
    """Decoded once: image uint8 [size, size, 3], mask uint8 [size, size, 1], one-hot label float32 [classes]."""

    def prepare(photo: dict[str, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        image = tf.image.resize(photo["image"], [size, size], antialias=True)
        mask = tf.image.resize(photo["segmentation_mask"], [size, size], method="nearest") != BACKGROUND
        classes = tf.one_hot(photo[LABELS[label.name]], len(label.classes))
        return tf.cast(tf.round(image), tf.uint8), tf.cast(mask, tf.uint8), classes

    return builder.as_dataset(split=split).map(prepare, tf.data.AUTOTUNE).cache()


def class_label(config: TrainerConfig) -> Label:
    """What the class head names, or would if there were one: CutMix mixes the labels either way."""
    return config.spec.label(config.label)


def batches(data: tf.data.Dataset, config: TrainerConfig, augmented: bool) -> tf.data.Dataset:
    """Batches (image float32 in [-1, 1], {output: target}) as `fit` takes them."""
    recipe, name = config.recipe, class_label(config).name

    def finish(image: tf.Tensor, mask: tf.Tensor, label: tf.Tensor) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        if augmented:
            seeds = tf.random.uniform([2, 2], maxval=tf.int64.max, dtype=tf.int64)
            picture = tf.concat([image, mask], axis=-1)
            image, mask = augmentation.augment(picture, recipe.input_size, recipe.augmentation, seeds[0])
            if recipe.augmentation.cutmix:
                image, mask, label = augmentation.cutmix(image, mask, label, recipe.augmentation.cutmix, seeds[1])
        targets = {name: label, record.MASK: tf.cast(mask, tf.float32)}
        return tf.cast(image, tf.float32) / 127.5 - 1.0, {output: targets[output] for output in config.heads.outputs}

    if augmented:
        data = data.shuffle(len(data), config.seed)
    data = data.batch(recipe.batch_size, drop_remainder=augmented)
    return data.map(finish, tf.data.AUTOTUNE).prefetch(2)


def train(builder: tfds.core.DatasetBuilder, config: TrainerConfig, image_size: int) -> tuple[keras.Model, list[dict]]:
    """The trained network, and what each epoch took."""
    keras.utils.set_random_seed(config.seed)
    model = build_model(config)
    recipe, label = config.recipe, class_label(config)
    examples = builder.info.splits[EVAL].num_examples
    clock, best, soup, probed, stage = EpochSeconds(), KeepBest(config, examples), Soup(), False, None
    for number, phase in enumerate(recipe.trained_phases):
        if stage != config.in_phase(phase):
            stage = config.in_phase(phase)
            size = stage.recipe.input_size
            if model.input_shape[1] != size:
                model = rebuilt(model, stage)
            train_data = batches(pictures(builder, TRAIN, stage.kept_size(image_size), label), stage, augmented=True)
            eval_data = batches(pictures(builder, EVAL, size, label), stage, augmented=False)
        if recipe.probe_passes and label.name in config.heads.outputs and phase.backbone_rate and not probed:
            probe.fit_class_head(model, label.name, train_data, recipe.probe_passes)
            probed = True
        compile_for(model, phase, steps=phase.epochs * len(train_data), config=config, probed=probed)
        clock.phase = number
        averaging = [keras.callbacks.SwapEMAWeights(swap_on_epoch=True)] if recipe.ema else []
        keeper = soup if recipe.in_soup(number) else best
        callbacks = [*averaging, clock, keeper]
        model.fit(
            train_data,
            validation_data=eval_data,
            epochs=phase.epochs,
            shuffle=False,
            verbose=2,
            callbacks=callbacks,
        )
    keeper.restore(model)
    return model, clock.epochs


def evaluate(
    model: keras.Model, builder: tfds.core.DatasetBuilder, config: TrainerConfig, image_size: int
) -> dict[str, float]:
    """Accuracy and mask F1 on split test, at the size and with the second look that the recipe serves with."""
    label, looks = class_label(config), Looks(model, config, image_size)
    confusion = np.zeros([len(label.classes)] * 2, np.int64)
    overlap = total = 0
    photos = pictures(builder, "test", looks.size, label)
    for image, targets in batches(photos, config, augmented=False):
        answer = {name: value.numpy() for name, value in looks(image).items()}
        if label.name in answer:
            labels = targets[label.name].numpy().argmax(axis=1)
            np.add.at(confusion, (labels, answer[label.name].argmax(axis=1)), 1)
        if record.MASK in answer:
            predicted, pet = answer[record.MASK] > 0, targets[record.MASK].numpy() > 0
            overlap += int(np.count_nonzero(predicted & pet))
            total += int(np.count_nonzero(predicted) + np.count_nonzero(pet))
    figures = {"accuracy": np.trace(confusion) / max(1, confusion.sum()), "mask_f1": 2 * overlap / max(1, total)}
    return {name: float(value) for name, value in figures.items()}


def run(config: Config, run_dir: pathlib.Path) -> None:
    run_dir.mkdir(parents=True, exist_ok=True)
    data = config.data
    source = pipeline.data_source(config.data, config.data_path())
    if not isinstance(source, datasets.OxfordPets | datasets.PetDrawings):
        sys.exit(f"data.source is {config.data.source}: give oxford_iiit_pet or synthetic_pets")
    source.prepare()
    builder = tfds.builder_from_directory(source.folder())
    results = {}
    for name in config.contestants:
        training = config.trainer(name, source.spec())
        model, epochs = train(builder, training, data.image_size)
        serving = rebuilt(model, training.serving)
        serving.save(run_dir / f"{name}.keras")
        results[name] = {**evaluate(serving, builder, training, data.image_size), "epochs": epochs}
    (run_dir / "plain.json").write_text(json.dumps(results))


def main() -> None:
    config = flags.parse(sys.argv[1:], "plain_run.py", "The plain script that whole_run.py compares with.")
    run(config, pathlib.Path(config.run_dir or "runs/plain"))


if __name__ == "__main__":
    main()
