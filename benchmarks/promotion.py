"""How often the paired tests refuse what should be refused, and pass what should pass, on a run's stored predictions.

    python benchmarks/promotion.py --predictions runs/pets/report/predictions-mobilenet_v3_small.npz [--trials 20]

Each trial holds a model against a twin that another seed might have given: of both, each photo's class is drawn from
the model's own probabilities, and the pixels that the mask has wrong are scaled by a factor of its own. So two twins
differ on more photos than two trainings do. Then one of the two is spoiled: the photos of one class are named at
random, or their masks are empty. Prints for each kind how many of the trials are refused: at most 1 of 20 twins, and at
least 19 of 20 spoiled ones, are wanted.
"""

from __future__ import annotations

import argparse

import numpy as np
from numpy.typing import NDArray

from components.comparison import paired
from components.metrics.results import OVERALL
from pipeline.configs import Thresholds

SPREAD = 0.2
"""Standard deviation of the logarithm of the factor by which a twin's mask is worse or better on a photo."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--predictions", required=True, help="predictions-MODEL.npz of a report, with both heads")
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--max-drop", type=float, default=Thresholds().max_drop)
    flags = parser.parse_args()
    stored = dict(np.load(flags.predictions))
    labels = stored["labels"]
    classes = np.unique(labels[labels >= 0])
    slices = {OVERALL: np.arange(len(labels))} | {f"class {one}": np.flatnonzero(labels == one) for one in classes}
    for kind in ("another seed", "labels of one class", "masks of one class"):
        refused = 0
        for trial in range(flags.trials):
            rng = np.random.default_rng([trial, 1])
            serving, candidate = twin(stored, rng), twin(stored, rng)
            spoil(kind, candidate, np.flatnonzero(labels == classes[trial % len(classes)]), len(classes), rng)
            differences = paired.compare(candidate, serving, slices, flags.max_drop)
            refused += bool(paired.refusals(differences, flags.max_drop))
        print(f"{kind:20s} {refused:3d} of {flags.trials} refused", flush=True)


def twin(stored: dict[str, NDArray], rng: np.random.Generator) -> paired.Answers:
    """What the same recipe with another seed might say."""
    cumulated = stored["probabilities"].cumsum(axis=1)
    named = (cumulated < rng.random((len(cumulated), 1)) * cumulated[:, -1:]).sum(axis=1)
    right = np.where(stored["labels"] < 0, np.nan, named == stored["labels"])
    pixels = stored["pixels"].copy()
    wrong = ~np.eye(pixels.shape[1], dtype=bool)
    factor = rng.lognormal(0.0, SPREAD, len(pixels))[:, None, None]
    moved = np.minimum((pixels * wrong * factor).round().astype(np.int64), pixels.sum(axis=2, keepdims=True) // 2)
    rest = pixels.sum(axis=2) - moved.sum(axis=2)
    return paired.Answers(right, moved + rest[:, :, None] * ~wrong)


def spoil(kind: str, model: paired.Answers, members: NDArray, classes: int, rng: np.random.Generator) -> None:
    """Makes the model worse on some examples, in place."""
    assert model.right is not None
    assert model.pixels is not None
    if kind == "labels of one class":
        model.right[members] = rng.random(len(members)) < 1 / classes
    elif kind == "masks of one class":
        pixels = model.pixels[members]
        model.pixels[members] = 0
        model.pixels[members, :, 0] = pixels.sum(axis=2)


if __name__ == "__main__":
    main()
