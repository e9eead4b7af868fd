"""What the TFMA metrics of both heads share: count each example once, add up, read every metric off the sums.

TFMA copies an example into each slice it belongs to, but preprocesses it before. So the preprocessor here
reduces label and prediction to a few counts, only those reach the slices, and a metric is a function of their
sum. Metrics of one output ask for the same sums under the same key, and TFMA computes equal keys once.

Confidence intervals: TFMA's own (`EvalConfig.options`) work, but evaluate the pipeline's tail 20 times over, which
takes longer than the model on a few thousand photos. `interval=True` computes the same delete-a-group jackknife
from sums that are kept by group.
"""

from __future__ import annotations

import abc
import functools
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, ClassVar

import apache_beam as beam
import numpy as np
from tensorflow_model_analysis import constants
from tensorflow_model_analysis.api import types
from tensorflow_model_analysis.metrics import metric_types

JACKKNIFE_GROUPS = 20
_SAME = 1e-12
"""What rounding adds."""

Sums = dict[str, Any]
"""Named counts of some examples: integers, floats or arrays of them, that add up over examples."""

CountFn = Callable[[np.ndarray, np.ndarray], Sums]
ResultFn = Callable[[Sums], float | np.ndarray]


class SummedMetric(metric_types.Metric, abc.ABC):
    """A metric that is a function of sums over examples; subclasses say which counts and which function.

    Example weights, class weights and binarisation are not supported.

    Args:
        name: The metric's name in the results; by default `default_name`.
        interval: Compute a 95 % confidence interval, where the metric is an estimate. The extracts must hold the
            serialized examples, as the Evaluator's do.
        code: A fingerprint of the code that computes the metric. It changes nothing but the EvalConfig, and by
            that TFX's cache key: an Evaluator runs again when the code has changed.
    """

    sums_key: ClassVar[str]
    """Names the counts: metrics with equal names share them."""
    default_name: ClassVar[str]
    has_interval: ClassVar[bool] = True
    """False for counts and arrays."""

    def __init__(self, name: str | None = None, interval: bool = False, code: str = "") -> None:
        super().__init__(self._create_computations, name=name or self.default_name, interval=interval, code=code)
        self._groups = JACKKNIFE_GROUPS if interval else 1

    @property
    def compute_confidence_interval(self) -> bool:
        return self.has_interval

    @staticmethod
    @abc.abstractmethod
    def count(label: np.ndarray, prediction: np.ndarray, /) -> Sums:
        """Counts one example; `examples` among the counts is 0 where the label is unknown, else 1."""

    @abc.abstractmethod
    def result(self, sums: Sums) -> float | np.ndarray:
        """Reads the metric off the sums of a slice; no example at all adds up to zeros."""

    def _create_computations(
        self, model_names: list[str] | None = None, output_names: list[str] | None = None, **_: Any
    ) -> metric_types.MetricComputations:
        computations: metric_types.MetricComputations = []
        for model_name in model_names or [""]:
            for output_name in output_names or [""]:
                # TFMA drops keys with a leading underscore from the results.
                sums_key = metric_types.MetricKey(f"_{self.sums_key}_{self._groups}", model_name, output_name)
                counter = _Counter(sums_key, self.count, self._groups)
                computations.append(
                    metric_types.MetricComputation([sums_key], [counter], _SumFn(sums_key, self._groups))
                )
                key = metric_types.MetricKey(self.name, model_name, output_name)
                read = functools.partial(_read, key=key, sums_key=sums_key, result=self.result)
                computations.append(metric_types.DerivedMetricComputation([key], read))
                if self._groups > 1 and self.has_interval:
                    # Not before TFMA has held the number against a baseline's, if any: it compares no intervals.
                    estimate = functools.partial(_estimate, key=key, sums_key=sums_key, result=self.result)
                    computations.append(metric_types.CIDerivedMetricComputation([key], estimate))
        return computations


Metrics = dict[metric_types.MetricKey, Any]


def _read(metrics: Metrics, key: metric_types.MetricKey, sums_key: metric_types.MetricKey, result: ResultFn) -> Metrics:
    return {key: result(_total(metrics[sums_key]))}


