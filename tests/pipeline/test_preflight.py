from __future__ import annotations

import dataclasses
import pathlib
import pwd
import shutil
import sys
import time
from typing import NamedTuple, NoReturn

import keras
import pytest

from components.datasets import digests
from pipeline import preflight
from pipeline.beam import Beam
from pipeline.configs import Config, Data, debug

REAL_WEIGHTS = pathlib.Path(__file__).parents[3] / "shared" / "weights"


@pytest.fixture
def config(tmp_path: pathlib.Path) -> Config:
    return dataclasses.replace(debug(), data_dir=str(tmp_path / "data"))


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> dict[float, str]:
    """A file of each width, as Keras writes them."""
    folder = tmp_path_factory.mktemp("weights")
    files = {}
    for width in (0.5, 0.75, 1.0):
        files[width] = str(folder / f"{width}.weights.h5")
        network = keras.applications.MobileNetV3Small((32, 32, 3), alpha=width, include_top=False, weights=None)
        network.save_weights(files[width])
    return files


def _refused(config: Config, run_dir: pathlib.Path) -> str:
    with pytest.raises(ValueError, match=" is ") as refusal:
        preflight.check(config, run_dir)
    assert "\n" not in str(refusal.value)
    return str(refusal.value)


def test_all_well_says_nothing_and_takes_no_second(
    config: Config, tmp_path: pathlib.Path, capfd: pytest.CaptureFixture[str]
) -> None:
    started = time.monotonic()
    preflight.check(config, tmp_path / "run")
    assert time.monotonic() - started < 1
    assert capfd.readouterr() == ("", "")


def test_a_run_directory_that_is_a_file(config: Config, tmp_path: pathlib.Path) -> None:
    (tmp_path / "file").touch()
    assert "which is a file: give a folder" in _refused(config, tmp_path / "file")
    assert f"lies below the file {tmp_path / 'file'}" in _refused(config, tmp_path / "file" / "run" / "deep")


def test_a_run_directory_among_the_photos_is_refused_before_it_is_made(config: Config, tmp_path: pathlib.Path) -> None:
    photos = dataclasses.replace(config, data=Data("folder"), data_dir=str(tmp_path))
    with pytest.raises(
        ValueError, match=r"^run_dir is '.*/runs/own', which lies in data_dir '.*': .* --run-dir elsewhere"
    ):
        preflight.check(photos, tmp_path / "runs" / "own")
    assert not (tmp_path / "runs").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="needs a folder that nobody may write, /proc")
def test_a_folder_that_cannot_be_written(config: Config, tmp_path: pathlib.Path) -> None:
    assert _refused(config, pathlib.Path("/proc/run")).startswith("run_dir is '/proc/run', which cannot be written (")
    assert "data_dir is '/proc/data', which cannot" in _refused(
        dataclasses.replace(config, data_dir="/proc/data"), tmp_path
    )


@pytest.mark.parametrize("name", ["a*", "a?", "[v2]", "a]", "back\\slash", "new\nline", "bell\x07", "byte\udcff"])
def test_characters_by_which_tfx_would_look_for_other_files(config: Config, tmp_path: pathlib.Path, name: str) -> None:
    assert _refused(config, tmp_path / name).startswith("run_dir is ")


def test_a_shared_folder_is_refused_since_a_run_here_has_its_own(config: Config, tmp_path: pathlib.Path) -> None:
    flink = Beam("flink", job_endpoint="h:1", flink_master="h:2", worker_pool="h:3", shared_dir="/mnt/shared")
    said = _refused(dataclasses.replace(config, beam=flink), tmp_path / "run")
    assert said.startswith("beam.shared_dir is '/mnt/shared', which is for Kubeflow")


def test_a_data_directory_that_is_a_file(config: Config, tmp_path: pathlib.Path) -> None:
    (tmp_path / "data").touch()
    assert _refused(config, tmp_path / "run").startswith(f"data_dir is '{tmp_path / 'data'}', which is a file")


def test_archives_that_are_not_there_and_what_is(config: Config, tmp_path: pathlib.Path) -> None:
    (tmp_path / "manual").mkdir()
    (tmp_path / "manual" / "images.tar").touch()
    data = Data("oxford_iiit_pet", manual_dir=str(tmp_path / "manual"))
    said = _refused(dataclasses.replace(config, data=data), tmp_path / "run")
    assert "lacks images.tar.gz and annotations.tar.gz (found: images.tar)" in said


def test_data_lie_where_the_environment_says_that_tfds_keeps_them(
    config: Config, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "kept"))
    (tmp_path / "kept").touch()
    config = dataclasses.replace(config, data=Data("oxford_iiit_pet"), data_dir="")
    assert _refused(config, tmp_path / "run").startswith(f"data_dir is '{tmp_path / 'kept'}', which is a file")


@pytest.fixture
def homeless(monkeypatch: pytest.MonkeyPatch) -> None:
    """A user of a number alone, as some clusters choose one."""

    def nobody(_: int) -> NoReturn:
        raise KeyError("uid not found")

    monkeypatch.delenv("HOME")
    monkeypatch.delenv("TFDS_DATA_DIR", raising=False)
    monkeypatch.setattr(pwd, "getpwuid", nobody)


