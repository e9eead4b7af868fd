"""What an Evaluator wrote, as plain data: for the console's table, the report and `metrics.json`.

`read_metrics(evaluation_uri)` returns `{slice name: {head: {metric: result}}}`, made of dicts, lists, ints,
floats and None only, so `json.dump` writes it as it is. NaN becomes None.

Slice names, in this order: `overall`, `species: Cat`, `breed: Siamese` (values of `schema.pets.SPECIES`
and `BREEDS`), `Cat, small` (species, then one of `schema.pets.SIZES`). A slice without examples is absent.

Heads: `class` (breeds or species, whichever label the model names) and `mask`; a model of one task has one.

| head    | metric                                                          | result                     |
|---------|-----------------------------------------------------------------|----------------------------|
| both    | `example_count`                                                 | int                        |
| `class` | `accuracy`, `top_5_accuracy` (breeds only), `macro_f1`,         | interval                   |
|         | `weighted_f1`, `log_loss`, `calibration_error`                  | interval                   |
|         | `class_precision`, `class_recall`, `class_f1`                   | [C] floats in [0, 1]       |
|         | `class_support`                                                 | [C] ints                   |
|         | `confusion_matrix`                                              | [C][C] ints, rows are true |
| `mask`  | `precision`, `recall`, `f1`, `iou`, `accuracy`,                 | interval                   |
|         | `mean_image_f1`, `mean_image_iou`                               | interval                   |
|         | `true_positives`, `false_positives`, `false_negatives`,         | int                        |
|         | `true_negatives` (pixels; ignored ones are in none of the four) | int                        |

An interval is `{"value": float, "lower": float or None, "upper": float or None}`: the figure and the bounds of
its 95 % confidence interval over examples (photos, not pixels); the bounds are None where none was computed.
The classes C stand in the order of `schema.pets.CLASSES[label]`.

`failed_thresholds(evaluation_uri)` returns one sentence for each check that the model failed, such as
`breed accuracy is 0.4120: 0.0880 below the threshold 0.5` or
`mask f1 fell by 0.0340 from the blessed model's 0.9010: at most 0.01 is allowed`; an empty list if it passed
all. It raises FileNotFoundError where the Evaluator wrote no validation result.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_model_analysis as tfma
from tensorflow_model_analysis import constants
from tensorflow_model_analysis.proto import metrics_for_slice_pb2, validation_result_pb2

from schema import pets

Metrics = dict[str, dict[str, dict[str, Any]]]

OVERALL = "overall"
CLASS_HEAD, MASK_HEAD = "class", "mask"


def read_metrics(evaluation_uri: str) -> Metrics:
    """The candidate model's metrics, as the module's docstring lays them out.

    Args:
        evaluation_uri: The Evaluator's `evaluation` artifact.

    Raises:
        FileNotFoundError: The Evaluator wrote no metrics there.
    """
    slices = [(*_place(record.slice_key), _heads(record)) for record in tfma.load_metrics(evaluation_uri)]
    if not slices:
        raise FileNotFoundError(f"no metrics in {evaluation_uri}: did the Evaluator finish, on a split with examples?")
    return {name: heads for _, name, heads in sorted(slices, key=lambda placed: placed[0])}


def failed_thresholds(evaluation_uri: str) -> list[str]:
    """One sentence for each check that the model failed, see the module's docstring.

    Args:
        evaluation_uri: The Evaluator's `evaluation` artifact.

    Raises:
        FileNotFoundError: The Evaluator wrote no validation result there.
    """
    if not tf.io.gfile.glob(os.path.join(evaluation_uri, f"{constants.VALIDATIONS_KEY}*")):
        raise FileNotFoundError(f"no validation result in {evaluation_uri}: did the Evaluator finish?")
    validation = tfma.load_validation_result(evaluation_uri)
    baseline = _baseline_values(evaluation_uri)
    sentences = [
        _sentence(failure, baseline)
        for validated in validation.metric_validations_per_slice
        for failure in validated.failures
    ]
    if validation.missing_slices:
        sentences.append("no example was evaluated: the split is empty")
    return sentences


def _place(slice_key: metrics_for_slice_pb2.SliceKey) -> tuple[tuple[int, ...], str]:
    """A slice's position among all slices and its name."""
    values = {single.column: single.bytes_value.decode() for single in slice_key.single_slice_keys}
    species, breed, size = (values.get(feature) for feature in (pets.SPECIES_NAME, pets.BREED_NAME, pets.SIZE))
    if breed:
        return (2, pets.BREEDS.index(breed)), f"breed: {breed}"
    if species and size:
        return (3, pets.SPECIES.index(species), pets.SIZES.index(size)), f"{species}, {size}"
    if species:
        return (1, pets.SPECIES.index(species)), f"species: {species}"
    return (0,), OVERALL


def _heads(record: metrics_for_slice_pb2.MetricsForSlice) -> dict[str, dict[str, Any]]:
    heads: dict[str, dict[str, Any]] = {}
    examples = 0
    for measured in record.metric_keys_and_values:
        key = measured.key
        if key.is_diff or key.model_name == constants.BASELINE_KEY:
            continue
        if key.name == "example_count":
            examples = int(measured.value.double_value.value)
        elif key.output_name:
            head = heads.setdefault(MASK_HEAD if key.output_name == pets.MASK else CLASS_HEAD, {})
            head[key.name] = _result(measured)
    if MASK_HEAD in heads:
        (tn, fp), (fn, tp) = heads[MASK_HEAD].pop("confusion_matrix")
        heads[MASK_HEAD] |= {"true_positives": tp, "false_positives": fp, "false_negatives": fn, "true_negatives": tn}
    return {name: {"example_count": examples, **head} for name, head in sorted(heads.items())}


def _result(measured: metrics_for_slice_pb2.MetricKeyAndValue) -> Any:
    """A list for an array, else an interval."""
    if measured.value.HasField("array_value"):
        array = measured.value.array_value
        return np.reshape(array.int64_values or array.float64_values, array.shape).tolist()
    interval = {"value": _number(measured.value), "lower": None, "upper": None}
    if measured.HasField("confidence_interval"):
        interval["lower"] = _number(measured.confidence_interval.lower_bound)
        interval["upper"] = _number(measured.confidence_interval.upper_bound)
    return interval


def _number(value: metrics_for_slice_pb2.MetricValue) -> float | None:
    """JSON has no NaN."""
    number = value.double_value.value
    return None if math.isnan(number) else number


def _baseline_values(evaluation_uri: str) -> dict[tuple[str, str], float]:
    """What the blessed model reached over all examples, by output and metric; empty if there was none."""
    return {
        (measured.key.output_name, measured.key.name): measured.value.double_value.value
        for record in tfma.load_metrics(evaluation_uri)
        if not record.slice_key.single_slice_keys
        for measured in record.metric_keys_and_values
        if measured.key.model_name == constants.BASELINE_KEY
    }


def _sentence(failure: validation_result_pb2.ValidationFailure, baseline: Mapping[tuple[str, str], float]) -> str:
    key, threshold = failure.metric_key, failure.metric_threshold
    name = f"{key.output_name} {key.name}"
    if not failure.HasField("metric_value"):
        return f"{name} was not measured"
    value = failure.metric_value.double_value.value
    if key.is_diff:
        blessed, allowed = baseline[key.output_name, key.name], -threshold.change_threshold.absolute.value
        return f"{name} fell by {-value:.4f} from the blessed model's {blessed:.4f}: at most {allowed:g} is allowed"
    lowest = threshold.value_threshold.lower_bound.value
    return f"{name} is {value:.4f}: {lowest - value:.4f} below the threshold {lowest:g}"
