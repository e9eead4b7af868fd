"""TFMA metrics of a mask, over all pixels of a slice or as a mean over its images.

Usable in any EvalConfig: `MetricConfig(class_name="PixelF1", module="components.metrics.segmentation")`, with
`output_names` naming the mask where the model has several outputs. The label is float32 [H, W, 1]: 0 background, k the
k-th of K foreground classes, a negative pixel weighs nothing. With one foreground class the prediction has the label's
shape, and a pixel is predicted as foreground if its probability is above `THRESHOLD`; with more it is [H, W, K + 1],
and the most probable class is predicted. Figures of several classes are means over the foreground classes that occur,
as label or prediction; where no foreground is true they have no figure, NaN.
"""

from __future__ import annotations

import numpy as np
from tensorflow_model_analysis.metrics import metric_types

from components.metrics.summed import SummedMetric, Sums, ratio

THRESHOLD = 0.5
"""A pixel is foreground where its probability is larger; of one foreground class alone."""


def count_pixels(label: np.ndarray, prediction: np.ndarray) -> Sums:
    """Counts one image.

    Args:
        label: Index of the class, 0 background, negative unknown; any shape, the last dimension 1 for several classes.
        prediction: Probabilities in [0, 1]: of the foreground, in the label's shape, or of all classes, in the last
            dimension.

    Returns:
        `pixels`: int64 [C, C] of C = K + 1 classes, rows true, columns predicted, background first, as scikit-learn's
        `confusion_matrix`; `image_f1` and `image_iou`: the image's own F1 and IoU in [0, 1], 1 where neither label nor
        prediction holds a foreground pixel; `examples`: 0 for an image of which no pixel is known, else 1.

    Raises:
        ValueError: The shapes do not fit.
    """
    if label.shape == prediction.shape:
        pixels = _count_two_classes(label, prediction > THRESHOLD)
    elif label.shape[:-1] == prediction.shape[:-1] and label.shape[-1] == 1:
        pixels = _count_classes(label[..., 0], prediction.argmax(axis=-1), prediction.shape[-1])
    else:
        raise ValueError(f"the mask's label has shape {label.shape} and its prediction {prediction.shape}")
    known = bool(pixels.any())
    f1, iou = class_f1(pixels), class_iou(pixels)
    occurs = occurring(pixels)
    return {
        "examples": int(known),
        "pixels": pixels,
        "image_f1": known * (float(f1.sum() / occurs.sum()) if occurs.any() else 1.0),
        "image_iou": known * (float(iou.sum() / occurs.sum()) if occurs.any() else 1.0),
    }


