"""Pets that TFDS prepares, found in a data_dir or made there: what all such have in common, and Oxford-IIIT Pet."""

from __future__ import annotations

import abc
import contextlib
import dataclasses
import functools
import hashlib
import importlib.util
import logging
import os
import pathlib
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from etils import epath

from components.datasets import tfds_folder
from components.datasets.source import RawRecord
from schema import spec_file
from schema.dataset_spec import DatasetSpec

_progress = logging.getLogger("progress")

NAME, VERSION = "oxford_iiit_pet", "4.*.*"
PREPARED_SHARDS = 4
"""Shards a split of a data set that is prepared here: what can be read at once."""

_HOST = "thor.robots.ox.ac.uk"
_ARCHIVES = ("images.tar.gz", "annotations.tar.gz")


class Pets(abc.ABC):
    """A data set with the features of TFDS' oxford_iiit_pet; see `components.datasets.source`."""

    name: ClassVar[str]
    """Of the shipped description."""
    data_dir: str
    description: DatasetSpec | None

    def spec(self) -> DatasetSpec:
        return self.description or spec_file.shipped(self.name)

    def key(self) -> str:
        folder = None if "://" in self.data_dir else self._prepared()
        return tfds_folder.key(folder) if folder else self._key_of_unprepared()

    def prepare(self) -> None:
        if self._prepared() is None:
            tfds_folder.mark(self._make(), self._key_of_unprepared())
        check_classes(self.folder(), self.spec())

    def folder(self) -> epath.Path:
        """Where TFDS has prepared it."""
        folder = self._prepared()
        assert folder is not None, "prepare() comes first"
        return folder

    def shards(self) -> Iterator[tfds_folder.Shard]:
        return tfds_folder.shards(self.folder())

    def read(self, shard: tfds_folder.Shard) -> Iterator[RawRecord]:
        return (raw_record(features, shard.split) for features in tfds_folder.read(shard))

    @abc.abstractmethod
    def _prepared(self) -> epath.Path | None:
        """Where it lies prepared; None: nowhere yet."""

    @abc.abstractmethod
    def _make(self) -> epath.Path:
        """Prepares it; where."""

    @abc.abstractmethod
    def _key_of_unprepared(self) -> str:
        """Of what it would be made of."""


@dataclasses.dataclass(frozen=True)
class OxfordPets(Pets):
    """The official photos with their trimaps: TFDS' split `train` is to be cut, `test` is given.

    Raises:
        ValueError: `data_dir` is the data set's own folder.
    """

    name = NAME

    data_dir: str = ""
    """A TFDS data_dir, prepared or to be prepared; empty for TFDS' default."""
    manual_dir: str = ""
    """A folder with the official images.tar.gz and annotations.tar.gz; empty to download them."""
    description: DatasetSpec | None = None
    """Of the data; None: schema/oxford_iiit_pet.yaml, where the trimap's border (3) counts as pet."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "data_dir", tfds_folder.absolute(self.data_dir))
        if self.manual_dir:
            object.__setattr__(self, "manual_dir", tfds_folder.absolute(self.manual_dir))

    def _prepared(self) -> epath.Path | None:
        # A data_dir one folder too deep would be taken for an empty one, and 811 MB be downloaded into it.
        found = tfds_folder.find(self.data_dir, NAME, VERSION)
        if not found and NAME in pathlib.PurePath(self.data_dir).parts[-2:]:
            parent = self.data_dir[: self.data_dir.rindex(f"/{NAME}")]
            if tfds_folder.find(parent, NAME, VERSION):
                raise ValueError(f"data_dir {self.data_dir} is a folder of the data set itself: give {parent}")
        return found

    def _make(self) -> epath.Path:
        import tensorflow_datasets as tfds

        builder = tfds.builder(f"{NAME}:{VERSION}", data_dir=self.data_dir)
        found = tfds_folder.others(self.data_dir)
        holds = f"holds no {NAME} of version 4, but {', '.join(found)}" if found else "holds no prepared data set"
        _progress.info("%s %s: preparing %s there", self.data_dir, holds, builder.info.full_name)
        try:
            _require_archives(builder, self.manual_dir)
            tfds_folder.prepare(builder, manual_dir=self.manual_dir or None, num_shards=PREPARED_SHARDS)
        except Exception as error:
            raise RuntimeError(
                f"{NAME} is not prepared in {self.data_dir}, which {holds}, and could not be prepared there: "
                f"{tfds_folder.reason(error)}\nProvide it in one of three ways: a network that reaches {_HOST}; a "
                f"manual_dir with the official {' and '.join(_ARCHIVES)}; or a data_dir in which TFDS has prepared it."
            ) from error
        return builder.data_path

    def _key_of_unprepared(self) -> str:
        """Of the official archives' checksums, which TFDS verifies."""
        tfds = importlib.util.find_spec("tensorflow_datasets")
        if tfds is None or tfds.origin is None:
            raise ModuleNotFoundError("tensorflow_datasets is not installed: run `make install`")
        checksums = pathlib.Path(tfds.origin).with_name("datasets").joinpath(f"{NAME}/checksums.tsv")
        return hashlib.sha256(checksums.read_bytes()).hexdigest()


