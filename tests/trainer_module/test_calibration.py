"""The temperature that makes probabilities as often right as they say."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import special

from trainer_module.calibration import temperature


@pytest.mark.parametrize("true", [0.4, 1.0, 2.5])
def test_the_temperature_of_which_the_classes_were_drawn_is_found(true: float) -> None:
    generator = np.random.default_rng(0)
    logits = generator.normal(0, 3, (4000, 5)).astype(np.float32)
    drawn = np.argmax(logits / true + generator.gumbel(size=logits.shape), axis=1)
    assert temperature(logits, drawn) == pytest.approx(true, rel=0.1)


def test_examples_of_unknown_class_do_not_count() -> None:
    generator = np.random.default_rng(0)
    logits = generator.normal(0, 3, (500, 5)).astype(np.float32)
    classes = np.argmax(logits + generator.gumbel(size=logits.shape), axis=1)
    with_unknown = temperature(np.concatenate([logits, logits]), np.concatenate([classes, np.full(500, -1)]))
    assert with_unknown == pytest.approx(temperature(logits, classes), rel=1e-3)


def test_a_few_examples_that_are_all_right_do_not_make_a_model_certain() -> None:
    logits = 4.0 * np.eye(5, dtype=np.float32)
    probability = special.softmax(logits / temperature(logits, np.arange(5)), axis=1).max(axis=1)
    assert (probability < 0.9999).all()
    assert temperature(logits[:0], np.arange(0)) == pytest.approx(1.0, abs=0.01)
