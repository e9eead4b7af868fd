"""What a local run's metadata store remembers: the last comparison's inputs, what came of it, and its durations."""

from __future__ import annotations

import dataclasses
import os
import pathlib
from collections.abc import Mapping
from typing import Any

import ml_metadata as mlmd
from ml_metadata import proto
from tfx.dsl.compiler import constants
from tfx.orchestration import metadata
from tfx.orchestration.portable.mlmd import execution_lib

from components.comparison import executor
from components.comparison.inputs import Inputs
from components.edge.results import EDGE_FILE, Edge
from trainer_module.config import Recipe


def open_store(metadata_db: str) -> metadata.Metadata:
    """The metadata store of a run's `metadata.db`, to be used in a `with` block.

    Raises:
      FileNotFoundError: There is none.
    """
    if not os.path.exists(metadata_db):
        raise FileNotFoundError(f"there is no {metadata_db}: give the folder of a run of local_runner.py")
    return metadata.Metadata(metadata.sqlite_metadata_connection_config(metadata_db))


def last_inputs(handle: metadata.Metadata) -> Inputs:
    """The inputs of the newest execution of `ModelComparison`, whether it ran, failed or came from the cache.

    Raises:
      LookupError: No execution of it has begun, files of an input are gone, or it was one of earlier code.
    """
    for execution in sorted(handle.store.get_executions(), key=lambda execution: -execution.id):
        artifacts = execution_lib.get_input_artifacts(handle, execution.id)
        if component_of(handle.store, execution.id) == "ModelComparison" and artifacts:
            inputs = {key: list(values) for key, values in artifacts.items()}
            for uri in (artifact.uri for values in inputs.values() for artifact in values):
                if not os.path.exists(uri):
                    raise LookupError(f"{uri} is gone: run local_runner.py again, which makes it anew")
            try:
                read = executor.read_inputs(inputs, _parameters(execution))
                _require_fields_of_today(read.config)
                return read
            except KeyError as error:
                raise LookupError(
                    f"this run's comparison was made by earlier code, which had no {error}: run local_runner.py again"
                ) from error
    raise LookupError("no ModelComparison has begun in this run: let local_runner.py come that far first")


def component_seconds(handle: metadata.Metadata) -> dict[str, float]:
    """How long what each component of a run gave out took to be made, in that run or, if it was cached, in an earlier
    one: by the component's id, in the order of the run, which is that of the newest comparison, or else the newest."""
    store, seconds = handle.store, {}
    newest = max(store.get_executions(), key=lambda one: (component_of(store, one.id) == "ModelComparison", one.id))
    contexts = store.get_contexts_by_execution(newest.id)
    [run] = [context.id for context in contexts if context.type == constants.PIPELINE_RUN_CONTEXT_TYPE_NAME]
    for execution in sorted(store.get_executions_by_context(run), key=lambda execution: execution.id):
        component = component_of(store, execution.id)
        if execution.last_known_state == proto.Execution.CACHED:
            execution = _maker(store, execution)
        if execution.last_known_state == proto.Execution.COMPLETE:
            elapsed = execution.last_update_time_since_epoch - execution.create_time_since_epoch
            seconds[component] = elapsed / 1000
    return seconds


def _maker(store: mlmd.MetadataStore, cached: proto.Execution) -> proto.Execution:
    """The execution that made what another one took from the cache."""
    artifacts = [event.artifact_id for event in store.get_events_by_execution_ids([cached.id]) if _is_output(event)]
    first = min(event.execution_id for event in store.get_events_by_artifact_ids(artifacts) if _is_output(event))
    [made] = store.get_executions_by_id([first])
    return made


def _is_output(event: proto.Event) -> bool:
    return event.type == proto.Event.OUTPUT


def edge_of_last_comparison(handle: metadata.Metadata) -> Edge | None:
    """What `Edge` made of the champion of the newest comparison; None where it did not run, or made nothing."""
    for execution in sorted(handle.store.get_executions(), key=lambda execution: -execution.id):
        component = component_of(handle.store, execution.id)
        if component == "ModelComparison":
            return None
        if component == "Edge" and execution.last_known_state in (proto.Execution.COMPLETE, proto.Execution.CACHED):
            [figures] = execution_lib.get_output_artifacts(handle, execution.id)["figures"]
            file = os.path.join(figures.uri, EDGE_FILE)
            return Edge.from_json(pathlib.Path(file).read_bytes()) if os.path.exists(file) else None
    return None


def component_of(store: mlmd.MetadataStore, execution_id: int) -> str:
    """The id of the component that an execution was of; the store names its context PIPELINE.ID, PIPELINE with dots."""
    contexts = store.get_contexts_by_execution(execution_id)
    return next(
        context.name.rpartition(".")[2] for context in contexts if context.type == constants.NODE_CONTEXT_TYPE_NAME
    )


def _require_fields_of_today(config: Mapping[str, Any]) -> None:
    """Raises KeyError where a recipe lacks a field, which the model card would look for in vain."""
    for recipe in config["contestants"].values():
        for field in dataclasses.fields(Recipe):
            recipe[field.name]


def _parameters(execution: proto.Execution) -> dict[str, Any]:
    return {key: getattr(value, str(value.WhichOneof("value"))) for key, value in execution.custom_properties.items()}
