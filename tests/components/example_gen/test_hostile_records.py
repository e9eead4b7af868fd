"""A thousand good records and every kind of hostile one, in train and in test: each is used or in quarantine.

The kinds, and what must become of them, are in `hostile`.
"""

from __future__ import annotations

import collections
import json
import pathlib

import numpy as np
import pytest
import tensorflow as tf

from components.datasets import OxfordPets
from components.example_gen import summary
from schema import record
from tests.components.example_gen import hostile
from tests.components.example_gen.conftest import Made, pixels, run, value
from tests.drawn import BREEDS, SPECIES, SPECIES_OF_BREED

GOOD = {"train": 20, "test": 8}
"""Good photos of each breed."""


def _record(name: str, breed: int, seed: int) -> tf.train.Example:
    made = tf.train.Example()
    features = made.features.feature
    features["file_name"].bytes_list.value.append(f"{name}.jpg".encode())
    features["image"].bytes_list.value.append(hostile.encoded(hostile.photo(seed), "JPEG", quality=95))
    features["segmentation_mask"].bytes_list.value.append(hostile.encoded(hostile.trimap(), "PNG"))
    features["label"].int64_list.value.append(breed)
    features["species"].int64_list.value.append(SPECIES_OF_BREED[breed])
    return made


@pytest.fixture(scope="module")
def places() -> dict[tuple[str, int], str]:
    """Split and position in its one shard of each hostile record: its kind."""
    return {}


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory, places: dict[tuple[str, int], str]) -> pathlib.Path:
    """A prepared data set; its last two records of train are a copy of a test photo, and a second one of a name."""
    root = tmp_path_factory.mktemp("hostile")
    folder = root / "oxford_iiit_pet" / "4.0.0"
    folder.mkdir(parents=True)
    (folder / "label.labels.txt").write_text("\n".join(BREEDS) + "\n")
    (folder / "species.labels.txt").write_text("\n".join(SPECIES) + "\n")
    info = []
    for number, (split, per_breed) in enumerate(GOOD.items()):
        records = [
            _record(f"{split}_{breed}_{seed}", breed, number * 10**6 + breed * 1000 + seed)
            for breed in range(37)
            for seed in range(per_breed)
        ]
        for position, (name, kind) in enumerate(hostile.KINDS.items()):
            one = _record(f"{split} {name}", position % 37, number * 10**6 + 10**5 + position)
            kind.spoil(one.features.feature)
            places[split, len(records)] = name
            records.append(one)
        if split == "train":
            copy = _record("a copy", 0, 10**6)
            again = _record("train_0_0", 0, 5 * 10**6)
            records += [copy, again]
        with tf.io.TFRecordWriter(str(folder / f"oxford_iiit_pet-{split}.tfrecord-00000-of-00001")) as writer:
            for one in records:
                writer.write(one.SerializeToString())
        info.append({"name": split, "shardLengths": [str(len(records))]})
    (folder / "dataset_info.json").write_text(json.dumps({"name": "oxford_iiit_pet", "splits": info}))
    return root


@pytest.fixture(scope="module")
def made(data_dir: pathlib.Path, tmp_path_factory: pytest.TempPathFactory) -> Made:
    return run(tmp_path_factory.mktemp("made"), OxfordPets(str(data_dir)), max_quarantined=0.2)


def _shard(split: str) -> str:
    return f"oxford_iiit_pet-{split}.tfrecord-00000-of-00001"


def test_every_bad_record_is_in_quarantine_with_its_reason_and_nothing_else_is(
    made: Made, places: dict[tuple[str, int], str]
) -> None:
    found = {(row["shard"], row["place"][1]): row["what"] for row in made.quarantined}
    expected = {
        (_shard(split), position): hostile.KINDS[name].quarantined
        for (split, position), name in places.items()
        if hostile.KINDS[name].quarantined
    }
    last = GOOD["train"] * 37 + len(hostile.KINDS)
    expected |= {(_shard("train"), last): "duplicate", (_shard("train"), last + 1): "file name"}
    assert found == expected
    assert all(row["reason"] for row in made.quarantined)


def test_quarantine_holds_the_original_bytes(made: Made, data_dir: pathlib.Path) -> None:
    source = OxfordPets(str(data_dir))
    for shard in source.shards():
        raws = list(source.read(shard))
        for row in made.quarantined:
            if row["shard"] == str(shard):
                raw = raws[row["place"][1]]
                assert (made.quarantine / row["photo"]).read_bytes() == raw.image
                assert row["mask"] is None or (made.quarantine / row["mask"]).read_bytes() == raw.mask


def test_no_record_is_lost_and_all_are_counted_right(made: Made, data_dir: pathlib.Path) -> None:
    info = json.loads(next(data_dir.rglob("dataset_info.json")).read_text())
    read = {split["name"]: int(split["shardLengths"][0]) for split in info["splits"]}
    counted = made.splits
    assert counted["train"]["read"] + counted["eval"]["read"] == read["train"]
    assert counted["test"]["read"] == read["test"]
    rows = collections.Counter((row["split"], row["what"]) for row in made.quarantined)
    for split in record.SPLITS:
        assert counted[split]["examples"] == len(made.read(split))
        assert counted[split]["quarantined"] == {what: count for (of, what), count in rows.items() if of == split}
        assert counted[split]["read"] == counted[split]["examples"] + sum(counted[split]["quarantined"].values())


def test_the_report_has_the_same_counts(made: Made) -> None:
    shown = summary.of_report(str(made.examples))
    for split, of in made.splits.items():
        assert shown["quarantine"][split] == of["quarantined"]
        assert shown["repaired"][split] == of["repaired"]


def test_repairs_are_counted(made: Made) -> None:
    expected = collections.Counter(repair for kind in hostile.KINDS.values() for repair in kind.repaired)
    expected["mask turned"] = 1
    counted = made.splits
    assert counted["test"]["repaired"] == expected
    assert sum(
        (collections.Counter(counted[split]["repaired"]) for split in ("train", "eval")), collections.Counter()
    ) == (expected)


def test_tensorflow_decodes_all_that_was_written_and_masks_fit(made: Made) -> None:
    for split in record.SPLITS:
        for one in made.read(split):
            image = tf.io.decode_image(value(one, record.IMAGE), channels=3, expand_animations=False)
            mask = pixels(one, record.MASK)
            assert image.shape[:2] == mask.shape
            assert set(np.unique(mask)) <= {0, 1}


def test_photos_say_the_same_after_their_repair(made: Made, data_dir: pathlib.Path) -> None:
    """But for what cannot be kept: the colours of JPEG, CMYK and palettes within some steps."""
    by_name = {value(one, record.FILE_NAME).decode(): one for one in made.read("test")}
    for position, name in enumerate(hostile.KINDS):
        one = by_name.get(f"test {name}.jpg")
        if one is None or name == "one pixel" or "GIF" in name or "palette" in name:
            continue
        before = hostile.photo(10**6 + 10**5 + position).astype(int)
        after = tf.io.decode_image(value(one, record.IMAGE), channels=3, expand_animations=False).numpy().astype(int)
        if "side" in name:
            assert after.shape == (hostile.SIDE, 30, 3)
            after = np.rot90(after)
            before = np.asarray(hostile.cv2.resize(before.astype(np.uint8), (hostile.SIDE, 30))).astype(int)
        if "translucent" in name:
            before, after = before[5:], after[5:]
        if "grey" in name:
            before, after = before.mean(axis=2), after.mean(axis=2)
        assert np.abs(after - before).mean() < 8, name
