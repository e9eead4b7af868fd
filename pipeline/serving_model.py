"""The model that a champion would replace: the one that was blessed last before it was trained."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import ml_metadata as mlmd
from ml_metadata.proto import metadata_store_pb2
from tfx import types
from tfx import v1 as tfx
from tfx.dsl.components.common.resolver import ResolverStrategy

from components.comparison.lineage import component_of
from schema.dataset_spec import Heads
from trainer_module.config import TrainerConfig

_CANDIDATE = "candidate_"


class LastBlessed(ResolverStrategy):
    """Picks the model that `ModelComparison` blessed last before the newest of this run's models was trained.

    So a run that is repeated meets the model that it met at first, and the cache, whatever came in between. TFX's own
    `LatestBlessedModelStrategy` would pick the run's own champion.
    """

    def resolve_artifacts(self, store: mlmd.MetadataStore, input_dict: dict[str, list[types.Artifact]]) -> dict:
        """Resolves `model` to at most one artifact, one with the candidates' heads; the candidates stay as they are."""
        candidates = {key: artifacts for key, artifacts in input_dict.items() if key.startswith(_CANDIDATE)}
        newest = max(artifact.id for artifacts in candidates.values() for artifact in artifacts)
        trained = min(_producers(store, newest))
        judged = {}  # A cached comparison gives its blessing out again: a return to an older model is the last word.
        for blessing in input_dict["blessing"]:
            for execution in _producers(store, blessing.id):
                if execution < trained and component_of(store, execution) == "ModelComparison":
                    judged[execution] = blessing
        models = {model.id: model for model in input_dict["model"]}
        heads = _heads(store, newest)
        for _, blessing in sorted(judged.items(), reverse=True):
            model = models.get(blessing.get_int_custom_property("current_model_id"))
            blessed = blessing.get_int_custom_property("blessed") == 1
            if model and blessed and _heads(store, model.id) == heads:
                return {**candidates, "model": [model], "blessing": []}
        return {**candidates, "model": [], "blessing": []}


def _producers(store: mlmd.MetadataStore, artifact_id: int) -> list[int]:
    """The ids of the executions that gave an artifact out: the one that made it, then those that it was cached for."""
    events = store.get_events_by_artifact_ids([artifact_id])
    return [event.execution_id for event in events if event.type == metadata_store_pb2.Event.OUTPUT]


def _heads(store: mlmd.MetadataStore, model_id: int) -> Heads | None:
    """What a Trainer's model answers: one with another head or other classes cannot be compared.

    None where the Trainer's config is one of an earlier version of this project.
    """
    [execution] = store.get_executions_by_id([min(_producers(store, model_id))])
    custom_config = json.loads(execution.custom_properties["custom_config"].string_value)
    try:
        return TrainerConfig.from_json(custom_config["config"]).heads
    except (KeyError, TypeError, ValueError):
        return None


def last_blessed(candidates: Mapping[str, tfx.types.BaseChannel]) -> tfx.types.BaseChannel:
    """A channel with the model that `candidates` would replace, empty in the first run; for local runs only."""
    channels: dict[str, Any] = {f"{_CANDIDATE}{name}": channel for name, channel in candidates.items()}
    resolver = tfx.dsl.Resolver(
        strategy_class=LastBlessed,
        model=tfx.dsl.Channel(type=tfx.types.standard_artifacts.Model),
        blessing=tfx.dsl.Channel(type=tfx.types.standard_artifacts.ModelBlessing),
        **channels,
    ).with_id("ServingModel")
    return resolver.outputs["model"]
