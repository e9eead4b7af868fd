"""The champion's model card (Mitchell et al. 2019, https://doi.org/10.1145/3287560.3287596), written from its figures.

It stands beside the pushed model as Markdown, and in the report. Nothing in it changes from one comparison of the same
models to the next.
"""

from __future__ import annotations

import collections
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from components.comparison.results import Comparison, ModelResult
from components.metrics.results import OVERALL, Interval, SliceFigures
from components.report import figures, tables, wording
from schema import record

CARD_FILE = "model_card.md"
"""In the report's folder, and in `assets.extra` of the pushed model."""

SHOWN_SLICES = 12
"""Of more the card holds the worst."""
SHOWN_CLASSES = 3
"""Of those that are rare, or badly found, or mixed up."""


class Section(NamedTuple):
    """A part of the card: sentences, then a table if it has columns."""

    title: str
    sentences: tuple[str, ...]
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()


def sections(compared: Comparison) -> list[Section]:
    """The card's parts, in their order."""
    model = compared.models[compared.champion]
    parts = [
        _use(compared),
        _data(compared),
        _recipe(compared, model),
        _figures(model),
        _slices(compared, model),
        *([_calibration(model)] if compared.heads.label else []),
        _foreign(compared, model),
        _limits(compared, model),
    ]
    return [part for part in parts if part.sentences or part.rows]


def markdown(compared: Comparison) -> str:
    """The whole card."""
    lines = [f"# Model card: {compared.spec.title}, {compared.champion}", ""]
    for section in sections(compared):
        lines += [f"## {section.title}", ""]
        lines += [part for sentence in section.sentences for part in (sentence, "")]
        if section.columns:
            lines += [_table_row(section.columns), _table_row(["---"] * len(section.columns))]
            lines += [*map(_table_row, section.rows), ""]
    return "\n".join(lines)


def _table_row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _use(compared: Comparison) -> Section:
    spec, label, mask = compared.spec, compared.heads.label, compared.heads.mask
    does = []
    if label:
        coarser = [wording.readable(one.name) for one in spec.coarser(label.name)]
        also = f", and the {' and the '.join(coarser)} that follows from it" if coarser else ""
        does.append(f"names the {wording.readable(label.name)} of a {spec.example}, one of {len(label.classes)}{also}")
    if mask:
        does.append(f"marks the pixels of {' and '.join(map(wording.readable, mask.classes))}")
    return Section(
        "Intended use",
        (
            f"The model {' and '.join(does)}.",
            f"It is made for {spec.example}s like those that it was trained on, and answers any picture whatever. "
            'Where its answer says "known" below 0.5, the picture is unlike them and the rest is not to be trusted.',
            "It is not made to decide alone where an error harms somebody: its figures below say how often it errs.",
        ),
    )


def _data(compared: Comparison) -> Section:
    spec, data = compared.spec, compared.data
    licence = spec.licence or "not stated: field `licence` of the data set's description is empty"
    counts = ", ".join(f"{split} {count:,}" for split, count in data.examples.items())
    sentences = [
        f"{spec.title}. {spec.about}".strip(),
        f"Licence and source: {licence.removesuffix('.')}.",
        f"{wording.titled(spec.example)}s: {counts}. The figures here are of split {record.TEST}, which nothing was "
        "trained or chosen on but the champion itself.",
    ]
    put_aside = sum(sum(found.values()) for found in data.quarantine.values())
    if put_aside:
        sentences.append(f"Put aside because they could not be used: {put_aside:,}.")
    left_out = sum(data.left_out.values())
    if left_out:
        sentences.append(f"Left out because a person wanted it: {left_out:,}.")
    if data.divided_groups:
        sentences.append(
            f"Groups that the data itself puts into several splits: {data.divided_groups:,}. Figures flatter."
        )
    return Section("Data", tuple(sentences))


