"""Data sets of TFDS by name, on a tiny one that TFDS prepares here."""

import json
import pathlib
import shutil
import sys

import numpy as np
import pytest
import tensorflow_datasets as tfds

import describe
from components.datasets.tfds import Tfds
from tests.components.datasets.conftest import mask_of, records_of, square


class Toys(tfds.core.GeneratorBasedBuilder):
    """Photos of balls and cubes of two sizes, with masks."""

    VERSION = tfds.core.Version("1.2.3")
    name = "toys"

    def _info(self):
        features = tfds.features.FeaturesDict(
            {
                "image": tfds.features.Image(shape=(None, None, 3), encoding_format="jpeg"),
                "segmentation_mask": tfds.features.Image(shape=(None, None, 1), encoding_format="png"),
                "big": tfds.features.ClassLabel(num_classes=2),
                "label": tfds.features.ClassLabel(names=["ball", "cube"]),
                "file_name": tfds.features.Text(),
            }
        )
        return tfds.core.DatasetInfo(builder=self, features=features)

    def _split_generators(self, dl_manager):
        return {"train": self._examples(6), "validation": self._examples(2), "unsupervised": self._examples(2)}

    def _generate_examples(self):
        raise AssertionError("each split has its own")

    @staticmethod
    def _examples(count):
        for number in range(count):
            yield (
                number,
                {
                    "image": np.full((6, 8, 3), (40 * number, 100, 7), np.uint8),
                    "segmentation_mask": square(255)[..., None],
                    "big": number % 2,
                    "label": number // 3 if number < 5 else -1,
                    "file_name": f"toy {number}",
                },
            )


@pytest.fixture(scope="session")
def prepared(tmp_path_factory):
    data_dir = tmp_path_factory.mktemp("tfds")
    config = tfds.download.DownloadConfig(num_shards=2)
    Toys(data_dir=str(data_dir)).download_and_prepare(download_config=config)
    return data_dir


@pytest.fixture
def data_dir(prepared, tmp_path):
    """A copy that a test may change."""
    return pathlib.Path(shutil.copytree(prepared, tmp_path / "tfds"))


def test_the_description_follows_from_the_features(prepared):
    source = Tfds("toys", str(prepared))
    spec = source.spec()
    assert (spec.name, spec.title) == ("toys", "Toys")
    assert [(label.name, label.classes) for label in spec.labels] == [("label", ("ball", "cube")), ("big", ("0", "1"))]
    assert [label.optional for label in spec.labels] == [True, False]
    assert (mask_of(source).classes, mask_of(source).values) == (("object",), ((255,),))


def test_records_are_as_tfds_stored_them(prepared):
    found = records_of(Tfds("toys:1.*.*", str(prepared)))
    splits = [(name.split("/")[0], record.split) for name, record in found.items()]
    assert splits == [("train", "train")] * 6 + [("validation", "eval")] * 2
    assert not any(record.fault for record in found.values())
    assert found["train/toy 4"].labels == {"label": 1, "big": 0}
    assert found["train/toy 5"].labels == {"big": 1}
    assert found["train/toy 1"].image[:3] == b"\xff\xd8\xff"
    mask = found["train/toy 1"].mask
    assert mask is not None
    assert mask[:4] == b"\x89PNG"


def test_features_are_mapped_by_flags(prepared):
    source = Tfds("toys", str(prepared), features=("size_of=big", "mask=segmentation_mask", "image=image"))
    assert [label.name for label in source.spec().labels] == ["size_of"]
    assert records_of(source)["train/toy 1"].labels == {"size_of": 1}


def test_masks_that_cannot_be_read_are_refused_with_the_reason(prepared):
    source = Tfds("toys", str(prepared), features=("mask=image", "image=segmentation_mask"))
    message = r"none of the first masks in feature image can be read, such as train/toy \d+: the mask is a pict"
    with pytest.raises(ValueError, match=message):
        source.spec()


@pytest.mark.parametrize(
    ("features", "message"),
    [
        (
            ("image=photo",),
            r"features has image=photo, but toys has no picture of that name; it has image, segmentation_mask",
        ),
        (("kind=image",), r"features has kind=image, but toys has no class label of that name; it has big, label"),
        (("image",), r"features has 'image': write ROLE=FEATURE"),
        (("image=image", "mask=image"), r"features has the feature image twice: give each once"),
        (("kind=label", "kind=big"), r"features has the role kind twice: give each once"),
    ],
)
def test_wrong_mappings_name_the_features(prepared, features, message):
    with pytest.raises(ValueError, match=message):
        Tfds("toys", str(prepared), features=features).spec()


def _change_features(data_dir, change):
    [file] = data_dir.rglob("features.json")
    content = json.loads(file.read_text())
    change(content["featuresDict"]["features"])
    file.write_text(json.dumps(content))


