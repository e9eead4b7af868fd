"""Pictures to try a model with: the portraits of its run's report, and drawings that are like nobody's photos."""

from __future__ import annotations

import pathlib

import numpy as np

from serving.pictures import Image

PORTRAITS = 6
"""Of the report's, at most."""
_SIDE = 256


def of_model(path: str, folder: pathlib.Path) -> list[tuple[str, str]]:
    """Sample pictures as (path, caption).

    Args:
        path: of the model; of one in `RUN/serving/VERSION` the portraits of `RUN/report` are samples.
        folder: where the drawings go.
    """
    found = [place / "report" / "portraits" for place in pathlib.Path(path).resolve().parents]
    portraits = next((sorted(place.glob("*.jpg")) for place in found if place.is_dir()), [])
    chosen = portraits[:: max(1, len(portraits) // PORTRAITS)][:PORTRAITS]
    return [(str(file), "from the test split") for file in chosen] + _drawn(folder)


def _drawn(folder: pathlib.Path) -> list[tuple[str, str]]:
    row, column = np.mgrid[:_SIDE, :_SIDE] / _SIDE
    rings = 0.5 + 0.5 * np.sin(60 * np.hypot(row - 0.4, column - 0.6))
    noise = np.random.default_rng(0).uniform(0, 1, (_SIDE, _SIDE, 3))
    samples = []
    for name, shares in (("rings", np.stack([rings, column, 1 - rings], axis=-1)), ("noise", noise)):
        file = folder / f"{name}.png"
        Image.fromarray((255 * shares).astype(np.uint8)).save(file)
        samples.append((str(file), name))
    return samples
