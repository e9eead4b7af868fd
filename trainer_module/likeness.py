"""How much a picture looks like the training data, by what the network makes of it.

The backbone's two deepest feature maps, averaged over the picture, are nearly normally distributed over the training
data; the Mahalanobis distance from their mean tells what is none of it (Lee et al. 2018, A simple unified framework for
detecting out-of-distribution samples; there by class). Where there is a mask head, its doubt counts as much: the mask
of a picture without such an object is faint, or unsure of all that it covers.

Chosen by measurement, the area under the ROC curve of photos against noise, textures, text pages, plain colours,
scikit-image's samples and another data set: docs/training.md.
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
"""Times the usual strangeness; beyond, a power might overflow a small float."""


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
    usual_distance: float
    """The squared distance within which `KEPT_SHARE` of split eval lies."""
    usual_doubt: float
    """The same of the mask's doubt."""
    usual: float
    """The same of `strangeness`."""

    @classmethod
    def fit(cls, train: Array, evaluation: Array, with_doubt: bool = False) -> Likeness:
        """Fits to what the network makes of both splits: [N, F] features or, `with_doubt`, [N, F + 1]."""
        size = train.shape[1] - with_doubt
        values = train[:, :size].astype(np.float64)
        mean, scale = values.mean(axis=0), values.std(axis=0) + 1e-6
        covariance, _ = ledoit_wolf((values - mean) / scale)
        kept = max(1, min(_DIRECTIONS, size - 1, len(values) - 1))
        variances, directions = linalg.eigh(covariance, subset_by_index=[size - kept, size - 1])
        rest = (np.trace(covariance) - variances.sum()) / max(size - kept, 1)
        rest = 1.0 / max(rest, 1e-6)
        arrays = {"mean": mean, "scale": scale, "directions": directions, "weights": 1.0 / variances - rest}
        single = {name: array.astype(np.float32) for name, array in arrays.items()}
        fitted = cls(**single, rest=float(rest), usual_distance=1.0, usual_doubt=1.0, usual=1.0)
        usual_distance, usual_doubt = (
            float(np.quantile(values, KEPT_SHARE)) or 1.0 for values in fitted.distance_and_doubt(evaluation)
        )
        fitted = dataclasses.replace(fitted, usual_distance=usual_distance, usual_doubt=usual_doubt)
        return dataclasses.replace(fitted, usual=float(np.quantile(fitted.strangeness(evaluation), KEPT_SHARE)))

    def distance_and_doubt(self, features: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Of [B, F or F + 1]: the squared Mahalanobis distance from the training data by F, and the doubt, or 0.

        Both float32 [B].
        """
        features, doubt = features[:, : len(self.mean)], features[:, len(self.mean) :]
        standardised = (features - self.mean) / self.scale
        along = tf.matmul(standardised, self.directions)
        distance = tf.reduce_sum(along * along * self.weights, axis=1)
        distance += self.rest * tf.reduce_sum(standardised * standardised, axis=1)
        return distance / float(len(self.mean)), tf.reduce_sum(doubt, axis=1)

    def strangeness(self, features: tf.Tensor) -> tf.Tensor:
        """The distance and the doubt of [B, F or F + 1], each as a share of the usual, together: float32 [B]."""
        distance, doubt = self.distance_and_doubt(features)
        return distance / self.usual_distance + doubt / self.usual_doubt

    def known(self, features: tf.Tensor) -> tf.Tensor:
        """How much [B, F or F + 1] are like the training data: float32 [B] in (0, 1].

        0.5 at the strangeness within which `KEPT_SHARE` of split eval lies.
        """
        ratio = tf.minimum(self.strangeness(features) / self.usual, _FAR)
        return 1.0 / (1.0 + ratio**_STEEPNESS)
