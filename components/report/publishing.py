"""Where a person finds a run's report: a folder that is replaced at once, and in which nobody else's files are lost."""

from __future__ import annotations

import json
import logging
import os
import pathlib
import shutil
from collections.abc import Mapping

from components.edge.results import Edge
from components.report import page

progress = logging.getLogger("progress")

MARKER = ".pets-pipeline.json"
"""Lists the files that this project wrote in the folder; it replaces or removes no others."""


def publish(source: str, destination: str, seconds: Mapping[str, float], edge: Edge | None = None) -> str:
    """Copies a report's folder and adds what came after it; returns the page's path.

    The report is made beside its place and then named. Files that a person put into the last one come along; a folder
    of that name that no report of this project made is kept under another name.

    Args:
      source: The report as `ModelComparison` wrote it.
      destination: Where it goes: a new folder or the last report's.
      seconds: How long each component took, by its name.
      edge: What was made of the champion for phones, if anything was.
    """
    target = pathlib.Path(destination)
    new, old = (target.with_name(f".{target.name}.{state}") for state in ("new", "old"))
    _recover(target, new, old)
    shutil.copytree(source, new)
    page.complete(str(new), seconds, edge)
    (new / MARKER).write_text(json.dumps([MARKER, *_files(new)]))
    if target.is_dir() and (target / MARKER).exists():
        _bring_along(target, new)
        target.rename(old)
        new.rename(target)
        shutil.rmtree(old)
    else:
        if os.path.lexists(target):
            kept = target.rename(_unused(target))
            progress.info("%s was no report of this project's: it is now %s", target, kept)
        new.rename(target)
    return str(target / page.PAGE_FILE)


def _recover(target: pathlib.Path, new: pathlib.Path, old: pathlib.Path) -> None:
    """Undoes or ends what a kill interrupted; both folders are of this module's making, copies or marked."""
    if old.exists() and not target.exists():
        old.rename(target)
    for left in (new, old):
        shutil.rmtree(left, ignore_errors=True)


def _bring_along(target: pathlib.Path, new: pathlib.Path) -> None:
    ours = set(json.loads((target / MARKER).read_text()))
    for name in _files(target):
        if name not in ours and not (new / name).exists():
            (new / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(target / name, new / name, follow_symlinks=False)


def _unused(target: pathlib.Path) -> pathlib.Path:
    """A free name for what stands at `target`: report.kept, report.kept-2, …"""
    number, name = 1, target.with_name(f"{target.name}.kept")
    while os.path.lexists(name):
        number += 1
        name = target.with_name(f"{target.name}.kept-{number}")
    return name


def _files(folder: pathlib.Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_symlink() or path.is_file())
