"""`Coco`: photos with COCO's instances (polygons, RLE), as Roboflow, CVAT and Label Studio export them.

How objects become a class and a mask:

- Mask: each category with outlines is a class, drawn with the value that the description gives to the class of that
  name; a derived one counts them by name, from 1. Ids mean nothing: the next export may have others. Of two objects
  that overlap the smaller one is on top. Crowd regions (`iscrowd`, see `coco_file.with_crowds`), and the box of an
  object without an outline, are unknown (value 255). A photo without objects is all background.
- Class: the category that covers the largest area of the photo, crowds left out; a photo without objects has none.
  Where only one category is used there is no label, where no object has an outline no mask.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from components.datasets import coco_file, derivation, listing, storage
from components.datasets.coco_file import CocoFile, Object
from components.datasets.listing import Listed, printable
from components.datasets.metadata import SPLIT_NAMES, split_of
from components.datasets.source import RawRecord
from schema.dataset_spec import DatasetSpec, Mask

_IGNORED = 255
"""Value of pixels whose category is unknown."""


class CocoImage(NamedTuple):
    """One image of a file."""

    listed: Listed
    objects: tuple[Object, ...]
    size: tuple[int, int]
    """Height and width in pixels, by the file."""


class CocoShard(NamedTuple):
    """Images that are read together."""

    listed: listing.Shard
    images: tuple[CocoImage, ...]
    mask: Mask | None
    """What they are drawn with; None: they are not."""

    def __str__(self) -> str:
        return str(self.listed)


@dataclasses.dataclass(frozen=True)
class Coco:
    """Images that COCO files annotate; see `components.datasets.source`. The files are held in memory while listed.

    Args:
        annotations: JSON files, each as `FILE` or `SPLIT=FILE` with one of `metadata.SPLIT_NAMES`.
        dir: the folder that their `file_name`s start from; empty: that of the file, or `images` in or beside it.
        description: of the data; None: derived from the categories.
    """

    annotations: tuple[str, ...]
    dir: str = ""
    description: DatasetSpec | None = None

    def __post_init__(self) -> None:
        set_ = object.__setattr__
        set_(self, "dir", storage.absolute(self.dir) if self.dir else "")
        if not self.annotations:
            raise ValueError("annotations is empty: name COCO's JSON files, such as train=annotations/train.json")
        files = []
        for given in self.annotations:
            split, path = _split_and_path(given)
            path = storage.join(self.dir, storage.located(self.dir, path)) if self.dir else storage.absolute(path)
            name, sign, _ = given.partition("=")
            if sign and not split and not storage.is_file(path) and "/" not in name:
                split_of(name, f"annotations {given!r}")
            files.append(f"{split}={path}" if split else path)
        set_(self, "annotations", tuple(files))

    def prepare(self) -> None:
        """Nothing: the files are there or not.

        Raises:
            RuntimeError: one is not.
        """
        for _, path in self.files():
            if not storage.is_file(path):
                raise RuntimeError(f"there is no file {path}: name COCO's JSON files in annotations")

    def spec(self) -> DatasetSpec:
        if self.description:
            return self.description
        files = self._files()
        return _derived(self.dir or _common([file.root("") for file in files]), list(self._images(files)))

    def key(self) -> str:
        return listing.key("", map(_with_objects, self.images()))

    def shards(self) -> Iterator[CocoShard]:
        """As the protocol says; a category that the spec's label or mask does not name is a ValueError too."""
        spec = self.spec()
        images, again = itertools.tee(_checked(self.images(), spec))
        for chunk in listing.shards((image.listed for image in images), spec):
            yield CocoShard(chunk, tuple(itertools.islice(again, len(chunk.examples))), spec.mask)

    def read(self, shard: CocoShard) -> Iterator[RawRecord]:
        for record, image in zip(listing.read("", shard.listed, has_mask=True), shard.images, strict=True):
            try:
                mask, fault = coco_file.drawn(image.objects, image.size, shard.mask) if shard.mask else None, ""
            except ValueError as error:
                mask, fault = None, str(error)
            except MemoryError:
                height, width = image.size
                mask, fault = None, f"a mask of {width} x {height} pixels, as its file says, is too large"
            yield record._replace(mask=mask, fault=record.fault or fault)

    def images(self) -> Iterator[CocoImage]:
        """All images as the files say, in a fixed order.

        Raises:
            ValueError: the files contradict themselves.
        """
        return self._images(self._files())

    def files(self) -> list[tuple[str, str]]:
        """The split that each file is of, or an empty one, and its path."""
        return [_split_and_path(given) for given in self.annotations]

    def _files(self) -> list[CocoFile]:
        return [CocoFile(path, split) for split, path in self.files()]

    def _images(self, files: Sequence[CocoFile]) -> Iterator[CocoImage]:
        roots = {file.path: file.root(self.dir) for file in files}
        top = _common([*roots.values()])
        label = derivation.finest_label(self.description)
        seen: dict[str, str] = {}
        for file, image in coco_file.with_crowds(files):
            path = storage.join(roots[file.path], image.file_name)
            name = printable(path.removeprefix(f"{top}/"))
            where = f"{file.path}, image {image.id}"
            if name in seen:
                raise ValueError(f"{where}: its file_name {name} stands already in {seen[name]}: keep one of them")
            seen[name] = where
            main = coco_file.main_category(image.objects)
            classes = ((label, main),) if label and main else ()
            listed = Listed(name, path, "", classes, file.split, "", where)
            yield CocoImage(listed, tuple(image.objects), image.size)


def _checked(images: Iterable[CocoImage], spec: DatasetSpec) -> Iterator[CocoImage]:
    """The images, whose objects can be drawn as the description says."""
    known = coco_file.values(spec.mask) if spec.mask else {}
    for image in images:
        for one in image.objects:
            if spec.mask and one.drawn and one.category not in known:
                raise ValueError(
                    f"{image.listed.where}: the category {one.category!r} is not among mask.classes of the description "
                    f"{spec.name!r}, which names {', '.join(known)}: call the class as the file calls the "
                    "category; to rename or to merge categories, give them another name in the file"
                )
        yield image


def _derived(source: str, images: Sequence[CocoImage]) -> DatasetSpec:
    """The description that the categories in use suggest."""
    found = derivation.Found([])
    for image in images:
        found.add(image.listed)
    mask = None
    if outlined := sorted({one.category for image in images for one in image.objects if one.drawn}):
        boxed = any(image.objects and not any(one.segmentation for one in image.objects) for image in images)
        mask = Mask(
            classes=tuple(outlined),
            values=tuple((value,) for value in range(1, len(outlined) + 1)),
            ignored=(_IGNORED,),
            optional=boxed and bool(found.labels()),
        )
    if not mask and not found.labels():
        raise ValueError(f"{source}: the {len(images)} images have no objects with outlines, and no two categories")
    return derivation.named(source, found.labels(), mask)


def _with_objects(image: CocoImage) -> Listed:
    """For the cache key: what is drawn of an image beside its file."""
    return image.listed._replace(group=json.dumps([image.size, image.objects]))


def _split_and_path(given: str) -> tuple[str, str]:
    """Of SPLIT=FILE or FILE, which may hold that sign itself."""
    name, _, path = given.partition("=")
    return (SPLIT_NAMES[name.lower()], path) if path and name.lower() in SPLIT_NAMES else ("", given)


def _common(folders: Sequence[str]) -> str:
    """The folder above all of them, or the only one."""
    parts = [folder.split("/") for folder in folders]
    same = itertools.takewhile(lambda names: len(set(names)) == 1, zip(*parts, strict=False))
    return "/".join(names[0] for names in same)
