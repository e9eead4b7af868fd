from __future__ import annotations

import dataclasses

import keras
import numpy as np
import pytest
from conftest import small_config

from tests.drawn import MODELS
from trainer_module.models import build_model


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("size", [64, 96])
def test_both_heads_have_their_shapes(model: str, size: int) -> None:
    outputs = build_model(small_config(model, input_size=size))(np.zeros((2, size, size, 3), np.float32))
    assert outputs["breed"].shape == (2, 37)
    assert outputs["mask"].shape == (2, size, size, 1)


@pytest.mark.parametrize(
    ("task", "label", "expected"),
    [
        ("classification", "breed", {"breed": (None, 37)}),
        ("classification", "species", {"species": (None, 2)}),
        ("segmentation", "breed", {"mask": (None, 64, 64, 1)}),
    ],
)
def test_task_and_label_choose_the_heads(task: str, label: str, expected: dict) -> None:
    model = build_model(small_config(task=task, label=label, input_size=64))
    assert {name: output.shape for name, output in model.output.items()} == expected


@pytest.mark.parametrize("model", MODELS)
def test_width_changes_the_size(model: str) -> None:
    wide, narrow = (build_model(small_config(model, width=width)) for width in (1.0, 0.75))
    assert wide.count_params() > 1.1 * narrow.count_params()


@pytest.mark.parametrize("name", MODELS)
def test_a_few_steps_learn_four_pictures_by_heart(name: str) -> None:
    keras.utils.set_random_seed(1)
    model = build_model(small_config(name, task="classification", input_size=64))
    images = np.random.default_rng(0).uniform(-1, 1, (4, 64, 64, 3)).astype(np.float32)
    model.compile(keras.optimizers.Adam(3e-3), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    losses = model.fit(images, np.arange(4), epochs=25, verbose=0).history["loss"]
    assert losses[-1] < 0.3 * losses[0]


def test_an_unknown_network_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match="network is 'resnet': it must be one of dcnn"):
        dataclasses.replace(small_config().recipe, network="resnet")