def test_two_features_of_one_label_are_refused(data_dir):
    _change_features(data_dir, lambda features: features.update({"class": features["big"], "kind": features["label"]}))
    with pytest.raises(
        ValueError, match="the features 'class' and 'kind' would both be the label kind: say how they are"
    ):
        Tfds("toys", str(data_dir)).spec()


def test_a_feature_of_one_class_is_no_label(data_dir):
    def change(features):
        features["big"]["classLabel"]["numClasses"] = "1"

    _change_features(data_dir, change)
    assert [label.name for label in Tfds("toys", str(data_dir)).spec().labels] == ["label"]


@pytest.mark.parametrize("feature", ["image", "segmentation_mask"])
def test_pictures_of_floating_point_numbers_are_refused(data_dir, feature):
    def change(features):
        features[feature]["image"]["dtype"] = "float32"

    _change_features(data_dir, change)
    with pytest.raises(ValueError, match=f"toys has pictures of floating-point numbers in '{feature}'"):
        Tfds("toys", str(data_dir)).spec()


def test_what_is_not_prepared_is_said_with_what_is(prepared, tmp_path):
    with pytest.raises(
        ValueError, match=r"blocks is not prepared in .*, which holds toys/1.2.3: name one of these, or"
    ):
        Tfds("blocks", str(prepared)).spec()
    with pytest.raises(
        RuntimeError, match=r"no_such_set is not prepared in .*which holds nothing that is prepared, and"
    ):
        Tfds("no_such_set", str(tmp_path)).prepare()
    Tfds("toys", str(prepared)).prepare()


def test_of_a_name_that_tfds_does_not_know_one_line_is_said(prepared):
    """TFDS goes on with the hundreds that it knows."""
    suggested = r"caltech_birds201 not found. Did you mean: caltech_birds201 -> caltech_birds2011 \?\nProvide it"
    with pytest.raises(RuntimeError, match=suggested) as raised:
        Tfds("caltech_birds201", str(prepared)).prepare()
    assert len(str(raised.value).splitlines()) == 2


def test_splits_that_are_left_out_are_told(prepared, tmp_path, monkeypatch, caplog, capsys):
    with caplog.at_level("INFO", "progress"):
        Tfds("toys", str(prepared)).prepare()
    assert caplog.messages == [
        "left out, splits that are called otherwise than train, validation or test: unsupervised (2)"
    ]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["describe.py", str(prepared), "--tfds", "toys"])
    assert describe.main() == 0
    said = "Splits that are left out, since none of ours is called so: unsupervised (2)."
    assert said in " ".join(capsys.readouterr().out.split())


def test_the_key_is_the_content_of_the_shards(data_dir, tmp_path):
    before = Tfds("toys", str(data_dir)).key()
    elsewhere = shutil.copytree(data_dir, tmp_path / "elsewhere")
    assert Tfds("toys", str(elsewhere)).key() == before
    shard = next(data_dir.glob("toys/1.2.3/*train*"))
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 1
    shard.write_bytes(content)
    assert Tfds("toys", str(data_dir)).key() != before


def test_damaged_and_cut_shards_are_errors_that_name_them(data_dir):
    source = Tfds("toys", str(data_dir))
    shards = list(source.shards())
    path = pathlib.Path(shards[0].path)
    content = path.read_bytes()
    path.write_bytes(content[:-20])
    with pytest.raises(ValueError, match=rf"{path.name}.*(cut|damaged)"):
        list(source.read(shards[0]))
    info = data_dir / "toys" / "1.2.3" / "dataset_info.json"
    path.write_bytes(content)
    made = json.loads(info.read_text())
    made["splits"][0]["shardLengths"][0] = "9"
    info.write_text(json.dumps(made))
    with pytest.raises(ValueError, match=rf"{path.name} holds 3 records, but dataset_info.json says 9"):
        list(source.read(next(iter(source.shards()))))


@pytest.mark.parametrize(("name", "of"), [("features.json", Tfds.spec), ("dataset_info.json", lambda s: [*s.shards()])])
@pytest.mark.parametrize("content", ['{"cut', "[" * 100_000])
def test_descriptions_that_are_no_json_are_named(data_dir, name, of, content):
    [file] = data_dir.rglob(name)
    file.write_text(content)
    with pytest.raises(ValueError, match=rf"{name} is no JSON: .*: prepare the data set anew"):
        of(Tfds("toys", str(data_dir)))


def test_splits_that_nobody_knows_are_refused(data_dir):
    info = data_dir / "toys" / "1.2.3" / "dataset_info.json"
    made = json.loads(info.read_text())
    made["splits"] = [split for split in made["splits"] if split["name"] == "unsupervised"]
    info.write_text(json.dumps(made))
    with pytest.raises(ValueError, match=r"toys has the splits unsupervised: none of them is called as train, "):
        list(Tfds("toys", str(data_dir)).shards())
