"""`DatasetSpec`: what a data set's labels, masks and slices are called and which values exist.

Everything downstream is a function of it: heads, losses, metrics, slices, report, signatures. `schema/spec_file.py`
reads and writes it as a small YAML file. Importing this module imports nothing heavy.
"""

from __future__ import annotations

import dataclasses
import json
import re
from typing import Any, Literal

SIZE = "size"
RESERVED = frozenset({"image", "mask", SIZE, "file_name", "class", "file", "known", "overlay", "error"})
"""Names that a label cannot have: features of a record, heads of a model, and columns of its answers to a folder."""
ANSWERS = frozenset({"probabilities", "classes", "scores", "known", "mask_bytes", "error"})
"""Names that a coarser label cannot have: a pushed model answers it beside these, and its score as `NAME_score`."""

Task = Literal["both", "classification", "segmentation"]


@dataclasses.dataclass(frozen=True)
class Label:
    """One integer of a record: what it is called, and its classes in the order of their indices."""

    name: str
    classes: tuple[str, ...]
    of: str = ""
    """The finer label that this one follows from; empty: it stands for itself."""
    parents: tuple[int, ...] = ()
    """For each class of the label `of`: the index into `classes` that it belongs to."""
    optional: bool = False
    """Examples may lack it: they count for the other head alone. Else one that lacks it is a fault of the data."""


@dataclasses.dataclass(frozen=True)
class Mask:
    """Which pixel values of a mask file stand for what."""

    classes: tuple[str, ...]
    """Names of the foreground classes; class k of them is k + 1 in a record, background 0."""
    values: tuple[tuple[int, ...], ...]
    """For each of `classes`: the values in the mask files."""
    background: tuple[int, ...] = (0,)
    ignored: tuple[int, ...] = ()
    """Values of pixels whose truth is unknown: they have weight 0 in losses and metrics."""
    between: Literal["refuse", "nearest"] = "refuse"
    """What a value that stands nowhere here is: an error, or the nearest value that does (antialiased edges)."""
    optional: bool = False
    """Examples may lack a mask: they count for the class head alone. Else one that lacks it is a fault of the data."""


@dataclasses.dataclass(frozen=True)
class Splits:
    """Shares of the examples that are held out where the data itself gives no such split, below 1 in all."""

    eval: float = 0.1
    test: float = 0.2


