"""Photos that a person wants left out: the table that names them, and what becomes of them and of the others."""

from __future__ import annotations

import logging
import pathlib

import pytest

from components.datasets import Folder
from components.example_gen import leave_out, summary
from schema import record
from tests.components.example_gen import hostile
from tests.components.example_gen.conftest import Made, run


def table(tmp_path: pathlib.Path, text: str) -> str:
    path = tmp_path / "suspects.csv"
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_split_and_name_are_read_once_each_and_other_columns_are_not(tmp_path) -> None:
    path = table(
        tmp_path, "split,file_name,kind,given\nval,b/ö 1.jpg,mask,\ntrain,a.jpg,label,oak\ntrain,a.jpg,mask,\n"
    )
    assert leave_out.read(path) == (("eval", "b/ö 1.jpg"), ("train", "a.jpg"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("split,file\ntrain,a.jpg\n", r"suspects\.csv has no column file_name"),
        ("split,file_name\ntrain,a.jpg\nholdout,b.jpg\n", r"suspects\.csv, line 3: split is 'holdout'; write one of"),
        ("split,file_name\n,a.jpg\n", r"suspects\.csv, line 2: split is missing"),
        ("file_name,kind\na.jpg,mask\n", r"suspects\.csv, line 2: split is missing"),
        ("split,file_name\ntrain,\n", r"suspects\.csv, line 2: file_name is missing"),
        ("split,file_name\ntrain,a.jpg,mask\n", r"suspects\.csv, line 2: 3 cells under 2 columns"),
        ("", r"suspects\.csv is empty"),
    ],
)
def test_a_wrong_line_is_an_error_that_names_file_line_and_column(tmp_path, text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        leave_out.read(table(tmp_path, text))


def test_a_missing_file_is_an_error_that_names_it(tmp_path) -> None:
    with pytest.raises(ValueError, match=r"none\.csv cannot be read: No such file"):
        leave_out.read(str(tmp_path / "none.csv"))


@pytest.fixture(scope="module")
def leaves(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    """Twenty photos of each of two classes, and one that is none; a hash splits them."""
    folder = tmp_path_factory.mktemp("leaves")
    for number, label in enumerate(("ash", "oak")):
        (folder / label).mkdir()
        for leaf in range(20):
            photo = hostile.encoded(hostile.photo(1000 * number + leaf), "JPEG")
            (folder / label / f"{leaf}.jpg").write_bytes(photo)
    (folder / "oak" / "broken.jpg").write_bytes(b"no photo")
    return Folder(str(folder))


def names(made: Made) -> dict[str, set[str]]:
    return {split: made.names(split) for split in record.SPLITS}


def test_they_are_gone_and_counted_and_every_other_photo_keeps_its_split(leaves, tmp_path, caplog) -> None:
    before = run(tmp_path / "before", leaves, max_quarantined=0.1)
    named = {split: sorted(of)[:2] for split, of in names(before).items()}
    listed = [(split, name) for split, of in named.items() for name in of]
    other = sorted(names(before)["test"])[-1]
    with caplog.at_level(logging.INFO, logger="progress"):
        made = run(
            tmp_path / "after",
            leaves,
            max_quarantined=0.1,
            leave_out=[*listed, ("train", other), ("train", "oak/broken.jpg"), ("test", "oak/gone.jpg")],
        )
    assert names(made) == {split: of - set(named[split]) for split, of in names(before).items()}
    assert {split: of["left_out"] for split, of in made.splits.items()} == {"train": 3, "eval": 2, "test": 2}
    assert [row["file_name"] for row in before.quarantined] == ["oak/broken.jpg"]
    assert made.quarantined == []
    assert "left out (data.leave_out): train 3, eval 2, test 2" in caplog.text
    assert f"data.leave_out names what no split holds: train/{other}, test/oak/gone.jpg" in caplog.text
    shown = summary.of_report(str(made.examples))
    assert shown["left_out"] == {"train": 3, "eval": 2, "test": 2}
    assert shown["left_out_unmatched"] == (f"train/{other}", "test/oak/gone.jpg")


def test_without_a_list_nothing_is_said_of_it(leaves, tmp_path, caplog) -> None:
    with caplog.at_level(logging.INFO, logger="progress"):
        made = run(tmp_path, leaves, max_quarantined=0.1)
    assert all(of["left_out"] == 0 for of in made.splits.values())
    assert "leave_out" not in caplog.text
