from __future__ import annotations

import os
import pathlib

import pytest

from components import datasets
from components.datasets import OxfordPets, PetDrawings, tfds_folder


def _prepare(data_dir: pathlib.Path, folder: str, **files: str) -> pathlib.Path:
    path = data_dir / folder
    path.mkdir(parents=True)
    for name, content in {"dataset_info": "{}", **files}.items():
        (path / f"{name}.json").write_text(content)
    return path


def test_one_place_has_one_spelling(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TFDS_DATA_DIR", f"{tmp_path}/data/")
    sources = {OxfordPets(spelled) for spelled in (f"{tmp_path}/data", "data/", "./x/../data", "")}
    assert len({datasets.to_json(source) for source in sources}) == 1
    assert OxfordPets("gs://bucket/data/").data_dir == "gs://bucket/data"


def test_the_key_is_the_contents_and_not_the_places(tmp_path: pathlib.Path) -> None:
    one = _prepare(tmp_path / "a", "oxford_iiit_pet/4.0.0", shard="first")
    _prepare(tmp_path / "b", "oxford_iiit_pet/4.0.0", shard="first")
    key = OxfordPets(str(tmp_path / "a")).key()
    assert OxfordPets(str(tmp_path / "b")).key() == key
    (one / "shard.json").write_text("other")
    assert OxfordPets(str(tmp_path / "a")).key() != key


def test_preparing_keeps_the_key_and_a_later_change_does_not(tmp_path: pathlib.Path) -> None:
    """Whatever `downloadSize` says: the labels may have been changed after it was written."""
    source = OxfordPets(str(tmp_path))
    before = source.key()
    folder = _prepare(tmp_path, "oxford_iiit_pet/4.0.0", shard="first")
    assert source.key() != before, "somebody else prepared it: who knows of what"
    tfds_folder.mark(source.folder(), before)
    assert source.key() == before
    (folder / "shard.json").write_text("other")
    assert source.key() != before


def test_a_folder_too_deep_is_refused_with_the_right_one(tmp_path: pathlib.Path) -> None:
    _prepare(tmp_path, "oxford_iiit_pet/4.0.0")
    for deep in ("oxford_iiit_pet", "oxford_iiit_pet/4.0.0"):
        with pytest.raises(ValueError, match=rf"a folder of the data set itself: give {tmp_path}$"):
            OxfordPets(os.path.join(tmp_path, deep)).key()


def test_an_older_version_is_said_before_anything_is_downloaded(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from components.datasets import pets

    _prepare(tmp_path, "oxford_iiit_pet/3.2.0")
    (tmp_path / "downloads").mkdir()  # of a download that was given up: no reason for minutes of silence
    monkeypatch.setattr(pets, "_HOST", "nowhere.invalid")
    with pytest.raises(RuntimeError, match=r"holds no oxford_iiit_pet of version 4, but oxford_iiit_pet/3\.2\.0"):
        OxfordPets(str(tmp_path)).prepare()


def test_too_few_drawings_are_refused() -> None:
    with pytest.raises(ValueError, match="drawings is 1: give 2 or more"):
        PetDrawings(1)
