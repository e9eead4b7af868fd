"""Probabilities that may be believed: a temperature that makes the class head as often right as it says."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import optimize, special

_PRIOR_SPREAD = 1.0
"""Standard deviation of the temperature's logarithm, before any example was seen."""


def temperature(logits: npt.NDArray[np.float32], classes: npt.NDArray[np.int64]) -> float:
    """What to divide logits by, so that their softmax has the least negative log-likelihood on held-out examples.

    Temperature scaling (Guo et al. 2017, On calibration of modern neural networks), with a weak prior: where a model
    is right about every one of a few examples, the likelihood alone would ask for a temperature of 0.

    Args:
        logits: [N, C].
        classes: [N], the true ones; negative where unknown.
    """
    logits, classes = logits[classes >= 0], classes[classes >= 0]

    def loss(log_temperature: float) -> float:
        scaled = logits / np.exp(log_temperature)
        nats = special.logsumexp(scaled, axis=1) - scaled[np.arange(len(classes)), classes]
        return float(nats.sum() + (log_temperature / _PRIOR_SPREAD) ** 2 / 2)

    return float(np.exp(optimize.minimize_scalar(loss, bounds=(-3.0, 3.0), method="bounded").x))
