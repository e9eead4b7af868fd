"""The page: `index.html` from `metrics.json` and the pictures beside it. Needs no TensorFlow, takes a second."""

from __future__ import annotations

import base64
import json
import mimetypes
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jinja2
import markupsafe

from schema import pets

METRICS_FILE = "metrics.json"
PAGE_FILE = "index.html"
DASH = "\N{EN DASH}"
"""Between the ends of an interval, and for a figure that there is not."""

Metrics = Mapping[str, Any]


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
    read: Callable[[Mapping[str, Any]], Any]
    """From one of `metrics["models"]`; None where the model lacks the head."""
    show: Callable[[float], str]
    best: Callable[..., float] | None


def write_metrics(metrics: Metrics, folder: str) -> None:
    """Writes `metrics.json`; a number that is not finite is an error, as JSON has none."""
    with open(os.path.join(folder, METRICS_FILE), "w", encoding="utf-8") as file:
        json.dump(metrics, file, allow_nan=False)


def read_metrics(folder: str) -> dict[str, Any]:
    with open(os.path.join(folder, METRICS_FILE), encoding="utf-8") as file:
        return json.load(file)


def write_page(folder: str) -> str:
    """Draws `index.html` from what lies in `folder`; returns its path."""
    metrics = read_metrics(folder)
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(os.path.dirname(__file__)),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters.update(
        bounds=_bounds, percent=percent, duration=duration, megabytes=megabytes, readable=readable
    )
    page = environment.get_template("page.html.j2").render(
        **metrics,
        names=list(metrics["models"]),
        overall={name: model["metrics"]["overall"] for name, model in metrics["models"].items()},
        has_mask=has_head(metrics, "mask"),
        headline=headline(metrics),
        class_rows=class_rows(metrics),
        slice_rows=slice_rows(metrics),
        data_rows=data_rows(metrics),
        config_rows=list(flat(metrics["run"]["config"])),
        exists=lambda name: os.path.exists(os.path.join(folder, name)),
        inline=lambda name: inline(os.path.join(folder, name)),
    )
    path = os.path.join(folder, PAGE_FILE)
    with open(path, "w", encoding="utf-8") as file:
        file.write(page)
    return path


def has_head(metrics: Metrics, head: str) -> bool:
    return any(head in model["metrics"]["overall"] for model in metrics["models"].values())


def inline(path: str) -> markupsafe.Markup:
    """The file as a data URI."""
    with open(path, "rb") as file:
        content = base64.b64encode(file.read()).decode("ascii")
    return markupsafe.Markup(f"data:{mimetypes.guess_type(path)[0]};base64,{content}")


def percent(value: float | None, digits: int = 1) -> str:
    """`93.4` of 0.934."""
    return DASH if value is None else f"{100 * value:.{digits}f}"


def duration(seconds: float) -> str:
    """`1 h 02 min`, `3 min 20 s` or `4.2 s`."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def megabytes(size: float) -> str:
    return f"{size / 1e6:.1f}"


def readable(name: str) -> str:
    """`great pyrenees` of `great_pyrenees`."""
    return name.replace("_", " ")


def _bounds(figure: Mapping[str, float | None], show: Callable[[float], str] = percent) -> str:
    """The interval, cut at what a share can be: the jackknife's is symmetric, so it can reach beyond 0 and 1."""
    lower, upper = figure["lower"], figure["upper"]
    if lower is None or upper is None:
        return ""
    return f"{show(max(lower, 0.0))}{DASH}{show(min(upper, 1.0) if show is percent else upper)}"


def _interval(figure: Mapping[str, float | None]) -> Cell:
    return Cell(percent(figure["value"]), _bounds(figure), sort=figure["value"])


def _figure(head: str, key: str) -> Callable[[Mapping[str, Any]], Any]:
    return lambda model: model["metrics"]["overall"].get(head, {}).get(key)


def _plain(value: float) -> str:
    return f"{value:.3f}"


