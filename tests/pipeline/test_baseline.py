from __future__ import annotations

import json

import ml_metadata as mlmd
import pytest
from ml_metadata.proto import metadata_store_pb2
from tfx.types import standard_artifacts

from pipeline.baseline import EarlierBlessedModel
from pipeline.configs import debug
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

    def train(self, task: str = "both") -> standard_artifacts.Model:
        config = debug().trainer("dcnn", SPEC).to_json().replace('"task": "both"', f'"task": "{task}"')
        model = standard_artifacts.Model()
        model.id = self._publish("Model", "Trainer_dcnn", json.dumps({"config": config}))
        return model

    def judge(
        self, model: standard_artifacts.Model, blessed: bool, evaluator: str = "Evaluator_dcnn"
    ) -> standard_artifacts.ModelBlessing:
        blessing = standard_artifacts.ModelBlessing()
        blessing.id = self._publish("ModelBlessing", evaluator)
        blessing.set_int_custom_property("current_model_id", model.id)
        blessing.set_int_custom_property("blessed", int(blessed))
        return blessing

    def _publish(self, artifact_type: str, component: str, custom_config: str = "") -> int:
        """Stores an artifact as the output of an execution of `component`; returns the artifact's id."""
        execution = metadata_store_pb2.Execution(type_id=self._execution_type)
        execution.custom_properties["custom_config"].string_value = custom_config
        artifact = metadata_store_pb2.Artifact(type_id=self._types[artifact_type])
        event = metadata_store_pb2.Event(type=metadata_store_pb2.Event.OUTPUT)
        node = metadata_store_pb2.Context(type_id=self._node_type, name=f"debug.{component}")
        contexts = [node]
        if known := self.store.get_context_by_type_and_name("node", node.name):
            contexts = [known]
        _, [artifact_id], _ = self.store.put_execution(execution, [(artifact, event)], contexts)
        return artifact_id


@pytest.fixture
def store() -> _Store:
    return _Store()


def _resolve(store: _Store, candidate: standard_artifacts.Model, models: list, blessings: list) -> list:
    inputs = {"candidate": [candidate], "model": models, "blessing": blessings}
    return EarlierBlessedModel("Evaluator_dcnn").resolve_artifacts(store.store, inputs)["model"]


def test_the_first_run_has_no_baseline(store: _Store) -> None:
    model = store.train()
    assert _resolve(store, model, [model], []) == []


def test_the_latest_earlier_blessed_model_is_the_baseline(store: _Store) -> None:
    first, second, refused, candidate = (store.train() for _ in range(4))
    blessings = [store.judge(first, True), store.judge(second, True), store.judge(refused, False)]
    assert _resolve(store, candidate, [first, second, refused, candidate], blessings) == [second]


def test_a_repeated_run_does_not_meet_its_own_model(store: _Store) -> None:
    first, candidate = store.train(), store.train()
    blessings = [store.judge(first, True), store.judge(candidate, True)]
    assert _resolve(store, candidate, [first, candidate], blessings) == [first]


def test_only_the_last_judgement_of_a_model_counts(store: _Store) -> None:
    first, candidate = store.train(), store.train()
    blessings = [store.judge(first, True), store.judge(first, False)]
    assert _resolve(store, candidate, [first, candidate], blessings) == []


def test_another_evaluators_blessing_does_not_count(store: _Store) -> None:
    first, candidate = store.train(), store.train()
    blessings = [store.judge(first, True, evaluator="Evaluator_mobilenet_v3_small")]
    assert _resolve(store, candidate, [first, candidate], blessings) == []


def test_a_model_with_other_heads_is_no_baseline(store: _Store) -> None:
    first, candidate = store.train(task="classification"), store.train()
    assert _resolve(store, candidate, [first, candidate], [store.judge(first, True)]) == []
