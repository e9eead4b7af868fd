"""The model to beat: the latest blessed one of earlier runs."""

from __future__ import annotations

import json

import ml_metadata as mlmd
from ml_metadata.proto import metadata_store_pb2
from tfx import types
from tfx import v1 as tfx
from tfx.dsl.components.common.resolver import ResolverStrategy

from components.comparison.lineage import component_of
from schema.dataset_spec import Heads
from trainer_module.config import TrainerConfig


class EarlierBlessedModel(ResolverStrategy):
    """Picks, among the models older than the candidate, the latest with the same heads that its Evaluator blessed.

    TFX's own `LatestBlessedModelStrategy` would pick the candidate itself when a run is repeated, and so change the
    Evaluator's inputs and miss its cache.
    """

    def __init__(self, evaluator_id: str) -> None:
        """Considers only blessings by the component `evaluator_id`."""
        self._evaluator_id = evaluator_id

    def resolve_artifacts(self, store: mlmd.MetadataStore, input_dict: dict[str, list[types.Artifact]]) -> dict:
        """Resolves `model` to at most one artifact; `candidate` stays as it is."""
        [candidate] = input_dict["candidate"]
        blessed = {}
        for blessing in sorted(input_dict["blessing"], key=lambda artifact: artifact.id):
            if component_of(store, _producer(store, blessing.id)) == self._evaluator_id:
                model_id = blessing.get_int_custom_property("current_model_id")
                blessed[model_id] = blessing.get_int_custom_property("blessed") == 1
        earlier = [model for model in input_dict["model"] if model.id < candidate.id and blessed.get(model.id)]
        heads = _heads(store, candidate.id)
        comparable = [model for model in earlier if _heads(store, model.id) == heads]
        latest = max(comparable, key=lambda model: model.id, default=None)
        return {"candidate": [candidate], "model": [latest] if latest else [], "blessing": []}


def _producer(store: mlmd.MetadataStore, artifact_id: int) -> int:
    """The id of the execution that made an artifact, the first of those that give it out."""
    events = store.get_events_by_artifact_ids([artifact_id])
    return min(event.execution_id for event in events if event.type == metadata_store_pb2.Event.OUTPUT)


def _heads(store: mlmd.MetadataStore, model_id: int) -> Heads | None:
    """What a Trainer's model answers: one with another head or other classes cannot be compared.

    None where the Trainer's config is one of an earlier version of this project.
    """
    [execution] = store.get_executions_by_id([_producer(store, model_id)])
    custom_config = json.loads(execution.custom_properties["custom_config"].string_value)
    try:
        return TrainerConfig.from_json(custom_config["config"]).heads
    except (KeyError, TypeError, ValueError):
        return None


def earlier_blessed_model(candidate: tfx.types.BaseChannel, evaluator_id: str) -> tfx.types.BaseChannel:
    """A channel with the latest blessed model before `candidate`, empty in the first run; for local runs only."""
    resolver = tfx.dsl.Resolver(
        strategy_class=EarlierBlessedModel,
        config={"evaluator_id": evaluator_id},
        candidate=candidate,
        model=tfx.dsl.Channel(type=tfx.types.standard_artifacts.Model),
        blessing=tfx.dsl.Channel(type=tfx.types.standard_artifacts.ModelBlessing),
    ).with_id(evaluator_id.replace("Evaluator", "Baseline"))
    return resolver.outputs["model"]
