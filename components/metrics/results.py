"""What an Evaluator wrote, as frozen dataclasses: for the console's table, the report and `metrics.json`."""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Mapping
from typing import Any, TypeVar

import numpy as np
import tensorflow as tf
import tensorflow_model_analysis as tfma
from scipy import stats
from tensorflow_model_analysis import constants
from tensorflow_model_analysis.proto import metrics_for_slice_pb2, validation_result_pb2

from components.metrics import classification, segmentation
from schema import record
from schema.dataset_spec import SIZE, DatasetSpec

OVERALL = "overall"

_SHARES_OF_EXAMPLES = {"accuracy", "top_5_accuracy"}
"""Of the class head."""
_ESTIMATES = {metric.default_name for metric in (*classification.METRICS, *segmentation.METRICS) if metric.has_interval}
_RANGES = {"log_loss": (0.0, math.inf), "gain_over_majority": (-1.0, 1.0)}
"""What a figure can be, where that is no share."""


@dataclasses.dataclass(frozen=True)
class Interval:
    """A figure with its 95 % confidence interval over examples (photos, not pixels)."""

    value: float | None
    """None where it is no number: JSON has no NaN."""
    lower: float | None = None
    """None where no interval was computed."""
    upper: float | None = None


@dataclasses.dataclass(frozen=True)
class ClassFigures:
    """The class head on one slice; arrays over the C classes in the spec's order."""

    example_count: int
    """Examples whose class is known."""
    accuracy: Interval
    majority_share: float | None
    """Of the most frequent class: the accuracy of always naming it; None where no class is known."""
    gain_over_majority: Interval
    macro_f1: Interval
    weighted_f1: Interval
    worst_class_f1: Interval
    log_loss: Interval
    calibration_error: Interval
    top_5_accuracy: Interval | None = None
    """None for five classes or fewer."""
    class_precision: tuple[float, ...] = ()
    class_recall: tuple[float, ...] = ()
    class_f1: tuple[float, ...] = ()
    class_support: tuple[int, ...] = ()
    confusion_matrix: tuple[tuple[int, ...], ...] = ()
    """[C, C], rows are true."""


@dataclasses.dataclass(frozen=True)
class MaskFigures:
    """The mask head on one slice; of several foreground classes the means of those that occur.

    `precision`, `recall`, `f1` and `iou` have no value where no pixel of the slice is truly foreground.
    """

    example_count: int
    """Examples of which a pixel is known."""
    precision: Interval
    recall: Interval
    f1: Interval
    iou: Interval
    accuracy: Interval
    mean_image_f1: Interval
    mean_image_iou: Interval
    class_f1: tuple[float, ...]
    """[K], of the foreground classes."""
    class_iou: tuple[float, ...]
    confusion_matrix: tuple[tuple[int, ...], ...]
    """Pixels [K + 1, K + 1], background first, rows are true; unknown ones are in none."""


@dataclasses.dataclass(frozen=True)
class SliceFigures:
    """Both heads on the examples of one slice; the head that a model lacks is None."""

    by: Mapping[str, str]
    """The class of each label, and the size, that the slice's examples have; empty: all examples."""
    examples: int
    classification: ClassFigures | None
    segmentation: MaskFigures | None


Evaluation = dict[str, SliceFigures]
"""By the slice's name: `overall`, `kind: crack`, `kind: crack, size: small`; in the order of the spec's slices and
classes."""

Figures = TypeVar("Figures", ClassFigures, MaskFigures)


def read_evaluation(evaluation_uri: str, spec: DatasetSpec) -> Evaluation:
    """The candidate model's figures; a slice without examples is absent.

    Arrays of the class head are kept of all examples alone: a slice's own confusion matrix is the rows of its classes,
    and so many copies would be most of `metrics.json`.

    Args:
        evaluation_uri: The Evaluator's `evaluation` artifact.
        spec: Of the data.

    Raises:
        FileNotFoundError: The Evaluator wrote no metrics there.
    """
    placed = [(_place(loaded.slice_key, spec), _figures(loaded, spec)) for loaded in tfma.load_metrics(evaluation_uri)]
    if not placed:
        raise FileNotFoundError(f"no metrics in {evaluation_uri}: did the Evaluator finish, on a split with examples?")
    placed.sort(key=lambda pair: pair[0])
    return {slice_name(figures.by): figures for _, figures in placed}


def failed_thresholds(evaluation_uri: str) -> tuple[str, ...]:
    """One sentence for each check that the model failed, none if it passed all.

    Such as `kind accuracy is 0.4120: 0.0880 below the threshold 0.5`.

    Args:
        evaluation_uri: The Evaluator's `evaluation` artifact.

    Raises:
        FileNotFoundError: The Evaluator wrote no validation result there.
    """
    if not tf.io.gfile.glob(os.path.join(evaluation_uri, f"{constants.VALIDATIONS_KEY}*")):
        raise FileNotFoundError(f"no validation result in {evaluation_uri}: did the Evaluator finish?")
    validation = tfma.load_validation_result(evaluation_uri)
    sentences = [
        _sentence(failure, _slice_words(validated.slice_key))
        for validated in validation.metric_validations_per_slice
        for failure in validated.failures
    ]
    for missing in validation.missing_slices:
        values = ", ".join(missing.feature_values.values())
        sentences.append(f"no example was evaluated{' of ' + values if values else ''}: the split holds none")
    return tuple(sentences)


