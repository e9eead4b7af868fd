"""The report's figures: each function draws one, and writes it as PNG (300 dpi) and SVG under one name."""

from __future__ import annotations

import contextlib
import itertools
import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from components.comparison.results import Curves
from components.metrics.results import Interval
from components.report import fonts
from components.report.wording import titled

Array = npt.NDArray[Any]

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8C6D31")
"""Of the models, in their order and round again: Okabe and Ito's, told apart with any colour vision, and a brown."""
GREY = "#6b6b6b"

STYLE: dict[Any, Any] = {
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelcolor": "#222222",
    "axes.edgecolor": GREY,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.7,
    "axes.grid": True,
    "grid.color": "#e6e6e6",
    "grid.linewidth": 0.6,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "xtick.labelcolor": "#222222",
    "ytick.labelcolor": "#222222",
    "legend.frameon": False,
    "lines.linewidth": 1.6,
    # A class may be called "$5".
    "text.parse_math": False,
    # The same figures from the same numbers, byte for byte.
    "svg.hashsalt": "report",
    "svg.fonttype": "path",
}

CURVES = {
    "class_loss": ("Class loss", "cross-entropy"),
    "accuracy": ("Accuracy", "share of photos"),
    "mask_loss": ("Mask loss", "loss"),
    "mask_f1": ("Mask F1", "over all pixels"),
}
"""Figures of the history that are drawn: key, title, unit."""


@contextlib.contextmanager
def _figure(path: str, size: tuple[float, float], names: Iterable[str] = ()) -> Iterator[Figure]:
    """A figure of `size` inches with the user's `names`, written to `path` + .png and .svg when its block ends."""
    with mpl.rc_context({**STYLE, "font.family": fonts.families(names)}):
        figure = Figure(figsize=size)
        figure.set_layout_engine("constrained", w_pad=0.08, h_pad=0.06)
        FigureCanvasAgg(figure)
        yield figure
        os.makedirs(os.path.dirname(path), exist_ok=True)
        figure.savefig(f"{path}.png", dpi=300)
        figure.set_layout_engine("none")  # keeps the places that were found, which is half of the work
        figure.savefig(f"{path}.svg", dpi=300, metadata={"Date": None})


def learning_curve(histories: Mapping[str, Mapping[str, Any]], key: str, path: str) -> None:
    """Draws one of `CURVES` over the epochs: a colour a model, validation solid, training dashed.

    Args:
      histories: `history.json` of each model, by its name.
      key: Of the figure; a model without it is left out.
      path: Where to, without the ending.
    """
    title, unit = CURVES[key]
    with _figure(path, (4.6, 3.1)) as figure:
        axes = figure.subplots()
        for colour, (name, history) in zip(itertools.cycle(COLOURS), histories.items(), strict=False):
            epochs = [epoch for epoch in history["epochs"] if key in epoch]
            at = [epoch["epoch"] + 1 for epoch in epochs]
            marker = "o" if len(at) < 2 else None
            axes.plot(at, [epoch[key] for epoch in epochs], color=colour, linestyle=(0, (3, 2)), marker=marker, lw=1.1)
            held = [epoch.get(f"val_{key}", np.nan) for epoch in epochs]
            axes.plot(at, held, color=colour, marker=marker, label=name)
            _mark_phases(axes, epochs, colour)
        axes.set(title=title, xlabel="epoch", ylabel=unit)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.legend(fontsize=8 if len(histories) < 5 else 6, handlelength=1.4)


def gradient_cosine(histories: Mapping[str, Mapping[str, Any]], path: str) -> None:
    """Draws the cosine between the gradients of both tasks on what they share over the epochs, a colour a model.

    Args:
      histories: As in `learning_curve`; of each the epochs in which it was measured are drawn.
      path: Where to, without the ending.
    """
    with _figure(path, (4.6, 3.1)) as figure:
        axes = figure.subplots()
        axes.axhline(0, color=GREY, linewidth=0.9)
        for colour, (name, history) in zip(itertools.cycle(COLOURS), histories.items(), strict=False):
            epochs = [epoch for epoch in history["epochs"] if "gradient_cosine" in epoch]
            at, cosines = [epoch["epoch"] + 1 for epoch in epochs], [epoch["gradient_cosine"] for epoch in epochs]
            axes.plot(at, cosines, color=colour, marker="o", markersize=3, label=name if epochs else None)
            _mark_phases(axes, epochs, colour)
        most = 1.1 * max(abs(bound) for bound in axes.get_ylim())  # 0, where the tasks part, stands in the middle
        axes.set(title="Gradients of both tasks", xlabel="epoch", ylabel="cosine between them", ylim=(-most, most))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.legend(fontsize=8 if len(histories) < 5 else 6, handlelength=1.4)


def _mark_phases(axes: Axes, epochs: Sequence[Mapping[str, Any]], colour: str) -> None:
    for before, after in itertools.pairwise(epochs):
        if after["phase"] != before["phase"]:
            axes.axvline(after["epoch"] + 0.5, color=colour, linewidth=0.7, alpha=0.6)


