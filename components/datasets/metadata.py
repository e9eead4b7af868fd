"""`metadata.csv` and `metadata.jsonl` beside photos, as Hugging Face's image folders have them.

One line an example: `file_name` (the photo's path from the file's folder), and any of `mask` (the mask's path),
`split` and `group`; every other column may be a label. An empty cell or a null is unknown.
"""

from __future__ import annotations

import collections
import csv
import io
import itertools
import json
import posixpath
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from components.datasets import storage
from schema.dataset_spec import RESERVED, DatasetSpec

FILES = ("metadata.csv", "metadata.jsonl")
_MASK_COLUMNS = ("mask", "mask_file_name")
_MOST_CLASSES = 1000
_COLUMNS = ("file_name", "split", "group", *_MASK_COLUMNS)

SPLIT_NAMES: Mapping[str, str] = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev", "eval"), "eval"),
    **dict.fromkeys(("test", "testing"), "test"),
}
"""What folders, columns and files call the splits, in lower case."""


class Row(NamedTuple):
    """One line, and where it stands, for errors."""

    where: str
    file_name: str
    mask: str
    split: str
    group: str
    others: dict[str, str]
    """The other columns' cells."""


def files(root: str, folders: Sequence[str], names: Callable[[str], Sequence[str]]) -> list[tuple[str, str]]:
    """(path, split) of the metadata files in a folder, or else in its splits' folders, whose split they give.

    Args:
        root: the folder.
        folders: those in it.
        names: the files in a folder of that path from `root`.

    Raises:
        ValueError: two of them lie in one folder.
    """
    splits = [(folder, SPLIT_NAMES[folder.lower()]) for folder in folders if folder.lower() in SPLIT_NAMES]
    found: list[tuple[str, str]] = []
    for folder, split in [("", ""), *splits]:
        here = [name for name in names(folder) if name in FILES]
        if len(here) > 1:
            raise ValueError(f"{storage.join(root, folder)} holds {' and '.join(here)}: keep one of them")
        found += [(posixpath.join(folder, name), split) for name in here]
        if found and not folder:
            break
    return found


def label_columns(paths: Sequence[str], labels: Sequence[str], spec: DatasetSpec | None) -> tuple[str, ...]:
    """The columns that are labels, the primary one first; none: class folders give the labels.

    They are `labels`, else those that the spec names, else those that hold the same values again and again: from two
    values up to half as many as there are cells, rounded up.

    Raises:
        ValueError: a label has no column, or two.
    """
    values: dict[str, set[str]] = {}
    cells: collections.Counter[str] = collections.Counter()
    for row in itertools.chain.from_iterable(map(rows, paths)):
        for column, value in row.others.items():
            seen = values.setdefault(column, set())
            cells[column] += bool(value)
            if value and len(seen) <= _MOST_CLASSES:
                seen.add(value)
    values = {column: seen for column, seen in values.items() if seen}
    known = ", ".join(values) or "no column beside file_name, mask, split and group"
    for column in labels:
        if column not in values:
            raise ValueError(f"the label {column!r} is no column of {paths[0]}, which has {known}")
    if labels or not spec:
        chosen = tuple(labels) or tuple(
            column for column, seen in values.items() if 2 <= len(seen) <= min((cells[column] + 1) // 2, _MOST_CLASSES)
        )
        return tuple(_by_label(chosen, paths[0]).values())
    named = {label.name for label in spec.labels}
    by_label = _by_label([column for column in values if label_name(column) in named], paths[0])
    missing = [label.name for label in spec.labels if not label.of and label.name not in by_label]
    if missing and (len(missing) > 1 or by_label):
        raise ValueError(f"the spec's label {missing[0]!r} has no column in {paths[0]}, which has {known}")
    return tuple(by_label[label.name] for label in spec.labels if label.name in by_label)


def _by_label(columns: Sequence[str], path: str) -> dict[str, str]:
    """The column of each label."""
    found: dict[str, str] = {}
    for column in columns:
        other = found.setdefault(label_name(column), column)
        if other != column:
            raise ValueError(
                f"{path}: the columns {other!r} and {column!r} would both be the label {label_name(column)}: name one "
                "of them otherwise, in Latin letters, or name in labels which columns are meant"
            )
    return found


def label_name(column: str) -> str:
    """The label that a column stands for: names that a label cannot have are changed (`class` becomes `kind`)."""
    if column.lower() == "class":
        return "kind"
    name = re.sub(r"[^A-Za-z0-9_]+", "_", column).strip("_")
    if not name[:1].isalpha():
        name = f"label_{name}"
    return f"{name}_class" if name in RESERVED or name.endswith("_name") else name


def split_of(name: str, where: str) -> str:
    """`train`, `eval` or `test`; empty for an empty name.

    Raises:
        ValueError: no split is called so.
    """
    if not name:
        return ""
    if name.lower() not in SPLIT_NAMES:
        raise ValueError(f"{where}: split is {name!r}; write one of {', '.join(SPLIT_NAMES)}, or leave it empty")
    return SPLIT_NAMES[name.lower()]


def rows(path: str) -> Iterator[Row]:
    """The lines of a metadata file as a stream.

    Raises:
        ValueError: the file cannot be read, a line is wrong, or a `file_name` stands there twice; with file and line.
    """
    seen: dict[str, int] = {}
    for line, cells in lines(path):
        where = f"{path}, line {line}"
        name = file_name_of(cells, where)
        if name in seen:
            raise ValueError(f"{where}: {name} stands already in line {seen[name]}: keep one of them")
        seen[name] = line
        mask = next((cells[column] for column in _MASK_COLUMNS if cells.get(column)), "").replace("\\", "/")
        others = {column: cell for column, cell in cells.items() if column not in _COLUMNS}
        split = split_of(cells.get("split", ""), where)
        yield Row(where, name, mask.removeprefix("./"), split, cells.get("group", ""), others)


def lines(path: str) -> Iterator[tuple[int, dict[str, str]]]:
    """Number and cells of each line of a table with the column `file_name`, as a stream.

    Raises:
        ValueError: the file cannot be read, or a line is wrong; with file and line.
    """
    try:
        data = storage.read(path)
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror or error}") from error
    yield from _objects(path, data) if storage.suffix(path) == ".jsonl" else _table(path, data)


