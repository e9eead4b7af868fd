import collections
import json
import pathlib
import shutil
import subprocess
import sys

import cv2
import numpy as np
import pytest
import tensorflow as tf
from tfx.dsl.components.base.base_beam_executor import BaseBeamExecutor
from tfx.types import standard_artifacts

from components.example_gen import executor
from components.example_gen.component import TfdsExampleGen
from components.example_gen.fingerprint import fingerprint
from schema import pets

HUMAN_MASKS = pathlib.Path(__file__).parents[4] / "shared" / "data" / "pets-human-masks"
PROPERTIES = {
    "dataset": "oxford_iiit_pet",
    "manual_dir": "",
    "examples_per_breed": 0,
    "border": "pet",
    "min_speck": 0.001,
    "eval_fraction": 0.1,
}


def run(folder, **properties):
    """Runs the executor as TFX would, and returns the output artifact."""
    examples = standard_artifacts.Examples()
    examples.uri = str(folder)
    context = BaseBeamExecutor.Context(beam_pipeline_args=["--direct_running_mode=in_memory", "--direct_num_workers=1"])
    executor.Executor(context).Do({}, {"examples": [examples]}, PROPERTIES | properties)
    return examples


def read(examples, split):
    shards = sorted(pathlib.Path(examples.uri, f"Split-{split}").iterdir())
    return [
        tf.train.Example.FromString(record).features.feature
        for record in tf.data.TFRecordDataset([str(shard) for shard in shards]).as_numpy_iterator()
    ]


def value(record, name):
    feature = record[name]
    return (feature.bytes_list.value or feature.int64_list.value)[0]


def pixels(record, name):
    return np.asarray(cv2.imdecode(np.frombuffer(value(record, name), np.uint8), cv2.IMREAD_UNCHANGED))


def names(records):
    return {value(record, pets.FILE_NAME).decode() for record in records}


def summary(examples):
    return json.loads(pathlib.Path(examples.uri, executor.SUMMARY_FILE).read_text())


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module")
def synthetic(data_dir, tmp_path_factory):
    folder = tmp_path_factory.mktemp("examples")
    return run(folder, dataset="synthetic_pets", data_dir=str(data_dir), examples_per_breed=4, eval_fraction=0.25)


@pytest.fixture
def real(data_dir, synthetic, tmp_path):
    """Makes a prepared data_dir of `oxford_iiit_pet` out of the drawings, its training records changed by `edit`."""
    prepared = next(data_dir.glob("synthetic_pets/*/4.0.0"))

    def make(edit=lambda records: None):
        folder = tmp_path / "real" / "oxford_iiit_pet" / "4.0.0"
        folder.mkdir(parents=True)
        for path in prepared.iterdir():
            shutil.copy(path, folder / path.name.replace("synthetic_pets", "oxford_iiit_pet"))
        info = json.loads((folder / "dataset_info.json").read_text())
        info["name"] = "oxford_iiit_pet"
        info["moduleName"] = "tensorflow_datasets.datasets.oxford_iiit_pet.oxford_iiit_pet_dataset_builder"
        for key in ("configName", "configDescription"):
            del info[key]
        (folder / "dataset_info.json").write_text(json.dumps(info))
        shard = next(folder.glob("*train*00000-of*"))
        records = [tf.train.Example.FromString(r) for r in tf.data.TFRecordDataset(str(shard)).as_numpy_iterator()]
        edit(records)
        with tf.io.TFRecordWriter(str(shard)) as writer:
            for record in records:
                writer.write(record.SerializeToString())
        return folder.parents[1]

    return make


def test_train_is_cut_within_each_breed_and_test_stays_the_official_one(synthetic):
    assert synthetic.splits == list(pets.SPLITS)
    records = {split: read(synthetic, split) for split in pets.SPLITS}
    per_breed = {split: collections.Counter(value(r, pets.BREED) for r in rs) for split, rs in records.items()}
    assert per_breed["train"] == dict.fromkeys(range(37), 3)
    assert per_breed["eval"] == dict.fromkeys(range(37), 1)
    assert per_breed["test"] == dict.fromkeys(range(37), 2)
    assert len(names(records["train"]) | names(records["eval"]) | names(records["test"])) == 37 * 6
    assert {name.rpartition("_")[2] for name in names(records["test"])} == {"5.jpg", "6.jpg"}


def test_a_record_is_what_the_schema_says(synthetic):
    for record in read(synthetic, "eval"):
        image = pixels(record, pets.IMAGE)
        mask = pixels(record, pets.MASK)
        assert mask.shape == image.shape[:2]
        assert set(np.unique(mask)) == {pets.MASK_BACKGROUND, pets.MASK_PET}
        assert value(record, pets.BREED_NAME).decode() == pets.BREEDS[value(record, pets.BREED)]
        assert value(record, pets.SPECIES_NAME).decode() == pets.SPECIES[value(record, pets.SPECIES_LABEL)]
        assert value(record, pets.SIZE).decode() == pets.SIZES[int(np.mean(mask == pets.MASK_PET) * 3)]
        assert value(record, pets.FILE_NAME).decode().startswith(value(record, pets.BREED_NAME).decode())
        assert len(record) == 8


def test_the_summary_counts_what_was_written(synthetic):
    counted = summary(synthetic)["splits"]
    for split in pets.SPLITS:
        records = read(synthetic, split)
        assert counted[split]["examples"] == len(records)
        assert counted[split]["breeds"] == collections.Counter(value(r, pets.BREED_NAME).decode() for r in records)
        assert counted[split]["sizes"] == collections.Counter(value(r, pets.SIZE).decode() for r in records)


