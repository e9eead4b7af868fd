"""Which split a photo belongs to where the data does not say so: by a hash, class by class, no group divided."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from schema import record
from schema.dataset_spec import Splits


class Unit(NamedTuple):
    """Examples that stay together: those of one group, copies of one photo, or a single example."""

    order: int
    """What decides: the smallest of the digests of its examples' names."""
    examples: int


def digest(data: bytes) -> int:
    """A hash of 64 bits; by that of its name an example is held out or not."""
    return int.from_bytes(hashlib.sha256(data).digest()[:8])


def to_make(given: frozenset[str], splits: Splits) -> dict[str, float]:
    """The shares of the splits that the data lacks; what is not of the splits that it gives is cut into these."""
    shares = {record.TEST: splits.test, record.EVAL: splits.eval}
    return {split: share for split, share in shares.items() if split not in given and share > 0}


def assign(units: Sequence[Unit], shares: Mapping[str, float]) -> list[str]:
    """Cuts the units of one class into `train` and the splits of `shares`.

    In the order of their digests the units that fit go to the first split until it has its share of all examples, then
    to the next; the rest is `train`. Each split gets a unit if there are enough; `train` comes first, then the splits
    in their order.

    Args:
        units: of one class.
        shares: of the examples, by split, each in (0, 1).

    Returns:
        The split of each unit.
    """
    splits = [record.TRAIN] * len(units)
    left = sorted(range(len(units)), key=lambda number: units[number].order)
    examples = sum(unit.examples for unit in units)
    for number, (split, share) in enumerate(shares.items()):
        # One unit is kept for train, and one for each split to come, as far as they go.
        spare = max(len(left) - (len(shares) - number), min(1, len(left) - 1))
        wanted = max(1, round(share * examples))
        chosen: list[int] = []
        for unit in left:
            if len(chosen) < spare and units[unit].examples <= wanted:
                chosen.append(unit)
                wanted -= units[unit].examples
        if not chosen and spare > 0:
            chosen = [min(left, key=lambda unit: units[unit].examples)]
        for unit in chosen:
            splits[unit] = split
        gone = set(chosen)
        left = [unit for unit in left if unit not in gone]
    return splits
