"""Losses of the two heads, on logits."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import keras
import numpy as np
from keras import ops

Loss = Callable[[keras.KerasTensor, keras.KerasTensor], keras.KerasTensor]


def class_loss(
    classes: int,
    label_smoothing: float,
    groups: Sequence[int] = (),
    group_weight: float = 0.0,
    class_weights: Sequence[float] = (),
    optional: bool = False,
) -> Loss:
    """Cross-entropy of class shares and logits, both float32 [B, classes]: float32 [B], in nats.

    Args:
        classes: how many.
        label_smoothing: share of the target that is spread over all classes, in [0, 1].
        groups: each class's group, from 0; empty: there are none.
        group_weight: of the cross-entropy of the groups, which is added: a group's share and probability are its
            classes' sums, unsmoothed (as in hierarchical cross-entropy: Bertinetto et al. 2020).
        class_weights: weight of an example of each class; empty: 1.
        optional: an example may have no class, its shares then are 0 and so is its loss.
    """
    # Of a class that is not in the group the probability must not count: exp(-1e9) is 0.
    outside = np.where(np.arange(max(groups, default=0) + 1)[:, None] == np.array(groups), 0.0, -1e9)
    outside = outside.astype(np.float32)

    def loss(label: keras.KerasTensor, logits: keras.KerasTensor) -> keras.KerasTensor:
        target = label * (1.0 - label_smoothing) + label_smoothing / classes
        log_probability = ops.log_softmax(logits)
        total = -ops.sum(target * log_probability, axis=-1)
        if group_weight:
            of_group = ops.logsumexp(log_probability[:, None, :] + outside, axis=-1)
            share = ops.matmul(label, (outside == 0.0).astype(np.float32).T)
            total = total - group_weight * ops.sum(share * of_group, axis=-1)
        if class_weights or optional:
            total = total * ops.sum(label * np.array(class_weights or [1.0] * classes, np.float32), axis=-1)
        return total

    return loss


def balanced(counts: Sequence[int], power: float) -> tuple[float, ...]:
    """Weights of an example of each class: its frequency to the power of minus `power`, 1 on average over examples.

    A class without examples weighs 1.
    """
    number = np.array(counts, np.float64)
    weights = np.maximum(number, 1.0) ** -power
    weights = weights * number.sum() / (weights * number).sum()
    return tuple(np.where(number > 0, weights, 1.0).tolist())


def mask_loss(mask: keras.KerasTensor, logits: keras.KerasTensor, over_batch: bool = False) -> keras.KerasTensor:
    """Mean of pixel cross-entropy and soft Dice loss (Milletari et al. 2016) of each picture.

    Args:
        mask: float32 [B, S, S, 1] of class indices, 0 background; negative pixels have weight 0.
        logits: float32 [B, S, S, 1] of the one foreground class, or [B, S, S, K + 1] of background and K classes.
        over_batch: one Dice loss of all the batch's pixels, rather than one of each picture. Where most pictures are
            empty, theirs teach a network never to find anything.

    Returns:
        float32 [B], >= 0.
    """
    known = ops.cast(mask >= 0, "float32")
    of_pixels = _two_classes if logits.shape[-1] == 1 else _several_classes
    cross_entropy, overlap, total = of_pixels(mask, logits, known)
    pixels = ops.maximum(ops.sum(known, axis=[1, 2, 3]), 1.0)
    if over_batch:
        overlap, total = ops.sum(overlap, axis=0, keepdims=True), ops.sum(total, axis=0, keepdims=True)
    dice = 1.0 - (2.0 * overlap + 1.0) / (total + 1.0)
    return cross_entropy / pixels + ops.mean(dice, axis=-1)


Sums = tuple[keras.KerasTensor, keras.KerasTensor, keras.KerasTensor]
"""Of each picture: cross-entropy [B]; of each foreground class overlap, and predicted and true pixels, [B, K]."""


def _two_classes(mask: keras.KerasTensor, logits: keras.KerasTensor, known: keras.KerasTensor) -> Sums:
    mask = mask * known
    cross_entropy = ops.softplus(logits) - mask * logits
    probability = ops.sigmoid(logits) * known
    overlap = ops.sum(probability * mask, axis=[1, 2])
    return ops.sum(cross_entropy * known, axis=[1, 2, 3]), overlap, ops.sum(probability + mask, axis=[1, 2])


def _several_classes(mask: keras.KerasTensor, logits: keras.KerasTensor, known: keras.KerasTensor) -> Sums:
    target = ops.one_hot(ops.cast(ops.maximum(mask[..., 0], 0.0), "int32"), logits.shape[-1], dtype="float32") * known
    log_probability = ops.log_softmax(logits)
    probability = ops.exp(log_probability) * known
    overlap = ops.sum(probability * target, axis=[1, 2])[:, 1:]
    cross_entropy = -ops.sum(target * log_probability, axis=[1, 2, 3])
    return cross_entropy, overlap, ops.sum(probability + target, axis=[1, 2])[:, 1:]
