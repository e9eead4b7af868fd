"""Losses of the two heads, on logits."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import keras
import numpy as np
from keras import ops

Loss = Callable[[keras.KerasTensor, keras.KerasTensor], keras.KerasTensor]


def class_loss(classes: int, label_smoothing: float, groups: Sequence[int] = (), group_weight: float = 0.0) -> Loss:
    """Cross-entropy of class shares and logits, both float32 [B, classes]: float32 [B], in nats.

    Args:
        classes: how many.
        label_smoothing: share of the target that is spread over all classes, in [0, 1].
        groups: each class's group, from 0; empty: there are none.
        group_weight: of the cross-entropy of the groups, which is added: a group's share and probability are its
            classes' sums, unsmoothed (as in hierarchical cross-entropy: Bertinetto et al. 2020).
    """
    # Of a class that is not in the group the probability must not count: exp(-1e9) is 0.
    outside = np.where(np.arange(max(groups, default=0) + 1)[:, None] == np.array(groups), 0.0, -1e9)
    outside = outside.astype(np.float32)

    def loss(label: keras.KerasTensor, logits: keras.KerasTensor) -> keras.KerasTensor:
        target = label * (1.0 - label_smoothing) + label_smoothing / classes
        log_probability = ops.log_softmax(logits)
        of_classes = -ops.sum(target * log_probability, axis=-1)
        if not group_weight:
            return of_classes
        of_group = ops.logsumexp(log_probability[:, None, :] + outside, axis=-1)
        share = ops.matmul(label, (outside == 0.0).astype(np.float32).T)
        return of_classes - group_weight * ops.sum(share * of_group, axis=-1)

    return loss


def mask_loss(mask: keras.KerasTensor, logits: keras.KerasTensor) -> keras.KerasTensor:
    """Mean of pixel cross-entropy and soft Dice loss (Milletari et al. 2016) of each picture.

    Args:
        mask: float32 [B, S, S, 1] of 0, 1 and -1; negative pixels have weight 0.
        logits: float32 [B, S, S, 1].

    Returns:
        float32 [B], >= 0.
    """
    known = ops.cast(mask >= 0, "float32")
    mask = mask * known
    cross_entropy = ops.softplus(logits) - mask * logits
    pixels = ops.maximum(ops.sum(known, axis=[1, 2, 3]), 1.0)
    cross_entropy = ops.sum(cross_entropy * known, axis=[1, 2, 3]) / pixels

    probability = ops.sigmoid(logits) * known
    overlap = ops.sum(probability * mask, axis=[1, 2, 3])
    total = ops.sum(probability + mask, axis=[1, 2, 3])
    dice = 1.0 - (2.0 * overlap + 1.0) / (total + 1.0)
    return cross_entropy + dice
