from __future__ import annotations

import json

import ml_metadata as mlmd
import pytest
from ml_metadata.proto import metadata_store_pb2
from tfx.types import standard_artifacts

from pipeline.configs import debug
from pipeline.serving_model import LastBlessed
from tests.drawn import SPEC


class _Store:
    """An in-memory metadata store with models and blessings as TFX publishes them."""

    def __init__(self) -> None:
        config = metadata_store_pb2.ConnectionConfig()
        config.fake_database.SetInParent()
        self.store = mlmd.MetadataStore(config)
        self._types = {
            name: self.store.put_artifact_type(metadata_store_pb2.ArtifactType(name=name))
            for name in ("Model", "ModelBlessing")
        }
        self._execution_type = self.store.put_execution_type(metadata_store_pb2.ExecutionType(name="Node"))
        self._node_type = self.store.put_context_type(metadata_store_pb2.ContextType(name="node"))
        self.models: list[standard_artifacts.Model] = []
        self.blessings: list[standard_artifacts.ModelBlessing] = []

    def train(self, task: str = "both") -> standard_artifacts.Model:
        config = debug().trainer("dcnn", SPEC).to_json().replace('"task": "both"', f'"task": "{task}"')
        model = standard_artifacts.Model()
        model.id = self._publish("Model", "Trainer_dcnn", json.dumps({"config": config}))
        self.models.append(model)
        return model

    def judge(
        self, model: standard_artifacts.Model, blessed: bool, component: str = "ModelComparison"
    ) -> standard_artifacts.ModelBlessing:
        blessing = standard_artifacts.ModelBlessing()
        blessing.id = self._publish("ModelBlessing", component)
        blessing.set_int_custom_property("current_model_id", model.id)
        blessing.set_int_custom_property("blessed", int(blessed))
        self.blessings.append(blessing)
        return blessing

    def judge_from_cache(self, blessing: standard_artifacts.ModelBlessing) -> None:
        """As a run does that repeats an earlier one."""
        [artifact] = self.store.get_artifacts_by_id([blessing.id])
        self._put(artifact, "ModelComparison", "")

    def _publish(self, artifact_type: str, component: str, custom_config: str = "") -> int:
        """Stores an artifact as the output of an execution of `component`; returns the artifact's id."""
        return self._put(metadata_store_pb2.Artifact(type_id=self._types[artifact_type]), component, custom_config)

    def _put(self, artifact: metadata_store_pb2.Artifact, component: str, custom_config: str) -> int:
        execution = metadata_store_pb2.Execution(type_id=self._execution_type)
        execution.custom_properties["custom_config"].string_value = custom_config
        event = metadata_store_pb2.Event(type=metadata_store_pb2.Event.OUTPUT)
        node = metadata_store_pb2.Context(type_id=self._node_type, name=f"debug.v2.{component}")
        contexts = [node]
        if known := self.store.get_context_by_type_and_name("node", node.name):
            contexts = [known]
        _, [artifact_id], _ = self.store.put_execution(execution, [(artifact, event)], contexts)
        return artifact_id


@pytest.fixture
def store() -> _Store:
    return _Store()


def _resolve(store: _Store, *candidates: standard_artifacts.Model) -> list:
    inputs: dict[str, list] = {f"candidate_{number}": [candidate] for number, candidate in enumerate(candidates)}
    given = {**inputs, "model": store.models, "blessing": store.blessings}
    resolved = LastBlessed().resolve_artifacts(store.store, given)
    assert {key: resolved[key] for key in inputs} == inputs
    return resolved["model"]


def test_the_first_run_replaces_nothing(store: _Store) -> None:
    assert _resolve(store, store.train(), store.train()) == []


def test_the_model_that_was_blessed_last_is_replaced(store: _Store) -> None:
    first, second, refused = (store.train() for _ in range(3))
    store.judge(second, True)
    store.judge(first, True)
    store.judge(refused, False)
    assert _resolve(store, store.train(), store.train()) == [first]


def test_a_repeated_run_does_not_meet_its_own_champion(store: _Store) -> None:
    first = store.train()
    store.judge(first, True)
    candidates = store.train(), store.train()
    store.judge(candidates[0], True)
    assert _resolve(store, *candidates) == [first]


def test_a_contestant_from_the_cache_may_be_the_serving_model_itself(store: _Store) -> None:
    cached, other = store.train(), store.train()
    store.judge(cached, True)
    retrained = store.train()
    assert _resolve(store, cached, other) == []
    assert _resolve(store, cached, retrained) == [cached]


def test_a_return_to_an_older_model_by_the_cache_makes_it_the_one_to_replace(store: _Store) -> None:
    old = store.train()
    blessing = store.judge(old, True)
    newer = store.train()
    store.judge(newer, True)
    store.judge_from_cache(blessing)
    assert _resolve(store, store.train()) == [old]
    assert _resolve(store, newer) == [old]


def test_an_evaluators_blessing_does_not_count(store: _Store) -> None:
    store.judge(store.train(), True, component="Evaluator_dcnn")
    assert _resolve(store, store.train()) == []


def test_a_model_with_other_heads_cannot_be_compared(store: _Store) -> None:
    store.judge(store.train(task="classification"), True)
    assert _resolve(store, store.train()) == []
