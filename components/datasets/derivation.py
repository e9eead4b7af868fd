"""The description of a data set that has none, from what its listing says: a proposal for the user to correct."""

from __future__ import annotations

import collections
import dataclasses
import pathlib
import re
from collections.abc import Callable, Iterable, Sequence

from components.datasets import mask_values
from components.datasets.listing import Listed
from schema.dataset_spec import SIZE, DatasetSpec, Label, Mask

LABEL = "kind"
"""What class folders are classes of, where no spec says another name."""


@dataclasses.dataclass
class Found:
    """What a stream of examples had, gathered while it passes."""

    order: list[str]
    """The labels' names, the primary one first; others are appended as they come."""
    examples: int = 0
    classes: dict[str, set[str]] = dataclasses.field(default_factory=dict)
    known: dict[str, int] = dataclasses.field(default_factory=dict)
    """In how many examples each label is known."""
    together: dict[str, dict[str, collections.Counter[str]]] = dataclasses.field(default_factory=dict)
    """By another label than the primary one and by the primary one's class: the classes that stood with it."""
    with_mask: int = 0
    masks: list[str] = dataclasses.field(default_factory=list)
    """Paths of at least `mask_values.SAMPLE` masks, evenly spaced, or of all if they are fewer than twice as many."""
    _step: int = 1

    def add(self, example: Listed) -> None:
        if example.fault:  # It says nothing of those that can be used.
            return
        self.examples += 1
        for label, name in example.classes:
            if label not in self.order:
                self.order.append(label)
            self.classes.setdefault(label, set()).add(name)
            self.known[label] = self.known.get(label, 0) + 1
        of = dict(example.classes)
        if primary := of.pop(self.order[0], None) if self.order else None:
            for label, name in of.items():
                self.together.setdefault(label, {}).setdefault(primary, collections.Counter())[name] += 1
        if example.mask:
            if self.with_mask % self._step == 0:
                self.masks.append(example.mask)
            self.with_mask += 1
            if len(self.masks) >= 2 * mask_values.SAMPLE:
                del self.masks[1::2]
                self._step *= 2

    def labels(self) -> tuple[Label, ...]:
        """The labels of two classes or more; optional are those that an example with a mask lacks."""
        return tuple(
            Label(name, tuple(sorted(self.classes[name])), *self._of(name), optional=self.known[name] < self.examples)
            for name in self.order
            if len(self.classes.get(name, ())) > 1
        )

    def _of(self, name: str) -> tuple[str, tuple[int, ...]]:
        """The primary label and its classes' parents, if this one follows from it: each class always stood with one and
        the same of fewer, and in two examples or more on average, so that it was hardly by chance."""
        primary = self.order[0]
        finer, coarser = sorted(self.classes.get(primary, ())), sorted(self.classes[name])
        seen = self.together.get(name, {})
        often = sum(count for names in seen.values() for count in names.values()) >= 2 * len(finer)
        if len(coarser) >= len(finer) or not often or any(len(seen.get(one, ())) != 1 for one in finer):
            return "", ()
        return primary, tuple(coarser.index(next(iter(seen[one]))) for one in finer)


def finest_label(description: DatasetSpec | None) -> str:
    """What the folder of a photo, or its main object, names a class of; empty: the description has no label."""
    if description is None:
        return LABEL
    return next((label.name for label in description.labels if not label.of), "")


def spec_of(
    source: str, examples: Iterable[Listed], read: Callable[[str], bytes], labels: Sequence[str] = ()
) -> DatasetSpec:
    """Derives a description; the values of the masks from a sample of them.

    Args:
        source: the data set's folder, whose name becomes its title.
        examples: all of them.
        read: the content of a mask of that path.
        labels: names of labels, the primary one first, where the order in which they come does not say it.

    Raises:
        ValueError: there is nothing to learn; what was found instead.
    """
    found = Found([*labels])
    for example in examples:
        found.add(example)
    values = mask_values.Values()
    fault = ""
    for path in found.masks:
        try:
            values.add(mask_values.pixels(read(path)))
        except (OSError, ValueError) as error:  # The ExampleGen reports each mask that cannot be read.
            fault = fault or f"{path}: {getattr(error, 'strerror', None) or error}"
    if found.masks and not values.pixels:
        raise ValueError(f"{source}: none of the masks can be read, such as {fault}")
    return described(source, found, values)


def described(source: str, found: Found, values: mask_values.Values) -> DatasetSpec:
    """The description of what was found.

    Raises:
        ValueError: as `spec_of`.
    """
    if not found.examples:
        raise ValueError(f"{source} holds no photos: its files have none of the endings of pictures")
    labels = found.labels()
    mask = (
        mask_values.derive(values, optional=found.with_mask < found.examples and bool(labels))
        if values.pixels
        else None
    )
    if not labels and not mask:
        names = ", ".join(sorted({name for names in found.classes.values() for name in names}))
        raise ValueError(
            f"{source} holds {found.examples} photos"
            + (f", all of the class {names}," if names else " without classes")
            + " and no masks: a label needs two classes or more, such as a folder each"
        )
    return named(source, labels, mask)


def named(source: str, labels: tuple[Label, ...], mask: Mask | None) -> DatasetSpec:
    """A description called after the folder."""
    stem = pathlib.PurePosixPath(source.rstrip("/")).name or "photos"
    name = re.sub(r"[^a-z0-9]+", "_", stem.lower()).strip("_") or "photos"
    title = re.sub(r"[-_\s]+", " ", stem).strip() or "Photos"
    slices = [(label.name,) for label in labels] + ([(SIZE,)] if mask else [])
    return DatasetSpec(name, title[0].upper() + title[1:], labels, mask, tuple(slices))
