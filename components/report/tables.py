"""The rows of the page's tables: figures as people read them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from components.comparison.results import SIGNIFICANT, Comparison, Difference, ModelResult
from components.metrics.results import OVERALL, Interval
from components.report import figures
from components.report.wording import DASH, bounds, duration, megabytes, percent, readable, signed, titled


class Cell(NamedTuple):
    """One figure of a table."""

    text: str
    interval: str = ""
    best: bool = False
    sort: float | None = None


class Row(NamedTuple):
    """One row of a table: a cell a model, or several."""

    name: str
    cells: list[Cell]
    unit: str = ""


class Measure(NamedTuple):
    """A figure of the headline table."""

    name: str
    unit: str
    read: Callable[[ModelResult], Interval | float | None]
    """None where the model lacks the head."""
    show: Callable[[float], str]
    best: Callable[..., float] | None


def _interval(figure: Interval) -> Cell:
    return Cell(percent(figure.value), bounds(figure), sort=figure.value)


def _of_class(name: str) -> Callable[[ModelResult], Interval | float | None]:
    return lambda model: getattr(model.metrics[OVERALL].classification, name, None)


def _of_mask(name: str) -> Callable[[ModelResult], Interval | float | None]:
    return lambda model: getattr(model.metrics[OVERALL].segmentation, name, None)


def _plain(value: float) -> str:
    return f"{value:.3f}"


MEASURES = (
    Measure("Accuracy", "%", _of_class("accuracy"), percent, max),
    Measure("Always the most frequent class", "%", _of_class("majority_share"), percent, None),
    Measure("Top-5 accuracy", "%", _of_class("top_5_accuracy"), percent, max),
    Measure("Weighted F1", "%", _of_class("weighted_f1"), percent, max),
    Measure("Macro F1", "%", _of_class("macro_f1"), percent, max),
    Measure("F1 of the worst class", "%", _of_class("worst_class_f1"), percent, max),
    Measure("Log loss", "nats", _of_class("log_loss"), _plain, min),
    Measure("Calibration error", "%", _of_class("calibration_error"), percent, min),
    Measure("Mask F1", "%", _of_mask("f1"), percent, max),
    Measure("Mask IoU", "%", _of_mask("iou"), percent, max),
    Measure("Mask F1, mean of photos", "%", _of_mask("mean_image_f1"), percent, max),
    Measure("Parameters", "millions", lambda model: model.history["parameters"] / 1e6, lambda n: f"{n:.2f}", min),
    Measure("Size on disk", "MB", lambda model: model.size_bytes, megabytes, min),
    Measure("Training time", "", lambda model: model.history["train_seconds"], duration, min),
    Measure("Inference", "photos/s", lambda model: model.inference_images_per_second, lambda n: f"{n:.0f}", max),
)


def headline(compared: Comparison) -> list[Row]:
    """The rows of the first table; a row whose head is absent is left out."""
    rows = []
    for measure in MEASURES:
        found = [measure.read(model) for model in compared.models.values()]
        values = [figure.value if isinstance(figure, Interval) else figure for figure in found]
        known = [value for value in values if value is not None]
        if not known:
            continue
        shown = [measure.show(value) if value is not None else DASH for value in values]
        best = measure.best(known) if measure.best and len(set(shown)) > 1 else None
        cells = []
        for figure, value, text in zip(found, values, shown, strict=True):
            interval = bounds(figure, measure.show) if isinstance(figure, Interval) else ""
            cells.append(Cell(text, interval, value is not None and value == best))
        rows.append(Row(measure.name, cells, measure.unit))
    return rows


def sharing_rows(compared: Comparison) -> list[Row]:
    """What the two heads of each model share, and how their losses pull at it; none where there is one head."""
    histories = [model.history for model in compared.models.values()]
    # Trainings of an earlier version of this project do not tell.
    if not (compared.heads.label and compared.heads.mask) or any("parameters_of" not in of for of in histories):
        return []
    parts = {
        "backbone": "Parameters that both share",
        "class": "Parameters of the class head",
        "mask": "Parameters of the mask head",
    }
    rows = [
        Row(title, [_share(of["parameters_of"][part], of["parameters"]) for of in histories])
        for part, title in parts.items()
    ]
    for head in ("class", "mask"):
        rows.append(Row(f"Weight of the {head}'s loss", [Cell(f"{of['loss_weights'][head]:g}") for of in histories]))
    measured = [[epoch for epoch in of["epochs"] if "gradient_cosine" in epoch] for of in histories]
    if any(measured):
        cosines = [[epoch["gradient_cosine"] for epoch in epochs] for epochs in measured]
        # The class's is 0 where no photo that was measured has a class.
        ratios = [
            [epoch["mask_gradient"] / epoch["class_gradient"] for epoch in epochs if epoch["class_gradient"]]
            for epochs in measured
        ]
        rows.append(Row("Cosine of both gradients", [_over_epochs(of_model) for of_model in cosines]))
        rows.append(Row("Mask's gradient, times the class's", [_over_epochs(of_model) for of_model in ratios]))
    return rows


def _share(part: int, whole: int) -> Cell:
    return Cell(f"{part:,}", f"{percent(part / whole)} %")


def _over_epochs(values: Sequence[float]) -> Cell:
    """The mean, and from the smallest to the largest."""
    if not values:
        return Cell(DASH)
    return Cell(f"{sum(values) / len(values):.2f}", f"{min(values):.2f} to {max(values):.2f}")


def class_rows(compared: Comparison) -> list[Row]:
    """A row a class: its support, then precision, recall, F1 and mask F1 of each model."""
    label = compared.heads.label
    if not label:
        return []
    rows = []
    for number, name in enumerate(label.classes):
        cells: list[Cell] = []
        for model in compared.models.values():
            overall = model.metrics[OVERALL].classification
            assert overall is not None
            support = overall.class_support[number]
            if not cells:
                cells.append(Cell(str(support), sort=support))
            for values in (overall.class_precision, overall.class_recall, overall.class_f1):
                value = values[number] if support else None
                cells.append(Cell(percent(value), sort=value))
            if has_mask_by_class(compared):
                of_class = next((one for one in model.metrics.values() if one.by == {label.name: name}), None)
                value = of_class.segmentation.f1.value if of_class and of_class.segmentation else None
                cells.append(Cell(percent(value), sort=value))
        rows.append(Row(name, cells))
    return rows


def has_mask_by_class(compared: Comparison) -> bool:
    """Whether masks were judged on each class by itself, as the data set's slices say."""
    label, mask = compared.heads.label, compared.heads.mask
    return bool(label and mask and (label.name,) in compared.spec.slices)


