"""What the report shows, drawn from a comparison and the models' answers, under fixed names in the report's folder.

| name                                        | figure                                             |
|---------------------------------------------|----------------------------------------------------|
| `plots/curve-KEY`                           | learning curves of every model, see `plots.CURVES` |
| `plots/gradient-cosine`                     | whether class and mask pull the same way           |
| `plots/confusion-MODEL`                     | confusion matrix of the classes                    |
| `plots/slices-class`, `plots/slices-mask`   | accuracy and mask F1 with intervals                |
| `plots/robust-class`, `plots/robust-mask`   | accuracy and mask F1 of corrupted photos           |
| `portraits/NUMBER.jpg`                      | one example of the class with that index           |
| `gallery/MODEL/KIND-NUMBER-PANEL`           | one case, see `pictures.PANELS`                    |
| `suspects/KIND-NUMBER-photo.jpg`            | a photo to look at, see `results.Suspect`          |
| `suspects/mask-NUMBER-outlines.jpg`         | the same with the given mask's outline and others' |
| `suspects/duplicate-NUMBER-twin.jpg`        | the photo that it is nearly the same as            |
"""

from __future__ import annotations

import collections
import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from components.comparison.predictions import Predictions, Truth
from components.comparison.results import Audit, Comparison, Curves, ModelResult, Suspect
from components.metrics.results import OVERALL, Evaluation, Interval, SliceFigures
from components.report import pictures, plots
from components.report.wording import readable, titled

Array = npt.NDArray[Any]

HEADS = {"class": "accuracy", "mask": "mask F1"}
"""The figure that stands for each head."""

PORTRAIT_SIDE = 128
SHOWN_SUSPECTS = 6
"""Of each kind."""
MANY_CLASSES = 10
"""A label of more classes has its slices in the table alone."""


def draw_plots(compared: Comparison, folder: str) -> None:
    """Draws every plot that these models' heads allow."""
    histories = {name: model.history for name, model in compared.models.items()}
    for key in plots.CURVES:
        if any(key in epoch for history in histories.values() for epoch in history["epochs"]):
            plots.learning_curve(histories, key, os.path.join(folder, "plots", f"curve-{key}"))
    if any("gradient_cosine" in epoch for history in histories.values() for epoch in history["epochs"]):
        plots.gradient_cosine(histories, os.path.join(folder, "plots", "gradient-cosine"))
    if compared.heads.label:
        for name, model in compared.models.items():
            overall = model.metrics[OVERALL].classification
            assert overall is not None
            order = list(model.order)
            counts = np.array(overall.confusion_matrix)[np.ix_(order, order)]
            classes = [readable(compared.heads.label.classes[index]) for index in order]
            plots.confusion(counts, classes, os.path.join(folder, "plots", f"confusion-{name}"))
    for head, title in HEADS.items():
        rows = _slice_rows(compared, head)
        if any(figure.value is not None for of_slice in rows.values() for figure in of_slice.values()):
            plots.intervals(rows, titled(title), os.path.join(folder, "plots", f"slices-{head}"))
        curves = {name: found for name, model in compared.models.items() if (found := robust_curves(model, head))}
        if curves:
            plots.robustness(curves, title, os.path.join(folder, "plots", f"robust-{head}"))


def heads_of(compared: Comparison) -> dict[str, str]:
    """Those of `HEADS` that the models have."""
    present = {"class": compared.heads.label, "mask": compared.heads.mask}
    return {head: figure for head, figure in HEADS.items() if present[head]}


def headline_figure(figures: SliceFigures, head: str) -> Interval | None:
    """The figure that stands for a head: accuracy or mask F1."""
    if head == "class":
        return figures.classification.accuracy if figures.classification else None
    return figures.segmentation.f1 if figures.segmentation else None


def robust_curves(model: ModelResult, head: str) -> Curves | None:
    """What becomes of that figure as photos get worse; None where nothing was asked."""
    if not model.robustness:
        return None
    return model.robustness.accuracy if head == "class" else model.robustness.mask_f1


def plotted_slice(compared: Comparison, figures: SliceFigures) -> bool:
    """Whether a slice has a row in the plots: of a label with many classes the table tells."""
    only = next(iter(figures.by)) if len(figures.by) == 1 else ""
    return not any(label.name == only and len(label.classes) > MANY_CLASSES for label in compared.spec.labels)


def _slice_rows(compared: Comparison, head: str) -> dict[str, dict[str, Interval]]:
    rows: dict[str, dict[str, Interval]] = {}
    for name, model in compared.models.items():
        titles = slice_titles(model.metrics)
        for of_slice, figures in model.metrics.items():
            shown = headline_figure(figures, head)
            if shown and plotted_slice(compared, figures):
                rows.setdefault(titles[of_slice], {})[name] = shown
    return rows


