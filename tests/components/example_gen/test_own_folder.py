"""ExampleGen over a folder that gives no splits: they are made; groups and copies of a photo stay together."""

from __future__ import annotations

import collections
import csv
import logging
import pathlib

import pytest

from components.datasets import Folder
from components.example_gen import summary
from schema import record
from schema.dataset_spec import SIZE
from tests.components.example_gen import hostile
from tests.components.example_gen.conftest import Made, pixels, run, value

CLASSES = ("oak", "ash", "elm")


@pytest.fixture(scope="module")
def leaves(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """Thirty leaves a class, in groups of three; one is there five times, one class has two leaves, one has no mask."""
    folder = tmp_path_factory.mktemp("leaves")
    rows = []

    def add(name: str, photo: bytes, label: str, group: str, mask: bool = True) -> None:
        (folder / f"{name}.jpg").write_bytes(photo)
        if mask:
            (folder / f"{name}_mask.png").write_bytes(hostile.encoded(hostile.trimap() // 2 * 255, "PNG"))
        rows.append({"file_name": f"{name}.jpg", "kind": label, "group": group})

    for number, label in enumerate(CLASSES):
        for leaf in range(30):
            photo = hostile.encoded(hostile.photo(1000 * number + leaf), "JPEG")
            add(f"{label} {leaf}", photo, label, f"{label} tree {leaf // 3}", mask=leaf != 29)
    for leaf in range(2):
        add(f"yew {leaf}", hostile.encoded(hostile.photo(5000 + leaf), "JPEG"), "yew", "")
    same = hostile.encoded(hostile.photo(9999), "JPEG")
    for copy in range(5):
        add(f"copy {copy}", same, "oak", "")
    with (folder / "metadata.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, ["file_name", "kind", "group"])
        writer.writeheader()
        writer.writerows(rows)
    return folder


@pytest.fixture(scope="module")
def made(leaves: pathlib.Path, tmp_path_factory: pytest.TempPathFactory) -> Made:
    return run(tmp_path_factory.mktemp("made"), Folder(str(leaves)))


def _split_of(made: Made) -> dict[str, str]:
    return {name: split for split in record.SPLITS for name in made.names(split)}


def test_every_photo_is_in_one_split_and_every_class_in_each_where_it_can_be(made: Made) -> None:
    assert len(_split_of(made)) == 97
    for split in record.SPLITS:
        counted = made.splits[split]["labels"]["kind"]
        assert set(CLASSES) <= set(counted)
    assert made.splits["eval"]["missing_classes"] == {"kind": ["yew"]}


def test_no_group_and_no_photo_is_in_two_splits(made: Made) -> None:
    splits: dict[str, set[str]] = collections.defaultdict(set)
    for name, split in _split_of(made).items():
        label, number = name.removesuffix(".jpg").split(" ")
        group = f"{label} {int(number) // 3}" if label in CLASSES else name if label == "yew" else label
        splits[group].add(split)
    assert all(len(of) == 1 for of in splits.values())


def test_copies_within_a_split_are_counted_and_kept(made: Made) -> None:
    assert sum(made.splits[split]["duplicates"] for split in record.SPLITS) == 4
    assert made.quarantined == []


def test_a_missing_mask_is_unknown_and_counted(made: Made) -> None:
    assert sum(made.splits[split]["without_mask"] for split in record.SPLITS) == len(CLASSES)
    for split in record.SPLITS:
        for one in made.read(split):
            known = (pixels(one, record.MASK) != record.MASK_IGNORED).any()
            assert known == (not value(one, record.FILE_NAME).decode().endswith(" 29.jpg"))
            assert known == (value(one, SIZE).decode() in record.SIZES)


def test_a_copy_in_another_given_split_is_put_aside_and_the_held_out_one_stays(tmp_path: pathlib.Path) -> None:
    for number, (split, label) in enumerate((s, c) for s in record.SPLITS for c in CLASSES):
        for leaf in range(2):
            folder = tmp_path / "in" / split / label
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{leaf}.jpg").write_bytes(hostile.encoded(hostile.photo(100 * number + leaf), "JPEG"))
    held_out = (tmp_path / "in" / "test" / "oak" / "0.jpg").read_bytes()
    for split in ("train", "eval"):
        (tmp_path / "in" / split / "oak" / "again.jpg").write_bytes(held_out)
    made = run(tmp_path / "out", Folder(str(tmp_path / "in")), max_quarantined=0.0)
    assert {(row["split"], row["what"]) for row in made.quarantined} == {("train", "duplicate"), ("eval", "duplicate")}
    assert all("test/oak/0.jpg in test" in row["reason"] for row in made.quarantined)
    assert [made.splits[split]["examples"] for split in record.SPLITS] == [6, 6, 6]


def test_a_group_that_given_splits_divide_is_warned_of(
    tmp_path: pathlib.Path, caplog: pytest.LogCaptureFixture
) -> None:
    rows = ["file_name,kind,split,group"]
    for number in range(12):
        (tmp_path / f"{number}.jpg").write_bytes(hostile.encoded(hostile.photo(number), "JPEG"))
        rows.append(f"{number}.jpg,{CLASSES[number % 2]},{record.SPLITS[number // 4]},tree {number // 3}")
    (tmp_path / "metadata.csv").write_text("\n".join(rows))
    with caplog.at_level(logging.INFO, logger="progress"):
        made = run(tmp_path / "out", Folder(str(tmp_path)))
    such_as = ["3.jpg in train and 4.jpg in eval", "6.jpg in eval and 8.jpg in test"]
    assert summary.read(str(made.examples))["divided_groups"] == {"count": 2, "such_as": such_as}
    [warned] = [one.getMessage() for one in caplog.records if one.levelno == logging.WARNING and one.name == "progress"]
    assert warned.startswith(f"the data puts 2 groups into several splits, such as {'; '.join(such_as)}: ")


def test_a_split_without_an_example_stops_the_run_and_is_named(tmp_path: pathlib.Path) -> None:
    for number, label in enumerate(CLASSES[:2]):
        (tmp_path / "in" / label).mkdir(parents=True)
        (tmp_path / "in" / label / "0.jpg").write_bytes(hostile.encoded(hostile.photo(number), "JPEG"))
    with pytest.raises(ValueError, match=r"^in leaves split eval empty: .* too few examples of each class") as raised:
        run(tmp_path / "out", Folder(str(tmp_path / "in")))
    assert "splits" in str(raised.value)
