"""COCO's JSON files: read, checked, their objects drawn as masks."""

from __future__ import annotations

import collections
import io
import json
import math
import posixpath
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np
import PIL.Image

from components.datasets import storage
from schema.dataset_spec import Mask

_LOOK = 20
"""So many images are looked for to find their folder."""
_FARTHEST = 1e6
"""No corner of a polygon lies so many pixels from the origin."""
_T = TypeVar("_T")


class Object(NamedTuple):
    """One annotation of an image."""

    id: Any
    category: str
    """Its name: ids may be others in the next export."""
    area: float
    crowd: bool
    """Several of a kind as one region, whose outline is rough."""
    box: tuple[float, ...]
    """x, y, width, height in pixels; empty: the file does not say."""
    segmentation: Any
    """A list of polygons or an RLE, as in the file; empty: only the box is known."""

    @property
    def drawn(self) -> bool:
        """Its pixels are its category's; else they are unknown."""
        return bool(self.segmentation) and not self.crowd


class Image(NamedTuple):
    """One image of a file."""

    id: Any
    file_name: str
    """Its path in its folder, with forward slashes."""
    size: tuple[int, int]
    """Height and width in pixels."""
    objects: list[Object]


class CocoFile:
    """One annotation file, in memory.

    Args:
        path: of the JSON.
        split: `train`, `eval`, `test` or empty, for its images.

    Raises:
        ValueError: it is no such file, or an entry lacks a field, contradicts another or holds what cannot be; the
            message names file, entry and field.
    """

    def __init__(self, path: str, split: str) -> None:
        self.path, self.split = path, split
        content = _content(path)
        categories = _categories(content["categories"], path)
        images: dict[Any, Image] = {}
        for entry in _entries(content["images"], f"{path}, image"):
            image = _image(entry)
            if image.id in images:
                raise ValueError(f"{entry.where}: its id stands there twice: number the images anew")
            images[image.id] = image
        for entry in _entries(content["annotations"], f"{path}, annotation"):
            of = entry.field("image_id", _identity)
            if of not in images:
                raise ValueError(f"{entry.where}: image_id {of!r} is no image of the file")
            images[of].objects.append(_object(entry, categories))
        self.images = list(images.values())

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
                if storage.is_file(storage.join(place, image.file_name)):
                    return place
        raise ValueError(
            f"none of the first images of {self.path}, such as {self.images[0].file_name}, is in "
            f"{', '.join(dict.fromkeys(places))}: name their folder"
            if self.images
            else f"{self.path} lists no images"
        )


class _Entry(NamedTuple):
    """An element of one of the file's lists, and how errors call it."""

    fields: Mapping[str, Any]
    where: str

    def field(self, name: str, read: Callable[[Any], _T]) -> _T:
        """What a field says.

        Raises:
            ValueError: it is missing or holds what it cannot.
        """
        if name not in self.fields:
            raise ValueError(f"{self.where}: it has no {name!r}")
        try:
            return read(self.fields[name])
        except ValueError as error:
            raise ValueError(f"{self.where}: {name} is {json.dumps(self.fields[name])}: write {error}") from error

    def optional(self, name: str, read: Callable[[Any], _T], default: _T) -> _T:
        """The same of a field that may be missing or null."""
        return default if self.fields.get(name) is None else self.field(name, read)


def _content(path: str) -> Mapping[str, list[Any]]:
    try:
        content = json.loads(storage.read(path))
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is no JSON: {error}") from error
    for key in ("images", "annotations", "categories"):
        if not isinstance(content, Mapping) or not isinstance(content.get(key), list):
            raise ValueError(f"{path} has no {key!r}: export the annotations as COCO instances")
    return content


def _entries(found: Sequence[Any], where: str) -> Iterator[_Entry]:
    for number, one in enumerate(found, 1):
        if not isinstance(one, Mapping):
            raise ValueError(f"{where} number {number}: it is {json.dumps(one)}: write an object with its fields")
        has_id = one.get("id") is not None
        yield _Entry(one, f"{where} {one['id']}" if has_id else f"{where} number {number}")


