"""The Trainer's `run_fn`: data in, trained two-headed network out, with its history beside it."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator, Sequence

import keras
import numpy as np
import tensorflow as tf
import tensorflow_transform as tft
from numpy.typing import NDArray
from tfx.components.trainer.fn_args_utils import FnArgs

from schema import record
from trainer_module import calibration, checkpoint, distribution, inputs, likeness, losses, signatures
from trainer_module.callbacks import History, progress
from trainer_module.config import TrainerConfig
from trainer_module.looks import Looks
from trainer_module.models import build_model
from trainer_module.training import Data, fit, rebuilt

_THRESHOLDS = np.linspace(0.2, 0.8, 25)
_LIKENESS_PICTURES = 2_000
"""So many training pictures tell what they are like."""


def run_fn(fn_args: FnArgs) -> None:
    """Trains the network of `custom_config["config"]` and exports it.

    Writes the SavedModel to `fn_args.serving_model_dir`; TensorBoard logs and `history.json` (see `callbacks.History`)
    to `fn_args.model_run_dir`.
    """
    config = TrainerConfig.from_json(fn_args.custom_config["config"])
    transform = tft.TFTransformOutput(fn_args.transform_output)
    image_size = transform.transformed_feature_spec()[record.IMAGE].shape[0]
    train, evaluation = inputs.Split.of(fn_args.train_files), inputs.Split.of(fn_args.eval_files)
    config = config.for_examples(train.examples)
    kept = _checkpoint(fn_args, image_size, [*train.files, *evaluation.files])
    keras.utils.set_random_seed(config.seed)

    with tempfile.TemporaryDirectory() as cache:

        def data(stage: TrainerConfig) -> Data:
            prefix = os.path.join(cache, str(stage.recipe.input_size))
            return (
                inputs.train_dataset(train, stage, image_size, f"{prefix}-train"),
                inputs.eval_dataset(evaluation, stage, image_size, f"{prefix}-eval"),
            )

        history = History(config, fn_args.model_run_dir, train.examples, evaluation.examples)
        with _training_precision(), distribution.strategy(config.recipe.batch_size).scope():
            try:
                counts = (
                    inputs.class_counts(train, config) if config.recipe.class_balance and config.heads.label else ()
                )
                _say_what_follows_from_the_data(config, train.examples, counts)
                model = fit(build_model(config), data, config, history, kept, counts)
            except KeyboardInterrupt:
                history.say_interrupted(kept.epochs)
                raise
        with _precision("float32"):  # a server's CPU computes float16 slowly
            looks = Looks(rebuilt(model, config.serving, with_features=True), config, image_size)
        eval_data = inputs.eval_dataset(evaluation, config, image_size, os.path.join(cache, "serving"), looks.size)
        pictures = inputs.sample_pictures(train, config, image_size, _LIKENESS_PICTURES, looks.size)
        judgement = judge(looks, config, pictures, eval_data)
    history.write(looks.model, judgement.mask_threshold, judgement.temperature)
    exported = signatures.ServingModel(looks, config, transform, judgement)
    signatures.export(exported, config, fn_args.serving_model_dir)
    kept.finish()


def _say_what_follows_from_the_data(config: TrainerConfig, examples: int, counts: Sequence[int]) -> None:
    """Tells a person the epochs that the recipe's steps became, and how much more rare classes weigh."""
    recipe = config.recipe
    if any(phase.steps for phase in recipe.phases):
        epochs = " and ".join(str(phase.epochs) for phase in recipe.phases)
        progress.info("%s  %d photos: %s epochs of %d pictures", config.model, examples, epochs, recipe.batch_size)
    if counts:
        weights = losses.balanced(counts, recipe.class_balance)
        progress.info("%s  classes weigh %.2g (frequent) to %.2g (rare)", config.model, min(weights), max(weights))


def _checkpoint(fn_args: FnArgs, image_size: int, files: Sequence[str]) -> checkpoint.Checkpoint:
    """In `custom_config["checkpoint_dir"]`, else beside the folders of this Trainer's outputs: TFX removes those of an
    execution that failed, and gives the next one others."""
    custom_config = {**fn_args.custom_config}
    outputs = os.path.dirname(os.path.dirname(fn_args.model_run_dir))
    folder = custom_config.pop("checkpoint_dir", os.path.join(outputs, "checkpoints"))
    return checkpoint.Checkpoint(folder, checkpoint.key(custom_config, image_size, files))


def _training_precision() -> contextlib.AbstractContextManager[None]:
    """Half precision where a GPU computes it fast."""
    return _precision("mixed_float16") if tf.config.list_physical_devices("GPU") else contextlib.nullcontext()


@contextlib.contextmanager
def _precision(policy: str) -> Iterator[None]:
    """Networks that are built meanwhile compute under Keras' `policy`."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def judge(
    looks: Looks, config: TrainerConfig, pictures: tf.data.Dataset, eval_data: tf.data.Dataset
) -> signatures.Judgement:
    """How far the answers of a network may be believed.

    Args:
        looks: the network, built with features, as it is used.
        config: the Trainer's config.
        pictures: batches of training pictures float32 [B, S, S, 3].
        eval_data: batches (image, targets) of split eval.
    """
    label = config.heads.label.name if config.heads.label else ""
    of_train = np.concatenate([looks.first(image)[likeness.FEATURES].numpy() for image in pictures])
    features, logits, classes = [], [], []
    threshold = MaskThreshold() if config.heads.mask and len(config.heads.mask.classes) == 1 else None
    for image, targets in eval_data:
        answer = looks(image)
        features.append(answer[likeness.FEATURES].numpy())
        if label:
            shares = targets[label].numpy()
            logits.append(answer[label].numpy())
            classes.append(np.where(shares.any(axis=1), shares.argmax(axis=1), record.UNKNOWN_CLASS))
        if threshold:
            threshold.add(tf.sigmoid(answer[record.MASK]).numpy(), targets[record.MASK].numpy())
    return signatures.Judgement(
        temperature=calibration.temperature(np.concatenate(logits), np.concatenate(classes)) if label else 1.0,
        likeness=likeness.Likeness.fit(of_train, np.concatenate(features), with_doubt=bool(config.heads.mask)),
        mask_threshold=threshold.best() if threshold else 0.5,
    )


class MaskThreshold:
    """Finds the foreground probability at which a mask's F1 over all pixels is highest."""

    def __init__(self) -> None:
        self._overlap, self._predicted, self._true = np.zeros(len(_THRESHOLDS)), np.zeros(len(_THRESHOLDS)), 0.0

    def add(self, probability: NDArray[np.float32], mask: NDArray[np.number]) -> None:
        """Counts a batch: both [B, H, W, 1]; `mask` is 1 and more in the foreground, and negative where unknown."""
        probability, foreground = probability[mask >= 0], mask[mask >= 0] > 0
        self._true += np.count_nonzero(foreground)
        for index, threshold in enumerate(_THRESHOLDS):
            predicted = probability > threshold
            self._overlap[index] += np.count_nonzero(predicted & foreground)
            self._predicted[index] += np.count_nonzero(predicted)

    def best(self) -> float:
        """In (0, 1); of equal ones the nearest to 0.5."""
        f1 = 2 * self._overlap / np.maximum(self._predicted + self._true, 1)
        return float(min(_THRESHOLDS[f1 == f1.max()], key=lambda threshold: abs(threshold - 0.5)))
