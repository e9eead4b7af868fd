from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import f1_score, log_loss

from trainer_module.losses import balanced, class_loss, mask_loss
from trainer_module.metrics import MaskF1


def _masks(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Masks of 0, 1 and -1, and logits that are right more often than not; each [3, 8, 8, 1]."""
    generator = np.random.default_rng(seed)
    mask = generator.choice([0.0, 1.0, -1.0], (3, 8, 8, 1)).astype(np.float32)
    logits = (generator.normal(0, 2, mask.shape) + mask).astype(np.float32)
    return mask, logits


def test_class_loss_without_smoothing_is_cross_entropy() -> None:
    logits = np.random.default_rng(1).normal(size=(6, 4)).astype(np.float32)
    labels = np.array([0, 1, 2, 3, 0, 1])
    exact = logits.astype(np.float64)
    expected = log_loss(labels, np.exp(exact) / np.exp(exact).sum(axis=1, keepdims=True), labels=range(4))
    assert np.mean(class_loss(4, 0.0)(np.eye(4, dtype=np.float32)[labels], logits)) == pytest.approx(expected, abs=1e-6)


def test_label_smoothing_punishes_certainty() -> None:
    certain = np.array([[50.0, 0.0]], np.float32)
    label = np.array([[1.0, 0.0]], np.float32)
    assert float(class_loss(2, 0.0)(label, certain)[0]) < 1e-6
    assert float(class_loss(2, 0.2)(label, certain)[0]) == pytest.approx(0.1 * 50.0, rel=1e-4)


def test_the_loss_of_groups_is_the_cross_entropy_of_their_summed_probabilities() -> None:
    logits = np.random.default_rng(2).normal(0, 3, (6, 4)).astype(np.float32)
    labels, groups = np.array([0, 1, 2, 3, 0, 1]), (0, 1, 1, 0)
    probabilities = np.exp(logits.astype(np.float64)) / np.exp(logits).sum(axis=1, keepdims=True)
    second = probabilities[:, 1:3].sum(axis=1)
    shares = np.eye(4, dtype=np.float32)[labels]
    both, alone = (np.mean(class_loss(4, 0.1, groups, weight)(shares, logits)) for weight in (0.5, 0.0))
    assert both - alone == pytest.approx(0.5 * log_loss(np.array(groups)[labels], second), rel=1e-5)


def test_a_mixed_picture_has_shares_in_both_groups() -> None:
    logits = np.log(np.array([[0.2, 0.3, 0.5]], np.float32))
    mixed = np.array([[0.75, 0.0, 0.25]], np.float32)
    of_groups = class_loss(3, 0.0, (0, 0, 1), 1.0)(mixed, logits) - class_loss(3, 0.0)(mixed, logits)
    assert float(of_groups[0]) == pytest.approx(-np.log(0.5), rel=1e-5)


def test_mask_loss_is_near_zero_for_the_right_mask_and_large_for_its_inverse() -> None:
    mask, _ = _masks()
    right = (mask * 2 - 1) * 20.0
    assert float(np.max(mask_loss(mask, right.astype(np.float32)))) < 1e-3
    assert float(np.min(mask_loss(mask, -right.astype(np.float32)))) > 10


def test_an_empty_picture_does_not_outweigh_the_others_where_overlap_is_the_batchs() -> None:
    """One picture of eight shows something: a network that finds it, and some more, beats one that finds nothing."""
    mask = np.zeros((8, 8, 8, 1), np.float32)
    mask[0] = 1.0
    found = np.where(mask > 0, 9.0, -9.0).astype(np.float32)
    found[1:3, :4] = 9.0
    nothing = np.full_like(mask, -9.0)

    def dice(logits: np.ndarray, over_batch: bool) -> float:
        known = np.log1p(np.exp(-np.abs(logits))) + np.maximum(logits, 0) - mask * logits
        return float(np.mean(mask_loss(mask, logits, over_batch)) - known.mean())

    assert dice(found, over_batch=True) < 0.5 < dice(nothing, over_batch=True)
    assert dice(nothing, over_batch=False) < dice(found, over_batch=False)


def test_several_classes_are_near_zero_for_the_right_mask_and_ignore_what_is_unknown() -> None:
    mask = np.random.default_rng(0).choice([0.0, 1.0, 2.0, -1.0], (3, 8, 8, 1)).astype(np.float32)
    right = 40.0 * np.eye(3, dtype=np.float32)[np.maximum(mask[..., 0], 0).astype(int)]
    assert float(np.max(mask_loss(mask, right))) < 1e-3
    assert float(np.min(mask_loss(mask, -right))) > 10
    other = np.where(mask < 0, np.float32(-7.0), right)
    np.testing.assert_allclose(mask_loss(mask, other), mask_loss(mask, right))


def test_an_example_without_a_class_has_no_class_loss() -> None:
    logits = np.random.default_rng(1).normal(size=(2, 4)).astype(np.float32)
    label = np.stack([np.zeros(4), np.eye(4)[2]]).astype(np.float32)
    unknown, known = np.asarray(class_loss(4, 0.1, optional=True)(label, logits))
    assert unknown == 0
    assert known == pytest.approx(float(class_loss(4, 0.1)(label, logits)[1]))


def test_balanced_weights_are_one_on_average_and_larger_for_rare_classes() -> None:
    counts = (90, 10, 0)
    weights = balanced(counts, 0.5)
    assert weights[1] == pytest.approx(3 * weights[0])
    assert weights[2] == 1
    assert sum(w * n for w, n in zip(weights, counts, strict=True)) == pytest.approx(100)
    assert balanced(counts, 0.0)[:2] == pytest.approx((1, 1))


def test_mask_loss_gives_ignored_pixels_no_weight() -> None:
    mask, logits = _masks()
    other = np.where(mask < 0, -logits * 7, logits)
    np.testing.assert_allclose(mask_loss(mask, logits), mask_loss(mask, other), rtol=1e-6)


def test_mask_f1_equals_scikit_learn_over_all_batches() -> None:
    metric, seen_masks, seen_logits = MaskF1(), [], []
    for seed in range(3):
        mask, logits = _masks(seed)
        metric.update_state(mask, logits)
        seen_masks.append(mask)
        seen_logits.append(logits)
    masks, logits = np.concatenate(seen_masks).ravel(), np.concatenate(seen_logits).ravel()
    expected = f1_score(masks[masks >= 0] > 0, logits[masks >= 0] > 0)
    assert float(metric.result()) == pytest.approx(expected, abs=1e-6)


def test_mask_f1_starts_anew_after_a_reset() -> None:
    metric = MaskF1()
    metric.update_state(*_masks())
    metric.reset_state()
    assert float(metric.result()) == 0.0
