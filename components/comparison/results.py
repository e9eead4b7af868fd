"""`metrics.json`: every number of the report, as frozen dataclasses that know how they become JSON and come back."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Mapping
from typing import Any

import pydantic

from components.comparison.cases import Pair
from components.comparison.champion import Rule
from components.edge.results import Edge
from components.metrics.results import Evaluation
from schema.dataset_spec import DatasetSpec, Heads


@dataclasses.dataclass(frozen=True)
class Case:
    """One example of the gallery."""

    file_name: str
    classes: Mapping[str, str]
    """The true class of each label that is known."""
    mask_f1: float | None = None
    """In [0, 1]; None without a mask head."""
    predicted: str | None = None
    """The class that the model named; None without a class head."""
    confidence: float | None = None
    """Its probability, in [0, 1]."""


@dataclasses.dataclass(frozen=True)
class ForeignKind:
    """What a model says of drawn pictures of one kind, which are none of its data."""

    pictures: int
    area: float
    """Under the ROC curve of `known` against split `test`: 1 if each is known less than every test example."""
    known: float
    """Share of them that the model takes for known, as it should not."""


@dataclasses.dataclass(frozen=True)
class Known:
    """Whether a model tells photos of its data from pictures of something else."""

    test: float
    """Share of split `test` that it takes for known, as it should."""
    foreign: Mapping[str, ForeignKind]
    """By kind, see `components.comparison.foreign`."""
    reference: Mapping[str, tuple[float, ...]] = dataclasses.field(default_factory=dict)
    """What it says of test photos, each in [0, 1]: `known`, `confidence` of the class that it names, `mask_area`."""


@dataclasses.dataclass(frozen=True)
class Curves:
    """A figure of the same photos as they get worse, each in [0, 1]."""

    of_kind: Mapping[str, tuple[float, ...]]
    """By kind of corruption, see `components.comparison.corruptions`: of strengths 0, which is none, to 5."""
    mean: float
    """Of `means`."""

    @property
    def clean(self) -> float:
        """Of strength 0."""
        return next(iter(self.of_kind.values()))[0]

    @property
    def means(self) -> dict[str, float]:
        """By kind: over strengths 1 to 5."""
        return {kind: statistics.fmean(figures[1:]) for kind, figures in self.of_kind.items()}


@dataclasses.dataclass(frozen=True)
class Robustness:
    """What becomes of a model's answers as photos get worse."""

    photos: int
    """Of split `test`, the same for each kind and strength."""
    accuracy: Curves | None
    """Of the photos whose class is known; None without any or without a class head."""
    mask_f1: Curves | None
    """Over all pixels that are known; None where none is truly foreground, or without a mask head."""


@dataclasses.dataclass(frozen=True)
class ModelResult:
    """One model: its figures on split `test`, its training, and what is worth looking at."""

    metrics: Evaluation
    history: Mapping[str, Any]
    """See `trainer_module.callbacks.History`."""
    blessed: bool
    """Whether it passed its Evaluator's thresholds and those of `robustness`."""
    failed_thresholds: tuple[str, ...]
    """A sentence each."""
    size_bytes: int
    inference_images_per_second: float
    cases: Mapping[str, tuple[Case, ...]]
    """By kind: `best`, `typical`, `worst` (masks), `wrong` (classes)."""
    known: Known
    order: tuple[int, ...] = ()
    """Of the classes in the confusion matrix's picture."""
    pairs: tuple[Pair, ...] = ()
    """The most confused classes."""
    robustness: Robustness | None = None
    """None where nothing was asked of it."""


SIGNIFICANT = 0.05
"""A difference that chance makes rarer than so is taken for real."""


@dataclasses.dataclass(frozen=True)
class Difference:
    """One figure of two models on the same examples; see `components.comparison.paired`."""

    figure: str
    """`accuracy`, `mask F1`, or `share of empty masks` where no photo has anything to mark."""
    slice: str
    """As in `Evaluation`; `overall`: all examples."""
    examples: int
    """That both models are judged on."""
    candidate: float
    """The first model's figure, in [0, 1]."""
    other: float
    lower: float
    """95 % interval of `candidate - other`."""
    upper: float
    p_worse: float
    """Chance of a difference such as this if the first model were not worse beyond the margin."""


@dataclasses.dataclass(frozen=True)
class Decision:
    """Why this model, and whether it may replace the one that serves."""

    rule: Rule
    scores: Mapping[str, float | None]
    """Of each model; None where split `test` has nothing to choose by."""
    blessed: bool
    """Whether the chosen model is: it has a score, passed its thresholds and is not worse than the serving one."""
    sentence: str
    """For a person."""
    max_drop: float = 0.0
    """The margin beyond which the chosen model may not be worse than the serving one, in [0, 1]."""
    against_serving: tuple[Difference, ...] = ()
    """The chosen model against the latest blessed one of an earlier run; empty where there is none."""
    against_contestants: Mapping[str, tuple[Difference, ...]] = dataclasses.field(default_factory=dict)
    """The chosen model against each of the others, on all examples."""
    refusals: tuple[str, ...] = ()
    """A sentence for each figure in which it is worse than the serving model."""
    data_refusals: tuple[str, ...] = ()
    """A sentence for each kind of suspects of which there are more than its threshold allows."""


