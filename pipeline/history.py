"""What earlier runs left in a run's directory: paths of another place, artifacts that are gone, killed halves."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import re
import shutil
import sqlite3
from collections.abc import Iterable, Iterator

from ml_metadata.proto import metadata_store_pb2
from tfx.orchestration import metadata

from components.comparison import lineage
from pipeline.run_dir import Unusable
from trainer_module import checkpoint

PIPELINE_DIR = "pipeline"
"""In a run's directory: where its artifacts lie, as COMPONENT/KEY/EXECUTION, a value as a file `value` in that."""

METADATA_FILE = "metadata.db"

_ARTIFACT = re.compile(rf"(?P<run_dir>.*)/{PIPELINE_DIR}/(?P<node>[^/]+)/(?P<key>[^/]+)/(?P<execution>\d+)(/value)?")
_UNFINISHED = (metadata_store_pb2.Execution.NEW, metadata_store_pb2.Execution.RUNNING)


def put_right(run_dir: pathlib.Path) -> list[str]:
    """Before a run: follows a moved directory, and forgets what is gone. Nobody else may be at work in it.

    Returns:
        What a person should know of it, in lines.

    Raises:
        Unusable: the metadata are damaged.
    """
    if not (run_dir / METADATA_FILE).exists():
        return []
    try:
        former = relocate(run_dir)
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError):  # such as a full disk
            raise
        raise Unusable(
            f"{run_dir / METADATA_FILE} is damaged ({error}): move it away, and all steps run anew; pushed models stay"
        ) from error
    lines = [f"moved: what was made in {former} is taken from here"] if former else []
    with lineage.open_store(str(run_dir / METADATA_FILE)) as handle:
        return lines + forget_vanished(handle, run_dir)


def relocate(run_dir: pathlib.Path) -> str | None:
    """Makes the metadata name `run_dir` where it names the place that the directory was moved or copied from.

    Times and ids in the store stay, and so does what the cache knows (see `pipeline.local`).

    Returns:
        The former place; None where it has not moved.
    """
    with contextlib.closing(sqlite3.connect(run_dir / METADATA_FILE)) as connection, connection:
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        uris = [uri for (uri,) in connection.execute("SELECT uri FROM Artifact")] if "Artifact" in tables else []
        matches = [match for uri in uris if (match := _ARTIFACT.fullmatch(uri or ""))]
        former = {match["run_dir"] for match in matches} - {str(run_dir)}
        for place in former:
            change = (str(run_dir), len(place) + 1, len(place) + 1, f"{place}/")
            for table, column in (("Artifact", "uri"), ("ArtifactProperty", "string_value")):
                connection.execute(
                    f"UPDATE {table} SET {column} = ? || substr({column}, ?) WHERE substr({column}, 1, ?) = ?", change
                )
    return ", ".join(sorted(former)) or None


def record(handle: metadata.Metadata, execution_id: int) -> None:
    """Notes which files an execution that is complete has given out, so that `forget_vanished` knows what is gone."""
    for artifact in _outputs(handle, execution_id):
        if place := _record_file(artifact.uri):
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(json.dumps(_sizes(artifact.uri)))


def forget_vanished(handle: metadata.Metadata, run_dir: pathlib.Path) -> list[str]:
    """Takes artifacts whose files are gone, or no longer whole, out of the cache, and of what a champion may replace.

    Returns:
        A line for each, new since the last call: what is gone, and what becomes of it.
    """
    lines = []
    for artifact in handle.store.get_artifacts():
        known = artifact.state == metadata_store_pb2.Artifact.LIVE and artifact.uri.startswith(f"{run_dir}/")
        if known and (missing := _missing(artifact.uri)):
            artifact.state = metadata_store_pb2.Artifact.DELETED
            handle.store.put_artifacts([artifact])
            lines.append(f"gone: {missing}; what an earlier run made there is skipped, and made anew where needed")
    return lines


def remove_halves(handle: metadata.Metadata, run_dir: pathlib.Path) -> None:
    """Removes what executions left that never ended, for a kill ended them, and what trainings kept in case of one.

    To be called when a run is done; no other one may be at work here.
    """
    for execution in handle.store.get_executions():
        if execution.last_known_state in _UNFINISHED:
            node = run_dir / PIPELINE_DIR / lineage.component_of(handle.store, execution.id)
            for half in [*node.glob(f"*/{execution.id}"), node / ".system" / "executor_execution" / str(execution.id)]:
                shutil.rmtree(half, ignore_errors=True)
            execution.last_known_state = metadata_store_pb2.Execution.CANCELED
            handle.store.put_executions([execution])
    for unfinished in (run_dir / PIPELINE_DIR).glob("*/.system/stateful_working_dir/*"):
        shutil.rmtree(unfinished)
    for states in (run_dir / PIPELINE_DIR).glob("*/checkpoints"):
        checkpoint.forget_finished(str(states))


def _outputs(handle: metadata.Metadata, execution_id: int) -> Iterable[metadata_store_pb2.Artifact]:
    events = handle.store.get_events_by_execution_ids([execution_id])
    ids = [event.artifact_id for event in events if event.type == metadata_store_pb2.Event.OUTPUT]
    return handle.store.get_artifacts_by_id(ids)


def _record_file(uri: str) -> pathlib.Path | None:
    match = _ARTIFACT.fullmatch(uri)
    if not match:
        return None
    node = pathlib.Path(match["run_dir"], PIPELINE_DIR, match["node"])
    return node / ".system" / "executor_execution" / match["execution"] / f"{match['key']}.files.json"


def _sizes(uri: str) -> dict[str, int]:
    """Bytes of each file of an artifact, by its path in it."""
    files = [uri] if os.path.isfile(uri) else _walk(uri)
    return {os.path.relpath(path, uri): os.path.getsize(path) for path in files}


def _walk(folder: str) -> Iterator[str]:
    return (os.path.join(place, name) for place, _, names in os.walk(folder) for name in names)


def _missing(uri: str) -> str | None:
    """The first path of an artifact that is not as it was made; None where all are."""
    if not os.path.exists(uri):
        return uri
    noted = _record_file(uri)
    if noted is None or not noted.exists():  # a kill came between the two
        return None
    found = _sizes(uri)
    expected: dict[str, int] = json.loads(noted.read_text())
    return next((os.path.normpath(f"{uri}/{name}") for name, size in expected.items() if found.get(name) != size), None)
