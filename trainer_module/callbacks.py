"""Keras callbacks of `trainer.fit`: the history that the report reads, live progress, and the best weights."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Sequence

import keras
import numpy as np
import tensorflow as tf

from schema import record
from trainer_module import conflict
from trainer_module.config import TrainerConfig
from trainer_module.models import parameters_of

# A person reads this logger: the local runner shows its records, a container prints them.
progress = logging.getLogger("progress")

_SECONDS_BETWEEN_TICKS = 1.0


class History(keras.callbacks.Callback):
    """Records every epoch, reports it to a person, and writes TensorBoard logs.

    `write` leaves `history.json`: `model`, `parameters`, `parameters_of` (see `models.parameters_of`), `loss_weights`
    (`class` and `mask`), `train_examples`, `eval_examples`, `train_seconds`, `mask_threshold`, `temperature` of the
    class head, and `epochs`, a list of one object an epoch: `epoch` and `phase` (both from 0), `seconds`,
    `images_per_second` (training alone), `learning_rate`, and for training and, with the prefix `val_`, for split eval:
    `loss`, `class_loss`, `mask_loss`, `accuracy`, `mask_f1` (those of an absent head are missing); `conflict.FIGURES`
    where they are measured. A training whose loss is not finite after an epoch ends with a ValueError.
    """

    def __init__(self, config: TrainerConfig, directory: str, train_examples: int, eval_examples: int) -> None:
        super().__init__()
        self._config = config
        self._directory = directory
        self.train_examples, self.eval_examples = train_examples, eval_examples
        self._writers = {name: tf.summary.create_file_writer(f"{directory}/{name}") for name in ("train", "validation")}
        # What an epoch costs grows with the area of its pictures.
        recipe = config.recipe
        self._costs = [
            (phase.input_size or recipe.input_size) ** 2 for phase in recipe.trained_phases for _ in range(phase.epochs)
        ]
        self.epochs: list[dict[str, float]] = []
        self._phase = 0
        self._started = time.monotonic()

    def restore(self, epochs: Sequence[dict[str, float]], seconds: float) -> None:
        """Goes on from the records of an interrupted training's epochs, which took so many seconds."""
        self._started = time.monotonic() - seconds
        for epoch in epochs:
            self._append(epoch)
        progress.info("%s  resumed after epoch %d of %d", self._config.model, len(epochs), len(self._costs))

    def say_interrupted(self, done: int) -> None:
        """Tells a person what becomes of a training that ends before its time, `done` epochs of which are kept."""
        then = f"goes on after epoch {done} of {len(self._costs)}" if done else "begins anew"
        progress.info("%s  interrupted: the next run of this training %s", self._config.model, then)

    def seconds(self) -> float:
        """Since the training began, without the time that it was interrupted."""
        return time.monotonic() - self._started

    def begin_phase(self, number: int) -> None:
        """Says that the epochs which follow belong to phase `number`."""
        self._phase = number

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        self._epoch_started = self._ticked = time.monotonic()
        self._train_seconds = 0.0

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        now = time.monotonic()
        self._train_seconds = now - self._epoch_started
        if now - self._ticked >= _SECONDS_BETWEEN_TICKS:
            self._ticked = now
            rate = (batch + 1) * self._batch_size() / self._train_seconds
            steps = self.params["steps"] or 0
            loss = (logs or {})["loss"]
            progress.debug("%s  step %d/%d  %.0f images/s  loss %.3f", self._title(), batch + 1, steps, rate, loss)

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        seconds = time.monotonic() - self._epoch_started
        steps = self.params["steps"] or 0
        measured = {
            "epoch": len(self.epochs),
            "phase": self._phase,
            "seconds": seconds,
            "images_per_second": steps * self._batch_size() / max(self._train_seconds, 1e-9),
            "learning_rate": float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate)),
            **_plain_names(logs or {}, self._config),
            **{name: logs[name] for name in conflict.FIGURES if logs and name in logs},
        }
        self._require_finite(measured)
        progress.info("%s", self._line(measured))
        self._append(measured)

    def _append(self, measured: dict[str, float]) -> None:
        self.epochs.append(measured)
        for name, prefix in (("train", ""), ("validation", "val_")):
            with self._writers[name].as_default(step=measured["epoch"]):
                for figure in ("loss", "class_loss", "mask_loss", "accuracy", "mask_f1"):
                    if prefix + figure in measured:
                        tf.summary.scalar(figure, measured[prefix + figure])

    def write(self, model: keras.Model, mask_threshold: float, temperature: float) -> None:
        """Writes `history.json` into the model run's directory."""
        history = {
            "model": self._config.model,
            "parameters": model.count_params(),
            "parameters_of": parameters_of(model, self._config),
            "loss_weights": {"class": 1.0, "mask": self._config.recipe.mask_loss_weight},
            "train_examples": self.train_examples,
            "eval_examples": self.eval_examples,
            "train_seconds": self.seconds(),
            "mask_threshold": mask_threshold,
            "temperature": temperature,
            "epochs": self.epochs,
        }
        with tf.io.gfile.GFile(f"{self._directory}/{record.HISTORY_FILE}", "w") as file:
            json.dump(history, file, indent=1)

    def _require_finite(self, measured: dict[str, float]) -> None:
        losses = {name: measured[name] for name in ("loss", "val_loss") if name in measured}
        if not np.isfinite(list(losses.values())).all():
            phases = self._config.recipe.phases
            number = min(self._phase, len(phases) - 1)  # the last one may be repeated
            raise ValueError(
                f"{self._title()}: the training has diverged, {losses}; try a smaller "
                f"phases.{number}.learning_rate than {phases[number].learning_rate:g}"
            )

    def _batch_size(self) -> int:
        return min(self._config.recipe.batch_size, self.train_examples)

    def _title(self) -> str:
        return f"{self._config.model}  epoch {len(self.epochs) + 1}/{len(self._costs)}"

    def _line(self, measured: dict[str, float]) -> str:
        left = measured["seconds"] * sum(self._costs[len(self.epochs) + 1 :]) / self._costs[len(self.epochs)]
        parts = [self._title(), f"{measured['images_per_second']:.0f} images/s", f"loss {measured['loss']:.3f}"]
        if "val_accuracy" in measured:
            parts.append(f"accuracy {measured['accuracy']:.3f}, eval {measured['val_accuracy']:.3f}")
        if "val_mask_f1" in measured:
            parts.append(f"mask F1 {measured['mask_f1']:.3f}, eval {measured['val_mask_f1']:.3f}")
        parts.append(f"ETA {int(left // 60)}:{int(left % 60):02d}")
        return "  ".join(parts)


