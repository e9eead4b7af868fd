"""The folder layouts that people have: where a photo's class, split and mask stand by their paths.

    CLASS/…/x.jpg                 classes (Keras' image folder); folders below a class mean nothing
    SPLIT/CLASS/…/x.jpg           the same with splits (TFDS' image folder); see `metadata.SPLIT_NAMES`
    x.jpg  x.png                  a mask beside its photo: PNG, the same name
    x.png  x_mask.png             or with `_mask` or `-mask` after it
    images/…/x.jpg  masks/…/x.png a parallel tree, the classes and splits below both or above both
    JPEGImages  SegmentationClass Pascal VOC, whose lists in ImageSets/Segmentation are the splits

What stands alone at the top or beside masks is no class: `images`, `imgs`, `img`, `photos`, `JPEGImages`.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import posixpath
from collections.abc import Callable, Collection, Iterator, Sequence

from components.datasets import storage
from components.datasets.listing import Listed, printable
from components.datasets.metadata import SPLIT_NAMES

_IMAGES = ("images", "imgs", "img", "photos", "jpegimages")
_MASKS = ("segmentationclass", "masks", "mask", "labels", "annotations", "segmentationobject")
_MARKS = ("_mask", "-mask")

Lister = Callable[[str], storage.Listing]


@dataclasses.dataclass(frozen=True)
class _Place:
    """A folder on the way down: what the path so far says."""

    path: str = ""
    split: str = ""
    parts: tuple[str, ...] = ()
    """Its folders that are neither split nor role: the first is the class."""
    masks: str = ""
    """The folder in parallel that holds its photos' masks."""
    above: frozenset[object] = frozenset()


def examples(root: str, masks: str, label: str) -> Iterator[Listed]:
    """The photos below a folder in the order of their paths, as a stream.

    Args:
        root: the folder.
        masks: a tree of masks parallel to it, from `root` or absolute; empty: found by the conventions.
        label: what the class folders are classes of; empty: they mean nothing.

    Raises:
        ValueError: the layout contradicts itself.
    """
    lister = caching_lister(root)
    listed = _voc_splits(root)
    for place, name, mask in _visit(_Place(masks=masks), root, masks, lister):
        path = posixpath.join(place.path, name)
        stem = posixpath.splitext(name)[0]
        if listed and stem not in listed:
            continue
        classes = ((label, printable(place.parts[0])),) if label and place.parts else ()
        yield Listed(
            file_name=printable(path),
            image=path,
            mask=mask,
            classes=classes,
            split=listed.get(stem, place.split),
            where=storage.join(root, printable(place.path)),
        )


def caching_lister(root: str) -> Lister:
    """Lists folders by their paths from `root`, the last few from memory; one that is missing is empty."""
    return functools.lru_cache(maxsize=64)(functools.partial(_listing, root))


def _listing(root: str, path: str) -> storage.Listing:
    try:
        return storage.listing(storage.join(root, path))
    except (FileNotFoundError, NotADirectoryError):
        return storage.Listing((), ())


def _visit(place: _Place, root: str, explicit: str, lister: Lister) -> Iterator[tuple[_Place, str, str]]:
    """(where, photo's name, mask's path) of every photo at and below a place."""
    here = lister(place.path)
    yield from ((place, name, mask) for name, mask in _photos(place, here.files, explicit, lister))
    identity = storage.identity(storage.join(root, place.path))
    if identity in place.above:
        return  # A link to a folder above.
    images, parallel = _roles(here.folders)
    explicit_path = posixpath.normpath(explicit) if explicit else ""
    folders = [
        name
        for name in here.folders
        if not (images and name.lower() in _MASKS) and posixpath.join(place.path, name) != explicit_path
    ]
    split_level = not place.split and not place.parts and _is_split_level(place.path, folders, root, lister)
    for name in folders:
        path = posixpath.join(place.path, name)
        role = name in images or (name.lower() in _IMAGES and folders == [name])
        below = dataclasses.replace(place, path=path, above=place.above | {identity})
        if role:
            found = posixpath.join(place.path, parallel) if parallel and not explicit else place.masks
            below = dataclasses.replace(below, masks=found)
        else:
            if split_level and name.lower() not in SPLIT_NAMES:
                continue  # It holds no pictures.
            if split_level:
                below = dataclasses.replace(below, split=SPLIT_NAMES[name.lower()])
            else:
                below = dataclasses.replace(below, parts=(*place.parts, name))
            below = dataclasses.replace(below, masks=posixpath.join(place.masks, name) if place.masks else "")
        yield from _visit(below, root, explicit, lister)


