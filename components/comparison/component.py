"""The TFX component `ModelComparison`: every model with its evaluation in, the champion and the report out."""

from __future__ import annotations

from collections.abc import Mapping

from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import BaseChannel, channel_utils, component_spec, standard_artifacts
from tfx.types.experimental import simple_artifacts

from components.comparison import executor
from components.comparison.champion import Rule
from schema import pets


def _per_model(suffix: str, artifact_type: type) -> dict[str, component_spec.ChannelParameter]:
    return {f"{name}_{suffix}": component_spec.ChannelParameter(type=artifact_type) for name in pets.MODELS}


class ModelComparisonSpec(component_spec.ComponentSpec):
    """Inputs `{model}_model`, `{model}_evaluation`, `{model}_blessing` and `{model}_run` for each of `pets.MODELS`."""

    PARAMETERS = {  # noqa: RUF012 - TFX reads the class attribute
        "rule": component_spec.ExecutionParameter(type=str),
        "config_json": component_spec.ExecutionParameter(type=str),
        "fingerprint": component_spec.ExecutionParameter(type=str),
    }
    INPUTS = {  # noqa: RUF012
        **_per_model("model", standard_artifacts.Model),
        **_per_model("evaluation", standard_artifacts.ModelEvaluation),
        **_per_model("blessing", standard_artifacts.ModelBlessing),
        **_per_model("run", standard_artifacts.ModelRun),
        "examples": component_spec.ChannelParameter(type=standard_artifacts.Examples),
        "anomalies": component_spec.ChannelParameter(type=standard_artifacts.ExampleAnomalies, optional=True),
    }
    OUTPUTS = {  # noqa: RUF012
        "champion": component_spec.ChannelParameter(type=standard_artifacts.Model),
        "blessing": component_spec.ChannelParameter(type=standard_artifacts.ModelBlessing),
        # KFP v2 restores only TFX's own artifact types by itself; of those, `File` promises nothing untrue.
        "report": component_spec.ChannelParameter(type=simple_artifacts.File),
    }


class ModelComparison(base_component.BaseComponent):
    """Chooses between the trained models and shows how each of them does on split `test`.

    Outputs:
      champion: `Model`, a copy of the champion's SavedModel; custom property `model` is its name.
      blessing: `ModelBlessing`, as an Evaluator writes it: a Pusher pushes `champion` only where it is blessed.
      report: a folder: `index.html`, `metrics.json`, the figures as PNG and SVG, `predictions-MODEL.npz`.
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
        rule: Rule,
        config_json: str,
        fingerprint: str,
        anomalies: BaseChannel | None = None,
    ):
        """Wires the component.

        Args:
          models: `Model` channel of each of `pets.MODELS`, by its name; the same names in the next three.
          evaluations: `ModelEvaluation` channels, of split `test`.
          blessings: `ModelBlessing` channels; a model that is not blessed is not pushed.
          runs: `ModelRun` channels; each holds `pets.HISTORY_FILE`.
          examples: `Examples` with split `test`; every split is counted for the report.
          rule: What decides between blessed models, see `champion.choose`.
          config_json: The run's config, shown in the report.
          fingerprint: Of the code that runs here, so that changed code never meets a stale cache.
          anomalies: `ExampleAnomalies`, listed in the report.

        Raises:
          ValueError: A mapping lacks one of `pets.MODELS` or names another one.
        """
        inputs: dict[str, BaseChannel] = {}
        for suffix, channels in {
            "model": models,
            "evaluation": evaluations,
            "blessing": blessings,
            "run": runs,
        }.items():
            if set(channels) != set(pets.MODELS):
                raise ValueError(
                    f"{suffix} channels are given for {sorted(channels)}: give one for each of {pets.MODELS}"
                )
            inputs.update({f"{name}_{suffix}": channel for name, channel in channels.items()})
        if anomalies is not None:
            inputs["anomalies"] = anomalies
        spec = ModelComparisonSpec(
            rule=rule,
            config_json=config_json,
            fingerprint=fingerprint,
            examples=examples,
            champion=channel_utils.as_channel([standard_artifacts.Model()]),
            blessing=channel_utils.as_channel([standard_artifacts.ModelBlessing()]),
            report=channel_utils.as_channel([simple_artifacts.File()]),
            **inputs,
        )
        super().__init__(spec=spec)