MEASURES = (
    Measure("Accuracy", "%", _figure("class", "accuracy"), percent, max),
    Measure("Top-5 accuracy", "%", _figure("class", "top_5_accuracy"), percent, max),
    Measure("Weighted F1", "%", _figure("class", "weighted_f1"), percent, max),
    Measure("Macro F1", "%", _figure("class", "macro_f1"), percent, max),
    Measure("Log loss", "nats", _figure("class", "log_loss"), _plain, min),
    Measure("Calibration error", "%", _figure("class", "calibration_error"), percent, min),
    Measure("Mask F1", "%", _figure("mask", "f1"), percent, max),
    Measure("Mask IoU", "%", _figure("mask", "iou"), percent, max),
    Measure("Mask F1, mean of photos", "%", _figure("mask", "mean_image_f1"), percent, max),
    Measure("Parameters", "millions", lambda model: model["history"]["parameters"] / 1e6, lambda n: f"{n:.2f}", min),
    Measure("Size on disk", "MB", lambda model: model["size_bytes"], megabytes, min),
    Measure("Training time", "", lambda model: model["history"]["train_seconds"], duration, min),
    Measure("Inference", "photos/s", lambda model: model["inference_images_per_second"], lambda n: f"{n:.0f}", max),
)


def headline(metrics: Metrics) -> list[Row]:
    """The rows of the first table; a row whose head is absent is left out."""
    rows = []
    for measure in MEASURES:
        figures = [measure.read(model) for model in metrics["models"].values()]
        values = [figure["value"] if isinstance(figure, dict) else figure for figure in figures]
        known = [value for value in values if value is not None]
        if not known:
            continue
        shown = [measure.show(value) if value is not None else DASH for value in values]
        best = measure.best(known) if measure.best and len(set(shown)) > 1 else None
        cells = []
        for figure, value, text in zip(figures, values, shown, strict=True):
            bounds = _bounds(figure, measure.show) if isinstance(figure, dict) else ""
            cells.append(Cell(text, bounds, value is not None and value == best))
        rows.append(Row(measure.name, cells, measure.unit))
    return rows


def class_rows(metrics: Metrics) -> list[Row]:
    """A row a class: its support, then precision, recall, F1 and mask F1 of each model."""
    if not metrics["label"]:
        return []
    rows = []
    for number, name in enumerate(metrics["label"]["classes"]):
        cells: list[Cell] = []
        for model in metrics["models"].values():
            overall = model["metrics"]["overall"]["class"]
            support = overall["class_support"][number]
            if not cells:
                cells.append(Cell(str(support), sort=support))
            for key in ("class_precision", "class_recall", "class_f1"):
                value = overall[key][number] if support else None
                cells.append(Cell(percent(value), sort=value))
            if has_head(metrics, "mask"):
                of_class = model["metrics"].get(f"{metrics['label']['name']}: {name}", {})
                value = of_class["mask"]["f1"]["value"] if "mask" in of_class else None
                cells.append(Cell(percent(value), sort=value))
        rows.append(Row(name, cells))
    return rows


def slice_rows(metrics: Metrics) -> list[Row]:
    """A row a slice: its photos, then accuracy and mask F1 of each model, with intervals."""
    names = dict.fromkeys(name for model in metrics["models"].values() for name in model["metrics"])
    rows = []
    for name in names:
        evaluations = [model["metrics"].get(name, {}) for model in metrics["models"].values()]
        count = next(head["example_count"] for heads in evaluations for head in heads.values())
        cells = [Cell(str(count), sort=count)]
        for head, key in (("class", "accuracy"), ("mask", "f1")):
            if has_head(metrics, head):
                found = [heads[head][key] if head in heads else None for heads in evaluations]
                cells += [_interval(figure) if figure else Cell(DASH) for figure in found]
        rows.append(Row(name, cells))
    return rows


def data_rows(metrics: Metrics) -> list[Row]:
    """A row a breed: its examples in each split."""
    splits = metrics["data"]["breeds"].values()
    return [Row(breed, [Cell(str(counts[breed]), sort=counts[breed]) for counts in splits]) for breed in pets.BREEDS]


def flat(config: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """`("data.dataset", "synthetic_pets")` of a nested config, field by field."""
    for key, value in config.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{prefix}{key}.")
        elif isinstance(value, Sequence) and value and isinstance(value[0], Mapping):
            for number, item in enumerate(value, 1):
                yield from flat(item, f"{prefix}{key}[{number}].")
        else:
            yield f"{prefix}{key}", value if isinstance(value, str) else json.dumps(value)
