from __future__ import annotations

import pathlib

import numpy as np
import pytest
import tensorflow as tf
from conftest import IMAGE_SIZE, small_config

from trainer_module import inputs
from trainer_module.config import Augmentation


@pytest.fixture
def split(records: pathlib.Path) -> inputs.Split:
    return inputs.Split.of([str(records)])


def _first(dataset: tf.data.Dataset) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    return next(dataset.as_numpy_iterator())


def test_a_split_counts_its_examples(split: inputs.Split) -> None:
    assert split.examples == 24


def test_a_split_without_files_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="nowhere"):
        inputs.Split.of(["/nowhere/*"])


def test_training_batches_have_the_networks_shapes_and_ranges(split: inputs.Split, tmp_path: pathlib.Path) -> None:
    image, targets = _first(inputs.train_dataset(split, small_config(batch_size=8), IMAGE_SIZE, str(tmp_path / "c")))
    assert image.shape == (8, 32, 32, 3)
    assert -1 <= image.min() < image.max() <= 1
    assert targets["mask"].shape == (8, 32, 32, 1)
    assert set(np.unique(targets["mask"])) <= {-1.0, 0.0, 1.0}
    np.testing.assert_array_equal(np.sum(targets["breed"], axis=1), np.ones(8))
    assert targets["breed"].shape == (8, 37)


@pytest.mark.parametrize(
    ("task", "label", "expected"),
    [
        ("both", "species", {"species", "mask"}),
        ("classification", "breed", {"breed"}),
        ("segmentation", "breed", {"mask"}),
    ],
)
def test_targets_follow_task_and_label(split: inputs.Split, task: str, label: str, expected: set) -> None:
    _, targets = _first(inputs.eval_dataset(split, small_config(task=task, label=label), IMAGE_SIZE, ""))
    assert set(targets) == expected


def test_cutmix_mixes_labels(split: inputs.Split, tmp_path: pathlib.Path) -> None:
    config = small_config(augmentation=Augmentation(cutmix=1.0), label="species", batch_size=24)
    _, targets = _first(inputs.train_dataset(split, config, IMAGE_SIZE, str(tmp_path / "c")))
    np.testing.assert_allclose(np.sum(targets["species"], axis=1), np.ones(24), rtol=1e-6)
    assert 0 < np.min(targets["species"].max(axis=1)) < 1


def test_every_epoch_is_augmented_anew(split: inputs.Split, tmp_path: pathlib.Path) -> None:
    dataset = inputs.train_dataset(split, small_config(), IMAGE_SIZE, str(tmp_path / "c"))
    assert np.any(_first(dataset)[0] != _first(dataset)[0])


def test_the_same_seed_gives_the_same_epochs(split: inputs.Split, tmp_path: pathlib.Path) -> None:
    def two_epochs(cache: str) -> list[np.ndarray]:
        dataset = inputs.train_dataset(split, small_config(batch_size=8), IMAGE_SIZE, str(tmp_path / cache))
        return [image for _ in range(2) for image, _ in dataset.as_numpy_iterator()]

    for first, second in zip(two_epochs("a"), two_epochs("b"), strict=True):
        np.testing.assert_array_equal(first, second)


def test_a_cache_on_disk_holds_the_same_pictures_as_one_in_memory(split: inputs.Split, tmp_path: pathlib.Path) -> None:
    memory, disk = (
        inputs.eval_dataset(split, small_config(cache_mb=megabytes), IMAGE_SIZE, str(tmp_path / "cache"))
        for megabytes in (100, 0)
    )
    for (first, _), (second, _) in zip(memory.as_numpy_iterator(), disk.as_numpy_iterator(), strict=True):
        np.testing.assert_array_equal(first, second)
    assert list(tmp_path.glob("cache*")), "beyond the budget the pictures should be in a file"


def test_evaluation_sees_every_example_in_order(split: inputs.Split) -> None:
    dataset = inputs.eval_dataset(split, small_config(label="species", batch_size=7), IMAGE_SIZE, "")
    labels = np.concatenate([targets["species"].argmax(axis=1) for _, targets in dataset.as_numpy_iterator()])
    np.testing.assert_array_equal(labels, np.arange(24) % 2)


def test_no_data_set_has_the_tuner_whose_sleep_an_epoch_would_await(records: pathlib.Path) -> None:
    split, config = inputs.Split.of([str(records)]), small_config()
    for data in (inputs.train_dataset(split, config, 64, ""), inputs.eval_dataset(split, config, 64, "")):
        assert data.options().autotune.enabled is False
