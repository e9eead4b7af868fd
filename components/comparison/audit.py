"""Data gates: photos whose label or mask the models contradict, and splits that share photos (`twins`).

**Labels.** Confident learning (Northcutt, Jiang and Chuang 2021, https://doi.org/10.1613/jair.1.12125), by cleanlab, on
the mean of the models' probabilities: of the photos whose given class is unlikely and another one is at least as likely
as it usually is where it is given, it counts how many there are, and as many are listed: those with the least
probability of their given class ("self-confidence"), first those of which the models are surest ("normalized margin").
The count is from below: where wrong labels were mended, more may come to light.

**Masks.** The gap of a mask: by how much the two models that differ most agree (F1 of their masks) better than the
best of the models with the given one. A gap is suspicious where it is far out by Tukey's outer fence (Exploratory Data
Analysis, 1977), more than three interquartile ranges above the upper quartile of the split's gaps. So a photo that the
models find hard is not listed, for there they differ from each other too. A single model agrees with itself, and the
gap is what its F1 lacks to 1.
"""

from __future__ import annotations

import csv
import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from components.comparison import twins
from components.comparison.predictions import Predictions, Truth
from components.comparison.results import Audit, Suspect
from components.metrics import segmentation
from schema import record
from schema.dataset_spec import Heads, Label

SUSPECTS_FILE = "suspects.csv"
"""In the report's folder: what `--data.leave-out` reads, once a person has looked at it."""

BARS = {"label": "max_label_issues", "mask": "max_mask_issues", "duplicate": "max_split_duplicates"}
"""Kinds of suspects, and the threshold that bounds the share of each."""

_SAID = {
    "label": "have a class that the models contradict",
    "mask": "have a mask that the models contradict",
    "duplicate": "have a twin in another split",
}
_LOOKED_AT = {"label": "class", "mask": "mask"}
_FENCE = 3.0
_LEAST_GAP = 0.05
"""Nearer than that two people would not come; it counts where nearly all gaps are the same."""

Array = npt.NDArray[Any]
Asked = tuple[Truth, Mapping[str, Predictions]]
"""Of one split: what people say, and what each model says."""


def check_bars(bars: Mapping[str, float], splits: Sequence[str], heads: Heads) -> None:
    """Raises ValueError where a bar is set (below 1) that nothing would be held against."""
    for kind, bar in bars.items():
        if bar < 1 and not splits:
            raise ValueError(f"thresholds.{BARS[kind]} is set, but audit is empty: name the splits to look at")
        if bar < 1 and kind in _LOOKED_AT:
            heads.need(_LOOKED_AT[kind], f"thresholds.{BARS[kind]} is set")


def find(asked: Mapping[str, Asked], photos: Sequence[twins.Photo], heads: Heads) -> Audit:
    """Everything that is suspicious.

    Args:
      asked: Of each split to hold against the models; those that learned from it contradict it less.
      photos: Of all splits.
      heads: Of the models.
    """
    counts: dict[str, dict[str, int]] = {}
    known: dict[str, dict[str, int]] = {}
    labels: list[Suspect] = []
    masks: list[Suspect] = []
    for split, (truth, predictions) in asked.items():
        if heads.label:
            found = _labels(split, truth, list(predictions.values()), heads.label)
            counts.setdefault("label", {})[split] = len(found)
            known.setdefault("label", {})[split] = sum(given >= 0 for given in truth.labels[heads.label.name])
            labels += found
        if heads.mask:
            found = _masks(split, truth, list(predictions.values()), len(heads.mask.classes))
            counts.setdefault("mask", {})[split] = len(found)
            f1 = next(iter(predictions.values())).image_f1
            known.setdefault("mask", {})[split] = int(np.count_nonzero(~np.isnan(f1)))
            masks += found
    labels.sort(key=lambda one: (one.given_probability or 0.0) - (one.probability or 0.0))
    masks.sort(key=lambda one: (one.mask_f1 or 0.0) - (one.agreement or 0.0))
    duplicates, counts["duplicate"] = twins.across_splits(photos)
    examples = {split: len(truth.file_names) for split, (truth, _) in asked.items()}
    return Audit(examples, counts, (*labels, *masks, *duplicates), known)


def _labels(split: str, truth: Truth, predictions: Sequence[Predictions], label: Label) -> list[Suspect]:
    probabilities = np.mean([found.probabilities for found in predictions], axis=0)
    given = np.array(truth.labels[label.name])
    named = probabilities.argmax(axis=1)
    return [
        Suspect(
            split,
            truth.file_names[index],
            "label",
            given=label.classes[given[index]],
            given_probability=_rounded(probabilities[index, given[index]]),
            suggested=label.classes[named[index]],
            probability=_rounded(probabilities[index, named[index]]),
        )
        for index in suspicious_labels(given, probabilities)
    ]


