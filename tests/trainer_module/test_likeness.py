"""How much a picture looks like the training data."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from trainer_module.likeness import Likeness

FEATURES = 40


@pytest.fixture(scope="module")
def mixing() -> np.ndarray:
    """Makes correlated features of very uneven scale."""
    generator = np.random.default_rng(0)
    return generator.normal(size=(FEATURES, FEATURES)) * np.logspace(-2, 2, FEATURES)


def drawn(mixing: np.ndarray, count: int, seed: int, spread: float = 1.0) -> np.ndarray:
    return (spread * np.random.default_rng(seed).normal(size=(count, FEATURES)) @ mixing).astype(np.float32)


def test_ninety_five_of_a_hundred_pictures_of_split_eval_are_known(mixing: np.ndarray) -> None:
    evaluation = drawn(mixing, 400, seed=2)
    fitted = Likeness.fit(drawn(mixing, 600, seed=1), evaluation)
    known = fitted.known(tf.constant(evaluation)).numpy()
    assert np.mean(known >= 0.5) == pytest.approx(0.95, abs=0.005)
    assert 0.0 < known.min() < known.max() <= 1.0


def test_what_lies_outside_the_distribution_is_known_less_the_farther_it_is(mixing: np.ndarray) -> None:
    fitted = Likeness.fit(drawn(mixing, 600, seed=1), drawn(mixing, 400, seed=2))
    near, far = (fitted.known(tf.constant(drawn(mixing, 100, 3, spread))).numpy().mean() for spread in (1.6, 3.0))
    assert far < near < 0.5


def test_a_correlation_that_the_data_never_breaks_tells_even_where_each_feature_is_usual() -> None:
    values = np.random.default_rng(0).normal(size=(500, 1)).astype(np.float32)
    together = np.concatenate([values, values], axis=1)
    fitted = Likeness.fit(together[:300], together[300:])
    assert fitted.known(tf.constant([[1.0, 1.0]])) > 0.5
    assert fitted.known(tf.constant([[1.0, -1.0]])) < 0.1


@pytest.mark.parametrize("examples", [2, 5])
def test_a_handful_of_pictures_is_enough_to_go_on(examples: int, mixing: np.ndarray) -> None:
    fitted = Likeness.fit(drawn(mixing, examples, seed=1), drawn(mixing, examples, seed=2))
    assert np.isfinite(fitted.known(tf.constant(drawn(mixing, 10, seed=3))).numpy()).all()


def test_a_picture_beyond_all_measure_is_unknown_and_still_a_number(mixing: np.ndarray) -> None:
    fitted = Likeness.fit(drawn(mixing, 100, seed=1), drawn(mixing, 100, seed=2))
    assert fitted.known(tf.constant(drawn(mixing, 1, 3, 1e6))).numpy() < 1e-4
