from __future__ import annotations

import collections
from collections.abc import Iterable

import pytest

from components.datasets.source import RawRecord
from components.example_gen import decisions
from schema.dataset_spec import DatasetSpec, Label, Splits

SPEC = DatasetSpec("made", "Made", labels=(Label("kind", ("ash", "elm")),))
NONE = Splits(eval=0.0, test=0.0)


def raw(name: str, photo: str = "", split: str = "", group: str = "", kind: int | None = 0) -> RawRecord:
    labels = {} if kind is None else {"kind": kind}
    return RawRecord(name, (photo or name).encode(), None, labels, split, group)


def decide(*shards: Iterable[RawRecord], shares: Splits = NONE) -> decisions.Decided:
    return decisions.decide(
        [decisions.looks(number, enumerate(shard), SPEC) for number, shard in enumerate(shards)], shares
    )


def refused(decided: decisions.Decided) -> dict[tuple[int, int], tuple[str, str]]:
    return {
        (shard, decision.position): (decision.split, decision.refused.reason)
        for shard, of_shard in decided.of_shards.items()
        for decision in of_shard
        if decision.refused
    }


def test_what_the_source_says_needs_no_decision() -> None:
    decided = decide([raw("a"), raw("b", split="eval")], [], [raw("c", split="test"), raw("d", split="train")])
    assert decided.of_shards == {}
    assert decided.counts == {("train", "read", ""): 2, ("eval", "read", ""): 1, ("test", "read", ""): 1}


def test_of_one_name_the_record_held_out_the_most_stays_then_the_first() -> None:
    decided = decide([raw("a", "1"), raw("a", "2", "eval")], [raw("a", "3"), raw("a", "4", "eval")])
    reason = "another record, in split eval, has its file name"
    assert refused(decided) == {(0, 0): ("train", reason), (1, 0): ("train", reason), (1, 1): ("eval", reason)}
    assert decided.counts == {("train", "read", ""): 2, ("eval", "read", ""): 2}


def test_of_copies_in_several_splits_those_held_out_the_most_stay() -> None:
    decided = decide(
        [raw("a", "same"), raw("b", "same", "test"), raw("c", "same", "eval")], [raw("d", "same", "test"), raw("e")]
    )
    reason = "its photo is that of b in test"
    assert refused(decided) == {(0, 0): ("train", reason), (0, 2): ("eval", reason)}
    assert decided.counts["test", "duplicates", ""] == 1


def test_a_record_without_its_name_s_place_takes_no_copies_place() -> None:
    """A record refused for its name is not there for its photo: the copy of it stays."""
    decided = decide([raw("a", "one", "test"), raw("a", "same", "test"), raw("b", "same")])
    assert set(refused(decided)) == {(0, 1)}


def splits_of(decided: decisions.Decided, *shards: list[RawRecord]) -> dict[str, str]:
    made = {one.file_name: decisions.given_split(one) for shard in shards for one in shard}
    for shard, of_shard in decided.of_shards.items():
        made |= {shards[shard][decision.position].file_name: decision.split for decision in of_shard}
    return made


@pytest.mark.parametrize("reverse", [False, True])
def test_each_class_is_cut_by_its_share_however_the_shards_come(reverse: bool) -> None:
    records = [raw(f"{number}.jpg", kind=number % 2) for number in range(200)]
    shards = [records[start : start + 50] for start in range(0, 200, 50)]
    batches = [decisions.looks(number, enumerate(shard), SPEC) for number, shard in enumerate(shards)]
    decided = decisions.decide(reversed(batches) if reverse else batches, Splits(eval=0.1, test=0.2))
    counted: collections.Counter[tuple[str, int]] = collections.Counter(
        (split, int(name.removesuffix(".jpg")) % 2) for name, split in splits_of(decided, *shards).items()
    )
    assert counted == {
        (split, kind): count for split, count in (("train", 70), ("eval", 10), ("test", 20)) for kind in (0, 1)
    }
    assert splits_of(decided, *shards) == splits_of(decide(*shards, shares=Splits(eval=0.1, test=0.2)), *shards)


def test_a_group_counts_for_its_commonest_class_and_stays_together_beside_given_splits() -> None:
    """Three groups of the first class, one by two of three records; each has a split, and elm has one alone."""
    records = [
        raw(f"{group}{leaf}", group=group, kind=int((group, leaf) == ("c", 0))) for group in "abc" for leaf in "012"
    ]
    other = [raw("elm", group="d", kind=1), raw("given", group="a", split="eval")]
    made = splits_of(decide(records, other, shares=Splits(eval=0.3, test=0.3)), records, other)
    assert made["given"] == "eval"
    assert made["elm"] == "train"
    assert all(len({made[f"{group}{leaf}"] for leaf in "012"}) == 1 for group in "abc")
    assert sorted(made[f"{group}0"] for group in "abc") == ["test", "train", "train"]


@pytest.mark.parametrize("reverse", [False, True])
def test_groups_that_given_splits_divide_are_counted_and_five_of_them_named(reverse: bool) -> None:
    shard = [
        raw(f"{group}{leaf}", split=split, group=f"group {group}")
        for group in "abcdefg"
        for leaf, split in enumerate(("train", "test", "", "test"))
    ]
    other = [raw("h1", split="test", group="h"), raw("h2", "same", "eval", "h"), raw("h3", "again", "train", "h")]
    whole = [raw("i1", split="eval", group="i"), raw("i2", split="eval", group="i")]
    alone = [raw("j1", "same", "test"), raw("j2", "again", "test"), raw("a0", "other", "train", "k")]
    looks = [decisions.looks(number, enumerate(of), SPEC) for number, of in enumerate((shard, other, whole, alone))]
    counts = decisions.decide(reversed(looks) if reverse else looks, NONE).counts
    assert {key[2]: count for key, count in counts.items() if key[1] == "divided_groups"} == {
        "": 7,  # not h: of copies those in test stay; not k: its name was there before
        **{f"{group}0 in train and {group}1 in test": 1 for group in "abcde"},
    }


def test_data_without_classes_is_one_class() -> None:
    records = [raw(f"{number}", kind=None) for number in range(10)]
    made = collections.Counter(splits_of(decide(records, shares=Splits(eval=0.1, test=0.2)), records).values())
    assert made == {"train": 7, "eval": 1, "test": 2}


def test_a_record_takes_some_dozens_of_bytes() -> None:
    records = [raw(f"class {number % 7}/photo {number}.jpg") for number in range(256)]
    assert len(decisions.looks(0, enumerate(records), SPEC)) / len(records) < 40
