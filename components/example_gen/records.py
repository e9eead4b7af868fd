"""From a source's record to the pipeline's: checked, mended, encoded; or refused with the reason."""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

from components.datasets.listing import printable
from components.datasets.source import RawRecord
from components.example_gen import images, masks
from schema import record
from schema.dataset_spec import DatasetSpec, Label


class Refused(NamedTuple):
    """Why a record cannot be used."""

    what: str
    """`record`, `file name`, `label`, `photo`, `mask` or `duplicate`: what reasons are counted by."""
    reason: str


class Accepted(NamedTuple):
    """A record of `schema.record`, and what was done to make it one."""

    example: tf.train.Example
    labels: dict[str, str]
    """The class's name, by label."""
    photo: images.Photo
    mask: masks.PreparedMask | None


class Rules(NamedTuple):
    """What records are held to."""

    spec: DatasetSpec
    min_speck: float
    """As `masks.prepare_mask` takes it."""
    max_pixels: int
    """As `images.check_photo` takes it."""
    leave_out: frozenset[tuple[str, str]] = frozenset()
    """Split and file name of records that a person does not want."""


def refusal(raw: RawRecord, spec: DatasetSpec) -> Refused | None:
    """What is wrong with a record that can be seen without decoding anything; None where nothing is."""
    if raw.fault:
        return Refused("record", raw.fault)
    if not raw.file_name:
        return Refused("file name", "its file name is empty")
    try:
        raw.file_name.encode()
    except UnicodeEncodeError:
        return Refused("file name", f"its file name is not UTF-8: {printable(raw.file_name)}")
    try:
        class_indices(raw, spec)
    except ValueError as error:
        return Refused("label", str(error))
    return None


def class_indices(raw: RawRecord, spec: DatasetSpec) -> dict[str, int]:
    """The class of every label; coarser ones that the source leaves out follow from the finer.

    Raises:
        ValueError: a class is unknown or missing, or two labels contradict each other.
    """
    indices: dict[str, int] = {}
    for label in spec.labels:
        index = raw.labels.get(label.name)
        if index is not None and not 0 <= index < len(label.classes):
            raise ValueError(f"its {label.name} is class {index}; known are 0 to {len(label.classes) - 1}")
        if label.of and indices[label.of] != record.UNKNOWN_CLASS:
            index = _followed(label, index, spec.label(label.of), indices[label.of])
        if index is None and not label.optional:
            raise ValueError(f"it has no {label.name}")
        indices[label.name] = record.UNKNOWN_CLASS if index is None else index
    return indices


def _followed(label: Label, index: int | None, finer: Label, finer_index: int) -> int:
    parent = label.parents[finer_index]
    if index not in (None, parent):
        raise ValueError(
            f"its {label.name} is {label.classes[index or 0]}, but its {finer.name} {finer.classes[finer_index]} "
            f"belongs to {label.classes[parent]}"
        )
    return parent


def accept(raw: RawRecord, rules: Rules) -> Accepted | Refused:
    """Checks and mends a record, its photo decoded once."""
    refused = refusal(raw, rules.spec)
    if refused:
        return refused
    try:
        photo = images.check_photo(raw.image, raw.file_name, rules.max_pixels)
    except ValueError as error:
        return Refused("photo", f"its photo cannot be used: {error}")
    try:
        mask = _mask(raw, rules, photo)
    except ValueError as error:
        return Refused("mask", f"its mask cannot be used: {error}")
    indices = class_indices(raw, rules.spec)
    share = mask.share if mask and mask.known else None
    example = record.encode(rules.spec, raw.file_name, photo.data, indices, mask.png if mask else None, share)
    names = {label.name: record.class_name(label, indices[label.name]) for label in rules.spec.labels}
    return Accepted(example, names, photo, mask)


def _mask(raw: RawRecord, rules: Rules, photo: images.Photo) -> masks.PreparedMask | None:
    spec = rules.spec.mask
    if spec is None:
        return None
    if raw.mask is not None:
        return masks.prepare_mask(raw.mask, photo.size, spec, rules.min_speck, photo.orientation)
    if not spec.optional:
        raise ValueError("there is none")
    return masks.unknown_mask(photo.size)
