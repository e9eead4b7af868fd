"""What a comparison reads: artifacts by their paths, and what was asked of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from components.comparison import champion
from components.comparison.robustness import NOTHING, Demand
from schema.dataset_spec import DatasetSpec, Heads


@dataclasses.dataclass(frozen=True)
class ModelInputs:
    """Where one model's artifacts lie, and whether its Evaluator blessed it."""

    saved_model: str
    evaluation: str
    history: str
    blessed: bool


@dataclasses.dataclass(frozen=True)
class Inputs:
    """All that a comparison reads."""

    models: dict[str, ModelInputs]
    splits: dict[str, list[str]]
    """Record files of each split."""
    spec: DatasetSpec
    heads: Heads
    rule: champion.Rule
    config: dict[str, Any]
    fingerprint: str
    serving: str | None = None
    """The SavedModel that a champion would replace, with the same heads; None: there is none."""
    max_drop: float = 0.0
    """How much worse than that one the champion may be, in [0, 1]; see `paired`."""
    robustness: Demand = NOTHING
    ingestion: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """As `components.example_gen.summary.of_report` gives it."""
    audit: tuple[str, ...] = ()
    """Splits whose labels and masks are held against the models; empty: the data are not looked at."""
    max_suspects: Mapping[str, float] = dataclasses.field(default_factory=dict)
    """The largest share of each kind in `audit.BARS`, in [0, 1]; with more no model is blessed."""