def check_classes(folder: epath.Path, spec: DatasetSpec) -> None:
    """Holds the class names of prepared data against the description.

    Raises:
        ValueError: they differ.
    """
    for feature, name in (("label", "breed"), ("species", "species")):
        if name not in {label.name for label in spec.labels}:
            continue
        found, expected = tfds_folder.class_names(folder, feature), spec.label(name).classes
        if found != expected:
            raise ValueError(f"{folder} has the {feature} names {found}, expected {expected}")


def raw_record(features: Mapping[str, Any] | None, split: str) -> RawRecord:
    """TFDS' record; what is wrong with it becomes its fault."""
    if features is None:
        return RawRecord("", b"", None, {}, split, fault="it is no tf.Example")
    faults: list[str] = []
    take = functools.partial(tfds_folder.take, features, faults)
    return RawRecord(
        file_name=os.fsdecode(take("file_name", "bytes_list", b"")),
        image=take("image", "bytes_list", b""),
        mask=take("segmentation_mask", "bytes_list", None),
        labels={"breed": take("label", "int64_list", -1), "species": take("species", "int64_list", -1)},
        split=split,
        fault=" and ".join(faults),
    )


def _require_archives(builder: Any, manual_dir: str) -> None:
    """Checks at once that the official archives can be had: TFDS itself retries a dead network for minutes.

    Raises:
        OSError: manual_dir lacks an archive; or there is none, they were not downloaded earlier, and no host answers.
    """
    if manual_dir:
        missing = [name for name in _ARCHIVES if not os.path.exists(os.path.join(manual_dir, name))]
        if missing:
            raise FileNotFoundError(f"manual_dir {manual_dir} lacks {' and '.join(missing)}")
        return
    downloads = builder.data_path.parents[1] / "downloads"
    here = [name for name in _ARCHIVES if any(_finished(downloads, name.removesuffix(".tar.gz")))]
    if len(here) == len(_ARCHIVES):
        _progress.info("unpacking what %s holds", downloads)
        return
    _progress.info("downloading up to 811 MB from %s; some minutes", _HOST)
    with contextlib.suppress(urllib.error.HTTPError):  # any answer will do
        urllib.request.urlopen(urllib.request.Request(f"https://{_HOST}", method="HEAD"), timeout=20)


def _finished(downloads: Any, stem: str) -> Iterator[Any]:
    """Archives that TFDS downloaded whole: the note beside each is written last."""
    return (path for path in downloads.glob(f"*{stem}*.tar.gz") if path.with_name(f"{path.name}.INFO").exists())
