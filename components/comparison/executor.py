"""Executor of `ModelComparison`: artifacts in, artifacts out; what happens between is `comparison.compare`."""

from __future__ import annotations

import json
import logging
import os
import tempfile
from typing import Any

from tfx.components.evaluator import constants
from tfx.components.util import model_utils
from tfx.dsl.components.base import base_executor
from tfx.types import Artifact, artifact_utils
from tfx.utils import io_utils, path_utils

from components.comparison import comparison
from components.comparison.inputs import Inputs, ModelInputs
from components.comparison.known import REFERENCE_FILE
from components.comparison.robustness import Demand
from components.example_gen import summary
from components.report.card import CARD_FILE
from schema import record
from schema.dataset_spec import DatasetSpec

progress = logging.getLogger("progress")

Artifacts = dict[str, list[Artifact]]


def read_inputs(input_dict: Artifacts, exec_properties: dict[str, Any]) -> Inputs:
    """The comparison's inputs from the artifacts and parameters of one execution of `ModelComparison`."""

    def uri(key: str) -> str:
        return artifact_utils.get_single_uri(input_dict[key])

    examples = input_dict["examples"]
    splits = artifact_utils.decode_split_names(examples[0].split_names)
    models = {
        name: ModelInputs(
            saved_model=path_utils.serving_model_path(uri(f"{name}_model")),
            evaluation=uri(f"{name}_evaluation"),
            history=os.path.join(uri(f"{name}_run"), record.HISTORY_FILE),
            blessed=model_utils.is_model_blessed(artifact_utils.get_single_instance(input_dict[f"{name}_blessing"])),
        )
        for name in json.loads(exec_properties["contestants"])
    }
    spec = DatasetSpec.from_json(exec_properties["dataset_spec"])
    return Inputs(
        models=models,
        splits={split: record.files_in(artifact_utils.get_split_uri(examples, split)) for split in splits},
        spec=spec,
        heads=spec.heads(exec_properties["label"], exec_properties["task"]),
        rule=exec_properties["rule"],
        serving=path_utils.serving_model_path(uri("serving_model")) if input_dict.get("serving_model") else None,
        max_drop=exec_properties["max_drop"],
        robustness=Demand(
            exec_properties["robustness"], exec_properties["robust_accuracy"], exec_properties["robust_mask_f1"]
        ),
        config=json.loads(exec_properties["config_json"]),
        fingerprint=exec_properties["fingerprint"],
        audit=tuple(json.loads(exec_properties["audit"])),
        max_suspects=json.loads(exec_properties["max_suspects"]),
        ingestion=summary.of_report(artifact_utils.get_single_uri(examples)),
    )


class Executor(base_executor.BaseExecutor):
    """Compares, copies the champion, blesses it or not, and writes the report."""

    def Do(self, input_dict: Artifacts, output_dict: Artifacts, exec_properties: dict[str, Any]) -> None:
        """Runs the component; inputs, outputs and parameters are those of `component.ModelComparisonSpec`."""
        self._log_startup(input_dict, output_dict, exec_properties)
        inputs = read_inputs(input_dict, exec_properties)
        with tempfile.TemporaryDirectory() as folder:
            compared = comparison.compare(inputs, folder)
            report = artifact_utils.get_single_uri(output_dict["report"])
            io_utils.copy_dir(folder, report)

        name, decision = compared.champion, compared.decision
        source = artifact_utils.get_single_instance(input_dict[f"{name}_model"])
        champion = artifact_utils.get_single_instance(output_dict["champion"])
        model = path_utils.serving_model_path(champion.uri)
        io_utils.copy_dir(inputs.models[name].saved_model, model)
        extra = os.path.join(model, "assets.extra")
        io_utils.copy_file(os.path.join(report, CARD_FILE), os.path.join(extra, CARD_FILE))
        reference = json.dumps(compared.models[name].known.reference)
        io_utils.write_string_file(os.path.join(extra, REFERENCE_FILE), reference)
        champion.set_string_custom_property("model", name)
        _write_blessing(artifact_utils.get_single_instance(output_dict["blessing"]), source, decision.blessed)
        if decision.blessed:
            progress.info("champion: %s", decision.sentence)
        elif decision.data_refusals:
            progress.warning("no model is blessed, so none is pushed: %s", "; ".join(decision.data_refusals))
        elif decision.refusals:
            progress.warning("the champion does not replace the serving model: %s", decision.sentence)
        else:
            progress.warning("no model is blessed, so none is pushed; best: %s", decision.sentence)


def _write_blessing(blessing: Artifact, model: Artifact, blessed: bool) -> None:
    """Blesses `model` or refuses it, in the form of TFX's Evaluator: properties and an empty file of that name."""
    blessing.set_string_custom_property(constants.ARTIFACT_PROPERTY_CURRENT_MODEL_URI_KEY, model.uri)
    blessing.set_int_custom_property(constants.ARTIFACT_PROPERTY_CURRENT_MODEL_ID_KEY, model.id)
    value, name = (
        (constants.BLESSED_VALUE, constants.BLESSED_FILE_NAME)
        if blessed
        else (constants.NOT_BLESSED_VALUE, constants.NOT_BLESSED_FILE_NAME)
    )
    blessing.set_int_custom_property(constants.ARTIFACT_PROPERTY_BLESSED_KEY, value)
    io_utils.write_string_file(os.path.join(blessing.uri, name), "")