@pytest.mark.usefixtures("homeless")
def test_a_user_without_a_home_is_told_what_lies_there(config: Config, tmp_path: pathlib.Path) -> None:
    tfds = dataclasses.replace(config, data=Data("oxford_iiit_pet"), data_dir="")
    said = _refused(tfds, tmp_path / "run")
    assert said.startswith("data_dir is '~/tensorflow_datasets', but this user has no home directory: set HOME, or")
    archives = dataclasses.replace(config, data=Data("oxford_iiit_pet", manual_dir="~/archives"))
    assert _refused(archives, tmp_path / "run").startswith("data.manual_dir is '~/archives', but this user has no home")


@pytest.mark.usefixtures("homeless")
def test_a_user_without_a_home_may_have_keras_weights_elsewhere(
    config: Config, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KERAS_HOME", raising=False)
    monkeypatch.setattr(preflight, "_KERAS_HOST", "https://nowhere.invalid")
    assert "cannot be reached" in _refused(dataclasses.replace(config, weights="imagenet"), tmp_path / "run")


@pytest.mark.usefixtures("homeless")
def test_digests_of_a_user_without_a_home_are_not_remembered(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    (tmp_path / "photo").write_text("photo")
    with digests.Digests() as known:
        assert len(known.of(str(tmp_path / "photo"))) == 32


class _Usage(NamedTuple):
    total: int
    used: int
    free: int


def test_a_full_disk(config: Config, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: _Usage(0, 0, 30_000_000))
    assert "whose disk has 30 MB free of the 700 MB" in _refused(config, tmp_path / "run")


@pytest.mark.parametrize("width", [0.5, 0.75, 1.0])
def test_weights_of_the_right_width_are_taken(
    config: Config, tmp_path: pathlib.Path, weights: dict[float, str], width: float
) -> None:
    mobilenet = dataclasses.replace(config.contestants["mobilenet_v3_small"], width=width)
    config = dataclasses.replace(config, contestants={"mobilenet_v3_small": mobilenet}, weights=weights[width])
    preflight.check(config, tmp_path / "run")


def test_the_published_weights_are_taken(config: Config, tmp_path: pathlib.Path) -> None:
    files = list(REAL_WEIGHTS.glob("*0.75*.h5"))
    if not files:
        pytest.skip("the published weights are not at hand")
    preflight.check(dataclasses.replace(config, weights=str(files[0])), tmp_path / "run")


def test_weights_of_another_width(config: Config, tmp_path: pathlib.Path, weights: dict[float, str]) -> None:
    said = _refused(dataclasses.replace(config, weights=weights[1.0]), tmp_path / "run")
    assert said.startswith("mobilenet_v3_small: weights is ")
    assert said.endswith("does not fit width 0.75: give --mobilenet-v3-small.width 1.0")


def test_imagenet_weights_are_those_of_two_widths(config: Config, tmp_path: pathlib.Path) -> None:
    narrow = dataclasses.replace(config.contestants["mobilenet_v3_small"], width=0.5)
    imagenet = dataclasses.replace(config, contestants={"mine": narrow}, weights="imagenet")
    assert _refused(imagenet, tmp_path / "run") == (
        "mine: weights is 'imagenet' and width is 0.5: Keras has these weights for 0.75 and 1.0 alone"
    )


def test_the_runs_weights_are_for_networks_that_have_pretrained_ones(config: Config, tmp_path: pathlib.Path) -> None:
    scratch = dataclasses.replace(config.contestants["dcnn"], weights="")
    config = dataclasses.replace(config, contestants={"dcnn": scratch}, weights="imagenet")
    preflight.check(config, tmp_path / "run")
    assert config.weights_of("dcnn") == "none"
    asked = dataclasses.replace(config, contestants={"dcnn": dataclasses.replace(scratch, weights="imagenet")})
    assert "dcnn is trained from scratch: use 'none'" in _refused(asked, tmp_path / "run")


def test_weights_that_are_none(config: Config, tmp_path: pathlib.Path) -> None:
    assert "is no file" in _refused(dataclasses.replace(config, weights="nowhere.h5"), tmp_path / "run")
    (tmp_path / "text.h5").write_text("no weights")
    assert "is no HDF5 file" in _refused(
        dataclasses.replace(config, weights=str(tmp_path / "text.h5")), tmp_path / "run"
    )


def test_imagenet_weights_need_the_network_or_keras_copy(
    config: Config, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preflight, "_KERAS_HOST", "https://nowhere.invalid")
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    imagenet = dataclasses.replace(config, weights="imagenet")
    said = _refused(imagenet, tmp_path / "run")
    assert "https://nowhere.invalid cannot be reached" in said
    assert said.endswith("give a .weights.h5 file, or 'none'")
    (tmp_path / "keras" / "models").mkdir(parents=True)
    (tmp_path / "keras" / "models" / "weights_mobilenet_v3_small_224_0.75_float_no_top_v2.h5").touch()
    preflight.check(imagenet, tmp_path / "run")
