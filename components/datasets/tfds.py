"""`Tfds`: any data set of TFDS that has photos and class labels, masks, or both, found prepared or prepared by TFDS.

Its description follows from what TFDS wrote beside the data, `features.json` and the names of the classes; only what
the values of masks stand for, and whether labels may lack, is read from some of the records. The photos pass as TFDS
stored them, encoded.
"""

from __future__ import annotations

import collections
import dataclasses
import functools
import hashlib
import itertools
import logging
import posixpath
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from etils import epath

from components.datasets import derivation, mask_values, tfds_folder
from components.datasets.metadata import SPLIT_NAMES, label_name
from components.datasets.source import RawRecord
from schema.dataset_spec import DatasetSpec, Label, Mask

_progress = logging.getLogger("progress")

_IMAGE, _MASK = "image", "mask"
_MASKS = ("segmentation_mask", "mask", "annotation", "segmentation_label")
_NAMES = ("file_name", "filename", "image/filename", "image_id", "id")


class Roles(NamedTuple):
    """Which of TFDS' features are what."""

    image: str
    mask: str
    """Empty: there is none."""
    labels: Mapping[str, str]
    """Feature of each label, the primary one first."""
    name: str
    """The text that names an example; empty: its place does."""


@dataclasses.dataclass(frozen=True)
class Tfds:
    """A data set of TFDS in TFRecord files; see `components.datasets.source`.

    Its splits `train`, `validation` (or a name as in `metadata.SPLIT_NAMES`) and `test` are the splits; others are left
    out.

    Args:
        name: as TFDS takes it: `NAME`, `NAME/CONFIG`, either with `:VERSION`.
        data_dir: where it is prepared or to be prepared; empty: TFDS' default.
        features: `ROLE=FEATURE`, where ROLE is `image`, `mask` or the name of a label. Empty: the features called
            `image` and `segmentation_mask` or `mask`, or the only ones that can be meant, and all class labels.
        description: of the data; None: derived.
    """

    name: str
    data_dir: str = ""
    features: tuple[str, ...] = ()
    description: DatasetSpec | None = None

    def __post_init__(self) -> None:
        set_ = object.__setattr__
        set_(self, "data_dir", tfds_folder.absolute(self.data_dir))
        for given in self.features:
            if not all(given.partition("=")):
                raise ValueError(f"features has {given!r}: write ROLE=FEATURE, such as image=photo or kind=label")
        for what, place in (("role", 0), ("feature", 1)):
            names = [given.split("=", 1)[place] for given in self.features]
            if twice := [name for name in names if names.count(name) > 1]:
                raise ValueError(f"features has the {what} {twice[0]} twice: give each once")

    def prepare(self) -> None:
        """Lets TFDS download and prepare the data where it is not, and says which splits are left out.

        Raises:
            RuntimeError: it cannot.
        """
        if self._prepared() is None:
            self._make()
        if left_out := self.left_out():
            named = ", ".join(f"{split} ({count:,})" for split, count in left_out.items())
            _progress.info("left out, splits that are called otherwise than train, validation or test: %s", named)

    def spec(self) -> DatasetSpec:
        if self.description:
            return self.description
        folder = self._folder()
        roles = self._roles(folder)
        sample = self._sample()
        labels = tuple(
            Label(
                name,
                tfds_folder.class_names(folder, feature),
                optional=any(name not in record.labels for record in sample),
            )
            for name, feature in roles.labels.items()
        )
        mask = _derived_mask(self.name, roles.mask, sample) if roles.mask else None
        return derivation.named(self.name.partition(":")[0], labels, mask)

    def key(self) -> str:
        """As the protocol says: of the prepared files; before that, of the name, so that preparing changes nothing."""
        folder = self._prepared()
        return tfds_folder.key(folder) if folder else self._key_of_unprepared()

    def shards(self) -> Iterator[tfds_folder.Shard]:
        """TFDS' shards of the splits that are known."""
        found = [shard for shard in tfds_folder.shards(self._folder()) if shard.split.lower() in SPLIT_NAMES]
        if not found:
            given = ", ".join(sorted({shard.split for shard in tfds_folder.shards(self._folder())}))
            raise ValueError(f"{self.name} has the splits {given}: none of them is called as {', '.join(SPLIT_NAMES)}")
        yield from found

    def left_out(self) -> dict[str, int]:
        """How many examples the other splits hold, by TFDS' name of each."""
        counts: collections.Counter[str] = collections.Counter()
        for shard in tfds_folder.shards(self._folder()):
            if shard.split.lower() not in SPLIT_NAMES:
                counts[shard.split] += shard.examples
        return dict(counts)

    def read(self, shard: tfds_folder.Shard) -> Iterator[RawRecord]:
        roles = self._roles(self._folder())
        for number, features in enumerate(tfds_folder.read(shard)):
            place = f"{shard.split}/{posixpath.basename(shard.path)}-{number}"
            yield _record(features, roles, SPLIT_NAMES[shard.split.lower()], shard.split, place)

    def _prepared(self) -> epath.Path | None:
        name, _, version = self.name.partition(":")
        return tfds_folder.find(self.data_dir, name, version or "*.*.*")

    def _folder(self) -> epath.Path:
        found = self._prepared()
        if found is None:
            raise ValueError(
                f"{self._not_prepared()}: name one of these, or prepare "
                f"it by `tfds build {self.name} --data_dir {self.data_dir}`"
            )
        return found

    def _not_prepared(self) -> str:
        there = ", ".join(tfds_folder.others(self.data_dir)) or "nothing that is prepared"
        return f"{self.name} is not prepared in {self.data_dir}, which holds {there}"

    def _make(self) -> None:
        import tensorflow_datasets as tfds

        _progress.info("preparing %s in %s", self.name, self.data_dir)
        try:
            tfds_folder.prepare(tfds.builder(self.name, data_dir=self.data_dir))
        except Exception as error:
            raise RuntimeError(
                f"{self._not_prepared()}, and could not be prepared there: {tfds_folder.reason(error)}"
                "\nProvide it in one of three ways: a network that reaches its source; a data_dir in which TFDS has "
                "prepared it; or the name of a data set that TFDS knows."
            ) from error
        tfds_folder.mark(self._folder(), self._key_of_unprepared())

    def _key_of_unprepared(self) -> str:
        return hashlib.sha256(f"tfds {self.name}".encode()).hexdigest()[:32]

    def _roles(self, folder: epath.Path) -> Roles:
        """What the features are: as the flags say, else as their names and types do.

        Raises:
            ValueError: a feature is missing, of another type or of floats, or it cannot be known which is meant.
        """
        features = tfds_folder.features(folder)
        images = [name for name, kind in features.items() if "image" in kind]
        labels = [name for name, kind in features.items() if "classLabel" in kind]
        given = dict(one.split("=", 1) for one in self.features)
        for role, feature in given.items():
            allowed = images if role in (_IMAGE, _MASK) else labels
            if feature not in allowed:
                what = "picture" if role in (_IMAGE, _MASK) else "class label"
                raise ValueError(
                    f"features has {role}={feature}, but {self.name} has no {what} of that name; "
                    f"it has {', '.join(allowed) or 'none'}"
                )
        mask = given.get(_MASK) or next((name for name in _MASKS if name in images), "")
        photos = [name for name in images if name != mask]
        image = given.get(_IMAGE) or (_IMAGE if _IMAGE in photos else photos[0] if len(photos) == 1 else "")
        if not image:
            raise ValueError(
                f"{self.name} has the pictures {', '.join(images) or '(none)'}: say which is the photo, features "
                "image=NAME, and which is the mask, mask=NAME"
            )
        chosen = {role: feature for role, feature in given.items() if role not in (_IMAGE, _MASK)}
        if not chosen:
            several = [name for name in labels if len(tfds_folder.class_names(folder, name)) > 1]
            for name in sorted(several, key=lambda name: name != "label"):
                other = chosen.setdefault(label_name(name), name)
                if other != name:
                    raise ValueError(
                        f"{self.name}: the features {other!r} and {name!r} would both be the label {label_name(name)}: "
                        f"say how they are called, features NAME={other} OTHER={name}"
                    )
        for picture in filter(None, (image, mask)):
            if features[picture]["image"].get("dtype") == "float32":
                raise ValueError(
                    f"{self.name} has pictures of floating-point numbers in {picture!r}, of which TFDS writes each as "
                    "the four channels of a PNG: prepare it with 8 or 16 bits"
                )
        name = next((name for name in _NAMES if "text" in features.get(name, {})), "")
        return Roles(image, mask if mask != image else "", chosen, name)

    def _sample(self) -> list[RawRecord]:
        """The first records of each shard, `mask_values.SAMPLE` in all, those with faults left out."""
        shards = list(self.shards())
        each = max(1, mask_values.SAMPLE // len(shards))
        records = itertools.chain.from_iterable(itertools.islice(self.read(shard), each) for shard in shards)
        return [record for record in records if not record.fault]


def _derived_mask(name: str, feature: str, sample: list[RawRecord]) -> Mask:
    values = mask_values.Values()
    fault = ""
    for record in sample:
        try:
            values.add(mask_values.pixels(record.mask or b""))
        except ValueError as error:  # The ExampleGen reports each that cannot be read.
            fault = fault or f", such as {record.file_name}: {error}"
    if not values.pixels:
        raise ValueError(f"{name}: none of the first masks in feature {feature} can be read{fault}")
    return mask_values.derive(values, optional=False)


def _record(features: Mapping[str, Any] | None, roles: Roles, split: str, source_split: str, place: str) -> RawRecord:
    """TFDS' record; what is wrong with it becomes its fault."""
    if features is None:
        return RawRecord(place, b"", None, {}, split, fault="it is no tf.Example")
    faults: list[str] = []
    take = functools.partial(tfds_folder.take, features, faults)
    labels = {label: take(feature, "int64_list", -1) for label, feature in roles.labels.items()}
    name = take(roles.name, "bytes_list", b"").decode("utf-8", "backslashreplace") if roles.name else ""
    return RawRecord(
        file_name=f"{source_split}/{name}" if name else place,
        image=take(roles.image, "bytes_list", b""),
        mask=take(roles.mask, "bytes_list", None) if roles.mask else None,
        labels={label: index for label, index in labels.items() if index >= 0},
        split=split,
        fault=" and ".join(faults),
    )
