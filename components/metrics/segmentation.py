"""TFMA metrics of a binary mask, over all pixels of a slice or as a mean over its images.

Usable in any EvalConfig: `MetricConfig(class_name="PixelF1", module="components.metrics.segmentation")`, with
`output_names` naming the mask where the model has several outputs. Label and prediction are arrays of one
shape, such as float32 [H, W, 1]: the label 1 is foreground, 0 background, a negative one weighs nothing;
a pixel is predicted as foreground if its probability is above `threshold`.
"""

from __future__ import annotations

import functools

import numpy as np
from tensorflow_model_analysis.metrics import metric_types

from components.metrics.summed import CountFn, SummedMetric, Sums, ratio


def count_pixels(label: np.ndarray, prediction: np.ndarray, threshold: float = 0.5) -> Sums:
    """Counts one image.

    Args:
        label: 1 foreground, 0 background, negative ignored; any shape and numeric type.
        prediction: Probabilities of foreground in [0, 1], of the label's shape.
        threshold: A pixel counts as predicted foreground if its probability is above.

    Returns:
        `pixels`: int64 [2, 2], rows true, columns predicted, background first, as scikit-learn's
        `confusion_matrix`; `image_f1` and `image_iou`: the image's own F1 and IoU in [0, 1], which
        are 1 where neither label nor prediction holds a foreground pixel.

    Raises:
        ValueError: The shapes differ.
    """
    if label.shape != prediction.shape:
        raise ValueError(f"the mask's label has shape {label.shape} and its prediction {prediction.shape}")
    predicted = prediction > threshold
    foreground = label > 0
    counted: int = label.size
    if label.size and label.min() < 0:
        weighed = label >= 0
        predicted &= weighed
        counted = int(np.count_nonzero(weighed))
    true_positives = np.count_nonzero(predicted & foreground)
    false_positives = np.count_nonzero(predicted) - true_positives
    false_negatives = np.count_nonzero(foreground) - true_positives
    union = true_positives + false_positives + false_negatives
    return {
        "pixels": np.array([[counted - union, false_positives], [false_negatives, true_positives]], np.int64),
        "image_f1": 2 * true_positives / (union + true_positives) if union else 1.0,
        "image_iou": true_positives / union if union else 1.0,
    }


class _PixelMetric(SummedMetric):
    """A metric of `count_pixels`' sums.

    Args:
        name: The metric's name in the results.
        threshold: See `count_pixels`.
        interval, code: See `SummedMetric`.
    """

    def __init__(self, name: str | None = None, threshold: float = 0.5, interval: bool = False, code: str = "") -> None:
        super().__init__(name, interval, code, threshold=threshold)
        self._threshold = threshold

    def sums_key(self) -> str:
        return f"pixels_above_{self._threshold}"

    def count_fn(self) -> CountFn:
        return functools.partial(count_pixels, threshold=self._threshold)


class PixelPrecision(_PixelMetric):
    """TP / (TP + FP): how much of the predicted foreground is foreground; 0 if there is none."""

    default_name = "precision"

    def result(self, sums: Sums) -> float:
        (_, fp), (_, tp) = sums["pixels"]
        return ratio(tp, tp + fp)


class PixelRecall(_PixelMetric):
    """TP / (TP + FN): how much of the foreground is predicted; 0 if there is none."""

    default_name = "recall"

    def result(self, sums: Sums) -> float:
        _, (fn, tp) = sums["pixels"]
        return ratio(tp, tp + fn)


class PixelF1(_PixelMetric):
    """2 TP / (2 TP + FP + FN), the Dice coefficient; 0 if there is no foreground, true or predicted."""

    default_name = "f1"

    def result(self, sums: Sums) -> float:
        (_, fp), (fn, tp) = sums["pixels"]
        return ratio(2 * tp, 2 * tp + fp + fn)


class PixelIoU(_PixelMetric):
    """TP / (TP + FP + FN), the Jaccard index; 0 if there is no foreground, true or predicted."""

    default_name = "iou"

    def result(self, sums: Sums) -> float:
        (_, fp), (fn, tp) = sums["pixels"]
        return ratio(tp, tp + fp + fn)


class PixelAccuracy(_PixelMetric):
    """(TP + TN) / all pixels that are not ignored; 0 if all are."""

    default_name = "accuracy"

    def result(self, sums: Sums) -> float:
        return ratio(np.trace(sums["pixels"]), np.sum(sums["pixels"]))


class PixelConfusionMatrix(_PixelMetric):
    """Pixels as int64 [[TN, FP], [FN, TP]], the order of scikit-learn."""

    default_name = "confusion_matrix"
    is_number = False

    def result(self, sums: Sums) -> np.ndarray:
        return sums["pixels"]


class MeanImageF1(_PixelMetric):
    """The mean of the images' own F1, so that each image weighs the same; an empty one found empty scores 1."""

    default_name = "mean_image_f1"

    def result(self, sums: Sums) -> float:
        return ratio(sums["image_f1"], sums["examples"])


class MeanImageIoU(_PixelMetric):
    """The mean of the images' own IoU, so that each image weighs the same; an empty one found empty scores 1."""

    default_name = "mean_image_iou"

    def result(self, sums: Sums) -> float:
        return ratio(sums["image_iou"], sums["examples"])


METRICS = (
    PixelPrecision,
    PixelRecall,
    PixelF1,
    PixelIoU,
    PixelAccuracy,
    PixelConfusionMatrix,
    MeanImageF1,
    MeanImageIoU,
)

for _metric in METRICS:
    metric_types.register_metric(_metric)