def test_the_same_data_makes_the_same_files(synthetic, data_dir, tmp_path):
    again = run(tmp_path, dataset="synthetic_pets", data_dir=str(data_dir), examples_per_breed=4, eval_fraction=0.25)
    for shard in pathlib.Path(synthetic.uri).rglob("*"):
        if shard.is_file():
            assert shard.read_bytes() == (tmp_path / shard.relative_to(synthetic.uri)).read_bytes()
    assert len(list(pathlib.Path(again.uri).rglob("*"))) == len(list(pathlib.Path(synthetic.uri).rglob("*")))


def test_a_prepared_data_dir_is_read_as_it_is(real, synthetic, tmp_path):
    examples = run(tmp_path / "out", data_dir=str(real()), eval_fraction=0.25)
    assert summary(examples)["dataset"] == "oxford_iiit_pet/4.0.0"
    assert names(read(examples, "eval")) == names(read(synthetic, "eval"))


def repeat_first(records):
    records.append(records[0])


def spoil_mask(records):
    mask = cv2.imencode(".png", np.full((4, 4), 9, np.uint8))[1].tobytes()
    records[0].features.feature["segmentation_mask"].bytes_list.value[:] = [mask]


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (repeat_first, "2 records have this file_name"),
        (spoil_mask, "the trimap is 4 x 4 pixels, but the image is"),
    ],
)
def test_a_bad_record_stops_the_run_and_is_named(real, tmp_path, spoil, message):
    bad = []

    def edit(records):
        spoil(records)
        bad.append(records[0].features.feature["file_name"].bytes_list.value[0].decode())

    folder = real(edit)
    with pytest.raises(Exception, match=message) as caught:
        run(tmp_path / "out", data_dir=str(folder))
    assert bad[0] in str(caught.value)


@pytest.mark.parametrize(
    ("feature", "bad", "message"),
    [
        ("label", tf.train.Feature(int64_list=tf.train.Int64List(value=[37])), "breed label 37 is unknown"),
        ("species", tf.train.Feature(int64_list=tf.train.Int64List(value=[-1])), "species label -1 is unknown"),
        ("image", tf.train.Feature(bytes_list=tf.train.BytesList(value=[b"\x89PNG"])), "not a JPEG"),
    ],
)
def test_an_unknown_label_or_format_is_refused(data_dir, synthetic, feature, bad, message):
    shard = next(data_dir.rglob("*test*00000-of*"))
    record = tf.train.Example.FromString(next(tf.data.TFRecordDataset(str(shard)).as_numpy_iterator()))
    features = dict(record.features.feature.items())
    executor.convert(features, "pet", 0.001)
    with pytest.raises(ValueError, match=message):
        executor.convert(features | {feature: bad}, "pet", 0.001)


def test_without_data_the_error_tells_the_ways_to_provide_it(tmp_path):
    (tmp_path / "archives").mkdir()
    with pytest.raises(RuntimeError, match=r"lacks images\.tar\.gz and annotations\.tar\.gz(?s:.)*one of three ways"):
        run(tmp_path / "out", data_dir=str(tmp_path / "none"), manual_dir=str(tmp_path / "archives"))


@pytest.mark.parametrize("progressive", [0, 1])
def test_the_size_of_a_jpeg_is_read_from_its_header(progressive):
    image = np.zeros((37, 91, 3), np.uint8)
    jpeg = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_PROGRESSIVE, progressive])[1].tobytes()
    assert executor.jpeg_size(jpeg) == (37, 91)


def test_the_fingerprint_follows_the_content_wherever_it_lies(real, tmp_path):
    folder = real()
    moved = tmp_path / "moved"
    shutil.copytree(folder, moved)
    before = fingerprint("oxford_iiit_pet", str(folder))
    assert fingerprint("oxford_iiit_pet", str(moved)) == before
    shard = next(moved.rglob("*test*00000-of*"))
    content = bytearray(shard.read_bytes())
    content[100] ^= 1
    shard.write_bytes(content)
    assert fingerprint("oxford_iiit_pet", str(moved)) != before


def test_preparing_the_official_archives_keeps_the_fingerprint(real, tmp_path):
    folder = real()
    info_file = folder / "oxford_iiit_pet" / "4.0.0" / "dataset_info.json"
    info = json.loads(info_file.read_text())
    info_file.write_text(json.dumps(info | {"downloadSize": str(791918971 + 19173078)}))
    assert fingerprint("oxford_iiit_pet", str(folder)) == fingerprint("oxford_iiit_pet", str(tmp_path / "none"))


def test_the_fingerprint_needs_no_tensorflow():
    code = (
        "import sys; from components.example_gen.fingerprint import fingerprint;"
        "fingerprint('oxford_iiit_pet', ''); sys.exit('tensorflow' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=pathlib.Path(__file__).parents[3])


@pytest.mark.parametrize("wrong", [{"dataset": "mnist"}, {"border": "fur"}, {"min_speck": 1.0}, {"eval_fraction": 0.0}])
def test_the_component_refuses_wrong_parameters(wrong):
    with pytest.raises(ValueError, match=f"{next(iter(wrong))} is"):
        TfdsExampleGen(**({"dataset": "synthetic_pets"} | wrong))


@pytest.mark.skipif(not HUMAN_MASKS.exists(), reason="the shared real photos are not here")
def test_real_photos_with_human_masks(tmp_path):
    examples = run(tmp_path, data_dir=str(HUMAN_MASKS), border="ignore")
    records = {split: read(examples, split) for split in pets.SPLITS}
    assert len(records["train"]) + len(records["eval"]) == 356
    assert len(records["test"]) == 158
    assert set(np.unique(pixels(records["test"][0], pets.MASK))) == {
        pets.MASK_BACKGROUND,
        pets.MASK_PET,
        pets.MASK_IGNORED,
    }