def _estimate(
    metrics: Metrics, key: metric_types.MetricKey, sums_key: metric_types.MetricKey, result: ResultFn
) -> Metrics:
    return {key: jackknife(metrics[sums_key], result)}


def jackknife(sums_by_group: Sums, result: ResultFn) -> float | types.ValueWithTDistribution:
    """The result with its standard error, from what it becomes when one group of examples is left out.

    Source: Efron and Tibshirani, An Introduction to the Bootstrap, 1993, equation 11.5, on groups.

    Args:
        sums_by_group: The sums with a leading dimension, the groups; groups without examples do not take part.
        result: Makes a number of sums.

    Returns:
        What TFMA writes as value and 95 % interval of Student's t; the bare number if there are fewer than 2 groups,
        or if it is the same without each of them, which says that there are few examples and not that it is certain,
        or if it is none without one of them.
    """
    total = _total(sums_by_group)
    value = float(result(total))
    groups = np.flatnonzero(sums_by_group["examples"])
    if len(groups) < 2:
        return value
    without = [
        float(result({name: total[name] - sums[group] for name, sums in sums_by_group.items()})) for group in groups
    ]
    if not np.ptp(without) > _SAME:  # NaN is not
        return value
    variance = (len(groups) - 1) * float(np.var(without))
    return types.ValueWithTDistribution(value, variance**0.5, len(groups) - 1, value)


def _total(sums_by_group: Sums) -> Sums:
    return {name: sums.sum(axis=0) for name, sums in sums_by_group.items()}


class _Counter(metric_types.Preprocessor):
    """Extracts of one example -> (its group, its counts)."""

    def __init__(self, sums_key: metric_types.MetricKey, count_fn: CountFn, groups: int) -> None:
        super().__init__(name=str(sums_key))
        self._model_name, self._output_name = sums_key.model_name, sums_key.output_name
        self._count_fn, self._groups = count_fn, groups

    def process(self, extracts: Mapping[str, Any]) -> Iterator[tuple[int, Sums]]:
        label, prediction = (
            _of_output(extracts[key], self._model_name, self._output_name, key)
            for key in (constants.LABELS_KEY, constants.PREDICTIONS_KEY)
        )
        yield self._group(extracts), self._count_fn(label, prediction)

    def _group(self, extracts: Mapping[str, Any]) -> int:
        """By content: the same for every model and run, whatever the order."""
        return zlib.crc32(np.asarray(extracts[constants.INPUT_KEY]).item()) % self._groups if self._groups > 1 else 0


def _of_output(value: Any, model_name: str, output_name: str, what: str) -> np.ndarray:
    """The array of one output; TFMA has no dict level for a single model, nor for a single output's prediction."""
    for name in (model_name, output_name):
        if name and isinstance(value, Mapping):
            if name not in value:
                raise ValueError(f"there are no {what} for {name!r}, only for {sorted(value)}: check the ModelSpec")
            value = value[name]
    if value is None or isinstance(value, Mapping):
        raise ValueError(f"the {what} of output {output_name!r} are {value!r}: check label_keys and output_names")
    return np.asarray(value)


class _SumFn(beam.CombineFn):
    """Adds counts up by group: every value gets a leading dimension."""

    def __init__(self, key: metric_types.MetricKey, groups: int) -> None:
        self._key, self._groups = key, groups

    def create_accumulator(self) -> Sums:
        return {}

    def add_input(self, accumulator: Sums, element: tuple[int, Sums]) -> Sums:
        group, counts = element
        if not accumulator:
            arrays = {name: np.asarray(value) for name, value in counts.items()}
            accumulator = {name: np.zeros((self._groups, *array.shape), array.dtype) for name, array in arrays.items()}
        for name, value in counts.items():
            accumulator[name][group] += value
        return accumulator

    def merge_accumulators(self, accumulators: Iterable[Sums]) -> Sums:
        total: Sums = {}
        for sums in accumulators:
            total = {name: total[name] + values for name, values in sums.items()} if total and sums else total or sums
        return total

    def extract_output(self, accumulator: Sums) -> Metrics:
        return {self._key: accumulator}


def ratio(numerator: float, denominator: float) -> float:
    """The quotient; 0 where both are 0, as scikit-learn's `zero_division=0`."""
    return float(numerator / denominator) if denominator else 0.0
