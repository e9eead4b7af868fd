import collections
import dataclasses
import pathlib

import numpy as np
import pytest

from components import datasets
from components.example_gen.component import ExampleGen
from schema import record, spec_file
from tests.components.example_gen.conftest import pixels, run, shards, value
from tests.drawn import BREEDS, SPECIES

HUMAN_MASKS = pathlib.Path(__file__).parents[4] / "shared" / "data" / "pets-human-masks"


def quarter(source):
    """The description with a quarter of each breed in eval."""
    spec = source.spec()
    return dataclasses.replace(spec, splits=dataclasses.replace(spec.splits, eval=0.25))


@pytest.fixture(scope="module")
def synthetic(drawings_dir, tmp_path_factory):
    source = datasets.PetDrawings(4, str(drawings_dir))
    return run(tmp_path_factory.mktemp("made"), source, quarter(source), min_speck=0.001)


def test_train_is_cut_within_each_breed_and_test_stays_the_official_one(synthetic):
    records = {split: synthetic.read(split) for split in record.SPLITS}
    per_breed = {split: collections.Counter(value(r, "breed") for r in rs) for split, rs in records.items()}
    assert per_breed["train"] == dict.fromkeys(range(37), 3)
    assert per_breed["eval"] == dict.fromkeys(range(37), 1)
    assert per_breed["test"] == dict.fromkeys(range(37), 2)
    assert len(synthetic.names("train") | synthetic.names("eval") | synthetic.names("test")) == 37 * 6
    assert {name.rpartition("_")[2] for name in synthetic.names("test")} == {"5.jpg", "6.jpg"}


def test_a_record_is_what_the_schema_says(synthetic):
    for one in synthetic.read("eval"):
        image = pixels(one, record.IMAGE)
        mask = pixels(one, record.MASK)
        assert mask.shape == image.shape[:2]
        assert set(np.unique(mask)) == {record.MASK_BACKGROUND, 1}
        assert value(one, "breed_name").decode() == BREEDS[value(one, "breed")]
        assert value(one, "species_name").decode() == SPECIES[value(one, "species")]
        assert value(one, "size").decode() == record.SIZES[int(np.mean(mask == 1) * 3)]
        assert value(one, record.FILE_NAME).decode().startswith(value(one, "breed_name").decode())
        assert len(one) == 8


def test_photos_with_nothing_wrong_stay_the_bytes_that_they_were(synthetic, drawings_dir):
    source = datasets.PetDrawings(4, str(drawings_dir))
    was = {raw.file_name: raw.image for shard in source.shards() for raw in source.read(shard)}
    for split in record.SPLITS:
        for one in synthetic.read(split):
            assert value(one, record.IMAGE) == was[value(one, record.FILE_NAME).decode()]
    assert synthetic.quarantined == []


def test_the_summary_counts_what_was_written(synthetic):
    for split in record.SPLITS:
        records, counted = synthetic.read(split), synthetic.splits[split]
        assert counted["examples"] == counted["read"] == len(records)
        names = collections.Counter(value(r, "breed_name").decode() for r in records)
        assert counted["labels"]["breed"] == names
        assert counted["sizes"] == collections.Counter(value(r, "size").decode() for r in records)
        assert counted["missing_classes"] == {"breed": [], "species": []}


def test_the_same_data_makes_the_same_files(synthetic, drawings_dir, tmp_path):
    source = datasets.PetDrawings(4, str(drawings_dir))
    again = run(tmp_path, source, quarter(source), min_speck=0.001)
    for first, second in ((synthetic.examples, again.examples), (synthetic.quarantine, again.quarantine)):
        files = sorted(path.relative_to(first) for path in first.rglob("*") if path.is_file())
        assert files == sorted(path.relative_to(second) for path in second.rglob("*") if path.is_file())
        assert all((first / path).read_bytes() == (second / path).read_bytes() for path in files)


def test_a_prepared_data_dir_is_read_as_it_is(real, synthetic, tmp_path):
    source = datasets.OxfordPets(str(real()))
    made = run(tmp_path / "out", source, quarter(source))
    assert made.names("eval") == synthetic.names("eval")


def test_an_emptied_shard_stops_the_run_and_is_named(real, tmp_path):
    data_dir = real()
    emptied = next(shards(data_dir))
    emptied.write_bytes(b"")
    with pytest.raises(Exception, match=rf"shard .*{emptied.name} holds 0 records, but dataset_info.json says \d+"):
        run(tmp_path / "out", datasets.OxfordPets(str(data_dir)))


