from __future__ import annotations

import collections
import hashlib

import pytest

from components.example_gen import splits
from components.example_gen.splits import Unit
from schema.dataset_spec import Splits

SHARES = {"test": 0.2, "eval": 0.1}


def singles(count: int) -> list[Unit]:
    return [Unit(splits.digest(b"%d.jpg" % number), 1) for number in range(count)]


def examples(units: list[Unit], assigned: list[str]) -> dict[str, int]:
    counts: collections.Counter[str] = collections.Counter()
    for unit, split in zip(units, assigned, strict=True):
        counts[split] += unit.examples
    return dict(counts)


@pytest.mark.parametrize("count", [10, 37, 1000])
def test_each_split_has_its_share(count: int) -> None:
    units = singles(count)
    made = examples(units, splits.assign(units, SHARES))
    assert made == {
        "test": round(0.2 * count),
        "eval": round(0.1 * count),
        "train": count - round(0.2 * count) - round(0.1 * count),
    }


@pytest.mark.parametrize(
    ("count", "expected"), [(1, {"train"}), (2, {"train", "test"}), (3, {"train", "test", "eval"})]
)
def test_a_small_class_is_in_as_many_splits_as_it_can_be(count: int, expected: set[str]) -> None:
    assert set(splits.assign(singles(count), SHARES)) == expected


def test_the_smallest_hashes_of_the_names_are_held_out() -> None:
    """As TfdsExampleGen did it: eval is a tenth of each breed of the official training photos."""
    names = [f"beagle_{number}.jpg" for number in range(100)]
    units = [Unit(splits.digest(name.encode()), 1) for name in names]
    held_out = {name for name, split in zip(names, splits.assign(units, {"eval": 0.1}), strict=True) if split == "eval"}
    assert held_out == set(sorted(names, key=lambda name: hashlib.sha256(name.encode()).digest())[:10])


def test_groups_are_not_divided_and_shares_are_met_as_nearly_as_they_fit() -> None:
    units = [Unit(splits.digest(b"group %d" % number), 1 + number % 5) for number in range(60)]
    made = examples(units, splits.assign(units, SHARES))
    total = sum(made.values())
    assert made["test"] == round(0.2 * total)
    assert made["eval"] == round(0.1 * total)


def test_one_large_group_does_not_become_the_test_split() -> None:
    units = [Unit(0, 90), *singles(10)]
    assert splits.assign(units, SHARES)[0] == "train"


def test_more_examples_move_few_of_the_others() -> None:
    before = splits.assign(singles(1000), SHARES)
    after = splits.assign(singles(1010), SHARES)[:1000]
    assert sum(one != other for one, other in zip(before, after, strict=True)) < 20


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (frozenset(), {"test": 0.2, "eval": 0.1}),
        (frozenset({"", "train"}), {"test": 0.2, "eval": 0.1}),
        (frozenset({"train", "test"}), {"eval": 0.1}),
        (frozenset({"train", "eval", "test"}), {}),
    ],
)
def test_only_what_the_data_lacks_is_made(given: frozenset[str], expected: dict[str, float]) -> None:
    assert splits.to_make(given, Splits(eval=0.1, test=0.2)) == expected


def test_a_share_of_zero_makes_no_split() -> None:
    assert splits.to_make(frozenset(), Splits(eval=0.1, test=0.0)) == {"eval": 0.1}
