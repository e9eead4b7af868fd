"""Which model is pushed: the rule, on plain numbers."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Literal

from schema.dataset_spec import Heads

Rule = Literal["mean", "accuracy", "macro_f1", "mask_f1"]

_NAMES = {"accuracy": "accuracy", "macro_f1": "macro F1", "mask_f1": "mask F1"}
_NEEDED = {"accuracy": "known class", "macro_f1": "known class", "mask_f1": "object"}
"""What split `test` must hold for the figure to have a value."""


def check_rule(rule: Rule, heads: Heads) -> None:
    """Raises ValueError where a rule looks at a head that the models do not have."""
    if rule == "mask_f1":
        heads.need("mask", "champion is 'mask_f1'", "give --champion accuracy")
    elif rule != "mean":
        heads.need("class", f"champion is {rule!r}", "give --champion mask_f1")


@dataclasses.dataclass(frozen=True)
class Candidate:
    """What the rule looks at in one model."""

    name: str
    blessed: bool
    parameters: int
    accuracy: float | None
    """Of the class head over split `test`, in [0, 1]; None if the model has no such head, or no class is known."""
    macro_f1: float | None
    """Likewise: the mean of the classes' F1, in which rare classes weigh as much as frequent ones."""
    mask_f1: float | None
    """Of the mask head over all pixels of split `test`, in [0, 1]; None without such a head or an object."""

    def deciding(self, rule: Rule) -> dict[str, float]:
        """The figures that the rule looks at, by name: for `mean` accuracy and mask F1, or the one that there is."""
        figures = {_NAMES[key]: getattr(self, key) for key in _looked_at(rule)}
        return {name: figure for name, figure in figures.items() if figure is not None}

    def score(self, rule: Rule) -> float | None:
        """The figure that decides, in [0, 1]: the mean of `deciding`; None where that is empty."""
        figures = self.deciding(rule).values()
        return sum(figures) / len(figures) if figures else None

    def sentence(self, rule: Rule) -> str:
        """`dcnn, mean of accuracy and mask F1 0.9123`."""
        names = " and ".join(self.deciding(rule))
        if not names:
            needed = " and no ".join(_NEEDED[key] for key in _looked_at(rule))
            return f"{self.name}, without a figure to choose by: split test holds no {needed}"
        mean = "mean of " if len(self.deciding(rule)) > 1 else ""
        return f"{self.name}, {mean}{names} {self.score(rule):.4f}"


def choose(candidates: Sequence[Candidate], rule: Rule) -> Candidate:
    """The candidate with the highest score among the blessed ones, or among all where none is blessed.

    Ties go to the smaller model.
    """
    field = [candidate for candidate in candidates if candidate.blessed] or list(candidates)
    # Split `test` is the same for all: either each of them has a score, or none.
    return max(field, key=lambda candidate: (candidate.score(rule) or 0.0, -candidate.parameters))


def _looked_at(rule: Rule) -> tuple[str, ...]:
    return ("accuracy", "mask_f1") if rule == "mean" else (rule,)