def _recipe(compared: Comparison, model: ModelResult) -> Section:
    config = compared.run.config
    recipe: Mapping[str, Any] = config["contestants"][compared.champion]
    weights = os.path.basename(recipe["weights"] or config["weights"])
    start = "random weights" if weights == "none" else f"weights {weights}"
    history = model.history
    size = recipe["serving_size"] or recipe["input_size"]
    epochs = collections.Counter(epoch["phase"] for epoch in history["epochs"])  # more than the recipe's, by its steps
    phases = [_phase(phase, recipe, epochs[number]) for number, phase in enumerate(recipe["phases"])]
    # Without masks nothing says where to look closer, see `TrainerConfig.second_look`.
    closer_alone = recipe["second_look"] == "closer" and not compared.heads.mask
    rows = [
        ("Network", f"{recipe['network']}, width {recipe['width']:g}, {history['parameters'] / 1e6:.2f} M parameters"),
        ("Start", start),
        ("Training", f"{wording.duration(history['train_seconds'])}, epochs: {len(history['epochs'])}"),
        ("Phases", "; ".join(phases)),
        ("Last phase", "once" if recipe["soup"] == 1 else f"{recipe['soup']} times, the mean of the epochs' weights"),
        ("Batch size, weight decay", f"{recipe['batch_size']}, {recipe['weight_decay']:g}"),
        ("Picture in use", f"{size} pixels a side"),
        ("Second look in use", "mirror" if closer_alone else recipe["second_look"]),
        ("Augmentation", ", ".join(f"{key} {value}" for key, value in recipe["augmentation"].items())),
        ("Seed", str(config["seed"])),
    ]
    return Section("Recipe", (), ("", ""), tuple(rows))


def _phase(phase: Mapping[str, Any], recipe: Mapping[str, Any], epochs: int) -> str:
    size = phase["input_size"] or recipe["input_size"]
    backbone = "" if phase["backbone_rate"] == 1 else f", the backbone at {phase['backbone_rate']:g} of it"
    cutmix = ", without cutmix" if recipe["augmentation"]["cutmix"] and not phase["cutmix"] else ""
    return f"{epochs} epochs at {size} pixels, rate {phase['learning_rate']:g}{backbone}{cutmix}"


_NOT_SHOWN = ("Weighted F1", "Calibration error")
"""Of the report's shares: macro F1 says more of rare classes, and calibration has a part of its own."""


def _figures(model: ModelResult) -> Section:
    rows = []
    for measure in tables.MEASURES:
        figure = measure.read(model) if measure.unit == "%" and measure.name not in _NOT_SHOWN else None
        if figure is not None:
            rows.append((measure.name, *_shown(figure if isinstance(figure, Interval) else Interval(figure))))
    examples = model.metrics[OVERALL].examples
    sentences = (f"Of {examples:,} examples of split {record.TEST}, with 95 % confidence intervals over them.",)
    return Section("Figures", sentences, ("Figure", "%", "95 % interval"), tuple(rows))


def _slices(compared: Comparison, model: ModelResult) -> Section:
    heads = figures.heads_of(compared)
    slices = {name: of_slice for name, of_slice in model.metrics.items() if name != OVERALL}
    chosen, sentences = list(slices), []
    if len(slices) > SHOWN_SLICES:
        # Of groups there are few, of hundreds of examples each; all single classes before them would leave none.
        single = {name: not figures.plotted_slice(compared, of_slice) for name, of_slice in slices.items()}
        chosen = sorted(slices, key=lambda name: (single[name], _worst(slices[name], heads)))[:SHOWN_SLICES]
        labels = sorted({wording.readable(label) for name in slices if single[name] for label in slices[name].by})
        behind = f", those of a single {' or '.join(labels)} behind the rest" if labels else ""
        sentences = [
            f"{SHOWN_SLICES} of {len(slices)} slices, the worst first{behind}; the others stand in the report."
        ]
    titles = [f"{wording.titled(figure)} %" for figure in heads.values()]
    columns = ("Slice", "Examples", *(part for title in titles for part in (title, "95 % interval")))
    rows = []
    for name in chosen:
        found = [figures.headline_figure(slices[name], head) for head in heads]
        cells = [cell for figure in found for cell in (_shown(figure) if figure else (wording.DASH, ""))]
        rows.append((wording.readable(name), f"{slices[name].examples:,}", *cells))
    return Section("Figures by slice", tuple(sentences), columns if rows else (), tuple(rows))


