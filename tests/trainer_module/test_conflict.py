"""The cosine between the tasks' gradients on the layers that they share, and that measuring it changes nothing."""

from __future__ import annotations

import pathlib
import shutil
from typing import Any, NoReturn

import keras
import numpy as np
import pytest
import tensorflow as tf
from conftest import IMAGE_SIZE, small_config

from schema import record
from trainer_module import conflict, inputs
from trainer_module.callbacks import History
from trainer_module.checkpoint import Checkpoint, State
from trainer_module.config import Phase, TrainerConfig
from trainer_module.models import build_model, parameters_of
from trainer_module.training import _Training, fit


def _two_headed() -> keras.Model:
    """Both heads answer the backbone's two numbers, which are the picture's mean times two weights."""
    image = keras.Input((4, 4, 3))
    mean = keras.layers.GlobalAveragePooling2D()
    dense = keras.layers.Dense(2, use_bias=False, kernel_initializer="ones")
    backbone = keras.Model(image, dense(mean(image)), name="backbone")
    shared = backbone(image)
    own = keras.layers.Dense(2, kernel_initializer="identity", name="class")  # no gradient of it may count
    return keras.Model(image, {"class": own(shared), "mask": keras.layers.Identity()(shared)})


@pytest.mark.parametrize(
    ("pull", "cosine"), [((2.0, 0.0), 1.0), ((-1.0, 0.0), -1.0), ((0.0, 3.0), 0.0), ((1.0, 1.0), 0.5**0.5)]
)
def test_the_cosine_is_that_of_the_tasks_pulls_on_the_backbone(pull: tuple[float, float], cosine: float) -> None:
    def along(direction: tuple[float, float]) -> Any:
        return lambda _, answer: tf.reduce_sum(answer * tf.constant(direction), axis=-1)

    objectives = {"class": (along((1.0, 0.0)), 1.0), "mask": (along(pull), 4.0)}
    image = tf.ones([5, 4, 4, 3])
    found = conflict.shared_gradients(_two_headed(), image, dict.fromkeys(objectives, image), objectives)
    # Each of the backbone's three rows of weights gets what the loss says of the answer.
    np.testing.assert_allclose(found["mask"], np.tile(4.0 * np.array(pull), 3), rtol=1e-6)
    assert float(conflict.cosine(found["class"], found["mask"])) == pytest.approx(cosine, abs=1e-6)


def test_a_task_without_a_pull_conflicts_with_nothing() -> None:
    assert float(conflict.cosine(tf.zeros(3), tf.ones(3))) == 0.0


def _network(size: int, classes: int) -> keras.Model:
    """All that a training's course may hang on, and quick to trace: shared layers with a norm, dropout, two heads."""
    image = keras.Input((size, size, 3))
    x = keras.layers.Conv2D(4, 3, 4, "same", use_bias=False)(image)
    backbone = keras.Model(image, [keras.layers.BatchNormalization()(x)], name="backbone")
    [shared] = backbone(image)
    pooled = keras.layers.Dropout(0.5)(keras.layers.GlobalAveragePooling2D()(shared))
    mask = keras.layers.UpSampling2D(4, name=record.MASK)(keras.layers.Conv2D(1, 1)(shared))
    return keras.Model(image, {"breed": keras.layers.Dense(classes, name="breed")(pooled), record.MASK: mask})


def _trained(
    folder: pathlib.Path, records: pathlib.Path, kept: Checkpoint | None = None, **changes: Any
) -> tuple[list[np.ndarray], list[dict[str, float]]]:
    """The weights and the record of every epoch, without what a clock says."""
    config = small_config(phases=(Phase(3, 1e-2),), input_size=32, batch_size=8, ema=0.9, **changes)
    keras.backend.clear_session()
    keras.utils.set_random_seed(config.seed)
    split = inputs.Split.of([str(records)])
    data = (
        inputs.train_dataset(split, config, IMAGE_SIZE, str(folder / "train")),
        inputs.eval_dataset(split, config, IMAGE_SIZE, str(folder / "eval")),
    )
    history = History(config, str(folder), split.examples, split.examples)
    assert config.heads.label is not None
    model = fit(_network(32, len(config.heads.label.classes)), lambda _: data, config, history, kept)
    timed = {"seconds", "images_per_second", "gradient_seconds"}
    return model.get_weights(), [{k: v for k, v in epoch.items() if k not in timed} for epoch in history.epochs]


class _Copied(Checkpoint):
    """Keeps the state after the second epoch, too."""

    def write(self, state: State) -> None:
        super().write(state)
        if len(state.epochs) == 2:
            shutil.copy(self.path, f"{self.path}.after-2")


MEASURED = {*conflict.FIGURES} - {"gradient_seconds"}


def test_measuring_changes_no_weight_and_no_figure_and_survives_an_interruption(
    tmp_path: pathlib.Path, records: pathlib.Path
) -> None:
    weights, epochs = _trained(tmp_path / "off", records)
    kept = _Copied(str(tmp_path / "states"), "kept")
    measured, its_epochs = _trained(tmp_path / "on", records, kept, gradient_conflict=True)
    for array, same in zip(weights, measured, strict=True):
        np.testing.assert_array_equal(array, same)
    assert epochs == [{k: v for k, v in epoch.items() if k not in MEASURED} for epoch in its_epochs]
    for epoch in its_epochs:
        assert -1.0 <= epoch["gradient_cosine"] <= 1.0
        assert epoch["class_gradient"] > 0
        assert epoch["mask_gradient"] > 0
    shutil.copy(f"{kept.path}.after-2", kept.path)
    _, resumed = _trained(tmp_path / "resumed", records, kept, gradient_conflict=True)
    assert resumed == its_epochs


def test_while_the_shared_layers_are_frozen_nothing_is_measured() -> None:
    model = _two_headed()
    model.get_layer("backbone").trainable = False
    callback = conflict.GradientConflict(tf.data.Dataset.range(1), "class", "mask", {})
    callback.set_model(model)
    callback.on_epoch_end(0, logs := {"loss": 1.0})
    assert logs == {"loss": 1.0}


@pytest.mark.parametrize("task", ["classification", "segmentation", "both"])
def test_only_two_tasks_are_measured(tmp_path: pathlib.Path, task: str) -> None:
    config = small_config(gradient_conflict=True, task=task)
    training = _Training(build_model(config), _no_data, config, History(config, str(tmp_path), 24, 24), None, ())
    training._eval_data = tf.data.Dataset.range(1)
    assert len(training._measuring()) == (task == "both")


def _no_data(stage: TrainerConfig) -> NoReturn:
    raise AssertionError("is not asked for")


@pytest.mark.parametrize(("task", "heads"), [("both", {"class", "mask"}), ("segmentation", {"mask"})])
def test_the_parts_of_a_network_are_all_of_it(task: str, heads: set[str]) -> None:
    config = small_config(task=task)
    model = build_model(config, with_features=True)
    parts = parameters_of(model, config)
    assert {*parts} == {"backbone", *heads}
    assert sum(parts.values()) == model.count_params()
    classes = len(config.spec.label("breed").classes)
    features = model.get_layer("breed_norm").gamma.shape[0] if task == "both" else 0
    assert parts.get("class", 0) == features * (4 + classes) + classes * (task == "both")
