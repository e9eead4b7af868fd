"""Photos that a person wants left out: a report's `suspects.csv` once it was looked at, or any table of that form."""

from __future__ import annotations

from components.datasets import metadata


def read(path: str) -> tuple[tuple[str, str], ...]:
    """The photos of a .csv or .jsonl file with the columns `split` and `file_name`; others are ignored.

    A photo may stand there several times, as one with two faults does.

    Args:
        path: the file; one behind a scheme (`gs://`) is read there.

    Returns:
        Split (`train`, `eval` or `test`) and file name of each, sorted.

    Raises:
        ValueError: the file cannot be read, or a line is wrong; with file, line and column.
    """
    found = set()
    for line, cells in metadata.lines(path):
        where = f"{path}, line {line}"
        split = metadata.split_of(cells.get("split", ""), where)
        if not split:
            raise ValueError(f"{where}: split is missing: write train, eval or test")
        found.add((split, metadata.file_name_of(cells, where)))
    return tuple(sorted(found))
