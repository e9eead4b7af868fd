"""COCO's JSON files: read, checked, their objects drawn as masks."""

from __future__ import annotations

import collections
import io
import json
import posixpath
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import PIL.Image

from components.datasets import storage
from schema.dataset_spec import Mask

_LOOK = 20
"""So many images are looked for to find their folder."""


class Object(NamedTuple):
    """One annotation of an image."""

    id: Any
    category: str
    """Its name: ids may be others in the next export."""
    area: float
    crowd: bool
    box: tuple[float, ...]
    """x, y, width, height in pixels; empty: the file does not say."""
    segmentation: Any
    """A list of polygons or an RLE, as in the file; empty: only the box is known."""

    @property
    def drawn(self) -> bool:
        """Its pixels are its category's; else they are unknown."""
        return bool(self.segmentation) and not self.crowd


class CocoFile:
    """One annotation file, in memory.

    Args:
        path: of the JSON.
        split: `train`, `eval`, `test` or empty, for its images.

    Raises:
        ValueError: it is no such file, or an annotation names an image that it lacks.
    """

    def __init__(self, path: str, split: str) -> None:
        self.path, self.split = path, split
        try:
            content = json.loads(storage.read(path))
        except OSError as error:
            raise ValueError(f"{path} cannot be read: {error.strerror or error}") from error
        except ValueError as error:
            raise ValueError(f"{path} is no JSON: {error}") from error
        missing = (
            [key for key in ("images", "annotations", "categories") if key not in content] if content else ["images"]
        )
        if missing or not isinstance(content, Mapping):
            raise ValueError(f"{path} has no {missing[0]!r}: export the annotations as COCO instances")
        self.images: Sequence[Mapping[str, Any]] = content["images"]
        self.categories: dict[Any, str] = {one["id"]: str(one["name"]) for one in content["categories"]}
        for image in self.images:
            lacking = [key for key in ("id", "file_name", "width", "height") if key not in image]
            if lacking:
                raise ValueError(f"{path}, image {image.get('id', image.get('file_name'))}: it has no {lacking[0]!r}")
        self._annotations: dict[Any, list[Mapping[str, Any]]] = {image["id"]: [] for image in self.images}
        for annotation in content["annotations"]:
            image = annotation["image_id"]
            if image not in self._annotations:
                raise ValueError(
                    f"{path}, annotation {annotation.get('id')}: image_id {image!r} is no image of the file"
                )
            self._annotations[image].append(annotation)

    def objects(self, image: Any) -> tuple[Object, ...]:
        """The objects of the image of that id.

        Raises:
            ValueError: an annotation names a category that the file lacks.
        """
        found = []
        for one in self._annotations[image]:
            category = one.get("category_id")
            if category not in self.categories:
                raise ValueError(
                    f"{self.path}, annotation {one.get('id')}: category_id {category!r} is no category of the file, "
                    f"which has {', '.join(map(str, self.categories))}"
                )
            box = tuple(float(number) for number in one.get("bbox") or ())
            area = float(one.get("area") or (box[2] * box[3] if len(box) == 4 else 0))
            crowd = bool(one.get("iscrowd"))
            outline = one.get("segmentation") or ()
            found.append(Object(one.get("id"), self.categories[category], area, crowd, box, outline))
        return tuple(found)

    def root(self, folder: str) -> str:
        """The folder that the images' names start from.

        Args:
            folder: where they are said to be; they may be near the file too.

        Raises:
            ValueError: none of the first images is found anywhere near.
        """
        beside = posixpath.dirname(self.path)
        bases = [base for base in (folder, beside, posixpath.dirname(beside)) if base]
        stem = posixpath.splitext(posixpath.basename(self.path))[0].removeprefix("instances_")
        places = [
            storage.join(base, *parts) for base in bases for parts in ((), ("images",), (stem,), ("images", stem))
        ]
        for place in places:
            for image in self.images[:_LOOK]:
                if storage.is_file(storage.join(place, file_name(image))):
                    return place
        raise ValueError(
            f"none of the first images of {self.path}, such as {file_name(self.images[0])}, is in "
            f"{', '.join(dict.fromkeys(places))}: name their folder"
            if self.images
            else f"{self.path} lists no images"
        )


