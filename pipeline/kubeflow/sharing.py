"""Artifacts by way of a folder that Beam's workers reach.

KFP's launcher keeps the artifacts of a step inside the step's container. Workers on other machines see neither them nor
the temporary files beside them, so both lie in the shared folder while the step runs.
"""

from __future__ import annotations

import contextlib
import copy
import json
import os
import re
import time
import uuid
from collections.abc import Iterator
from typing import Any

_STEP = re.compile(r"step-(\d+)-[0-9a-f]{32}")
"""A step's subfolder: the second in which it began, and something unique."""

_LONGEST_SECONDS = 30 * 86_400
"""Longer than any step takes: `beam.timeout_minutes` is 30,000 at most."""


@contextlib.contextmanager
def through(invocation: dict[str, Any], folder: str) -> Iterator[dict[str, Any]]:
    """Copies inputs to a new subfolder of `folder`, and outputs back from it when the block ends without an error.

    Args:
        invocation: KFP's ExecutorInput as JSON, its URIs local paths.
        folder: a mounted folder or gs://; empty: nothing is copied.

    Yields:
        The ExecutorInput for TFX: the same where `folder` is empty, else one whose URIs lie in the subfolder.
    """
    if not folder:
        yield invocation
        return
    from tfx.dsl.io import fileio
    from tfx.utils import io_utils

    _remove_leftovers(folder)
    place = os.path.join(folder, f"step-{int(time.time())}-{uuid.uuid4().hex}")
    given = copy.deepcopy(invocation)
    local_of: dict[str, dict[str, str]] = {"inputs": {}, "outputs": {}}
    for side, moved in local_of.items():
        for key, artifacts in given.get(side, {}).get("artifacts", {}).items():
            for number, artifact in enumerate(artifacts["artifacts"]):
                shared = os.path.join(place, side, key, str(number))
                moved[shared], artifact["uri"] = artifact["uri"], shared
    # TFX puts a step's temporary files beside this file.
    output_file = given["outputs"]["outputFile"] = os.path.join(place, "executor_output.json")
    try:
        for shared, local in local_of["inputs"].items():
            io_utils.copy_dir(local, shared)
        yield given
        for shared, local in local_of["outputs"].items():
            if fileio.exists(shared):
                io_utils.copy_dir(shared, local)
        text = io_utils.read_string_file(output_file)
        for shared, local in local_of["outputs"].items():
            text = text.replace(json.dumps(shared)[1:-1], json.dumps(local)[1:-1])
        io_utils.write_string_file(invocation["outputs"]["outputFile"], text)
    finally:
        if fileio.exists(place):
            fileio.rmtree(place)


def _remove_leftovers(folder: str) -> None:
    """Removes the copies of steps that were killed: nothing else ever would."""
    from tfx.dsl.io import fileio

    for name in fileio.listdir(folder) if fileio.isdir(folder) else ():
        begun = _STEP.fullmatch(str(name).rstrip("/"))  # buckets list subfolders with a slash
        if begun and time.time() - int(begun[1]) > _LONGEST_SECONDS:
            with contextlib.suppress(Exception):  # another step is at it too
                fileio.rmtree(os.path.join(folder, str(name)))
