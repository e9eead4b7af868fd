"""TFMA metrics of a classifier over C exclusive classes.

Usable in any EvalConfig: `MetricConfig(class_name="MacroF1", module="components.metrics.classification")`, with
`output_names` naming the class output where the model has several. The label is an integer in [0, C), the
prediction C probabilities; the class that is predicted is the most probable, the first of equals.
"""

from __future__ import annotations

import numpy as np
from tensorflow_model_analysis.metrics import metric_types

from components.metrics.summed import SummedMetric, Sums, ratio

CALIBRATION_BINS = 15


def count_classes(label: np.ndarray, probabilities: np.ndarray) -> Sums:
    """Counts one example.

    Args:
        label: The true class in [0, C): one integer; a negative one is unknown, and all counts are 0.
        probabilities: [C], each in [0, 1].

    Returns:
        `examples`: int; `confusion`: int64 [C, C], rows true, columns predicted; `ranks`: int64 [C], 1 at k if the
        true class is the k-th most probable, from 0; `log_loss`: float; `bins`: float64 [CALIBRATION_BINS, 3], the
        columns examples, right ones and confidence, by confidence in equal steps open on the left.

    Raises:
        ValueError: The probabilities are not one vector or no numbers, or the label is none of their indices.
    """
    probabilities = probabilities.squeeze()
    classes = probabilities.size
    true = int(label.item())
    if probabilities.ndim != 1 or true >= classes:
        raise ValueError(f"the label is {true} and the probabilities have shape {probabilities.shape}")
    if not np.isfinite(probabilities).all():
        raise ValueError("the model answers probabilities that are no numbers")
    if true < 0:
        return {
            "examples": 0,
            "confusion": np.zeros((classes, classes), np.int64),
            "ranks": np.zeros(classes, np.int64),
            "log_loss": 0.0,
            "bins": np.zeros((CALIBRATION_BINS, 3)),
        }
    # From the back of a stable sort, as scikit-learn's top_k_accuracy_score breaks ties.
    ranking = np.argsort(probabilities, kind="stable")[::-1]
    predicted = int(np.argmax(probabilities))
    counts: Sums = {
        "examples": 1,
        "confusion": np.zeros((classes, classes), np.int64),
        "ranks": (ranking == true).astype(np.int64),
        "log_loss": _log_loss(probabilities[true]),
        "bins": np.zeros((CALIBRATION_BINS, 3)),
    }
    counts["confusion"][true, predicted] = 1
    confidence = float(probabilities[predicted])
    bin_index = min(max(int(np.ceil(confidence * CALIBRATION_BINS)) - 1, 0), CALIBRATION_BINS - 1)  # 1 may be 1.0000001
    counts["bins"][bin_index] = 1, predicted == true, confidence
    return counts


def _log_loss(probability: np.floating) -> float:
    """-log p, with p kept off 0 and 1 by the type's epsilon, as scikit-learn's log_loss."""
    epsilon = np.finfo(probability.dtype).eps
    return float(-np.log(np.clip(np.float64(probability), epsilon, 1 - epsilon)))


