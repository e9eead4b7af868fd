"""Which classes are mixed up, which stand together, and which photos are worth looking at."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.cluster import hierarchy
from scipy.spatial import distance

Array = npt.NDArray[Any]


@dataclasses.dataclass(frozen=True)
class Pair:
    """Two classes that a model mixes up, by their indices."""

    a: int
    b: int
    a_as_b: int
    """Examples of the first named as the second; at least as many as `b_as_a`."""
    b_as_a: int


PAIRS = 10
MASK_CASES = 3
WRONG_CASES = 6


def lookalike_order(confusion: Array) -> list[int]:
    """An order of the classes that puts the ones a model mixes up next to each other.

    Average-linkage clustering of the symmetrised confusion rates, leaves ordered optimally (Bar-Joseph et al.,
    2001, https://doi.org/10.1093/bioinformatics/17.suppl_1.S22). Without any mistake the order is the given one.

    Args:
      confusion: Counts [C, C], rows are true; a row may be empty.
    """
    support = confusion.sum(axis=1, keepdims=True)
    rates = confusion / np.maximum(support, 1)
    likeness = rates + rates.T
    np.fill_diagonal(likeness, 0)
    if len(confusion) < 3 or not likeness.any():
        return list(range(len(confusion)))
    apart = likeness.max() - likeness
    np.fill_diagonal(apart, 0)
    tree = hierarchy.linkage(distance.squareform(apart), method="average", optimal_ordering=True)
    return hierarchy.leaves_list(tree).tolist()


def confused_pairs(confusion: Array) -> list[Pair]:
    """The `PAIRS` pairs of classes mixed up most often, both ways taken together, the worst first.

    Args:
      confusion: Counts [C, C], rows are true.
    """
    pairs = []
    for one, other in zip(*np.triu_indices(len(confusion), 1), strict=True):
        a, b = (one, other) if confusion[one, other] >= confusion[other, one] else (other, one)
        pairs.append(Pair(int(a), int(b), int(confusion[a, b]), int(confusion[b, a])))
    pairs.sort(key=lambda pair: -(pair.a_as_b + pair.b_as_a))
    return [pair for pair in pairs[:PAIRS] if pair.a_as_b]


def mask_cases(image_f1: Array) -> dict[str, list[int]]:
    """The examples with the best, typical (nearest the median) and worst masks: up to `MASK_CASES` each, none twice.

    Args:
      image_f1: float [N], F1 of each example's mask; NaN where there is none to compare with.
    """
    order = np.argsort(-image_f1, kind="stable")[: np.count_nonzero(~np.isnan(image_f1))]
    each = min(MASK_CASES, len(order) // 3) or 1
    middle = (len(order) - each) // 2
    chosen = {
        "best": order[:each],
        "typical": order[max(middle, each) :][:each],
        "worst": order[max(len(order) - each, 2 * each) :][::-1],
    }
    return {kind: indices.tolist() for kind, indices in chosen.items()}


def wrong_cases(probabilities: Array, labels: Array) -> list[int]:
    """The wrongly named examples of which the model was surest: up to `WRONG_CASES`, the surest first.

    Args:
      probabilities: float [N, C].
      labels: int [N]; negative where the class is unknown.
    """
    wrong = np.flatnonzero((probabilities.argmax(axis=1) != labels) & (labels >= 0))
    return wrong[np.argsort(-probabilities[wrong].max(axis=1), kind="stable")][:WRONG_CASES].tolist()


def portraits(probabilities: Array, labels: Array) -> dict[int, int]:
    """For each class with an example, the one in which the models are surest of it.

    Args:
      probabilities: float [N, C], averaged over the models.
      labels: int [N]; negative where the class is unknown.
    """
    own = probabilities[np.arange(len(labels)), labels]
    return {int(k): int(np.argmax(np.where(labels == k, own, -1))) for k in np.unique(labels[labels >= 0])}