def _roles(folders: Sequence[str]) -> tuple[list[str], str]:
    """The folders of photos that have a folder of masks beside them, and that folder; neither without the other."""
    images = [name for name in folders if name.lower() in _IMAGES]
    masks = sorted((name for name in folders if name.lower() in _MASKS), key=lambda name: _MASKS.index(name.lower()))
    return (images, masks[0]) if images and masks else ([], "")


def _is_split_level(path: str, folders: Sequence[str], root: str, lister: Lister) -> bool:
    """Whether the folders are splits. One that is called so among others is a class: trains beside planes."""
    splits = [name for name in folders if name.lower() in SPLIT_NAMES]
    if len(splits) < 2:
        return bool(splits) and len(folders) == 1
    others = [name for name in folders if name not in splits and _has_pictures(posixpath.join(path, name), lister)]
    if others:
        raise ValueError(
            f"{storage.join(root, path)} holds the splits {', '.join(splits)} and beside them the folder "
            f"{printable(others[0])!r} with pictures: move it away, or into a split"
        )
    return True


def _has_pictures(path: str, lister: Lister) -> bool:
    here = lister(path)
    return any(map(storage.is_picture, here.files)) or any(
        _has_pictures(posixpath.join(path, name), lister) for name in here.folders
    )


def _photos(place: _Place, files: Sequence[str], explicit: str, lister: Lister) -> Iterator[tuple[str, str]]:
    """The photos among a folder's files, each with its mask's path or an empty one."""
    pictures = [name for name in files if storage.is_picture(name)]
    if not pictures:
        return
    if place.masks:
        by_stem = _by_stem(filter(storage.is_picture, lister(place.masks).files))
        if by_stem or explicit:
            for name in pictures:
                mask = _first(by_stem, name)
                yield name, posixpath.join(place.masks, mask) if mask else ""
            return
    by_stem = _by_stem(pictures)
    masks = frozenset(itertools.chain.from_iterable(_beside(stem, names, by_stem) for stem, names in by_stem.items()))
    for name in pictures:
        if name not in masks:
            stem = posixpath.splitext(name)[0]
            mask = next(iter(_beside(stem, by_stem[stem], by_stem)), "")
            yield name, posixpath.join(place.path, mask) if mask else ""


def mask_in(tree: str, path: str, lister: Lister) -> str:
    """The path of the mask, in a tree of masks, of the photo that has this path in the tree of photos; empty: none."""
    folder, name = posixpath.split(path)
    folder = storage.join(tree, folder)
    mask = _first(_by_stem(filter(storage.is_picture, lister(folder).files)), name)
    return storage.join(folder, mask) if mask else ""


def mask_beside(path: str, lister: Lister) -> str:
    """The path of the mask that lies beside the photo of this path; empty: there is none."""
    folder, name = posixpath.split(path)
    by_stem = _by_stem(filter(storage.is_picture, lister(folder).files))
    stem = posixpath.splitext(name)[0]
    mask = next((mask for mask in _beside(stem, by_stem.get(stem, ()), by_stem) if mask != name), "")
    return posixpath.join(folder, mask) if mask else ""


def _by_stem(names: Iterator[str] | Sequence[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name in names:
        found.setdefault(posixpath.splitext(name)[0], []).append(name)
    return found


def _beside(stem: str, names: Collection[str], by_stem: dict[str, list[str]]) -> Iterator[str]:
    """The files that are masks of the photo called `stem`, of which `names` are the files."""
    for mark in _MARKS:
        yield from by_stem.get(stem + mark, ())
    if len(names) > 1:
        yield from (name for name in names if storage.suffix(name) == ".png")


def _first(masks: dict[str, list[str]], photo: str) -> str:
    """The mask of a photo in a parallel tree: `x.png`, `x_mask.png`, `x.jpg.png`."""
    stem = posixpath.splitext(photo)[0]
    for name in (stem, *(stem + mark for mark in _MARKS), photo):
        if name in masks:
            return masks[name][0]
    return ""


def _voc_splits(root: str) -> dict[str, str]:
    """Pascal VOC's lists: the split of each photo's name without ending; photos in no list are left out."""
    folder = storage.join(root, "ImageSets", "Segmentation")
    found: dict[str, str] = {}
    for name, split in SPLIT_NAMES.items():
        path = storage.join(folder, f"{name}.txt")
        if storage.is_file(path):
            found |= dict.fromkeys(storage.read(path).decode().split(), split)
    return found