def file_name(image: Mapping[str, Any]) -> str:
    """The image's path in its folder, with forward slashes."""
    return str(image["file_name"]).replace("\\", "/").removeprefix("./")


def main_category(objects: Sequence[Object]) -> str:
    """The category with the largest area; empty without objects."""
    areas: collections.Counter[str] = collections.Counter()
    for one in objects:
        if not one.crowd:
            areas[one.category] += max(one.area, 1e-9)  # type: ignore[assignment]
    return min(areas, key=lambda name: (-areas[name], name), default="")


def values(mask: Mask) -> dict[str, int]:
    """The value that a category's pixels are drawn with, by its name."""
    return {name: group[0] for name, group in zip(mask.classes, mask.values, strict=True) if group}


def drawn(objects: Sequence[Object], size: tuple[int, int], mask: Mask) -> bytes | None:
    """The mask of an image as PNG; None if none of its objects has an outline.

    Args:
        objects: of the image; what is drawn of them is of the mask's classes.
        size: its height and width in pixels.
        mask: the values to draw with.

    Raises:
        ValueError: an outline is none, or a value is missing; the message is the reason.
    """
    if objects and not any(one.segmentation for one in objects):
        return None
    if not mask.ignored and not all(one.drawn for one in objects):
        raise ValueError("its crowds and boxes are unknown pixels, but mask.ignored names no value: write [255] there")
    of = values(mask)
    pixels = np.full(size, next(iter(mask.background), 0), np.uint16)
    shapes = [(_shape(one, size), one) for one in objects]
    # Crowds below, then the larger objects, so that what lies on them stays visible.
    shapes.sort(key=lambda pair: (not pair[1].crowd, -int(pair[0].sum()), pair[1].category))
    for shape, one in shapes:
        pixels[shape] = of[one.category] if one.drawn else mask.ignored[0]
    file = io.BytesIO()
    PIL.Image.fromarray(pixels if pixels.max() > 255 else pixels.astype(np.uint8)).save(file, "PNG")
    return file.getvalue()


def _shape(one: Object, size: tuple[int, int]) -> np.ndarray:
    """Where the object is: bool, [H, W]."""
    if not one.segmentation:
        shape = np.zeros(size, bool)
        if len(one.box) == 4:
            x, y, width, height = one.box
            shape[max(0, int(y)) : int(np.ceil(y + height)), max(0, int(x)) : int(np.ceil(x + width))] = True
        return shape
    try:
        return _decoded(_rle(one.segmentation, *size))
    except (ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
        raise ValueError(f"the outline of annotation {one.id} is wrong: {error}") from error


def _rle(segmentation: Any, height: int, width: int) -> Any:
    """An outline as pycocotools' compressed RLE."""
    from pycocotools import mask as coco_mask

    if not isinstance(segmentation, Mapping):
        # pycocotools takes a polygon of two points for a box.
        polygons = [polygon for polygon in segmentation if len(polygon) >= 6]
        if not polygons:
            raise ValueError("its polygons have fewer than three points")
        return coco_mask.merge(coco_mask.frPyObjects(polygons, height, width))
    counts, (rows, columns) = segmentation["counts"], segmentation["size"]
    if (rows, columns) != (height, width):
        raise ValueError(f"its RLE is of {columns} x {rows} pixels, not {width} x {height}")
    if isinstance(counts, list):
        if sum(counts) != rows * columns:
            raise ValueError(f"its RLE covers {sum(counts)} pixels, not {rows * columns}")
        return coco_mask.frPyObjects({"size": [rows, columns], "counts": counts}, height, width)
    return {"size": [rows, columns], "counts": counts.encode("ascii")}


def _decoded(rle: Any) -> np.ndarray:
    from pycocotools import mask as coco_mask

    # Workaround: pycocotools.mask.decode warns of `__array__` without `copy`.
    # Cause: pycocotools 2.0.11 returns arrays by a class that is older than NumPy 2.
    # Can go when: it does not warn.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return coco_mask.decode(rle).astype(bool)
