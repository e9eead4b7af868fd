"""The part of `ExampleGen`'s cache key that its other parameters do not hold: the data and the code."""

from __future__ import annotations

import hashlib
import pathlib

from components.datasets.source import Source

_ROOT = pathlib.Path(__file__).parents[2]


def fingerprint(source: Source) -> str:
    """Names the data that `ExampleGen` will find, and the code that will read and check it; 16 hexadecimal digits."""
    digest = hashlib.sha256()
    for folder in ("components/example_gen", "components/datasets", "schema"):
        for path in sorted((_ROOT / folder).glob("*.py")):
            digest.update(path.name.encode())
            digest.update(path.read_bytes())
    digest.update(source.key().encode())
    return digest.hexdigest()[:16]
