"""What `predict` writes: a line a photo as CSV and as JSON, masks, and overlays."""

from __future__ import annotations

import contextlib
import csv
import errno
import io
import json
import os
import pathlib
from collections.abc import Sequence
from typing import Any

from serving import pictures
from serving.models import Answer, Description

CSV_FILE, JSON_FILE = "predictions.csv", "predictions.jsonl"
MASKS, OVERLAYS = "masks", "overlays"
_SUFFIX_OF = {MASKS: ".png", OVERLAYS: ".jpg"}
WRITTEN = (CSV_FILE, JSON_FILE, MASKS, OVERLAYS)
"""All that lies in the folder; `listing` takes none of it for photos."""

_OVERLAY_QUALITY = 85

_OF_ONE_NAME = (errno.ENAMETOOLONG, errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.EINVAL, errno.EILSEQ)
"""What a file system says of one mask's or overlay's name; all else would meet the next photo, too."""


class Writer:
    """Writes into a folder; a photo's mask and overlay lie there under the photo's own path below `root`.

    Lines appear in the order of `write`; whatever was written stays there, in whole lines, if the program ends early or
    the disk is full.
    """

    def __init__(self, folder: str, description: Description, root: str, overlays: bool) -> None:
        """Opens the files anew.

        Args:
            folder: made if there is none.
            description: of the model.
            root: a folder that all photos lie below.
            overlays: whether to draw the masks over the photos.

        Raises:
            OSError: nothing can be written there.
            ValueError: there are no masks to draw.
        """
        if overlays and not description.mask_classes:
            raise ValueError("overlays show masks, and this model gives none: leave --overlays out")
        self._folder, self._root = pathlib.Path(folder), root
        self._description, self._overlays = description, overlays
        self._folder.mkdir(parents=True, exist_ok=True)
        for kind in [MASKS] * bool(description.mask_classes) + [OVERLAYS] * overlays:
            (self._folder / kind).mkdir(exist_ok=True)
        self._csv = self._open(CSV_FILE)
        self._json = self._open(JSON_FILE)
        self._append(_csv_line(_columns(description)), "")
        self.rows = 0
        """Photos that were written."""
        self._failure: OSError | None = None

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, *_: object) -> None:
        self._csv.close()
        self._json.close()

    def write(self, path: str, data: bytes, answer: Answer) -> Answer:
        """Writes one photo's answer; returns it, with an `error` where it has no mask or overlay.

        Args:
            path: of the photo.
            data: its content.
            answer: what the model said.

        Raises:
            OSError: nothing can be written, now or for an earlier photo.
        """
        if self._failure:  # photos after a gap would look like all that there were
            raise self._failure
        try:
            written = self._write_photo(path, data, answer)
        except OSError as error:
            self._failure = error
            self._remove(path, MASKS, OVERLAYS)  # half of one, or what no line tells of
            raise
        self.rows += 1
        return written

    def _write_photo(self, path: str, data: bytes, answer: Answer) -> Answer:
        mask = overlay = ""
        if answer.mask_png:
            try:
                mask = self._write(MASKS, path, answer.mask_png)
                if self._overlays:
                    overlay = self._write(OVERLAYS, path, self._overlay(data, answer.mask_png))
            except ValueError as error:
                answer = answer._replace(error=str(error))
        # Of an earlier run into the same folder: its answer is no longer this photo's.
        self._remove(path, *(kind for kind, written in ((MASKS, mask), (OVERLAYS, overlay)) if not written))
        line = json.dumps(_line(self._description, path, answer, mask, overlay), ensure_ascii=False)
        self._append(_csv_line(_row(self._description, path, answer, mask, overlay)), f"{line}\n")
        return answer

    def _open(self, name: str) -> io.FileIO:
        return open(self._folder / name, "wb", buffering=0)

    def _append(self, row: str, line: str) -> None:
        """Adds to both files, or to none."""
        ends = self._csv.tell(), self._json.tell()
        try:
            for file, text in ((self._csv, row), (self._json, line)):
                # A file's name need not be text: what is none is escaped, and JSON reads that escape.
                left = memoryview(text.encode("utf-8", "backslashreplace"))
                while left:
                    left = left[file.write(left) :]
        except OSError:
            for file, end in zip((self._csv, self._json), ends, strict=True):
                file.truncate(end)
            raise

    def _file(self, kind: str, path: str) -> pathlib.Path:
        """Where a photo's mask or overlay lies."""
        return self._folder / kind / (os.path.relpath(os.path.abspath(path), self._root) + _SUFFIX_OF[kind])

    def _remove(self, path: str, *kinds: str) -> None:
        """Takes a photo's mask or overlay away, if this model gives any."""
        for kind in kinds if self._description.mask_classes else ():
            with contextlib.suppress(OSError):
                self._file(kind, path).unlink()

    def _write(self, kind: str, path: str, content: bytes) -> str:
        """Writes beside the others of its kind; returns the path below the folder.

        Raises:
            ValueError: there can be no file of that name; one sentence.
        """
        file = self._file(kind, path)
        name = str(file.relative_to(self._folder))
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
        except OSError as error:
            if error.errno not in _OF_ONE_NAME:
                raise
            raise ValueError(f"{name} cannot be written: {error.strerror}; rename the photo") from error
        return name

    def _overlay(self, data: bytes, mask_png: bytes) -> bytes:
        try:
            photo = pictures.decode(data, at_least=pictures.OVERLAY_SIDE)
        except ValueError as error:
            raise ValueError(f"the overlay could not be drawn: {error}") from error
        with pictures.Image.open(io.BytesIO(mask_png)) as mask:
            drawn = pictures.overlay(photo, mask, len(self._description.mask_classes))
        encoded = io.BytesIO()
        drawn.save(encoded, "JPEG", quality=_OVERLAY_QUALITY)
        return encoded.getvalue()


def _csv_line(cells: Sequence[str]) -> str:
    line = io.StringIO()
    csv.writer(line).writerow(cells)
    return line.getvalue()


def _columns(description: Description) -> list[str]:
    labels = [description.label, *description.coarser] if description.label is not None else []
    named = [column for label in labels for column in (label, f"{label}_score")]
    return ["file", *named, "known", *(["mask", "overlay"] if description.mask_classes else []), "error"]


def _row(description: Description, path: str, answer: Answer, mask: str, overlay: str) -> list[str]:
    named: list[str] = []
    if description.label is not None:
        pairs = [(answer.classes[0], answer.scores[0]), *answer.coarser.values()] if answer.classes else []
        named = [part for name, score in pairs for part in (name, f"{score:.6f}")]
        named += [""] * (2 + 2 * len(description.coarser) - len(named))
    known = f"{answer.known:.6f}" if _answered(answer) else ""
    return [path, *named, known, *([mask, overlay] if description.mask_classes else []), answer.error]


def _line(description: Description, path: str, answer: Answer, mask: str, overlay: str) -> dict[str, Any]:
    line: dict[str, Any] = {"file": path}
    if answer.classes:
        line[str(description.label)] = dict(zip(answer.classes, answer.scores, strict=True))
        line |= {label: {name: score} for label, (name, score) in answer.coarser.items()}
    if _answered(answer):
        line["known"] = answer.known
    line |= {key: value for key, value in (("mask", mask), ("overlay", overlay), ("error", answer.error)) if value}
    return line


def _answered(answer: Answer) -> bool:
    """Whether the model said something, though a file of it may be missing."""
    return not answer.error or bool(answer.mask_png)