def slice_titles(metrics: Evaluation) -> dict[str, str]:
    """What each slice is called in a plot: by its classes alone, but where another slice has classes of these names."""
    short = {name: readable(", ".join(figures.by.values()) or name) for name, figures in metrics.items()}
    ways = [short, {name: readable(name) for name in metrics}, {name: name for name in metrics}]
    often = [collections.Counter(titles.values()) for titles in ways]
    return {
        name: next(titles[name] for titles, count in zip(ways, often, strict=True) if count[titles[name]] == 1)
        for name in metrics
    }


def classes_shown(compared: Comparison) -> list[str]:
    """Classes whose portrait the report shows: those of the most confused pairs."""
    if not compared.heads.label:
        return []
    classes = compared.heads.label.classes
    numbers = {side for model in compared.models.values() for pair in model.pairs for side in (pair.a, pair.b)}
    return [classes[number] for number in sorted(numbers) if classes[number] in compared.portraits]


def portrait_file(compared: Comparison, name: str) -> str:
    """Where a class's portrait lies; by number, since a class's name may hold what no file's name may."""
    assert compared.heads.label is not None
    return f"portraits/{compared.heads.label.classes.index(name)}.jpg"


def photos_shown(compared: Comparison) -> set[str]:
    """File names of all photos that the report shows."""
    gallery = {
        case.file_name
        for model in compared.models.values()
        for kind_of_case in model.cases.values()
        for case in kind_of_case
    }
    return gallery | {compared.portraits[name] for name in classes_shown(compared)}


def write_pictures(
    compared: Comparison,
    photos: Mapping[str, Array],
    truth: Truth,
    predictions: Mapping[str, Predictions],
    folder: str,
) -> None:
    """Writes the portraits and the gallery.

    Args:
      compared: As in `metrics.json`.
      photos: uint8 [H, W, 3] RGB, by file name, of all of `photos_shown`.
      truth: Of split `test`.
      predictions: By model.
      folder: The report's.
    """
    for name in classes_shown(compared):
        path = os.path.join(folder, portrait_file(compared, name))
        pictures.write_photo(photos[compared.portraits[name]], path, PORTRAIT_SIDE)
    index_of = {file_name: index for index, file_name in enumerate(truth.file_names)}
    for name, model in compared.models.items():
        masks = predictions[name].masks
        for kind, kind_of_case in model.cases.items():
            for number, case in enumerate(kind_of_case):
                index = index_of[case.file_name]
                stem = os.path.join(folder, "gallery", name, f"{kind}-{number}")
                photo = photos[case.file_name]
                if masks:
                    several = len(compared.heads.mask.classes) > 1 if compared.heads.mask else False
                    pictures.write_panels(photo, truth.masks.mask(index), masks.mask(index), several, stem)
                else:
                    pictures.write_photo(photo, f"{stem}-photo.jpg")


def shown_suspects(audit: Audit) -> dict[str, list[Suspect]]:
    """The first of each kind, of which the report has pictures."""
    shown: dict[str, list[Suspect]] = {}
    for suspect in audit.suspects:
        shown.setdefault(suspect.kind, []).append(suspect)
    return {kind: suspects[:SHOWN_SUSPECTS] for kind, suspects in shown.items()}


def suspects_photos(audit: Audit) -> dict[str, set[str]]:
    """File names of all photos that `write_suspects` needs, by split."""
    names: dict[str, set[str]] = {}
    for suspect in (one for suspects in shown_suspects(audit).values() for one in suspects):
        names.setdefault(suspect.split, set()).add(suspect.file_name)
        if suspect.twin and suspect.twin_split:
            names.setdefault(suspect.twin_split, set()).add(suspect.twin)
    return names


def write_suspects(
    audit: Audit,
    photos: Mapping[str, Array],
    asked: Mapping[str, tuple[Truth, Mapping[str, Predictions]]],
    folder: str,
) -> None:
    """Writes the pictures of what to look at.

    Args:
      audit: As in `metrics.json`.
      photos: uint8 [H, W, 3] RGB, by file name, of all of `suspects_photos`; of the masks' size where there are masks.
      asked: Of each audited split what people say, and what each model says.
      folder: The report's.
    """
    for kind, suspects in shown_suspects(audit).items():
        for number, suspect in enumerate(suspects):
            stem = os.path.join(folder, "suspects", f"{kind}-{number}")
            photo = photos[suspect.file_name]
            pictures.write_photo(photo, f"{stem}-photo.jpg")
            if suspect.twin:
                pictures.write_photo(photos[suspect.twin], f"{stem}-twin.jpg")
            if kind == "mask":
                truth, predictions = asked[suspect.split]
                index = truth.file_names.index(suspect.file_name)
                masks = [found.masks.mask(index) for found in predictions.values()]
                drawn = pictures.outlines(photo, truth.masks.mask(index), masks)
                pictures.write_photo(drawn, f"{stem}-outlines.jpg")
