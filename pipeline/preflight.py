"""What can be known before anything runs: that the folders can be used, the disk has room and the weights fit.

Takes no second, imports nothing heavy and says nothing when all is well. A mistake in the last flag is then found
before the first network has trained, not after it.
"""

from __future__ import annotations

import os
import pathlib
import shutil
import tempfile
import urllib.error
import urllib.request

from pipeline.configs import Config
from schema import ranges
from trainer_module import networks
from trainer_module.config import Recipe

_RUN_MB = 700
"""Of a run without its pictures: two networks, their evaluations, the report and the log (debug: 40 MB), and 200 MB of
Beam's and TensorFlow's temporary files, which lie in its folder too."""
_PETS_MB = 2500
"""Of Oxford-IIIT Pet where it is prepared: 811 MB of archives, the same unpacked, and TFDS' records of them."""

_PREPARED_BY_TFDS = ("synthetic_pets", "oxford_iiit_pet")
_ARCHIVES = ("images.tar.gz", "annotations.tar.gz")
_KERAS_HOST = "https://storage.googleapis.com"
_SECONDS = 10
"""That the host of Keras' weights has to answer."""


def check(config: Config, run_dir: pathlib.Path) -> None:
    """Stops before a component would.

    Args:
        config: what is to run.
        run_dir: the absolute path of the folder that everything is written to; made if it can be.

    Raises:
        ValueError: one sentence that names the field, the wrong value and what to do.
    """
    if config.beam.shared_dir:
        raise ValueError(
            f"beam.shared_dir is {config.beam.shared_dir!r}, which is for Kubeflow: here workers reach artifacts in "
            "run_dir, so leave it out"
        )
    ranges.check("run_dir", str(run_dir), ranges.hints(Config)["run_dir"])
    photos = config.data_path()
    if config.data.source == "folder" and photos and run_dir.resolve().is_relative_to(photos):
        raise ValueError(
            f"run_dir is {str(run_dir)!r}, which lies in data_dir {photos!r}: the run's pictures would be taken "
            "for photos; give a --run-dir elsewhere"
        )
    _check_writable("run_dir", run_dir)
    needed = _RUN_MB + _check_data(config)
    _check_room("run_dir", run_dir, needed, "artifacts, models and a copy of the pictures")
    for name, recipe in config.contestants.items():
        weights = config.weights_of(name)
        try:
            networks.check(recipe.network, recipe.width, weights)
            if weights == "imagenet":
                _check_imagenet(recipe)
            elif weights != "none":
                _check_weights_file(weights, name, recipe)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from error


def _check_writable(name: str, folder: pathlib.Path) -> None:
    """Raises ValueError unless the folder is there, or can be made, and takes a file."""
    for place in (folder, *folder.parents):
        if place.exists() and not place.is_dir():
            lies = "is a file" if place == folder else f"lies below the file {place}"
            raise ValueError(f"{name} is {str(folder)!r}, which {lies}: give a folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise ValueError(
            f"{name} is {str(folder)!r}, which cannot be written ({error.strerror}): give one that can be"
        ) from error


def _check_data(config: Config) -> int:
    """The MB that the run's own copy of the pictures takes.

    Raises:
        ValueError: the data set's folder or the archives' cannot be used, or there is no room to prepare it.
    """
    place = config.data_path() or os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets"  # as TFDS has it
    if "://" in place:
        return 0
    folder = _at_home("data_dir", place).absolute()
    ranges.check("data_dir", str(folder), ranges.hints(Config)["data_dir"])
    if config.data.source not in _PREPARED_BY_TFDS:
        return 0
    prepared = list(folder.glob(f"{config.data.source}/**/dataset_info.json"))
    if prepared:
        records = [file for info in prepared for file in info.parent.iterdir() if file.is_file()]
        unreadable = next((file for file in records if not os.access(file, os.R_OK)), None)
        if unreadable:
            raise ValueError(f"data_dir is {str(folder)!r}, where {unreadable} cannot be read: let this user read it")
        return max(_size_mb(info.parent) for info in prepared)
    _check_writable("data_dir", folder)
    if config.data.source == "synthetic_pets":
        return 0
    if config.data.manual_dir:
        _check_archives(_at_home("data.manual_dir", config.data.manual_dir))
    _check_room("data_dir", folder, _PETS_MB, "Oxford-IIIT Pet, which is not prepared there")
    return _PETS_MB // 3


def _at_home(name: str, place: str) -> pathlib.Path:
    """The path, with the user's home for `~`; raises ValueError where the user has none."""
    try:
        return pathlib.Path(place).expanduser()
    except RuntimeError as error:
        raise ValueError(
            f"{name} is {place!r}, but this user has no home directory: set HOME, or give a path without ~"
        ) from error


def _check_archives(folder: pathlib.Path) -> None:
    missing = [name for name in _ARCHIVES if not os.access(folder / name, os.R_OK)]
    if missing:
        held = ", ".join(sorted(os.listdir(folder))[:5]) if folder.is_dir() else "no folder"
        raise ValueError(
            f"data.manual_dir is {str(folder)!r}, which lacks {' and '.join(missing)} (found: {held or 'nothing'}): "
            "give the folder of the official archives, not extracted"
        )


def _size_mb(folder: pathlib.Path) -> int:
    return sum(file.stat().st_size for file in folder.iterdir() if file.is_file()) // 1_000_000


def _check_room(name: str, folder: pathlib.Path, needed_mb: int, what: str) -> None:
    free_mb = shutil.disk_usage(folder).free // 1_000_000
    if free_mb < needed_mb:
        raise ValueError(
            f"{name} is {str(folder)!r}, whose disk has {free_mb:,} MB free of the {needed_mb:,} MB that it may take "
            f"for {what}: make room or give another folder"
        )


def _check_imagenet(recipe: Recipe) -> None:
    """Raises ValueError unless Keras has the weights already, or their host answers."""
    home = pathlib.Path(os.path.expanduser(os.environ.get("KERAS_HOME", "~/.keras")))
    if (home / "models" / networks.NETWORKS[recipe.network].keras_file.format(width=recipe.width)).is_file():
        return
    try:
        urllib.request.urlopen(urllib.request.Request(_KERAS_HOST, method="HEAD"), timeout=_SECONDS)
    except urllib.error.HTTPError:
        pass  # any answer will do
    except OSError as error:
        raise ValueError(
            f"weights is 'imagenet', which Keras would download, but {_KERAS_HOST} cannot be reached "
            f"({getattr(error, 'reason', error)}): give a .weights.h5 file, or 'none'"
        ) from error


def _check_weights_file(path: str, name: str, recipe: Recipe) -> None:
    """Raises ValueError unless the file holds weights of the recipe's network and width, as its shapes show."""
    import h5py

    shapes = []
    try:
        with h5py.File(path) as file:
            file.visititems(lambda _, of: shapes.append(of.shape) if isinstance(of, h5py.Dataset) else None)
    except OSError as error:
        raise ValueError(f"weights is {path!r}, which is no HDF5 file: give a .weights.h5 file") from error
    network = networks.NETWORKS[recipe.network]
    if network.telling_kernel(recipe.width) in shapes:
        return
    widths = (*network.pretrained_widths, 0.5) if network.width_argument else ()
    fitting = [width for width in widths if network.telling_kernel(width) in shapes]
    flag = name.replace("_", "-")
    advice = f"give --{flag}.width {fitting[0]}" if fitting else f"give one of {network.application} without top"
    raise ValueError(f"weights is {path!r}, which does not fit width {recipe.width}: {advice}")
