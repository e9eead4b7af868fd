"""Runs a pipeline on this machine, component by component, and says how each one went."""

from __future__ import annotations

import datetime

from ml_metadata.proto import metadata_store_pb2
from tfx import v1 as tfx
from tfx.dsl.compiler import compiler, constants
from tfx.orchestration import metadata
from tfx.orchestration.local import runner_utils
from tfx.orchestration.portable import launcher, runtime_parameter_utils

from pipeline.console import RunDisplay

_RESOLVER = f"{tfx.dsl.Resolver.__module__}.{tfx.dsl.Resolver.__qualname__}"


class ComponentError(RuntimeError):
    """A component failed; its name is the message, the error it raised the cause."""


def run(pipeline: tfx.dsl.Pipeline, display: RunDisplay) -> dict[str, int]:
    """Runs the components in order; what a component did in an earlier run with the same inputs comes from the cache.

    `LocalDagRunner` does the same, but tells nobody what it is doing.

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
    executions: dict[str, int] = {}
    for node in plan.nodes:
        name = node.pipeline_node.node_info.id
        with display.component(name) as outcome:
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
            else:
                outcome["state"] = "cached" if _was_cached(connection, executions[name]) else "complete"
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