def _masks(split: str, truth: Truth, predictions: Sequence[Predictions], classes: int) -> list[Suspect]:
    best = np.max([found.image_f1 for found in predictions], axis=0)
    agree = agreement(truth, predictions, classes)
    return [
        Suspect(split, truth.file_names[index], "mask", mask_f1=_rounded(best[index]), agreement=_rounded(agree[index]))
        for index in suspicious_masks(best, agree)
    ]


def _rounded(share: float) -> float:
    return round(float(share), 4)


def suspicious_labels(given: Array, probabilities: Array) -> list[int]:
    """Indices of the examples whose class is probably another, the surest first.

    Args:
      given: int [N]; negative where the class is unknown, which is never suspicious.
      probabilities: float [N, C] of a model that did not learn from these examples.
    """
    from cleanlab.filter import find_label_issues  # Imports pandas; a run that asks for no audit need not wait.

    known = np.flatnonzero(given >= 0)
    if len(np.unique(given[known])) < 2:
        return []  # Nothing that a class could be mixed up with.
    order = find_label_issues(
        given[known],
        probabilities[known],
        filter_by="low_self_confidence",
        return_indices_ranked_by="normalized_margin",
        n_jobs=1,
    )
    found = known[order]
    return found[probabilities[found].argmax(axis=1) != given[found]].tolist()


def suspicious_masks(best: Array, agreement: Array) -> list[int]:
    """Indices of the examples whose mask is probably wrong, the widest gap first.

    Args:
      best: float [N]: the largest of the models' F1 with the given mask; NaN where that is unknown.
      agreement: float [N]: F1 of the two models that differ most.
    """
    gaps = agreement - best
    known = gaps[~np.isnan(gaps)]
    if not len(known):
        return []
    lower, upper = np.quantile(known, [0.25, 0.75])
    fence = max(upper + _FENCE * (upper - lower), _LEAST_GAP)
    order = np.argsort(-gaps, kind="stable")  # NaN comes last.
    return order[: np.count_nonzero(known > fence)].tolist()


def agreement(truth: Truth, predictions: Sequence[Predictions], classes: int) -> Array:
    """float64 [N]: F1 of the two models' masks that differ most, where the truth is known; 1 of a single model.

    Args:
      truth: Of the examples; its masks say which pixels are unknown.
      predictions: Of the models.
      classes: Foreground classes of the mask.
    """
    return np.array([_least_f1(truth, predictions, index, classes) for index in range(len(truth.file_names))])


def _least_f1(truth: Truth, predictions: Sequence[Predictions], index: int, classes: int) -> float:
    unknown = truth.masks.mask(index) == record.MASK_IGNORED
    masks = [found.masks.mask(index) for found in predictions]
    f1 = 1.0
    for one, other in itertools.combinations(masks, 2):
        label = np.where(unknown, record.IGNORED_LABEL, one)
        if classes > 1:
            counts = segmentation.count_pixels(label[..., None], np.eye(classes + 1)[other])
        else:
            counts = segmentation.count_pixels(label, other)
        f1 = min(f1, counts["image_f1"])
    return f1


def refusals(audit: Audit, held_out: int, bars: Mapping[str, float]) -> tuple[str, ...]:
    """A sentence for each kind of suspects of which there are more than its bar allows.

    Args:
      audit: What was found.
      held_out: Photos of `eval` and `test`, of which duplicates are counted.
      bars: The largest share of each kind, in [0, 1].
    """
    sentences = []
    for kind, bar in bars.items():
        counts = audit.counts.get(kind, {})
        if kind == "duplicate":
            found, of, which = counts.get(record.EVAL, 0) + counts.get(record.TEST, 0), held_out, "photos held out"
        else:
            of = sum(audit.known.get(kind, {}).values())
            found, which = sum(counts.values()), f"audited photos whose {_LOOKED_AT[kind]} is known"
        if of and found / of > bar:
            sentences.append(
                f"{found:,} of {of:,} {which} ({100 * found / of:.1f} %) {_SAID[kind]}, more than "
                f"thresholds.{BARS[kind]} {bar:g} allows: look at {SUSPECTS_FILE} in the report's folder, mend the "
                "data, or leave photos out with --data.leave-out"
            )
    return tuple(sentences)


def write(suspects: Sequence[Suspect], path: str) -> None:
    """Writes `suspects.csv`: a column a field of `Suspect`, empty where it is unknown."""
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, [field.name for field in dataclasses.fields(Suspect)])
        writer.writeheader()
        writer.writerows(map(dataclasses.asdict, suspects))
