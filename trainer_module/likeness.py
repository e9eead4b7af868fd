"""How much a picture looks like the training data, by what the network makes of it.

The backbone's two deepest feature maps, averaged over the picture, are nearly normally distributed over the training
data; the Mahalanobis distance from their mean tells what is none of it (Lee et al. 2018, A simple unified framework for
detecting out-of-distribution samples; there by class). Chosen by measurement, on MobileNetV3Small with ImageNet's
weights, the benchmark's photos against noise, textures, text pages, plain colours, scikit-image's samples and tiles,
and tiles against the rest: the area under the ROC curve for the worst of these kinds is 0.99; with the deepest map
alone 0.98, with means by class no better, and of the class head's energy (Liu et al. 2020) 0.78, on tiles below 0.1.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt
import tensorflow as tf
from scipy import linalg
from sklearn.covariance import ledoit_wolf

Array = npt.NDArray[np.float32]

FEATURES = "likeness-features"
"""Output of a network that is built for it, float32 [B, F]; a label's name has no hyphen."""

KEPT_SHARE = 0.95
"""Of split eval: so many of its pictures count as known."""

_DIRECTIONS = 32
"""The largest variances are kept one by one, the others share their mean: that costs no matrix of F x F."""
_STEEPNESS = 4
_FAR = 20.0
"""Times the usual distance; beyond, a power might overflow a small float."""


@dataclasses.dataclass(frozen=True)
class Likeness:
    """The distribution of the training data's features; F features, K directions."""

    mean: Array
    """[F]."""
    scale: Array
    """[F], each feature's standard deviation."""
    directions: Array
    """[F, K], orthonormal, of the standardised features."""
    weights: Array
    """[K]: one by variance, beyond what `rest` gives each direction."""
    rest: float
    """One by the mean variance of the other directions."""
    usual: float
    """The squared distance within which `KEPT_SHARE` of split eval lies."""

    @classmethod
    def fit(cls, train: Array, evaluation: Array) -> Likeness:
        """Fits to features [N, F] of both splits."""
        values = train.astype(np.float64)
        mean, scale = values.mean(axis=0), values.std(axis=0) + 1e-6
        covariance, _ = ledoit_wolf((values - mean) / scale)
        size = len(covariance)
        kept = max(1, min(_DIRECTIONS, size - 1, len(values) - 1))
        variances, directions = linalg.eigh(covariance, subset_by_index=[size - kept, size - 1])
        rest = (np.trace(covariance) - variances.sum()) / max(size - kept, 1)
        rest = 1.0 / max(rest, 1e-6)
        arrays = {"mean": mean, "scale": scale, "directions": directions, "weights": 1.0 / variances - rest}
        single = {name: array.astype(np.float32) for name, array in arrays.items()}
        fitted = cls(**single, rest=float(rest), usual=1.0)
        distances = fitted.distances(tf.constant(evaluation)).numpy()
        return dataclasses.replace(fitted, usual=float(np.quantile(distances, KEPT_SHARE)))

    def distances(self, features: tf.Tensor) -> tf.Tensor:
        """Squared Mahalanobis distances of features [B, F] from the training data, divided by F: float32 [B]."""
        standardised = (features - self.mean) / self.scale
        along = tf.matmul(standardised, self.directions)
        distance = tf.reduce_sum(along * along * self.weights, axis=1)
        distance += self.rest * tf.reduce_sum(standardised * standardised, axis=1)
        return distance / float(len(self.mean))

    def known(self, features: tf.Tensor) -> tf.Tensor:
        """How much features [B, F] are like those of the training data: float32 [B] in (0, 1].

        0.5 at the distance within which `KEPT_SHARE` of split eval lies.
        """
        ratio = tf.minimum(self.distances(features) / self.usual, _FAR)
        return 1.0 / (1.0 + ratio**_STEEPNESS)