def _categories(found: Sequence[Any], path: str) -> dict[Any, str]:
    """The categories' names, by id."""
    names: dict[Any, str] = {}
    for entry in _entries(found, f"{path}, category"):
        number, name = entry.field("id", _identity), entry.field("name", _text)
        if names.setdefault(number, name) != name:
            raise ValueError(f"{entry.where}: its id is that of {names[number]!r} too: number the categories anew")
    return names


def _image(entry: _Entry) -> Image:
    name = entry.field("file_name", _path).replace("\\", "/").removeprefix("./")
    size = entry.field("height", _pixels), entry.field("width", _pixels)
    return Image(entry.field("id", _identity), name, size, [])


def _object(entry: _Entry, categories: Mapping[Any, str]) -> Object:
    category = entry.field("category_id", _identity)
    if category not in categories:
        raise ValueError(
            f"{entry.where}: category_id {category!r} is no category of the file, "
            f"which has {', '.join(map(str, categories))}"
        )
    box: tuple[float, ...] = entry.optional("bbox", _box, ())
    segmentation = entry.fields.get("segmentation") or ()
    return Object(
        id=entry.fields.get("id"),
        category=categories[category],
        area=entry.optional("area", _number, 0.0) or _area(segmentation, box),
        crowd=bool(entry.optional("iscrowd", _number, 0.0)),
        box=box,
        segmentation=segmentation,
    )


def _area(segmentation: Any, box: Sequence[float]) -> float:
    """Of an outline in polygons, in pixels; else of the box, 0 where there is none."""
    try:
        corners = [np.asarray(polygon, float).reshape(-1, 2).T for polygon in segmentation]
        found = sum(abs(float(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1)))) / 2 for x, y in corners)
    except (TypeError, ValueError):  # an RLE, or what `_rle` will refuse
        found = 0.0
    return found or (box[2] * box[3] if len(box) == 4 else 0.0)


def _identity(value: Any) -> Any:
    if not isinstance(value, int | float | str):
        raise ValueError("a number")
    return value


def _text(value: Any) -> str:
    if value in (None, "") or isinstance(value, list | Mapping):
        raise ValueError("a text")
    return str(value)


def _path(value: Any) -> str:
    text = _text(value)
    if not storage.is_path(text):
        raise ValueError("a path")
    return text


def _number(value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise ValueError("a number")
    return number


def _pixels(value: Any) -> int:
    number = int(_number(value))
    if number < 1:
        raise ValueError("how many pixels it has")
    return number


def _box(value: Any) -> tuple[float, ...]:
    if not isinstance(value, list):
        raise ValueError("x, y, width and height")
    return tuple(map(_number, value))


def with_crowds(files: Sequence[CocoFile]) -> Iterator[tuple[CocoFile, Image]]:
    """The files' images, `crowd` of an object true only of a category that has single objects somewhere.

    Brush masks are exported with `iscrowd: 1` too, since COCO has RLE for crowds alone (CVAT, Datumaro): where a
    category has nothing else, they are its objects.
    """
    objects = (one for file in files for image in file.images for one in image.objects)
    single = {one.category for one in objects if not one.crowd}
    for file in files:
        for image in file.images:
            found = [one._replace(crowd=one.crowd and one.category in single) for one in image.objects]
            yield file, image._replace(objects=found)


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
            ends = max(0, int(np.ceil(y + height))), max(0, int(np.ceil(x + width)))
            shape[max(0, int(y)) : ends[0], max(0, int(x)) : ends[1]] = True
        return shape
    try:
        return _decoded(_rle(one.segmentation, *size))
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError) as error:
        raise ValueError(f"the outline of annotation {one.id} is wrong: {error}") from error


def _rle(segmentation: Any, height: int, width: int) -> Any:
    """An outline as pycocotools' compressed RLE."""
    from pycocotools import mask as coco_mask

    if not isinstance(segmentation, Mapping):
        # pycocotools takes a polygon of two points for a box.
        polygons = [polygon for polygon in segmentation if len(polygon) >= 6]
        if not polygons:
            raise ValueError("its polygons have fewer than three points")
        # pycocotools walks every pixel of a line, and never arrives at NaN.
        if not all((np.abs(np.asarray(polygon, float)) <= _FARTHEST).all() for polygon in polygons):
            raise ValueError("its polygons hold coordinates that are no pixels")
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