def too_low(name: str, value: float | None, lowest: float) -> str:
    """The sentence for a figure that is below the threshold `lowest`, or None because nothing had it."""
    if value is None:
        return f"{name} was not measured"
    return f"{name} is {value:.4f}: {lowest - value:.4f} below the threshold {lowest:g}"


def _by(slice_key: metrics_for_slice_pb2.SliceKey, spec: DatasetSpec) -> dict[str, str]:
    """The slice's values in the order of the spec's labels, then `size`."""
    values = {single.column: single.bytes_value.decode() for single in slice_key.single_slice_keys}
    names = [*(label.name for label in spec.labels), SIZE]
    known = {name: values.get(record.slice_feature(name)) for name in names}
    return {name: value for name, value in known.items() if value is not None}


def _place(slice_key: metrics_for_slice_pb2.SliceKey, spec: DatasetSpec) -> tuple[int, ...]:
    """A slice's position: all examples, then the spec's slices, each in the order of its classes."""
    by = _by(slice_key, spec)
    if not by:
        return (-1,)
    order = {label.name: (*label.classes, record.UNKNOWN_NAME) for label in spec.labels}
    order[SIZE] = (*record.SIZES, record.UNKNOWN_NAME)
    number = [set(features) for features in spec.slices].index(set(by))
    return (number, *(order[name].index(value) for name, value in by.items()))


def slice_name(by: Mapping[str, str]) -> str:
    """A slice's, from what its examples have in common: values with their labels, since two labels may have classes of
    one name."""
    return ", ".join(f"{name}: {value}" for name, value in by.items()) or OVERALL


def _figures(loaded: metrics_for_slice_pb2.MetricsForSlice, spec: DatasetSpec) -> SliceFigures:
    heads: dict[str, dict[str, Any]] = {}
    examples = 0
    by = _by(loaded.slice_key, spec)
    for measured in loaded.metric_keys_and_values:
        key = measured.key
        if not key.output_name:
            examples = int(measured.value.double_value.value)
            continue
        head = heads.setdefault("mask" if key.output_name == record.MASK else "class", {})
        head[key.name] = _result(measured)
    for name in _SHARES_OF_EXAMPLES & heads.get("class", {}).keys():
        heads["class"][name] = _wilson(heads["class"][name], heads["class"]["example_count"])
    for of_head in heads.values():
        if not of_head["example_count"].value:  # 0 of 0 is no share: a slice whose truth is unknown
            of_head |= {name: Interval(None) for name in of_head if name in {*_ESTIMATES, "majority_share"}}
    if by and "class" in heads:
        heads["class"] = {name: value for name, value in heads["class"].items() if not isinstance(value, tuple)}
    return SliceFigures(
        by,
        examples,
        _typed(ClassFigures, heads["class"]) if "class" in heads else None,
        _typed(MaskFigures, heads["mask"]) if "mask" in heads else None,
    )


def _typed(kind: type[Figures], figures: Mapping[str, Any]) -> Figures:
    made = {**figures, "example_count": int(figures["example_count"].value)}
    if "majority_share" in made:
        made["majority_share"] = made["majority_share"].value
    return kind(**made)


def _result(measured: metrics_for_slice_pb2.MetricKeyAndValue) -> Any:
    """Tuples for an array, else an interval."""
    if measured.value.HasField("array_value"):
        array = measured.value.array_value
        return _tuples(np.reshape(array.int64_values or array.float64_values, array.shape).tolist())
    value, interval = _number(measured.value), measured.confidence_interval
    bounds = [bound.double_value.value for bound in (interval.lower_bound, interval.upper_bound)]
    if not measured.HasField("confidence_interval") or np.isnan(bounds).any():
        return Interval(value)
    # The jackknife's interval is symmetric, so it can reach beyond what the figure can be.
    return Interval(value, *np.clip(bounds, *_RANGES.get(measured.key.name, (0.0, 1.0))).tolist())


def _wilson(share: Interval, count: Interval) -> Interval:
    """Of so many examples, whatever few: all right or all wrong, they have no spread that a jackknife could find.

    Source: Wilson 1927, https://doi.org/10.1080/01621459.1927.10502953.
    """
    if share.value is None or not count.value:
        return share
    examples = round(count.value)
    bounds = stats.binomtest(round(share.value * examples), examples).proportion_ci(method="wilson")
    return Interval(share.value, float(bounds.low), float(bounds.high))


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


def _number(value: metrics_for_slice_pb2.MetricValue) -> float | None:
    """JSON has no NaN."""
    number = value.double_value.value
    return None if math.isnan(number) else number


def _slice_words(slice_key: metrics_for_slice_pb2.SliceKey) -> str:
    joined = ", ".join(single.bytes_value.decode() for single in slice_key.single_slice_keys)
    return f" of {joined}" if joined else ""


def _sentence(failure: validation_result_pb2.ValidationFailure, of_slice: str) -> str:
    key, threshold = failure.metric_key, failure.metric_threshold
    name = f"{key.output_name} {key.name.replace('_', ' ').replace('f1', 'F1')}{of_slice}"
    if not failure.HasField("metric_value"):
        return too_low(name, None, 0.0)
    value = _number(failure.metric_value)
    lowest = threshold.value_threshold.lower_bound.value
    if key.name == "gain_over_majority" and not of_slice and 0 <= lowest < 1e-6 and value is not None:
        return f"{key.output_name} accuracy does not beat always naming the most frequent class: {value:+.4f}"
    return too_low(name, value, lowest)