def _count_two_classes(label: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    foreground = label > 0
    counted: int = label.size
    if label.size and label.min() < 0:
        weighed = label >= 0
        predicted = predicted & weighed
        counted = int(np.count_nonzero(weighed))
    true_positives = np.count_nonzero(predicted & foreground)
    false_positives = np.count_nonzero(predicted) - true_positives
    false_negatives = np.count_nonzero(foreground) - true_positives
    rest = counted - true_positives - false_positives - false_negatives
    return np.array([[rest, false_positives], [false_negatives, true_positives]], np.int64)


def _count_classes(label: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    known = label >= 0
    places = label[known].astype(np.int64) * classes + predicted[known]
    return np.bincount(places, minlength=classes * classes).reshape(classes, classes).astype(np.int64)


def occurring(pixels: np.ndarray) -> np.ndarray:
    """bool [K]: which foreground classes occur, as label or prediction; `pixels` is a confusion matrix [C, C]."""
    return (pixels.sum(axis=0) + pixels.sum(axis=1))[1:] > 0


def class_f1(pixels: np.ndarray) -> np.ndarray:
    """float64 [K]: 2 TP / (2 TP + FP + FN) of each foreground class, the Dice coefficient; 0 if it does not occur."""
    return _quotients(2 * np.diag(pixels), pixels.sum(axis=0) + pixels.sum(axis=1))


def class_iou(pixels: np.ndarray) -> np.ndarray:
    """float64 [K]: TP / (TP + FP + FN) of each foreground class, the Jaccard index; 0 if it does not occur."""
    return _quotients(np.diag(pixels), pixels.sum(axis=0) + pixels.sum(axis=1) - np.diag(pixels))


def _quotients(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    of_classes = numerator[1:], denominator[1:]
    return np.divide(*of_classes, out=np.zeros(len(numerator) - 1), where=of_classes[1] != 0)


def _mean(of_classes: np.ndarray, pixels: np.ndarray) -> float:
    """Of the classes that occur; NaN where no true pixel is foreground, for nothing can be found there."""
    if not pixels[1:].any():
        return np.nan
    return ratio(of_classes.sum(), occurring(pixels).sum())


class _PixelMetric(SummedMetric):
    """A metric of `count_pixels`' sums."""

    sums_key = "pixels"
    count = staticmethod(count_pixels)


class MaskCount(_PixelMetric):
    """Examples of which a pixel is known."""

    default_name = "example_count"
    has_interval = False

    def result(self, sums: Sums) -> float:
        return float(sums["examples"])


class PixelPrecision(_PixelMetric):
    """TP / (TP + FP): how much of the predicted foreground is foreground; 0 if there is none, NaN if none is true."""

    default_name = "precision"

    def result(self, sums: Sums) -> float:
        pixels = sums["pixels"]
        return _mean(_quotients(np.diag(pixels), pixels.sum(axis=0)), pixels)


class PixelRecall(_PixelMetric):
    """TP / (TP + FN): how much of the foreground is predicted; NaN if there is none."""

    default_name = "recall"

    def result(self, sums: Sums) -> float:
        pixels = sums["pixels"]
        return _mean(_quotients(np.diag(pixels), pixels.sum(axis=1)), pixels)


class PixelF1(_PixelMetric):
    """2 TP / (2 TP + FP + FN), the Dice coefficient; NaN if there is no true foreground."""

    default_name = "f1"

    def result(self, sums: Sums) -> float:
        return _mean(class_f1(sums["pixels"]), sums["pixels"])


class PixelIoU(_PixelMetric):
    """TP / (TP + FP + FN), the Jaccard index; NaN if there is no true foreground."""

    default_name = "iou"

    def result(self, sums: Sums) -> float:
        return _mean(class_iou(sums["pixels"]), sums["pixels"])


class PixelAccuracy(_PixelMetric):
    """Right pixels / all pixels that are known; 0 if none is."""

    default_name = "accuracy"

    def result(self, sums: Sums) -> float:
        return ratio(np.trace(sums["pixels"]), np.sum(sums["pixels"]))


class PixelConfusionMatrix(_PixelMetric):
    """Pixels as int64 [C, C], background first; of one foreground class [[TN, FP], [FN, TP]], scikit-learn's order."""

    default_name = "confusion_matrix"
    has_interval = False

    def result(self, sums: Sums) -> np.ndarray:
        return sums["pixels"]


class MaskClassF1(_PixelMetric):
    """float64 [K]: F1 of each foreground class over all pixels."""

    default_name = "class_f1"
    has_interval = False

    def result(self, sums: Sums) -> np.ndarray:
        return class_f1(sums["pixels"])


class MaskClassIoU(_PixelMetric):
    """float64 [K]: IoU of each foreground class over all pixels."""

    default_name = "class_iou"
    has_interval = False

    def result(self, sums: Sums) -> np.ndarray:
        return class_iou(sums["pixels"])


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
    MaskCount,
    PixelPrecision,
    PixelRecall,
    PixelF1,
    PixelIoU,
    PixelAccuracy,
    PixelConfusionMatrix,
    MaskClassF1,
    MaskClassIoU,
    MeanImageF1,
    MeanImageIoU,
)

for _metric in METRICS:
    metric_types.register_metric(_metric)
