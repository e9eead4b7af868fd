"""The folder layouts that people have: where a photo's class, split and mask stand by their paths.

    CLASS/…/x.jpg                 classes (Keras' image folder); folders below a class mean nothing
    SPLIT/CLASS/…/x.jpg           the same with splits (TFDS' image folder); see `metadata.SPLIT_NAMES`
    x.jpg  x.png                  a mask beside its photo: PNG, the same name; where most are, a y.png alone is left out
    x.png  x_mask.png             or with `_mask` or `-mask` after it; beside such pairs a y_mask.png alone is left
                                  out, and so is x_mask_1.png
    images/…/x.jpg  masks/…/x.png a parallel tree, the classes and splits below both or above both
    JPEGImages  SegmentationClass Pascal VOC, whose lists in ImageSets/Segmentation are the splits

What stands alone at the top or beside masks is no class: `images`, `imgs`, `img`, `photos`, `JPEGImages`.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import posixpath
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import NamedTuple

from components.datasets import storage
from components.datasets.listing import Listed, printable
from components.datasets.metadata import SPLIT_NAMES, decoded

_IMAGES = ("images", "imgs", "img", "photos", "jpegimages")
_MASKS = ("segmentationclass", "masks", "mask", "labels", "annotations", "segmentationobject")
_MARKS = tuple(sign + mark for sign in "_-" for mark in ("mask", "Mask", "MASK"))
_MARKED = re.compile(r"[_-]mask([_-]?\d+)?$", re.IGNORECASE)
"""The end of a mask's name; with a number it is one of several of a photo, which nobody puts together."""
_VOC_LISTS = "ImageSets/Segmentation"
_VOC_CLASS = re.compile(r"( -|\s{2,}|\t)\d\s*$")
"""What stands after a name in the lists of a class, by which all are in the split: `x -1`, `x  0`, `x  1`."""
_REMEMBERED = 1024
"""So many folders' photos are in memory where a table names them in any order."""

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
    fault: str = ""
    """Why it can hold no photos unless a table says what they are; empty: it can."""
    above: frozenset[object] = frozenset()


def examples(root: str, masks: str, label: str) -> Iterator[Listed]:
    """The photos below a folder in the order of their paths, as a stream; then those that only a list names.

    Args:
        root: the folder.
        masks: a tree of masks parallel to it, from `root` or absolute; empty: found by the conventions.
        label: what the class folders are classes of; empty: they mean nothing.

    Raises:
        ValueError: the layout contradicts itself.
    """
    lister = caching_lister(root)
    listed = _voc_splits(root)
    missing = dict(listed)
    for place, found in _visit(_Place(masks=masks), root, masks, lister):
        for name, mask in found.photos:
            if listed and _stem(name) not in listed:
                continue
            missing.pop(_stem(name), None)
            yield _listed(place, name, mask, root, label, listed)
    for name, split in missing.items():
        fault = f"a list in {_VOC_LISTS} names it, but there is no such photo"
        yield Listed(name, name, split=split, where=storage.join(root, _VOC_LISTS), fault=fault)


def orphans(root: str, masks: str) -> list[str]:
    """Paths of the masks that are no photo's, from `root` or absolute; arguments and errors as of `examples`."""
    taken: set[str] = set()
    others: dict[str, None] = {}
    for _, found in _visit(_Place(masks=masks), root, masks, caching_lister(root)):
        taken.update(mask for _, mask in found.photos)
        others.update(dict.fromkeys(found.orphans))
    return [path for path in others if path not in taken]


def finder(root: str, masks: str, label: str) -> Callable[[str], Listed]:
    """What the layout says of one photo, by its path from `root`: as `examples`, but that nothing is refused.

    Photos in no split or no list are in none, and what lies outside of `root` has at most a mask beside it. The folders
    asked for last are remembered, and no other is looked into.
    """
    lister = caching_lister(root)
    listed = _voc_splits(root)

    def place(path: str) -> _Place:
        if not path:
            return _Place(masks=masks)
        above, name = posixpath.split(path)
        outside = posixpath.isabs(path) or storage.is_remote(path) or path.split("/")[0] == posixpath.pardir
        return _Place(path) if outside else below(above).get(name, _Place(path))

    @functools.lru_cache(_REMEMBERED)
    def below(path: str) -> dict[str, _Place]:
        return _below(place(path), root, masks, lister)

    @functools.lru_cache(_REMEMBERED)
    def photos(folder: str) -> tuple[_Place, dict[str, str]]:
        here = place(folder)
        return here, dict(_found(here, masks, lister).photos)

    def find(path: str) -> Listed:
        folder, name = posixpath.split(path)
        here, masks_of = photos(folder)
        return _listed(here, name, masks_of.get(name, ""), root, label, listed)

    return find


