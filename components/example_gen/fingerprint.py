"""The part of `TfdsExampleGen`'s cache key that its other parameters do not hold: the data and the code.

Computed while the pipeline is built, so it must be quick: no TensorFlow, and of large files only the ends.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import pathlib

_COMPONENTS = pathlib.Path(__file__).parent.parent
_CODE = (
    "example_gen/masks.py",
    "datasets/pet_drawings.py",
    "datasets/synthetic_pets.py",
    "example_gen/component.py",
    "example_gen/executor.py",
    "example_gen/preparation.py",
    "../schema/pets.py",
)
_ENDS = 65536
"""So many bytes at either end of a shard are read."""


def fingerprint(dataset: str, data_dir: str) -> str:
    """Names the data that `TfdsExampleGen` will find, and the code that will prepare it.

    The drawings follow from the code (their number is a parameter of its own). A prepared real data set is known by
    the content of its shards, wherever it lies. One that TFDS made of the official archives, or is still to make of
    them, is known by the archives' checksums, which TFDS verifies: so the first run, which prepares the data, and
    the second, which finds it prepared, share one cache entry.

    Args:
      dataset: `synthetic_pets` or `oxford_iiit_pet`.
      data_dir: A TFDS data_dir; empty for TFDS' default. One that this machine cannot read (a bucket, a volume of
        the cluster) counts as not prepared yet.
    """
    digest = hashlib.sha256()
    for name in _CODE:
        digest.update((_COMPONENTS / name).read_bytes())
    digest.update(b"drawn" if dataset == "synthetic_pets" else _data_key(data_dir))
    return digest.hexdigest()[:16]


def _data_key(data_dir: str) -> bytes:
    root = pathlib.Path(data_dir or os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets").expanduser()
    prepared = sorted(root.glob("oxford_iiit_pet/4.*.*/dataset_info.json"))
    checksums = _official_checksums()
    official_size = sum(int(line.split("\t")[1]) for line in checksums.splitlines())
    if not prepared or json.loads(prepared[-1].read_text()).get("downloadSize") == str(official_size):
        return checksums.encode()
    return _content(prepared[-1].parent)


def _official_checksums() -> str:
    tfds = importlib.util.find_spec("tensorflow_datasets")
    if tfds is None or tfds.origin is None:
        raise ModuleNotFoundError("tensorflow_datasets is not installed: run `make install`")
    return pathlib.Path(tfds.origin).with_name("datasets").joinpath("oxford_iiit_pet/checksums.tsv").read_text()


def _content(folder: pathlib.Path) -> bytes:
    digest = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        size = path.stat().st_size
        digest.update(f"{path.name} {size}\n".encode())
        with path.open("rb") as file:
            digest.update(file.read(_ENDS))
            file.seek(max(0, size - _ENDS))
            digest.update(file.read(_ENDS))
    return digest.digest()
