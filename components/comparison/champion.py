"""Which model is pushed: the rule, on plain numbers."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Literal

Rule = Literal["mean", "accuracy", "mask_f1"]


@dataclasses.dataclass(frozen=True)
class Candidate:
    """What the rule looks at in one model."""

    name: str
    blessed: bool
    parameters: int
    accuracy: float | None
    """Of the class head over split `test`, in [0, 1]; None if the model has no such head."""
    mask_f1: float | None
    """Of the mask head over all pixels of split `test`, in [0, 1]; None if the model has no such head."""

    def deciding(self, rule: Rule) -> dict[str, float]:
        """The figures that the rule looks at, by name: both for `mean`, and for an absent head the other's.

        Raises:
          ValueError: The model has neither figure.
        """
        heads = {"accuracy": ("accuracy", self.accuracy), "mask_f1": ("mask F1", self.mask_f1)}
        present = {key: (name, figure) for key, (name, figure) in heads.items() if figure is not None}
        if not present:
            raise ValueError(f"{self.name} has neither accuracy nor mask F1: its evaluation holds no examples")
        return dict([present[rule]] if rule in present else present.values())

    def score(self, rule: Rule) -> float:
        """The figure that decides, in [0, 1]: the mean of `deciding`."""
        figures = self.deciding(rule).values()
        return sum(figures) / len(figures)

    def sentence(self, rule: Rule) -> str:
        """`dcnn, mean of accuracy and mask F1 0.9123`."""
        names = " and ".join(self.deciding(rule))
        mean = "mean of " if len(self.deciding(rule)) > 1 else ""
        return f"{self.name}, {mean}{names} {self.score(rule):.4f}"


def choose(candidates: Sequence[Candidate], rule: Rule) -> Candidate:
    """The candidate with the highest score among the blessed ones, or among all where none is blessed.

    Ties go to the smaller model.
    """
    field = [candidate for candidate in candidates if candidate.blessed] or list(candidates)
    return max(field, key=lambda candidate: (candidate.score(rule), -candidate.parameters))
