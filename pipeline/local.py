"""Runs a pipeline on this machine, component by component, and says how each one went."""

from __future__ import annotations

import contextlib
import copy
import datetime
import pathlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any
from unittest import mock

from ml_metadata.proto import metadata_store_pb2
from tfx import types
from tfx import v1 as tfx
from tfx.dsl.compiler import compiler, constants
from tfx.orchestration import metadata
from tfx.orchestration.local import runner_utils
from tfx.orchestration.portable import cache_utils, launcher, runtime_parameter_utils

from pipeline import history
from pipeline.cause import ComponentError
from pipeline.configs import Config
from pipeline.console import RunDisplay
from pipeline.pipeline import ServingModel, create_pipeline

_RESOLVER = f"{tfx.dsl.Resolver.__module__}.{tfx.dsl.Resolver.__qualname__}"


def create(config: Config, folder: pathlib.Path, serving_model: ServingModel | None = None) -> tfx.dsl.Pipeline:
    """The pipeline of a run in `folder`, which gets its metadata, artifacts and pushed versions.

    Args:
        config: what to run; it says where the data lies.
        folder: the run's own; it exists.
        serving_model: see `create_pipeline`.

    Raises:
        ValueError: see `create_pipeline`.
    """
    return create_pipeline(
        config,
        pipeline_root=str(folder / history.PIPELINE_DIR),
        serving_dir=str(folder / "serving"),
        data_dir=config.data_path(),
        serving_model=serving_model,
        metadata_connection_config=tfx.orchestration.metadata.sqlite_metadata_connection_config(
            str(folder / history.METADATA_FILE)
        ),
    )


def run(pipeline: tfx.dsl.Pipeline, display: RunDisplay, uncached: Collection[str] = ()) -> dict[str, int]:
    """Runs the components in order; what a component did in an earlier run with the same inputs comes from the cache.

    `LocalDagRunner` does the same, but tells nobody what it is doing.

    Args:
        pipeline: to run; its root lies in the directory of its metadata.
        display: where to say how it goes.
        uncached: ids of components that run though nothing changed.

    Returns:
        The execution's id in the metadata store for each component's id.

    Raises:
        ComponentError: from the error of the component that failed. What ran before it is kept.
    """
    plan = compiler.Compiler().compile(pipeline)
    run_id = datetime.datetime.now().isoformat()
    runtime_parameter_utils.substitute_runtime_parameter(plan, {constants.PIPELINE_RUN_ID_PARAMETER_NAME: run_id})
    deployment = runner_utils.extract_local_deployment_config(plan)
    connection = pipeline.metadata_connection_config
    root = str(pipeline.pipeline_info.pipeline_root)
    executions: dict[str, int] = {}
    for node in plan.nodes:
        name = node.pipeline_node.node_info.id
        if name in uncached:
            node.pipeline_node.execution_options.caching_options.enable_cache = False
        with display.component(name) as outcome, _keys_without_place(root):
            try:
                execution = launcher.Launcher(
                    pipeline_node=node.pipeline_node,
                    mlmd_connection=metadata.Metadata(connection),
                    pipeline_info=plan.pipeline_info,
                    pipeline_runtime_spec=plan.runtime_spec,
                    executor_spec=runner_utils.extract_executor_spec(deployment, name),
                    custom_driver_spec=runner_utils.extract_custom_driver_spec(deployment, name),
                ).launch()
            except Exception as error:
                raise ComponentError(name) from error
            # The launcher's None means that a node was not asked to run, and here each one is.
            assert execution is not None
            executions[name] = execution.execution_id or 0
            if node.pipeline_node.node_info.type.name == _RESOLVER:
                outcome["state"] = "looked up"  # a query of the metadata, made in every run
            elif _was_cached(connection, executions[name]):
                outcome["state"] = "cached"
            else:
                outcome["state"] = "complete"
                with metadata.Metadata(connection) as handle:
                    history.record(handle, executions[name])
    with metadata.Metadata(connection) as handle:
        history.remove_halves(handle, pathlib.Path(root).parent)
    return executions


def output_uri(connection: metadata_store_pb2.ConnectionConfig, execution_id: int, key: str) -> str:
    """Where the artifact `key` that an execution made, or took from the cache, lies."""
    with metadata.Metadata(connection) as handle:
        events = handle.store.get_events_by_execution_ids([execution_id])
        ids = [event.artifact_id for event in events if event.path.steps and event.path.steps[0].key == key]
        [artifact] = handle.store.get_artifacts_by_id(ids)
    return artifact.uri


def _was_cached(connection: metadata_store_pb2.ConnectionConfig, execution_id: int) -> bool:
    with metadata.Metadata(connection) as handle:
        [execution] = handle.store.get_executions_by_id([execution_id])
    return execution.last_known_state == metadata_store_pb2.Execution.CACHED


# Workaround: in a run directory that was moved, everything but the first component is computed anew.
# Cause: TFX's cache key holds the absolute paths of a component's inputs.
# Can go when `get_cache_context` leaves the pipeline's root out of it.
@contextlib.contextmanager
def _keys_without_place(root: str) -> Iterator[None]:
    original = cache_utils.get_cache_context

    def get_cache_context(*, input_artifacts: Mapping[str, Sequence[types.Artifact]], **rest: Any) -> Any:
        placeless = {
            key: [_without_place(artifact, root) for artifact in artifacts]
            for key, artifacts in input_artifacts.items()
        }
        return original(input_artifacts=placeless, **rest)

    with mock.patch.object(cache_utils, "get_cache_context", get_cache_context):
        yield


def _without_place(artifact: types.Artifact, root: str) -> types.Artifact:
    artifact = copy.deepcopy(artifact)
    artifact.uri = artifact.uri.removeprefix(root)
    for value in artifact.mlmd_artifact.custom_properties.values():
        if value.string_value.startswith(root):
            value.string_value = value.string_value.removeprefix(root)
    return artifact