def file_name_of(cells: Mapping[str, str], where: str) -> str:
    """The photo's path, with forward slashes.

    Raises:
        ValueError: the cell is empty, or holds what no path can.
    """
    name = cells.get("file_name", "").replace("\\", "/").removeprefix("./")
    if not name:
        raise ValueError(f"{where}: file_name is missing: write the photo's path from the file's folder")
    if not storage.is_path(name):
        raise ValueError(f"{where}: file_name is {name!r}, with a character that no path has")
    return name


def _table(path: str, data: bytes) -> Iterator[tuple[int, dict[str, str]]]:
    text = decoded(path, data)
    head = text.partition("\n")[0]
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=max(",;\t", key=head.count), strict=True)
    header: Sequence[str] | None = None
    try:
        for cells in reader:
            cells = [cell.strip() for cell in cells]
            if not any(cells):
                continue
            if header is None:
                header = _header(path, cells)
                continue
            if len(cells) != len(header):
                raise ValueError(f"{path}, line {reader.line_num}: {len(cells)} cells under {len(header)} columns")
            yield reader.line_num, dict(zip(header, cells, strict=True))
    except csv.Error as error:
        raise ValueError(f"{path}, line {reader.line_num}: {error}") from error
    if header is None:
        raise ValueError(f"{path} is empty: its first line names the columns, file_name among them")


def _header(path: str, columns: Sequence[str]) -> Sequence[str]:
    if "file_name" not in columns:
        raise ValueError(f"{path} has no column file_name; it has {', '.join(columns)}")
    twice = [column for column in columns if columns.count(column) > 1]
    if twice:
        raise ValueError(f"{path} has the column {twice[0]!r} twice")
    for column in columns:
        if column not in _COLUMNS and column.lower() in _COLUMNS:
            raise ValueError(f"{path} has the column {column!r}: write {column.lower()}, or call a label otherwise")
    return columns


def _objects(path: str, data: bytes) -> Iterator[tuple[int, dict[str, str]]]:
    for number, line in enumerate(decoded(path, data).split("\n"), 1):
        if not line.strip():
            continue
        try:
            cells = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{path}, line {number}: this is no JSON: {error}") from error
        if not isinstance(cells, dict):
            raise ValueError(f"{path}, line {number}: this is no JSON object with file_name")
        yield number, {key: _cell(value) for key, value in cells.items()}


def _cell(value: object) -> str:
    """A label's cell as text; lists and objects (boxes, captions' tokens) can be no label and count as empty.

    So does NaN, by which pandas knows a missing cell and Python's `json` writes it.
    """
    empty = value is None or isinstance(value, list | dict) or value != value
    return "" if empty else str(value).strip()


def decoded(path: str, data: bytes) -> str:
    """The text of a file in UTF-8, with a byte order mark or without.

    Raises:
        ValueError: it is none; with file and line.
    """
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ValueError(
            f"{path}, line {line}: byte {data[error.start]:#x} is not UTF-8: save the file as UTF-8"
        ) from error
