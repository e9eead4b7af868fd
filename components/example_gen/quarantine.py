"""Quarantine: what ingestion could not use, to be looked at and mended.

A folder with `records.jsonl`, a line a record, in the order of the shards,

    {"file_name": "beagle_7.jpg", "split": "train", "what": "photo", "reason": "its photo cannot be used: it is empty",
     "shard": "oxford_iiit_pet-train.tfrecord-00002-of-00008", "place": [2, 17], "labels": {"kind": 4},
     "photo": "files/00002-000017.jpg", "mask": "files/00002-000017-mask.png"}

and in `files` the bytes as they were; `photo` and `mask` are null where the source had none.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from typing import Any

from tfx.dsl.io import fileio

from components.datasets.listing import printable
from components.datasets.source import RawRecord
from components.example_gen import records

RECORDS_FILE = "records.jsonl"
_FILES = "files"

_EXTENSIONS = {
    b"\xff\xd8": ".jpg",
    b"\x89P": ".png",
    b"GI": ".gif",
    b"BM": ".bmp",
    b"RI": ".webp",
    b"II": ".tif",
    b"MM": ".tif",
}

Row = dict[str, Any]


def prepare(uri: str) -> None:
    """Makes the folder."""
    fileio.makedirs(os.path.join(uri, _FILES))


def keep(uri: str, raw: RawRecord, split: str, refused: records.Refused, place: tuple[int, int], shard: str) -> Row:
    """Writes a record's bytes; returns its line of `records.jsonl`.

    Args:
        uri: the folder.
        raw: the record as its source holds it.
        split: that it would have been in.
        refused: why.
        place: number of its shard and position in it.
        shard: the shard's name.
    """
    stem = os.path.join(_FILES, f"{place[0]:05d}-{place[1]:06d}")
    return {
        "file_name": printable(raw.file_name),
        "split": split,
        "what": refused.what,
        "reason": refused.reason,
        "shard": shard,
        "place": list(place),
        "labels": dict(raw.labels),
        "photo": _write(uri, stem, raw.image),
        "mask": _write(uri, f"{stem}-mask", raw.mask),
    }


def _write(uri: str, stem: str, content: bytes | None) -> str | None:
    if content is None:
        return None
    name = stem + _EXTENSIONS.get(content[:2], ".bin")
    with fileio.open(os.path.join(uri, name), "wb") as file:
        file.write(content)
    return name


def write(uri: str, rows: Iterable[Row]) -> None:
    """Writes `records.jsonl`."""
    lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in sorted(rows, key=lambda row: row["place"])]
    with fileio.open(os.path.join(uri, RECORDS_FILE), "w") as file:
        file.write("".join(lines))


def read(uri: str) -> list[Row]:
    """The lines of `records.jsonl`."""
    with fileio.open(os.path.join(uri, RECORDS_FILE)) as file:
        return [json.loads(line) for line in file.read().split("\n") if line]
