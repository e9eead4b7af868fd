"""Fingerprints of what TFX's cache does not look at: code that a dotted path names, and files that a config names."""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import pathlib
from collections.abc import Iterator

from pipeline.cause import PACKAGES


def of_code(*names: str) -> str:
    """Hash of sources and of all that they import of this project, so that changed code never hits a stale cache.

    Args:
        names: packages, with everything in them, or modules, dotted.

    Returns:
        16 hexadecimal digits.
    """
    sources = {}
    waiting = [module for name in names for module in _modules(name)]
    while waiting:
        name = waiting.pop()
        if name not in sources and (file := _file(name)):
            sources[name] = file.read_bytes()
            sources |= {f"{name} {data.name}": data.read_bytes() for data in _read_at_run_time(file)}
            waiting += _imports(sources[name])
    digest = hashlib.sha256()
    for name, content in sorted(sources.items()):
        digest.update(name.encode())
        digest.update(content)
    return digest.hexdigest()[:16]


def _modules(name: str) -> Iterator[str]:
    """A module's own name, or those of all in a package."""
    file = _file(name)
    if file is None:
        raise ValueError(f"{name} is no importable package with source files")
    yield name
    if file.name == "__init__.py":
        for path in file.parent.rglob("*.py"):
            yield ".".join([name, *path.relative_to(file.parent).with_suffix("").parts])


def _file(name: str) -> pathlib.Path | None:
    """A module's source; None where there is no such module."""
    top, *below = name.split(".")
    spec = importlib.util.find_spec(top)
    if spec is None or spec.origin is None:
        return None
    path = pathlib.Path(spec.origin).parent.joinpath(*below)
    return next((file for file in (path / "__init__.py", path.with_suffix(".py")) if file.is_file()), None)


def _read_at_run_time(source: pathlib.Path) -> list[pathlib.Path]:
    """Templates and the like, which lie beside the code."""
    return [path for path in source.parent.iterdir() if path.is_file() and path.suffix not in (".py", ".pyc")]


def _imports(source: bytes) -> Iterator[str]:
    """What a module imports of this project, whether at its top or in a function; names in modules are among it."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        else:
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        yield from (name for name in names if name.partition(".")[0] in PACKAGES)


def of_weights(weights: str) -> str:
    """Hash of a weights file's content; a name such as `imagenet` stands for itself."""
    path = pathlib.Path(weights)
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16] if path.is_file() else weights