@dataclasses.dataclass(frozen=True)
class Suspect:
    """A photo to look at; each field after the third is known of one kind alone, see `components.comparison.audit`."""

    split: str
    file_name: str
    kind: str
    """`label`, `mask` or `duplicate`."""
    given: str | None = None
    """label: the class that the data gives it."""
    given_probability: float | None = None
    """label: of that class, the mean of the models', in [0, 1]."""
    suggested: str | None = None
    """label: the class that the models name."""
    probability: float | None = None
    """label: of that class."""
    mask_f1: float | None = None
    """mask: of the model that is nearest to the given mask, in [0, 1]."""
    agreement: float | None = None
    """mask: F1 of the two models' masks that differ most; 1 of a single model."""
    twin: str | None = None
    """duplicate: the file name of the photo that it is nearly the same as."""
    twin_split: str | None = None
    """duplicate: that photo's split."""


@dataclasses.dataclass(frozen=True)
class Audit:
    """What the data's labels, masks and splits look like to the models and to perceptual hashes."""

    examples: Mapping[str, int]
    """Of the splits whose labels and masks were held against the models."""
    counts: Mapping[str, Mapping[str, int]]
    """Suspects by kind and split; of `duplicate` all photos with a twin in another split, listed or not."""
    suspects: tuple[Suspect, ...]
    """By kind, the most suspicious first."""
    known: Mapping[str, Mapping[str, int]] = dataclasses.field(default_factory=dict)
    """Examples whose label, or mask, is known, by kind and split: of these the suspects are a share."""


@dataclasses.dataclass(frozen=True)
class DataSummary:
    """The examples of each split."""

    examples: Mapping[str, int]
    classes: Mapping[str, Mapping[str, int]]
    """Examples of each class of the label that the models name, by split; empty without a class head."""
    quarantine: Mapping[str, Mapping[str, int]] = dataclasses.field(default_factory=dict)
    """Records that ingestion put aside, by split and what was wrong; this and the next are empty if it is unknown."""
    repaired: Mapping[str, Mapping[str, int]] = dataclasses.field(default_factory=dict)
    """Records that ingestion mended, by split and repair."""
    duplicates: Mapping[str, int] = dataclasses.field(default_factory=dict)
    """Copies of photos within a split, beyond the first."""
    without_mask: Mapping[str, int] = dataclasses.field(default_factory=dict)
    """Examples whose mask is unknown."""
    between_pixels: Mapping[str, int] = dataclasses.field(default_factory=dict)
    """Pixels of masks whose value stood for nothing, which became the nearest that does."""
    speck_pixels: Mapping[str, Mapping[str, int]] = dataclasses.field(default_factory=dict)
    """Pixels that a mask's class lost or won as specks and holes, by split and class."""
    left_out: Mapping[str, int] = dataclasses.field(default_factory=dict)
    """Records that `--data.leave-out` named, by split."""
    left_out_unmatched: tuple[str, ...] = ()
    """File names in its file that no record of that split has."""
    divided_groups: int = 0
    """Groups that the data itself puts into several splits: figures flatter."""


@dataclasses.dataclass(frozen=True)
class RunInfo:
    """What was run, where, and how long it took."""

    config: Mapping[str, Any]
    fingerprint: str
    """Of the code that compared."""
    versions: Mapping[str, str]
    machine: str
    seconds: Mapping[str, float] = dataclasses.field(default_factory=dict)
    """Of each component, where they are known."""


@dataclasses.dataclass(frozen=True)
class Comparison:
    """All of it."""

    champion: str
    decision: Decision
    models: Mapping[str, ModelResult]
    spec: DatasetSpec
    heads: Heads
    portraits: Mapping[str, str]
    """By class: the file name of the example that stands for it."""
    data: DataSummary
    run: RunInfo
    edge: Edge | None = None
    """What was made of the champion for phones; None: nothing was, or has not been yet."""
    audit: Audit | None = None
    """Photos to look at; None: it was not asked for."""

    def to_json(self) -> str:
        """One line of JSON; a figure that is no number is null."""
        return _ADAPTER.dump_json(self).decode()

    @classmethod
    def from_json(cls, text: str | bytes) -> Comparison:
        return _ADAPTER.validate_json(text)


_ADAPTER = pydantic.TypeAdapter(Comparison)
