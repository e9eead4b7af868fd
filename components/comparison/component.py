"""The TFX component `ModelComparison`: every model with its evaluation in, the champion and the report out."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import BaseChannel, Channel, component_spec, standard_artifacts
from tfx.types.experimental import simple_artifacts

from components.comparison import executor
from components.comparison.champion import Rule
from components.comparison.robustness import NOTHING, Demand
from schema.dataset_spec import DatasetSpec

_OF_EACH_MODEL = {
    "model": standard_artifacts.Model,
    "evaluation": standard_artifacts.ModelEvaluation,
    "blessing": standard_artifacts.ModelBlessing,
    "run": standard_artifacts.ModelRun,
}


class ModelComparisonSpec(component_spec.ComponentSpec):
    """What every comparison has; `_spec_of` adds the inputs `{model}_model`, `{model}_evaluation` … of its models."""

    PARAMETERS = {  # noqa: RUF012 - TFX reads the class attribute
        "contestants": component_spec.ExecutionParameter(type=str),
        "dataset_spec": component_spec.ExecutionParameter(type=str),
        "label": component_spec.ExecutionParameter(type=str),
        "task": component_spec.ExecutionParameter(type=str),
        "rule": component_spec.ExecutionParameter(type=str),
        "max_drop": component_spec.ExecutionParameter(type=float),
        "robustness": component_spec.ExecutionParameter(type=int),
        "robust_accuracy": component_spec.ExecutionParameter(type=float),
        "robust_mask_f1": component_spec.ExecutionParameter(type=float),
        "audit": component_spec.ExecutionParameter(type=str),
        "max_suspects": component_spec.ExecutionParameter(type=str),
        "config_json": component_spec.ExecutionParameter(type=str),
        "fingerprint": component_spec.ExecutionParameter(type=str),
    }
    INPUTS: dict[str, component_spec.ChannelParameter] = {  # noqa: RUF012
        "examples": component_spec.ChannelParameter(type=standard_artifacts.Examples),
        "serving_model": component_spec.ChannelParameter(type=standard_artifacts.Model, optional=True),
    }
    OUTPUTS = {  # noqa: RUF012
        "champion": component_spec.ChannelParameter(type=standard_artifacts.Model),
        "blessing": component_spec.ChannelParameter(type=standard_artifacts.ModelBlessing),
        # KFP v2 restores only TFX's own artifact types by itself; of those, `File` promises nothing untrue.
        "report": component_spec.ChannelParameter(type=simple_artifacts.File),
    }


def _spec_of(names: Sequence[str]) -> type[ModelComparisonSpec]:
    """TFX declares a component's inputs on a class; these follow from the names of the models."""
    per_model = {
        f"{name}_{suffix}": component_spec.ChannelParameter(type=artifact_type)
        for name in names
        for suffix, artifact_type in _OF_EACH_MODEL.items()
    }
    inputs = {**per_model, **ModelComparisonSpec.INPUTS}
    return type(ModelComparisonSpec.__name__, (ModelComparisonSpec,), {"INPUTS": inputs})


class ModelComparison(base_component.BaseComponent):
    """Chooses between any number of trained models and shows how each of them does on split `test`.

    Outputs:
      champion: `Model`, a copy of the champion's SavedModel; custom property `model` is its name.
      blessing: `ModelBlessing`, as an Evaluator writes it: a Pusher pushes `champion` only where it is blessed.
      report: a folder: `index.html`, `metrics.json`, the figures as PNG and SVG, `predictions-MODEL.npz`,
        `suspects.csv`.
    """

    SPEC_CLASS = ModelComparisonSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(executor.Executor)

    def __init__(
        self,
        models: Mapping[str, BaseChannel],
        evaluations: Mapping[str, BaseChannel],
        blessings: Mapping[str, BaseChannel],
        runs: Mapping[str, BaseChannel],
        examples: BaseChannel,
        spec: DatasetSpec,
        rule: Rule,
        config_json: str,
        fingerprint: str,
        label: str = "",
        task: str = "",
        serving_model: BaseChannel | None = None,
        max_drop: float = 0.0,
        robustness: Demand = NOTHING,
        audit: Sequence[str] = (),
        max_suspects: Mapping[str, float] | None = None,
    ):
        """Wires the component.

        Args:
          models: `Model` channels by the models' names; the same names in the next three.
          evaluations: `ModelEvaluation` channels, of split `test`.
          blessings: `ModelBlessing` channels; a model that is not blessed is not pushed.
          runs: `ModelRun` channels; each holds `history.json`.
          examples: `Examples` with split `test`; every split is counted for the report.
          spec: Of the data.
          rule: What decides between blessed models, see `champion.choose`.
          config_json: The run's config, shown in the report.
          fingerprint: Of the code that runs here, so that changed code never meets a stale cache.
          label: That the models' class head names; empty: the spec's first.
          task: Which heads the models have; empty: all that the data can train.
          serving_model: `Model`, the latest blessed one of earlier runs; the champion may not be worse.
          max_drop: How much worse it may be, see `paired`.
          robustness: What is asked about corrupted photos.
          audit: Splits whose labels and masks are held against the models, see `audit`; empty: the data are not
            looked at.
          max_suspects: The largest share of each kind in `audit.BARS`, in [0, 1]; with more no model is blessed.

        Raises:
          ValueError: A mapping lacks a model or names another one.
        """
        inputs: dict[str, Any] = {}
        given = {"model": models, "evaluation": evaluations, "blessing": blessings, "run": runs}
        for suffix, channels in given.items():
            if set(channels) != set(models):
                raise ValueError(
                    f"{suffix} channels are given for {sorted(channels)}: give one for each of {sorted(models)}"
                )
            inputs.update({f"{name}_{suffix}": channel for name, channel in channels.items()})
        if serving_model is not None:
            inputs["serving_model"] = serving_model
        super().__init__(
            spec=_spec_of(list(models))(
                contestants=json.dumps(list(models)),
                dataset_spec=spec.to_json(),
                label=label,
                task=task,
                rule=rule,
                max_drop=max_drop,
                robustness=robustness.photos,
                robust_accuracy=robustness.accuracy,
                robust_mask_f1=robustness.mask_f1,
                audit=json.dumps(list(audit)),
                max_suspects=json.dumps(dict(max_suspects or {})),
                config_json=config_json,
                fingerprint=fingerprint,
                examples=examples,
                champion=Channel(type=standard_artifacts.Model),
                blessing=Channel(type=standard_artifacts.ModelBlessing),
                report=Channel(type=simple_artifacts.File),
                **inputs,
            )
        )
