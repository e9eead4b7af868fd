"""What the Evaluator measures, on which slices, and what a model must reach to be blessed: the EvalConfig."""

from __future__ import annotations

import json

# A plain `import tensorflow_model_analysis` lacks EvalConfig.
from tensorflow_model_analysis.proto import config_pb2 as tfma

from components.metrics import classification, segmentation, summed
from pipeline import fingerprint
from pipeline.configs import Config
from schema import pets

SLICES = ((), (pets.SPECIES_NAME,), (pets.BREED_NAME,), (pets.SPECIES_NAME, pets.SIZE))
"""Features whose values name the slices; () is all examples."""

_METRICS_CODE = (summed, classification, segmentation)


def eval_config(config: Config, *, baseline: bool) -> tfma.EvalConfig:
    """Metrics of the heads that `config.task` trains, with 95 % jackknife intervals, on `SLICES`.

    The thresholds hold for all examples only, not for each slice.

    Args:
        config: Says which heads there are and what they must reach.
        baseline: Compare with the Evaluator's `baseline_model` too. TFMA drops that check in a run without one.

    Returns:
        The config of one candidate model. Its metrics carry a fingerprint of their code, so that TFX's cache does
        not serve results of other code.
    """
    thresholds = config.thresholds
    heads: list[tuple[str, list[tfma.MetricConfig]]] = []
    if config.task != "segmentation":
        bound = _threshold(thresholds.accuracy, thresholds.max_drop if baseline else None)
        heads.append((config.label, _class_metrics(config.label, bound)))
    if config.task != "classification":
        bound = _threshold(thresholds.mask_f1, thresholds.max_drop if baseline else None)
        heads.append((pets.MASK, _mask_metrics(bound)))
    return tfma.EvalConfig(
        model_specs=[
            tfma.ModelSpec(
                signature_name="serving_default",
                preprocessing_function_names=["transform_features"],
                label_keys={output: output for output, _ in heads},
            )
        ],
        slicing_specs=[tfma.SlicingSpec(feature_keys=features) for features in SLICES],
        metrics_specs=[
            tfma.MetricsSpec(metrics=[tfma.MetricConfig(class_name="ExampleCount")]),
            *(tfma.MetricsSpec(output_names=[output], metrics=metrics) for output, metrics in heads),
        ],
    )


def _class_metrics(label: str, accuracy: tfma.MetricThreshold) -> list[tfma.MetricConfig]:
    few_classes = len(pets.CLASSES[label]) <= 5
    return [
        _metric(metric, accuracy if metric is classification.ClassificationAccuracy else None)
        for metric in classification.METRICS
        if not (few_classes and metric is classification.Top5Accuracy)
    ]


def _mask_metrics(f1: tfma.MetricThreshold) -> list[tfma.MetricConfig]:
    return [_metric(metric, f1 if metric is segmentation.PixelF1 else None) for metric in segmentation.METRICS]


def _threshold(lowest: float, max_drop: float | None) -> tfma.MetricThreshold:
    threshold = tfma.MetricThreshold(value_threshold={"lower_bound": {"value": lowest}})
    if max_drop is not None:
        threshold.change_threshold.absolute.value = -max_drop
        threshold.change_threshold.direction = tfma.HIGHER_IS_BETTER
    return threshold


def _metric(metric: type[summed.SummedMetric], threshold: tfma.MetricThreshold | None = None) -> tfma.MetricConfig:
    code = fingerprint.of_code(*(module.__name__ for module in _METRICS_CODE))
    parameters = {"interval": True, "code": code}
    config = tfma.MetricConfig(class_name=metric.__name__, module=metric.__module__, config=json.dumps(parameters))
    if threshold:
        # MetricConfig.threshold would hold for every slice.
        config.per_slice_thresholds.add(slicing_specs=[tfma.SlicingSpec()], threshold=threshold)
    return config
