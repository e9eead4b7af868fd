"""What the report shows, drawn from `metrics.json` and the models' answers, under fixed names in the report's folder.

| name                                        | figure                                             |
|---------------------------------------------|----------------------------------------------------|
| `plots/curve-KEY`                           | learning curves of every model, see `plots.CURVES` |
| `plots/confusion-MODEL`                     | confusion matrix of the classes                    |
| `plots/slices-class`, `plots/slices-mask`   | accuracy and mask F1 with intervals                |
| `portraits/CLASS.jpg`                       | one photo of the class                             |
| `gallery/MODEL/KIND-NUMBER-PANEL`           | one case, see `pictures.PANELS`                    |
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from components.comparison.predictions import Predictions, Truth
from components.report import pictures, plots

Array = npt.NDArray[Any]
Metrics = Mapping[str, Any]

PORTRAIT_SIDE = 128
SLICE_FIGURES = {"class": ("accuracy", "Accuracy"), "mask": ("f1", "Mask F1")}
"""The figure that `plots/slices-HEAD` shows of each head."""


def draw_plots(metrics: Metrics, folder: str) -> None:
    """Draws every plot that these models' heads allow."""
    histories = {name: model["history"] for name, model in metrics["models"].items()}
    for key in plots.CURVES:
        if any(key in epoch for history in histories.values() for epoch in history["epochs"]):
            plots.learning_curve(histories, key, os.path.join(folder, "plots", f"curve-{key}"))
    if metrics["label"]:
        for name, model in metrics["models"].items():
            order = model["order"]
            counts = np.array(model["metrics"]["overall"]["class"]["confusion_matrix"])[np.ix_(order, order)]
            classes = [metrics["label"]["classes"][index].replace("_", " ") for index in order]
            plots.confusion(counts, classes, os.path.join(folder, "plots", f"confusion-{name}"))
    for head, (figure, title) in SLICE_FIGURES.items():
        rows = _slice_rows(metrics, head, figure)
        if rows:
            plots.intervals(rows, title, os.path.join(folder, "plots", f"slices-{head}"))


def _slice_rows(metrics: Metrics, head: str, figure: str) -> dict[str, dict[str, dict[str, float | None]]]:
    """Of the slices by species and size: thirty-seven breeds stand in the table."""
    rows: dict[str, dict[str, dict[str, float | None]]] = {}
    for name, model in metrics["models"].items():
        for of_slice, heads in model["metrics"].items():
            if head in heads and not of_slice.startswith("breed: "):
                rows.setdefault(of_slice.removeprefix("species: "), {})[name] = heads[head][figure]
    return rows


def classes_shown(metrics: Metrics) -> list[str]:
    """Classes whose portrait the report shows: those of the most confused pairs."""
    if not metrics["label"]:
        return []
    classes = metrics["label"]["classes"]
    numbers = {pair[side] for model in metrics["models"].values() for pair in model["pairs"] for side in "ab"}
    return [classes[number] for number in sorted(numbers) if classes[number] in metrics["portraits"]]


def photos_shown(metrics: Metrics) -> set[str]:
    """File names of all photos that the report shows."""
    gallery = {
        case["file_name"]
        for model in metrics["models"].values()
        for kind_of_case in model["cases"].values()
        for case in kind_of_case
    }
    return gallery | {metrics["portraits"][name] for name in classes_shown(metrics)}


def write_pictures(
    metrics: Metrics,
    photos: Mapping[str, Array],
    truth: Truth,
    predictions: Mapping[str, Predictions],
    folder: str,
) -> None:
    """Writes the portraits and the gallery.

    Args:
      metrics: As in `metrics.json`.
      photos: uint8 [H, W, 3] RGB, by file name, of all of `photos_shown`.
      truth: Of split `test`.
      predictions: By model.
      folder: The report's.
    """
    for name in classes_shown(metrics):
        path = os.path.join(folder, "portraits", f"{name}.jpg")
        pictures.write_photo(photos[metrics["portraits"][name]], path, PORTRAIT_SIDE)
    index_of = {file_name: index for index, file_name in enumerate(truth.file_names)}
    for name, model in metrics["models"].items():
        masks = predictions[name].masks
        for kind, kind_of_case in model["cases"].items():
            for number, case in enumerate(kind_of_case):
                index = index_of[case["file_name"]]
                stem = os.path.join(folder, "gallery", name, f"{kind}-{number}")
                photo = photos[case["file_name"]]
                if masks is None:
                    pictures.write_photo(photo, f"{stem}-photo.jpg")
                else:
                    pictures.write_panels(photo, truth.masks[index], truth.counted[index], masks[index], stem)