def _per_class(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    return np.divide(numerator, denominator, out=np.zeros(len(numerator)), where=denominator != 0)


def _f1(confusion: np.ndarray) -> np.ndarray:
    return _per_class(2 * np.diag(confusion), confusion.sum(axis=0) + confusion.sum(axis=1))


class _ClassMetric(SummedMetric):
    """A metric of `count_classes`' sums."""

    sums_key = "classes"
    count = staticmethod(count_classes)


class ClassCount(_ClassMetric):
    """Examples whose class is known."""

    default_name = "example_count"
    has_interval = False

    def result(self, sums: Sums) -> float:
        return float(sums["examples"])


class ClassificationAccuracy(_ClassMetric):
    """The share of examples whose most probable class is the true one."""

    default_name = "accuracy"

    def result(self, sums: Sums) -> float:
        return ratio(np.trace(sums["confusion"]), sums["examples"])


class MajorityShare(_ClassMetric):
    """The share of the most frequent class: the accuracy of a model that always names it."""

    default_name = "majority_share"
    has_interval = False

    def result(self, sums: Sums) -> float:
        return ratio(sums["confusion"].sum(axis=1).max(), sums["examples"])


class GainOverMajority(_ClassMetric):
    """Accuracy less the most frequent class's share, in [-1, 1]: what the model adds to always naming that class."""

    default_name = "gain_over_majority"

    def result(self, sums: Sums) -> float:
        confusion = sums["confusion"]
        return ratio(np.trace(confusion) - confusion.sum(axis=1).max(), sums["examples"])


class Top5Accuracy(_ClassMetric):
    """The share of examples whose true class is among the five most probable."""

    default_name = "top_5_accuracy"

    def result(self, sums: Sums) -> float:
        return ratio(sums["ranks"][:5].sum(), sums["examples"])


class LogLoss(_ClassMetric):
    """The mean of -log of the true class's probability, in nats."""

    default_name = "log_loss"

    def result(self, sums: Sums) -> float:
        return ratio(sums["log_loss"], sums["examples"])


class CalibrationError(_ClassMetric):
    """Expected calibration error: |accuracy - confidence| of 15 equal bins of confidence, weighted by examples.

    Source: Guo et al., On Calibration of Modern Neural Networks, ICML 2017, equation 3.
    """

    default_name = "calibration_error"

    def result(self, sums: Sums) -> float:
        examples, right, confidence = sums["bins"].T
        return ratio(np.abs(right - confidence).sum(), examples.sum())


class ClassPrecision(_ClassMetric):
    """float64 [C]: of the examples predicted as a class, the share that is; 0 if there is none."""

    default_name = "class_precision"
    has_interval = False

    def result(self, sums: Sums) -> np.ndarray:
        return _per_class(np.diag(sums["confusion"]), sums["confusion"].sum(axis=0))


class ClassRecall(_ClassMetric):
    """float64 [C]: of the examples of a class, the share that is found; 0 if there is none."""

    default_name = "class_recall"
    has_interval = False

    def result(self, sums: Sums) -> np.ndarray:
        return _per_class(np.diag(sums["confusion"]), sums["confusion"].sum(axis=1))


class ClassF1(_ClassMetric):
    """float64 [C]: harmonic mean of precision and recall; 0 for a class neither true nor predicted."""

    default_name = "class_f1"
    has_interval = False

    def result(self, sums: Sums) -> np.ndarray:
        return _f1(sums["confusion"])


class ClassSupport(_ClassMetric):
    """int64 [C]: examples of each class."""

    default_name = "class_support"
    has_interval = False

    def result(self, sums: Sums) -> np.ndarray:
        return sums["confusion"].sum(axis=1)


class MacroF1(_ClassMetric):
    """The mean F1 of the classes that occur in the slice, as label or prediction (scikit-learn's default)."""

    default_name = "macro_f1"

    def result(self, sums: Sums) -> float:
        occurs = (sums["confusion"].sum(axis=0) + sums["confusion"].sum(axis=1)) > 0
        return ratio(_f1(sums["confusion"]).sum(), occurs.sum())


class WorstClassF1(_ClassMetric):
    """The smallest F1 of the classes that have an example in the slice; 0 if there is none."""

    default_name = "worst_class_f1"

    def result(self, sums: Sums) -> float:
        supported = sums["confusion"].sum(axis=1) > 0
        return float(_f1(sums["confusion"])[supported].min(initial=1.0)) if supported.any() else 0.0


class WeightedF1(_ClassMetric):
    """The mean of the classes' F1, weighted by their support."""

    default_name = "weighted_f1"

    def result(self, sums: Sums) -> float:
        return ratio(_f1(sums["confusion"]) @ sums["confusion"].sum(axis=1), sums["examples"])


class ClassConfusionMatrix(_ClassMetric):
    """int64 [C, C]: examples, rows true, columns predicted."""

    default_name = "confusion_matrix"
    has_interval = False

    def result(self, sums: Sums) -> np.ndarray:
        return sums["confusion"]


METRICS = (
    ClassCount,
    ClassificationAccuracy,
    MajorityShare,
    GainOverMajority,
    Top5Accuracy,
    MacroF1,
    WeightedF1,
    WorstClassF1,
    LogLoss,
    CalibrationError,
    ClassPrecision,
    ClassRecall,
    ClassF1,
    ClassSupport,
    ClassConfusionMatrix,
)

for _metric in METRICS:
    metric_types.register_metric(_metric)
