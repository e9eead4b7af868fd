"""`Folder`: photos in a folder, described by where they lie (see `layout`) or by a metadata file (see `metadata`)."""

from __future__ import annotations

import dataclasses
import functools
import logging
import posixpath
from collections.abc import Callable, Iterator, Sequence

from components.datasets import derivation, layout, listing, storage
from components.datasets import metadata as tables
from components.datasets.listing import Listed
from components.datasets.source import RawRecord
from schema.dataset_spec import DatasetSpec

_progress = logging.getLogger("progress")
_NAMED = 3
"""So many masks without a photo are named."""


@dataclasses.dataclass(frozen=True)
class Folder:
    """Photos that are read where they lie, in a local folder or behind a scheme; see `components.datasets.source`.

    Args:
        dir: the folder.
        masks: a folder of masks in parallel to it, from there or from the working directory; empty: see `layout`.
        metadata: a metadata file, likewise; if it lies outside of `dir`, the paths in it start from `dir`. Empty:
            `metadata.csv` or `.jsonl` in `dir` or its splits.
        labels: the columns of the metadata that are labels, the primary one first; empty: see `metadata.label_columns`.
        description: of the data; None: derived from the listing, see `derivation`.
    """

    dir: str
    masks: str = ""
    metadata: str = ""
    labels: tuple[str, ...] = ()
    description: DatasetSpec | None = None

    def __post_init__(self) -> None:
        set_ = object.__setattr__
        set_(self, "dir", storage.absolute(self.dir))
        # What lies in the folder is named from there: else the tree of masks would pass for a class.
        for name in ("masks", "metadata"):
            set_(self, name, storage.inside(self.dir, storage.located(self.dir, getattr(self, name))))

    def prepare(self) -> None:
        """Says which masks are left out since their photos are gone; else nothing: the photos are there or not.

        Raises:
            RuntimeError: there is no such folder.
        """
        if not storage.is_folder(self.dir):
            raise RuntimeError(f"there is no folder {self.dir}: name one that holds photos")
        orphans = [] if self._metadata_files() else layout.orphans(self.dir, self.masks)
        if orphans:
            _progress.info("left out, masks without a photo: %d, such as %s", len(orphans), ", ".join(orphans[:_NAMED]))

    def spec(self) -> DatasetSpec:
        if self.description:
            return self.description
        self._require_folder()
        return derivation.spec_of(
            self.dir, self.examples(), self.read_file, tuple(map(tables.label_name, self._columns()))
        )

    def key(self) -> str:
        self._require_folder()
        return listing.key(self.dir, self.examples())

    def shards(self) -> Iterator[listing.Shard]:
        """As the protocol says; a class that the spec does not name is a ValueError too."""
        return listing.shards(self.examples(), self.spec())

    def read(self, shard: listing.Shard) -> Iterator[RawRecord]:
        return listing.read(self.dir, shard)

    def read_file(self, path: str) -> bytes:
        """The content of a file of the data set.

        Raises:
            OSError: it cannot be read.
        """
        return storage.read(storage.join(self.dir, path))

    def examples(self) -> Iterator[Listed]:
        """All examples, in a fixed order, as a stream of what the listing and the metadata say.

        Raises:
            ValueError: these contradict themselves.
        """
        files = self._metadata_files()
        if not files:
            yield from layout.examples(self.dir, self.masks, derivation.finest_label(self.description))
            return
        columns = self._columns()
        find = layout.finder(self.dir, self.masks, "" if columns else derivation.finest_label(self.description))
        for path, split in files:
            # A file that lies elsewhere names photos by their paths in the folder.
            base = "" if posixpath.isabs(path) or storage.is_remote(path) else posixpath.dirname(path)
            named = functools.partial(_path, self.dir, base)
            for row in tables.rows(storage.join(self.dir, path)):
                yield _listed(row, named, split, columns, find)

    def metadata_files(self) -> list[str]:
        """Paths of the metadata files, from `dir` or absolute."""
        return [path for path, _ in self._metadata_files()]

    def _metadata_files(self) -> list[tuple[str, str]]:
        if self.metadata:
            return [(self.metadata, "")]
        lister = layout.caching_lister(self.dir)
        return tables.files(self.dir, lister("").folders, lambda folder: lister(folder).files)

    def _columns(self) -> tuple[str, ...]:
        paths = [storage.join(self.dir, path) for path in self.metadata_files()]
        if self.labels and not paths:
            raise ValueError(
                f"labels is {', '.join(self.labels)}, columns of a metadata file, of which there is none: name it"
            )
        return tables.label_columns(paths, self.labels, self.description) if paths else ()

    def _require_folder(self) -> None:
        if not storage.is_folder(self.dir):
            raise ValueError(f"there is no folder {self.dir}: name one that holds photos")
        if not self.masks:
            return
        if not storage.is_folder(path := storage.join(self.dir, self.masks)):
            raise ValueError(f"there is no folder {path}: name in masks one that holds masks")
        if storage.identity(path) == storage.identity(self.dir):
            raise ValueError(
                f"masks is {self.masks!r}, the folder of the photos: leave it out, masks beside photos are found"
            )


def _path(root: str, base: str, cell: str) -> str:
    """The path of a file that a table in the folder `base` names: from `root` where it lies there."""
    return storage.inside(root, cell if storage.is_remote(cell) else posixpath.normpath(posixpath.join(base, cell)))


def _listed(
    row: tables.Row, named: Callable[[str], str], split: str, columns: Sequence[str], find: Callable[[str], Listed]
) -> Listed:
    """What a row says of its photo, and where it says nothing, what the photo's place does."""
    path = named(row.file_name)
    placed = find(path)
    return placed._replace(
        file_name=path,
        mask=named(row.mask) if row.mask else placed.mask,
        classes=placed.classes
        + tuple((tables.label_name(name), row.others[name]) for name in columns if row.others.get(name)),
        split=row.split or split or placed.split,
        group=row.group,
        where=row.where,
    )