_DARK_SHARE = 0.45
"""From here on white numbers have more contrast on the heat map's blue than dark ones, and 3.8:1 at least."""


def confusion(counts: Array, classes: Sequence[str], path: str) -> None:
    """Draws a confusion matrix as a heat map: colour is the share of the row, the number is the count.

    Args:
      counts: int [C, C], rows are true, in the order in which they are drawn.
      classes: Their names.
      path: Where to, without the ending.
    """
    counts = np.asarray(counts)
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    many = len(classes) > 10
    side = 1.6 + (0.23 if many else 0.9) * len(classes)
    with _figure(path, (side + 0.9, side), classes) as figure:
        axes = figure.subplots()
        axes.grid(visible=False)
        # A square root spreads the small rates, where the confusions are.
        sns.heatmap(
            share,
            ax=axes,
            cmap="Blues",
            norm=PowerNorm(0.5, 0, 1),
            square=True,
            rasterized=True,
            linewidths=0.4,
            linecolor="#ececec",
            xticklabels=list(classes),
            yticklabels=list(classes),
            cbar_kws={"label": "share of the true class", "shrink": 0.4, "aspect": 30, "ticks": [0, 0.05, 0.2, 0.5, 1]},
        )
        # By hand: seaborn writes zeros too, thousands of texts.
        for row, column in np.argwhere(counts > 0):
            colour = "white" if share[row, column] > _DARK_SHARE else "#262626"
            number = axes.text(column + 0.5, row + 0.5, str(counts[row, column]), color=colour)
            number.set(ha="center", va="center", fontsize=6 if many else 11)
        axes.set(xlabel="predicted", ylabel="true")
        axes.tick_params(length=0, labelsize=7 if many else 9)
        axes.tick_params(axis="x", rotation=90 if many else 0)
        axes.tick_params(axis="y", rotation=0)


def intervals(rows: Mapping[str, Mapping[str, Interval]], title: str, path: str) -> None:
    """Draws figures with their 95 % intervals, a row a slice, a colour a model.

    Args:
      rows: `{slice: {model: figure}}`, shares in [0, 1].
      title: Of the figure.
      path: Where to, without the ending.
    """
    models = list(dict.fromkeys(model for row in rows.values() for model in row))
    height = 0.34 if len(models) < 4 else 0.11 * len(models)
    size = 4.6, 0.9 + 0.16 * (len(models) > 2) * (len(models) // 2) + height * len(rows)
    with _figure(path, size, [*rows, title]) as figure:
        axes = figure.subplots()
        for number, (colour, model) in enumerate(zip(itertools.cycle(COLOURS), models, strict=False)):
            shift = min(0.12, 0.4 / len(models)) * (2 * number - len(models) + 1)
            labelled = False
            for row, of_slice in enumerate(rows.values()):
                shown = of_slice.get(model)
                if not shown or shown.value is None:
                    continue
                if shown.lower is not None and shown.upper is not None:
                    axes.plot([shown.lower, shown.upper], [row + shift] * 2, color=colour, linewidth=1.2)
                dot = 4.5 if len(models) < 4 else 3
                label = None if labelled else model
                axes.plot(shown.value, row + shift, "o", color=colour, markersize=dot, label=label)
                labelled = True
        axes.set_yticks(range(len(rows)), list(rows))
        axes.invert_yaxis()
        axes.grid(axis="y", visible=False)
        axes.set(title=title)
        axes.xaxis.set_major_locator(MaxNLocator(5))
        axes.legend(fontsize=8, loc="lower right", bbox_to_anchor=(1, 1), ncols=2, borderpad=0.2, handletextpad=0)


def robustness(curves: Mapping[str, Curves], figure_name: str, path: str) -> None:
    """Draws a figure of the same photos as they get worse: a panel a kind of corruption, a colour a model.

    Args:
      curves: Of each model, by its name.
      figure_name: What they are of.
      path: Where to, without the ending.
    """
    kinds = list(dict.fromkeys(kind for of_model in curves.values() for kind in of_model.of_kind))
    rows = math.ceil((len(kinds) + 1) / 2)  # the legend has a panel's place
    with _figure(path, (4.6, 0.4 + 1.45 * rows)) as figure:
        panels = list(figure.subplots(rows, 2, sharex=True, sharey=True).flat)
        for kind, axes in zip(kinds, panels, strict=False):
            for colour, (name, of_model) in zip(itertools.cycle(COLOURS), curves.items(), strict=False):
                axes.plot(of_model.of_kind[kind], "o-", color=colour, markersize=3, label=name)
            axes.set(title=titled(kind))
        for axes in panels[len(kinds) :]:
            axes.set_axis_off()
        for axes in panels[: len(kinds)][-2:]:
            axes.set(xlabel="strength")
            axes.tick_params(labelbottom=True)
        panels[0].yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5]))
        panels[0].set_xticks(range(len(next(iter(curves.values())).of_kind[kinds[0]])))
        figure.supylabel(figure_name, fontsize=9)
        shown = panels[0].get_legend_handles_labels()
        panels[len(kinds)].legend(*shown, fontsize=8 if len(curves) < 5 else 6, loc="center", handlelength=1.4)
