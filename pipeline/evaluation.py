"""What the Evaluator measures, on which slices, and what a model must reach to be blessed: the EvalConfig."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import NamedTuple

# A plain `import tensorflow_model_analysis` lacks EvalConfig.
from tensorflow_model_analysis.proto import config_pb2 as tfma

from components.metrics import classification, segmentation, summed
from pipeline import fingerprint
from pipeline.configs import Config, Thresholds
from schema import record
from schema.dataset_spec import SIZE, DatasetSpec, Heads

_FIGURES: dict[str, type[summed.SummedMetric]] = {
    "accuracy": classification.ClassificationAccuracy,
    "macro_f1": classification.MacroF1,
    "worst_class_f1": classification.WorstClassF1,
    "gain_over_majority": classification.GainOverMajority,
    "mask_f1": segmentation.PixelF1,
}
"""Fields of `Thresholds`, which are also what `thresholds.slices` may bound, and the metrics that they bound."""

_ALWAYS_BOUND = (classification.ClassificationAccuracy, segmentation.PixelF1)
"""The Evaluator blesses only where there is a threshold, so there is one in any case."""


class Bound(NamedTuple):
    """The least that one figure must reach on some examples."""

    figure: str
    """A field of `Thresholds`."""
    lowest: float
    slice: Mapping[str, str]
    """Feature of the record -> its value; empty: all examples."""


_ANY_GAIN = Bound("gain_over_majority", 1e-9, {})
"""A bound is met by what equals it, and a gain of 0 is none."""


def eval_config(config: Config, spec: DatasetSpec) -> tfma.EvalConfig:
    """Metrics of the run's heads, with 95 % jackknife intervals, on all examples and on the spec's slices.

    Args:
        config: Says which heads there are and what they must reach.
        spec: Of the data.

    Returns:
        The config of one candidate model. Its metrics carry a fingerprint of their code, so that TFX's cache does
        not serve results of other code.

    Raises:
        ValueError: A threshold is set for a head, or names a slice, that there is not.
    """
    heads = spec.heads(config.label, config.task)
    bounds = threshold_bounds(config.thresholds, spec)
    _check_heads(bounds, heads)
    metrics_specs = [tfma.MetricsSpec(metrics=[tfma.MetricConfig(class_name="ExampleCount")])]
    if heads.label:
        few = len(heads.label.classes) <= 5
        of_classes = [m for m in classification.METRICS if not (few and m is classification.Top5Accuracy)]
        metrics_specs.append(_metrics(heads.label.name, of_classes, bounds))
    if heads.mask:
        metrics_specs.append(_metrics(record.MASK, segmentation.METRICS, bounds))
    features = [tuple(record.slice_feature(name) for name in names) for names in spec.slices]
    return tfma.EvalConfig(
        model_specs=[
            tfma.ModelSpec(
                signature_name="serving_examples",
                preprocessing_function_names=["transform_features"],
                label_keys={output: output for output in heads.outputs},
            )
        ],
        slicing_specs=[tfma.SlicingSpec(feature_keys=keys) for keys in ((), *features)],
        metrics_specs=metrics_specs,
    )


def threshold_bounds(thresholds: Thresholds, spec: DatasetSpec) -> list[Bound]:
    """The bounds that are set: of all examples, and those of `thresholds.slices`.

    Raises:
        ValueError: a text of `thresholds.slices` is wrong; it is shown with the form that it should have.
    """
    names = [name for name in _FIGURES if name != "gain_over_majority"]
    overall = {name: getattr(thresholds, name) for name in names}
    bounds = [Bound(name, lowest, {}) for name, lowest in overall.items() if lowest]
    gain = thresholds.gain_over_majority
    if gain == 0:
        bounds.append(_ANY_GAIN)
    elif gain > -1:  # which every model has
        bounds.append(Bound("gain_over_majority", gain, {}))
    return bounds + [_slice_bound(text, spec) for text in thresholds.slices]


def _slice_bound(text: str, spec: DatasetSpec) -> Bound:
    """Reads `kind=crack,size=small:mask_f1=0.5`."""
    try:
        which, bound = text.rsplit(":", 1)
        pairs = [pair.split("=", 1) for pair in which.split(",")]
        values = dict(pairs)
        figure, lowest = bound.split("=")
        number = float(lowest)
    except ValueError:
        raise ValueError(
            f"thresholds.slices has {text!r}: give LABEL=CLASS:FIGURE=NUMBER, such as kind=crack:accuracy=0.5"
        ) from None
    if len(values) < len(pairs):
        raise ValueError(f"thresholds.slices has {text!r}: name each label once, one class a bound")
    if figure not in _FIGURES or not 0 <= number <= 1:
        raise ValueError(f"thresholds.slices has {text!r}: figures are {', '.join(_FIGURES)}, each in [0, 1]")
    if set(values) not in [set(names) for names in spec.slices]:
        slices = "; ".join(", ".join(names) for names in spec.slices) or "none"
        raise ValueError(f"thresholds.slices has {text!r}: the slices of {spec.title} are by {slices}")
    for name, value in values.items():
        classes: Sequence[str] = record.SIZES if name == SIZE else spec.label(name).classes
        if value not in classes:
            raise ValueError(f"thresholds.slices has {text!r}: {name} is one of {', '.join(classes)}")
    return Bound(figure, number, {record.slice_feature(name): value for name, value in values.items()})


def _check_heads(bounds: Sequence[Bound], heads: Heads) -> None:
    for bound in bounds:
        if bound != _ANY_GAIN:  # which is set by default
            head = "mask" if _FIGURES[bound.figure] in segmentation.METRICS else "class"
            where = f"thresholds.slices bounds {bound.figure}" if bound.slice else f"thresholds.{bound.figure} is set"
            heads.need(head, where)


def _metrics(output: str, metrics: Sequence[type[summed.SummedMetric]], bounds: Sequence[Bound]) -> tfma.MetricsSpec:
    configs = []
    for metric in metrics:
        config = _metric(metric)
        overall = _overall_threshold(metric, bounds)
        if overall:
            config.per_slice_thresholds.add(slicing_specs=[tfma.SlicingSpec()], threshold=overall)
        for bound in bounds:
            if bound.slice and _FIGURES[bound.figure] is metric:
                of_slice = tfma.SlicingSpec(feature_values=bound.slice)
                config.per_slice_thresholds.add(slicing_specs=[of_slice], threshold=_at_least(bound.lowest))
        configs.append(config)
    return tfma.MetricsSpec(output_names=[output], metrics=configs)


def _overall_threshold(metric: type[summed.SummedMetric], bounds: Sequence[Bound]) -> tfma.MetricThreshold | None:
    """Of all examples alone: MetricConfig.threshold would hold for every slice."""
    lowest = [bound.lowest for bound in bounds if not bound.slice and _FIGURES[bound.figure] is metric]
    if metric in _ALWAYS_BOUND:
        return _at_least(*lowest or [0.0])
    return _at_least(*lowest) if lowest else None


def _at_least(lowest: float) -> tfma.MetricThreshold:
    return tfma.MetricThreshold(value_threshold={"lower_bound": {"value": lowest}})


def _metric(metric: type[summed.SummedMetric]) -> tfma.MetricConfig:
    code = fingerprint.of_code(metric.__module__, "components.evaluator")
    parameters = {"interval": True, "code": code}
    return tfma.MetricConfig(class_name=metric.__name__, module=metric.__module__, config=json.dumps(parameters))