def slice_rows(compared: Comparison) -> list[Row]:
    """A row a slice: its examples, then accuracy and mask F1 of each model, with intervals."""
    names = dict.fromkeys(name for model in compared.models.values() for name in model.metrics)
    rows = []
    for name in names:
        evaluations = [model.metrics.get(name) for model in compared.models.values()]
        count = next(evaluation.examples for evaluation in evaluations if evaluation)
        cells = [Cell(str(count), sort=count)]
        for head in figures.heads_of(compared):
            found = [figures.headline_figure(evaluation, head) if evaluation else None for evaluation in evaluations]
            cells += [_interval(figure) if figure else Cell(DASH) for figure in found]
        rows.append(Row(name, cells))
    return rows


SHOWN_SLICES = 5
"""Of those on which the champion is held against the serving model: the likeliest to be worse."""


def paired_rows(compared: Comparison) -> list[Row]:
    """A row for each figure of another model on the same examples: the champion's, its own, and their difference.

    The serving model's come first, of all examples and of the slices that speak most against the champion.
    """
    decision = compared.decision
    overall = [one for one in decision.against_serving if one.slice == OVERALL]
    slices = sorted((one for one in decision.against_serving if one.slice != OVERALL), key=_against_champion)
    refused = sum(one.p_worse < SIGNIFICANT for one in slices)
    found = [("the serving model", one) for one in [*overall, *slices[: max(refused, SHOWN_SLICES)]]]
    found += [(name, one) for name, differences in decision.against_contestants.items() for one in differences]
    return [
        Row(
            f"{_title(one)}, against {name}",
            [
                Cell(f"{one.examples:,}"),
                Cell(percent(one.candidate)),
                Cell(percent(one.other)),
                Cell(signed(one.candidate - one.other), f"{signed(one.lower)} to {signed(one.upper)}"),
            ],
        )
        for name, one in found
    ]


def _title(difference: Difference) -> str:
    of_slice = "" if difference.slice == OVERALL else f", {readable(difference.slice)}"
    return titled(difference.figure) + of_slice


def _against_champion(difference: Difference) -> tuple[float, float]:
    return difference.p_worse, difference.candidate - difference.other


def robust_rows(compared: Comparison) -> list[Row]:
    """Accuracy, then mask F1, of each model on photos as they are, under each kind of corruption, and their mean."""
    curves = [
        of_head
        for head in figures.HEADS
        for model in compared.models.values()
        if (of_head := figures.robust_curves(model, head))
    ]
    if not curves:
        return []
    rows = [Row("As they are", [Cell(percent(one.clean)) for one in curves])]
    for kind in curves[0].means:
        rows.append(Row(titled(kind), [Cell(percent(one.means[kind])) for one in curves]))
    return [*rows, Row("Mean of these kinds", [Cell(percent(one.mean), best=True) for one in curves])]


def data_rows(compared: Comparison) -> list[Row]:
    """A row a class: its examples in each split."""
    if not compared.heads.label:
        return []
    splits = compared.data.classes.values()
    return [
        Row(name, [Cell(str(counts[name]), sort=counts[name]) for counts in splits])
        for name in compared.heads.label.classes
    ]