def _plain_names(logs: dict[str, float], config: TrainerConfig) -> dict[str, float]:
    """Keras' names to the history's.

    With one output Keras leaves the output's name out, and logs no loss beside the sum, which is the output's own with
    its weight.
    """
    heads = config.heads
    label = heads.label.name if heads.label else ""
    names = {
        "loss": "loss",
        f"{label}_loss": "class_loss",
        f"{record.MASK}_loss": "mask_loss",
        f"{label}_accuracy": "accuracy",
        "accuracy": "accuracy",
        f"{record.MASK}_f1": "mask_f1",
        "f1": "mask_f1",
    }
    plain = {
        prefix + new: float(logs[prefix + old])
        for prefix in ("", "val_")
        for old, new in names.items()
        if prefix + old in logs
    }
    if len(heads.outputs) == 1:
        only, weight = ("class_loss", 1.0) if heads.label else ("mask_loss", config.recipe.mask_loss_weight)
        plain |= {prefix + only: plain[f"{prefix}loss"] / weight for prefix in ("", "val_") if f"{prefix}loss" in plain}
    return plain


class KeepBest(keras.callbacks.Callback):
    """Keeps the weights of the latest epoch that is within one standard error of the best on the eval split.

    An epoch's score is the mean of accuracy and mask F1. On a few hundred photos the accuracy of neighbouring epochs
    differs by chance, and its maximum marks a lucky epoch, while under a falling rate averaged weights still get
    better: the one-standard-error rule (Breiman et al. 1984), in favour of the later model. An epoch that collapsed or
    has long been overfitted is further off than that.
    """

    def __init__(self, config: TrainerConfig, examples: int) -> None:
        """Judges by the heads of `config`, on so many `examples`."""
        super().__init__()
        self._config = config
        self._examples = examples
        self._best = -np.inf
        self._error = 0.0
        self.weights: list[np.ndarray] = []

    @property
    def scores(self) -> dict[str, float]:
        """What later epochs are judged by."""
        return {"best": self._best, "error": self._error}

    def go_on(self, scores: dict[str, float], weights: list[np.ndarray]) -> None:
        """Judges as the one whose `scores` and `weights` these are would."""
        self._best, self._error, self.weights = scores["best"], scores["error"], weights

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        plain = _plain_names(logs or {}, self._config)
        scores = [plain[name] for name in ("val_accuracy", "val_mask_f1") if name in plain]
        score = float(np.mean(scores))
        if score > self._best:
            accuracy = plain.get("val_accuracy", 0.0)
            self._best = score
            self._error = float(np.sqrt(accuracy * (1.0 - accuracy) / self._examples)) / len(scores)
        if score >= self._best - self._error:
            self.weights = self.model.get_weights()

    def restore(self, model: keras.Model) -> None:
        """Puts the kept weights into `model`."""
        model.set_weights(self.weights)


class Soup(keras.callbacks.Callback):
    """The mean of the weights that epochs end with, of several trainings from one start.

    Such trainings differ by chance and stay near each other, so that the mean of their weights errs less than each of
    them, for the cost of one in use (model soups: Wortsman et al. 2022; over epochs: Izmailov et al. 2018).
    """

    def __init__(self) -> None:
        super().__init__()
        self.start: list[np.ndarray] = []
        """Where each training begins; empty before the first."""
        self.weights: list[np.ndarray] = []
        """The mean; empty before the first epoch's end."""
        self.epochs = 0
        """How many it is of."""

    def go_on(self, start: list[np.ndarray], weights: list[np.ndarray], epochs: int) -> None:
        """Adds to the mean of another."""
        self.start, self.weights, self.epochs = start, weights, epochs

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        if epoch == 0:
            self.start = self.start or self.model.get_weights()
            self.model.set_weights(self.start)

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        self.epochs += 1
        weights = self.model.get_weights()
        means = self.weights or weights
        self.weights = [mean + (new - mean) / self.epochs for mean, new in zip(means, weights, strict=True)]

    def restore(self, model: keras.Model) -> None:
        """Puts the mean into `model`."""
        model.set_weights(self.weights)


class AfterEachEpoch(keras.callbacks.Callback):
    """Calls `save(epochs)` with the number of epochs of this fit that are done, except after the last.

    It waits until the next one begins: `SwapEMAWeights`, which must stand before it, has by then put the raw weights
    back into the model.
    """

    def __init__(self, save: Callable[[int], None], first: int) -> None:
        """`first`: the epoch that the fit begins with, before which nothing is new."""
        super().__init__()
        self._save = save
        self._first = first

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        if epoch > self._first:
            self._save(epoch)
