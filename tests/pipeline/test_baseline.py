from __future__ import annotations

import json

import ml_metadata as mlmd
import pytest
from ml_metadata.proto import metadata_store_pb2
from tfx.types import standard_artifacts

from pipeline.baseline import EarlierBlessedModel
from pipeline.configs import debug


class _Store:
    """An in-memory metadata store with models as Trainers publish them."""

    def __init__(self) -> None:
        config = metadata_store_pb2.ConnectionConfig()
        config.fake_database.SetInParent()
        self.store = mlmd.MetadataStore(config)
        self._model_type = self.store.put_artifact_type(metadata_store_pb2.ArtifactType(name="Model"))
        self._trainer_type = self.store.put_execution_type(metadata_store_pb2.ExecutionType(name="Trainer"))

    def train(self, task: str = "both") -> standard_artifacts.Model:
        config = debug().trainer("dcnn").to_json().replace('"task": "both"', f'"task": "{task}"')
        execution = metadata_store_pb2.Execution(type_id=self._trainer_type)
        execution.custom_properties["custom_config"].string_value = json.dumps({"config": config})
        [execution_id] = self.store.put_executions([execution])
        [artifact_id] = self.store.put_artifacts([metadata_store_pb2.Artifact(type_id=self._model_type)])
        event = metadata_store_pb2.Event(
            artifact_id=artifact_id, execution_id=execution_id, type=metadata_store_pb2.Event.OUTPUT
        )
        self.store.put_events([event])
        model = standard_artifacts.Model()
        model.id = artifact_id
        return model


def _judge(
    model: standard_artifacts.Model, blessed: bool, number: int = 1, evaluator: str = "Evaluator_dcnn"
) -> standard_artifacts.ModelBlessing:
    blessing = standard_artifacts.ModelBlessing()
    blessing.id = 1000 * number + model.id
    blessing.set_string_custom_property("component_id", evaluator)
    blessing.set_int_custom_property("current_model_id", model.id)
    blessing.set_int_custom_property("blessed", int(blessed))
    return blessing


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
    blessings = [_judge(first, True), _judge(second, True), _judge(refused, False)]
    assert _resolve(store, candidate, [first, second, refused, candidate], blessings) == [second]


def test_a_repeated_run_does_not_meet_its_own_model(store: _Store) -> None:
    first, candidate = store.train(), store.train()
    blessings = [_judge(first, True), _judge(candidate, True)]
    assert _resolve(store, candidate, [first, candidate], blessings) == [first]


def test_only_the_last_judgement_of_a_model_counts(store: _Store) -> None:
    first, candidate = store.train(), store.train()
    blessings = [_judge(first, True, number=1), _judge(first, False, number=2)]
    assert _resolve(store, candidate, [first, candidate], blessings) == []


def test_another_evaluators_blessing_does_not_count(store: _Store) -> None:
    first, candidate = store.train(), store.train()
    blessings = [_judge(first, True, evaluator="Evaluator_mobilenet_v3_small")]
    assert _resolve(store, candidate, [first, candidate], blessings) == []


def test_a_model_with_other_heads_is_no_baseline(store: _Store) -> None:
    first, candidate = store.train(task="classification"), store.train()
    assert _resolve(store, candidate, [first, candidate], [_judge(first, True)]) == []
