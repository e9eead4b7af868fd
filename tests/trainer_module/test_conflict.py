"""The cosine between the tasks' gradients on the layers that they share, and that measuring it changes nothing."""

from __future__ import annotations

import json
import pathlib
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from conftest import IMAGE_SIZE, small_config

from schema import record
from trainer_module import conflict, inputs
from trainer_module.callbacks import History
from trainer_module.config import Phase
from trainer_module.models import build_model
from trainer_module.training import fit


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


def _trained(
    folder: pathlib.Path, records: pathlib.Path, **changes: Any
) -> tuple[list[np.ndarray], list[dict[str, float]]]:
    """The weights and the epochs of `history.json`."""
    config = small_config(
        phases=(Phase(1, 1e-2, backbone_rate=0.0), Phase(2, 1e-2)),
        width=0.25,
        dropout=0.5,
        ema=0.9,
        **changes,
    )
    keras.backend.clear_session()
    keras.utils.set_random_seed(config.seed)
    split = inputs.Split.of([str(records)])
    data = (
        inputs.train_dataset(split, config, IMAGE_SIZE, str(folder / "train")),
        inputs.eval_dataset(split, config, IMAGE_SIZE, str(folder / "eval")),
    )
    history = History(config, str(folder), split.examples, split.examples)
    model = fit(build_model(config), lambda _: data, config, history)
    history.write(model, 0.5, 1.0)
    return model.get_weights(), json.loads((folder / record.HISTORY_FILE).read_text())["epochs"]


def test_measuring_changes_no_weight_and_no_figure(tmp_path: pathlib.Path, records: pathlib.Path) -> None:
    weights, epochs = _trained(tmp_path / "off", records)
    measured, its_epochs = _trained(tmp_path / "on", records, gradient_conflict=True)
    for array, same in zip(weights, measured, strict=True):
        np.testing.assert_array_equal(array, same)
    assert [set(conflict.FIGURES) & set(epoch) for epoch in its_epochs] == [
        set(),  # the backbone is frozen
        set(conflict.FIGURES),
        set(conflict.FIGURES),
    ]
    timed = {"seconds", "images_per_second", *conflict.FIGURES}
    plain, other = ([{k: v for k, v in of.items() if k not in timed} for of in run] for run in (epochs, its_epochs))
    assert plain == other
    for epoch in its_epochs[1:]:
        assert -1.0 <= epoch["gradient_cosine"] <= 1.0
        assert epoch["class_gradient"] > 0
        assert epoch["mask_gradient"] > 0


@pytest.mark.parametrize("task", ["classification", "segmentation"])
def test_one_task_alone_has_no_conflict(tmp_path: pathlib.Path, records: pathlib.Path, task: str) -> None:
    _, epochs = _trained(tmp_path, records, gradient_conflict=True, task=task)
    assert not set(conflict.FIGURES) & {name for epoch in epochs for name in epoch}