def _listed(place: _Place, name: str, mask: str, root: str, label: str, splits: Mapping[str, str]) -> Listed:
    path = posixpath.join(place.path, name)
    return Listed(
        file_name=printable(path),
        image=path,
        mask=mask,
        classes=((label, printable(place.parts[0])),) if label and place.parts else (),
        split=splits.get(_stem(name), place.split),
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


def _visit(place: _Place, root: str, explicit: str, lister: Lister) -> Iterator[tuple[_Place, _Found]]:
    """What is in a place and in every one below."""
    identity = storage.identity(storage.join(root, place.path))
    if identity in place.above:
        return  # A link to a folder above.
    found = _found(place, explicit, lister)
    if place.fault and found.photos:
        raise ValueError(place.fault)
    yield place, found
    for below in _below(place, root, explicit, lister).values():
        yield from _visit(dataclasses.replace(below, above=place.above | {identity}), root, explicit, lister)


def _below(place: _Place, root: str, explicit: str, lister: Lister) -> dict[str, _Place]:
    """The folders in a place, those of masks left out, by name."""
    names = lister(place.path).folders
    images, parallel = _roles(names)
    explicit_path = posixpath.normpath(explicit) if explicit else ""
    folders = [
        name
        for name in names
        if not (images and name.lower() in _MASKS) and posixpath.join(place.path, name) != explicit_path
    ]
    splits = [] if place.split or place.parts or place.fault else _splits(folders)
    found = {}
    for name in folders:
        below = dataclasses.replace(place, path=posixpath.join(place.path, name))
        if name in images or (name.lower() in _IMAGES and folders == [name]):
            masks = posixpath.join(place.path, parallel) if parallel and not explicit else place.masks
            found[name] = dataclasses.replace(below, masks=masks)
            continue
        if name in splits:
            below = dataclasses.replace(below, split=SPLIT_NAMES[name.lower()])
        elif splits:
            below = dataclasses.replace(below, fault=_beside_splits(storage.join(root, place.path), splits, name))
        else:
            below = dataclasses.replace(below, parts=(*place.parts, name))
        found[name] = dataclasses.replace(below, masks=posixpath.join(place.masks, name) if place.masks else "")
    return found


def _roles(folders: Sequence[str]) -> tuple[list[str], str]:
    """The folders of photos that have a folder of masks beside them, and that folder; neither without the other."""
    images = [name for name in folders if name.lower() in _IMAGES]
    masks = sorted((name for name in folders if name.lower() in _MASKS), key=lambda name: _MASKS.index(name.lower()))
    return (images, masks[0]) if images and masks else ([], "")


def _splits(folders: Sequence[str]) -> list[str]:
    """The folders that are splits. A single one that is called so among others is a class: trains beside planes."""
    splits = [name for name in folders if name.lower() in SPLIT_NAMES]
    return splits if len(splits) > 1 or len(folders) == 1 else []


def _beside_splits(folder: str, splits: Sequence[str], name: str) -> str:
    return (
        f"{folder} holds the splits {', '.join(splits)} and beside them the folder {printable(name)!r} with pictures: "
        "move it away, or into a split"
    )


class _Found(NamedTuple):
    """What a folder's files are."""

    photos: list[tuple[str, str]]
    """Each one's name, and its mask's path or an empty one."""
    orphans: list[str]
    """Paths of masks that are none of theirs."""


def _found(place: _Place, explicit: str, lister: Lister) -> _Found:
    pictures = [name for name in lister(place.path).files if storage.is_picture(name)]
    if place.masks:
        by_stem = _by_stem(filter(storage.is_picture, lister(place.masks).files))
        if by_stem or (explicit and pictures):
            mask_of = {name: _first(by_stem, name) for name in pictures}
            others = set(itertools.chain.from_iterable(by_stem.values())).difference(mask_of.values())
            return _paired(mask_of, sorted(others), place.masks)
    by_stem = _by_stem(pictures)
    masks = frozenset(itertools.chain.from_iterable(_beside(stem, names, by_stem) for stem, names in by_stem.items()))
    mask_of = {
        name: next(_beside(_stem(name), by_stem[_stem(name)], by_stem), "") for name in pictures if name not in masks
    }
    alone = _orphans(masks, mask_of)
    return _paired({name: mask for name, mask in mask_of.items() if name not in alone}, sorted(alone), place.path)


def _paired(mask_of: Mapping[str, str], orphans: Sequence[str], masks: str) -> _Found:
    """What files are, by their names; `masks` is the folder that the masks lie in."""
    photos = [(name, posixpath.join(masks, mask) if mask else "") for name, mask in mask_of.items()]
    return _Found(photos, [posixpath.join(masks, name) for name in orphans])


def _orphans(masks: Collection[str], mask_of: Mapping[str, str]) -> set[str]:
    """The files that are masks as those beside them are, but whose photos are gone.

    A PNG is one only where more PNGs of the folder are masks than are not: a photo may be called as another one is.

    Args:
        masks: the files of a folder that are masks of others.
        mask_of: its other files, each with its mask or an empty name.
    """
    unmarked = [name for name in masks if not _MARKED.search(_stem(name))]
    alone = [name for name, mask in mask_of.items() if not mask]
    pngs = [name for name in alone if storage.suffix(name) == ".png" and not _MARKED.search(_stem(name))]
    orphans = set(pngs) if len(unmarked) > len(pngs) else set()
    marked = [name for name in alone if _MARKED.search(_stem(name))]
    photos = {_stem(name) for name in mask_of}
    # One of several masks of a photo beside it is a mask whatever else there is.
    orphans.update(name for name in marked if len(unmarked) < len(masks) or _MARKED.sub("", _stem(name)) in photos)
    return orphans


def _stem(name: str) -> str:
    return posixpath.splitext(name)[0]


def _by_stem(names: Iterator[str] | Sequence[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name in names:
        found.setdefault(_stem(name), []).append(name)
    return found


def _beside(stem: str, names: Collection[str], by_stem: dict[str, list[str]]) -> Iterator[str]:
    """The files that are masks of the photo called `stem`, of which `names` are the files."""
    for mark in _MARKS:
        yield from by_stem.get(stem + mark, ())
    if len(names) > 1:
        yield from (name for name in names if storage.suffix(name) == ".png")


def _first(masks: dict[str, list[str]], photo: str) -> str:
    """The mask of a photo in a parallel tree: `x.png`, `x_mask.png`, `x.jpg.png`."""
    stem = _stem(photo)
    for name in (stem, *(stem + mark for mark in _MARKS), photo):
        if name in masks:
            return masks[name][0]
    return ""


def voc_lists(root: str) -> dict[str, str]:
    """Paths of Pascal VOC's lists, from `root`, and the split that each is of."""
    lists = {posixpath.join(_VOC_LISTS, f"{name}.txt"): split for name, split in SPLIT_NAMES.items()}
    return {path: split for path, split in lists.items() if storage.is_file(storage.join(root, path))}


def _voc_splits(root: str) -> dict[str, str]:
    """Pascal VOC's lists: the split of each photo's name without ending; photos in no list are left out.

    Raises:
        ValueError: a photo is in the lists of two splits.
    """
    found: dict[str, str] = {}
    for name, split in voc_lists(root).items():
        path = storage.join(root, name)
        lines = decoded(path, storage.read(path)).split("\n")
        here = dict.fromkeys((_VOC_CLASS.sub("", line).strip() for line in lines if line.strip()), split)
        for photo in here:
            if found.get(photo, split) != split:
                raise ValueError(f"{path}: {photo} stands in the list of {found[photo]} too: keep it in one of them")
        found |= here
    return found
