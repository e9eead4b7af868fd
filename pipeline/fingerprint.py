"""Fingerprints of what TFX's cache does not look at: code that a dotted path names, and files that a config names."""

from __future__ import annotations

import hashlib
import importlib.util
import pathlib


def of_code(*packages: str) -> str:
    """Hash of the sources of installed packages, so that changed code never hits a stale cache.

    Args:
        packages: names of packages or modules, dotted.

    Returns:
        16 hexadecimal digits.
    """
    digest = hashlib.sha256()
    for package in packages:
        spec = importlib.util.find_spec(package)
        if spec is None or spec.origin is None:
            raise ValueError(f"{package} is no importable package with source files")
        origin = pathlib.Path(spec.origin)
        files = _sources(origin.parent) if spec.submodule_search_locations else [origin]
        for file in files:
            digest.update(str(file.relative_to(origin.parent)).encode())
            digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def _sources(folder: pathlib.Path) -> list[pathlib.Path]:
    """Code and what it reads at run time, such as templates; not what Python compiles it to."""
    return sorted(path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)


def of_weights(weights: str) -> str:
    """Hash of a weights file's content; a name such as `imagenet` stands for itself."""
    path = pathlib.Path(weights)
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16] if path.is_file() else weights
