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


def test_the_doubt_of_a_mask_makes_a_picture_of_usual_features_strange(mixing: np.ndarray) -> None:
    doubts = np.random.default_rng(4).uniform(0.0, 0.1, (1000, 1)).astype(np.float32)
    features = np.concatenate([drawn(mixing, 1000, seed=1), doubts], axis=1)
    fitted = Likeness.fit(features[:600], features[600:], with_doubt=True)
    known = fitted.known(tf.constant(features[600:])).numpy()
    assert np.mean(known >= 0.5) == pytest.approx(0.95, abs=0.005)
    doubted = np.concatenate([features[600:, :FEATURES], np.full((400, 1), 0.9, np.float32)], axis=1)
    assert fitted.known(tf.constant(doubted)).numpy().max() < 0.1


def test_masks_that_are_never_in_doubt_leave_it_to_the_features(mixing: np.ndarray) -> None:
    train, evaluation = drawn(mixing, 600, seed=1), drawn(mixing, 400, seed=2)
    sure_train, sure_evaluation = (np.pad(features, [(0, 0), (0, 1)]) for features in (train, evaluation))
    known = Likeness.fit(sure_train, sure_evaluation, with_doubt=True).known(tf.constant(sure_evaluation))
    np.testing.assert_allclose(known, Likeness.fit(train, evaluation).known(tf.constant(evaluation)), atol=1e-5)


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