@pytest.mark.parametrize("damage", ["cut", "checksum"])
def test_a_cut_or_damaged_shard_stops_the_run_and_is_named(real, tmp_path, damage):
    data_dir = real()
    shard = next(shards(data_dir, "test"))
    content = bytearray(shard.read_bytes())
    if damage == "cut":
        del content[-100:]
    else:
        content[len(content) // 2] ^= 1
    shard.write_bytes(content)
    with pytest.raises(Exception, match=rf"shard .*{shard.name} is cut or damaged after record \d+ of \d+"):
        run(tmp_path / "out", datasets.OxfordPets(str(data_dir)))


def spoil(records, count):
    for one in records[:count]:
        one.features.feature["image"].bytes_list.value[:] = [b"no photo"]


def test_more_in_quarantine_than_allowed_stops_the_run_and_names_them(real, tmp_path):
    bad: list[str] = []

    def edit(records):
        spoil(records, 2)
        bad.extend(one.features.feature["file_name"].bytes_list.value[0].decode() for one in records[:2])

    source = datasets.OxfordPets(str(real(edit)))
    with pytest.raises(ValueError, match=r"2 of the \d+ records of split train .* max_quarantined 0.01") as caught:
        run(tmp_path / "out", source)
    assert all(
        f"{name} in oxford_iiit_pet-train.tfrecord-00000-of-00004: its photo" in str(caught.value) for name in bad
    )
    made = run(tmp_path / "allowed", source, max_quarantined=0.02)
    assert {row["file_name"] for row in made.quarantined} == set(bad)


def test_one_bad_record_never_stops_a_run_unless_none_is_allowed(real, tmp_path):
    source = datasets.OxfordPets(str(real(lambda records: spoil(records, 1))))
    made = run(tmp_path / "out", source, max_quarantined=0.001)
    [row] = made.quarantined
    counted = made.splits[row["split"]]
    assert counted["quarantined"] == {"photo": 1}
    assert counted["read"] == counted["examples"] + 1
    with pytest.raises(ValueError, match="1 of the"):
        run(tmp_path / "none", source, max_quarantined=0.0)


def test_without_data_the_error_tells_what_was_found_and_the_ways_to_provide_it(tmp_path):
    (tmp_path / "archives").mkdir()
    (tmp_path / "data" / "mnist" / "3.0.1").mkdir(parents=True)
    (tmp_path / "data" / "mnist" / "3.0.1" / "dataset_info.json").write_text("{}")
    source = datasets.OxfordPets(str(tmp_path / "data"), str(tmp_path / "archives"))
    message = r"but mnist/3.0.1, .*lacks images\.tar\.gz and annotations\.tar\.gz(?s:.)*one of three ways"
    with pytest.raises(RuntimeError, match=message):
        run(tmp_path / "out", source)


def test_the_cache_key_follows_the_data_and_the_component_refuses_wrong_parameters(real):
    source = datasets.OxfordPets(str(real()))

    def properties(**given):
        return ExampleGen(source, source.spec(), fingerprint="0123", **given).exec_properties

    before = properties()
    assert before == properties()
    shard = next(shards(pathlib.Path(source.data_dir), "test"))
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 1
    shard.write_bytes(content)
    assert properties() != before
    for wrong in ({"min_speck": 1.0}, {"max_megapixels": 0}, {"max_quarantined": 1.5}):
        with pytest.raises(ValueError, match=f"{next(iter(wrong))} is"):
            properties(**wrong)


@pytest.mark.skipif(not HUMAN_MASKS.exists(), reason="the shared real photos are not here")
def test_real_photos_with_human_masks(tmp_path):
    described = spec_file.dump(spec_file.shipped("oxford_iiit_pet"))
    ignored = described.replace("pet: [1, 3]", "pet: [1]").replace("ignored: []", "ignored: [3]")
    (tmp_path / "spec.yaml").write_text(ignored)
    source = datasets.OxfordPets(str(HUMAN_MASKS), description=spec_file.load(tmp_path / "spec.yaml"))
    made = run(tmp_path, source, min_speck=0.001)
    assert made.splits["train"]["examples"] + made.splits["eval"]["examples"] == 356
    assert made.splits["test"]["examples"] == 158
    mask = pixels(made.read("test")[0], record.MASK)
    assert set(np.unique(mask)) == {record.MASK_BACKGROUND, 1, record.MASK_IGNORED}