@dataclasses.dataclass(frozen=True)
class Heads:
    """What the networks of a run answer: one of the data's labels, its mask, or both."""

    label: Label | None
    mask: Mask | None

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of a network's outputs: the label's, `mask`, or both."""
        return (*([self.label.name] if self.label else []), *(["mask"] if self.mask else []))

    def need(self, head: str, wanted: str, instead: str = "leave it out") -> None:
        """Raises ValueError where the head, class or mask, is absent: a sentence from `wanted` to `instead`."""
        if not {"class": self.label, "mask": self.mask}[head]:
            raise ValueError(f"{wanted}, but the networks of this run have no {head} head: {instead}")


@dataclasses.dataclass(frozen=True)
class DatasetSpec:
    """A data set as everything downstream of its records knows it; `spec_file` shows its file.

    Raises:
        ValueError: a part contradicts another; the message names the field, and what to do.
    """

    name: str
    """In lower case, for folders and pipelines."""
    title: str
    """For a person."""
    labels: tuple[Label, ...] = ()
    mask: Mask | None = None
    slices: tuple[tuple[str, ...], ...] = ()
    """Combinations of labels' names and `size` whose values name the slices, beside all examples."""
    splits: Splits = Splits()
    example: str = "photo"
    """What one example is called."""
    about: str = ""
    """A sentence on what the data is, for the report and the model card."""
    licence: str = ""
    """Terms of use and source of the data, for the model card."""

    def __post_init__(self) -> None:
        _check_names(self)
        for label in self.labels:
            _check_label(self, label)
        if self.mask:
            _check_mask(self.mask)
        known = {label.name for label in self.labels} | ({SIZE} if self.mask else set())
        for name in (name for features in self.slices for name in features):
            if name not in known:
                raise ValueError(f"slices name {name!r}: this data set has {', '.join(sorted(known))}")
        for field, share in dataclasses.asdict(self.splits).items():
            if not 0 <= share < 1:
                raise ValueError(f"splits.{field} is {share}: a share of the examples lies in [0, 1)")
        if self.splits.eval + self.splits.test >= 1:
            raise ValueError(f"splits hold out {self.splits.eval:g} and {self.splits.test:g}: nothing is left to train")

    @property
    def task(self) -> Task:
        """Which heads the data can train."""
        if self.labels and self.mask:
            return "both"
        return "classification" if self.labels else "segmentation"

    def label(self, name: str = "") -> Label:
        """The label of that name, the first one if it is empty.

        Raises:
            ValueError: there is no such label.
        """
        for label in self.labels:
            if name in ("", label.name):
                return label
        known = ", ".join(label.name for label in self.labels) or "none"
        raise ValueError(f"label is {name!r}: {self.title} has {known}")

    def heads(self, label: str = "", task: Task | Literal[""] = "") -> Heads:
        """What a network of this data answers.

        Args:
            label: the label that the class head names; empty: the first.
            task: which heads there are; empty: all that the data can train.

        Raises:
            ValueError: the data has no such label, or nothing to train the head with.
        """
        task = task or self.task
        if task != "segmentation" and not self.labels:
            raise ValueError(f"task is {task!r}, but {self.title} has no labels: leave task out, or `segmentation`")
        if task != "classification" and not self.mask:
            raise ValueError(f"task is {task!r}, but {self.title} has no masks: leave task out, or `classification`")
        return Heads(
            self.label(label) if task != "segmentation" else None, self.mask if task != "classification" else None
        )

    def coarser(self, name: str) -> tuple[Label, ...]:
        """The labels that follow from label `name`."""
        return tuple(label for label in self.labels if label.of == name)

    def essence(self) -> DatasetSpec:
        """The same without what changes no network: how things are called for a person, slices, splits."""
        return dataclasses.replace(
            self, title=self.name, about="", licence="", example="photo", slices=(), splits=Splits()
        )

    def to_json(self) -> str:
        """The same in one line, for the parameters of components; `from_json` reads it."""
        return json.dumps(dataclasses.asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> DatasetSpec:
        fields = json.loads(text)
        tuples = {key: _tuples(value) for key, value in fields.items() if key not in ("labels", "mask", "splits")}
        return cls(
            labels=tuple(Label(**{key: _tuples(value) for key, value in label.items()}) for label in fields["labels"]),
            mask=Mask(**{key: _tuples(value) for key, value in fields["mask"].items()}) if fields["mask"] else None,
            splits=Splits(**fields["splits"]),
            **tuples,
        )


def _check_names(spec: DatasetSpec) -> None:
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]*", spec.name):
        raise ValueError(f"name is {spec.name!r}: use lower-case letters, digits, hyphens and underscores")
    if not spec.labels and not spec.mask:
        raise ValueError("neither labels nor mask are given: there is nothing to learn")
    names = [label.name for label in spec.labels]
    for name in names:
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name) or name in RESERVED or name.endswith("_name"):
            raise ValueError(
                f"a label is named {name!r}: rename it, with letters, digits and underscores, to none of "
                f"{', '.join(sorted(RESERVED))}, and without the ending `_name`"
            )
    if len(set(names)) < len(names):
        raise ValueError(f"labels holds a name twice: {', '.join(names)}")


def _check_label(spec: DatasetSpec, label: Label) -> None:
    if len(label.classes) < 2:
        raise ValueError(f"labels.{label.name} has {len(label.classes)} classes: a label needs two or more")
    twice = {name for name in label.classes if label.classes.count(name) > 1}
    if twice:
        raise ValueError(f"labels.{label.name} names {', '.join(sorted(twice))} twice")
    if label.of:
        finer = spec.label(label.of)
        # The finer label and its score are columns beside these where a folder of photos is answered.
        if label.name in ANSWERS or label.name.endswith("_score") or finer.name == f"{label.name}_score":
            raise ValueError(
                f"labels.{label.name} is coarser than {label.of}: name it otherwise, for a model's answer holds it "
                f"beside {', '.join(sorted(ANSWERS))} and a `_score` of each label"
            )
        if finer.of:
            raise ValueError(f"labels.{label.name}.of is {label.of!r}, which itself is coarser than {finer.of!r}")
        if len(label.parents) != len(finer.classes) or not set(label.parents) <= set(range(len(label.classes))):
            raise ValueError(f"labels.{label.name}.classes must hold each class of {label.of} once")


def _check_mask(mask: Mask) -> None:
    if not mask.classes or len(mask.classes) != len(mask.values):
        raise ValueError("mask.classes must name one foreground class or more, each with its values")
    if len(mask.classes) > 253:
        raise ValueError(f"mask.classes has {len(mask.classes)} classes: a record's mask holds at most 253")
    if mask.between not in ("refuse", "nearest"):
        raise ValueError(f"mask.between is {mask.between!r}: choose refuse or nearest")
    values = [value for group in (*mask.values, mask.background, mask.ignored) for value in group]
    for value in values:
        if not isinstance(value, int) or not 0 <= value <= 65535:
            raise ValueError(f"mask names the value {value!r}: pixels hold integers from 0 to 65535")
        if values.count(value) > 1:
            raise ValueError(f"mask gives the value {value} two meanings")


def _tuples(value: Any) -> Any:
    return tuple(_tuples(one) for one in value) if isinstance(value, list) else value