def _worst(of_slice: SliceFigures, heads: Iterable[str]) -> float:
    values = [figure.value for head in heads if (figure := figures.headline_figure(of_slice, head))]
    return min((value for value in values if value is not None), default=1.0)


def _calibration(model: ModelResult) -> Section:
    overall = model.metrics[OVERALL].classification
    assert overall
    error, interval = _shown(overall.calibration_error)
    between = f" ({interval})" if interval else ""
    sentences = [
        f"Calibration error {error} %{between}: by so much, on average, the share of right answers differs from the "
        "probability that the model gave them."
    ]
    if "temperature" in model.history:
        scaled = f"{model.history['temperature']:.2f}"
        sentences.append(f"Its logits are divided by a temperature of {scaled}, fitted on split {record.EVAL}.")
    return Section("Calibration", tuple(sentences))


def _foreign(compared: Comparison, model: ModelResult) -> Section:
    known = model.known
    sentences = (
        f"Of {len(known.reference['known']):,} {compared.spec.example}s of split {record.TEST} it takes "
        f'{wording.percent(known.test)} % for {compared.spec.example}s of its kind ("known" of 0.5 or more). Of '
        "pictures of something else, drawn by a program, it should take none; the area is that under the ROC curve, "
        "1 at best.",
    )
    rows = [
        (kind, str(found.pictures), wording.percent(found.known), f"{found.area:.3f}")
        for kind, found in known.foreign.items()
    ]
    return Section("Pictures of something else", sentences, ("Kind", "Pictures", "Taken %", "Area"), tuple(rows))


def _limits(compared: Comparison, model: ModelResult) -> Section:
    label, overall = compared.heads.label, model.metrics[OVERALL].classification
    sentences = [f"{compared.spec.example.capitalize()}s of another source than these may be answered worse."]
    if model.robustness:
        sentences.append(_corrupted(model.robustness.photos, compared.spec.example, model))
    if label and overall:
        trained = compared.data.classes.get(record.TRAIN, {})
        if trained:
            sentences.append(f"Rarest in training: {_least(label.classes, [trained[name] for name in label.classes])}.")
        tested = [name for name, count in zip(label.classes, overall.class_support, strict=True) if count]
        f1 = [value for value, count in zip(overall.class_f1, overall.class_support, strict=True) if count]
        if tested:
            sentences.append(f"Lowest F1 in %: {_least(tested, f1, wording.percent)}.")
        pairs = [
            f"{wording.readable(label.classes[pair.a])} for {wording.readable(label.classes[pair.b])} "
            f"({pair.a_as_b} and {pair.b_as_a} the other way)"
            for pair in model.pairs[:SHOWN_CLASSES]
        ]
        if pairs:
            sentences.append(f"Most often mixed up: {'; '.join(pairs)}.")
        unseen = len(label.classes) - len(tested)
        if unseen:
            sentences.append(f"Classes without an example in split {record.TEST}, of which nothing is known: {unseen}.")
    return Section("Limits", tuple(sentences))


def _corrupted(photos: int, example: str, model: ModelResult) -> str:
    falls = []
    for head, figure in figures.HEADS.items():
        if curves := figures.robust_curves(model, head):
            lowest = _least([*curves.means], [*curves.means.values()], wording.percent)
            mean, clean = map(wording.percent, (curves.mean, curves.clean))
            falls.append(f"{figure} {mean} % on average ({clean} % as they are), lowest with {lowest}")
    return f"{photos} {example}s of split {record.TEST}, made worse in ways that phones have: {'; '.join(falls)}."


def _least(names: Sequence[str], values: Sequence[float], show: Callable[[float], str] = str) -> str:
    order = sorted(range(len(names)), key=lambda index: values[index])[:SHOWN_CLASSES]
    return ", ".join(f"{wording.readable(names[index])} ({show(values[index])})" for index in order)


def _shown(figure: Interval) -> tuple[str, str]:
    return wording.percent(figure.value), wording.bounds(figure)
