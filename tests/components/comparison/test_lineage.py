"""What a metadata store remembers of several runs."""

from __future__ import annotations

import types
from typing import Any

import ml_metadata as mlmd
import pytest
from ml_metadata import proto

from components.comparison import lineage


class _Runs:
    """An in-memory store with executions as the launcher publishes them."""

    def __init__(self) -> None:
        config = proto.ConnectionConfig()
        config.fake_database.SetInParent()
        self.store = mlmd.MetadataStore(config)
        self._artifact = self.store.put_artifact_type(proto.ArtifactType(name="Model"))
        self._execution = self.store.put_execution_type(proto.ExecutionType(name="Node"))
        self._contexts = {
            name: self.store.put_context_type(proto.ContextType(name=name)) for name in ("pipeline_run", "node")
        }

    def add(self, run: str, component: str, made: proto.Artifact | None = None) -> proto.Artifact:
        """An execution that makes an artifact, or takes one from the cache."""
        cached = made is not None
        state = proto.Execution.CACHED if cached else proto.Execution.COMPLETE
        event = proto.Event(type=proto.Event.OUTPUT)
        contexts = [self._context("pipeline_run", run), self._context("node", f"debug.{component}")]
        _, [artifact], _ = self.store.put_execution(
            proto.Execution(type_id=self._execution, last_known_state=state),
            [(made or proto.Artifact(type_id=self._artifact), event)],
            contexts,
        )
        [stored] = self.store.get_artifacts_by_id([artifact])
        return stored

    def _context(self, kind: str, name: str) -> proto.Context:
        known = self.store.get_context_by_type_and_name(kind, name)
        return known or proto.Context(type_id=self._contexts[kind], name=name)

    def seconds(self, monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
        """As if every execution had taken its number in seconds."""
        executions = {one.id: one for one in self.store.get_executions()}
        for number, one in executions.items():
            one.create_time_since_epoch, one.last_update_time_since_epoch = 0, 1000 * number
        by_context = self.store.get_executions_by_context
        changed = {
            "get_executions": lambda: list(executions.values()),
            "get_executions_by_context": lambda context: [executions[one.id] for one in by_context(context)],
            "get_executions_by_id": lambda numbers: [executions[number] for number in numbers],
        }
        for name, function in changed.items():
            monkeypatch.setattr(self.store, name, function)
        handle: Any = types.SimpleNamespace(store=self.store)
        return lineage.component_seconds(handle)


def test_durations_are_those_of_the_runs_own_components(monkeypatch: pytest.MonkeyPatch) -> None:
    runs = _Runs()
    for component in ("Trainer_dcnn", "Trainer_big", "ModelComparison", "Edge"):
        runs.add("first", component)
    for component in ("Trainer_dcnn", "ModelComparison"):
        runs.add("second", component)
    assert runs.seconds(monkeypatch) == {"Trainer_dcnn": 5, "ModelComparison": 6}


def test_what_comes_from_the_cache_took_as_long_as_when_it_was_made(monkeypatch: pytest.MonkeyPatch) -> None:
    runs = _Runs()
    model, report = (runs.add("first", component) for component in ("Trainer_dcnn", "ModelComparison"))
    for component in ("Trainer_dcnn", "ModelComparison"):
        runs.add("of another seed", component)
    runs.add("as the first", "Trainer_dcnn", model)
    runs.add("as the first", "ModelComparison", report)
    runs.add("interrupted", "ExampleGen")
    assert runs.seconds(monkeypatch) == {"Trainer_dcnn": 1, "ModelComparison": 2}
