"""The TFX component `Pusher`: makes the champion, if it is blessed, the newest served version.

TFX's own copies in place, so that a kill leaves half a version to be served, and names versions by the clock alone.
"""

from __future__ import annotations

import json
import logging
import os
from typing import Any

from tfx import types
from tfx import v1 as tfx
from tfx.components.pusher import executor
from tfx.dsl.components.base import executor_spec
from tfx.types import artifact_utils, standard_component_specs
from tfx.utils import io_utils, json_utils, proto_utils

from components import contract, served_model, serving_folder

progress = logging.getLogger("progress")

DESTINATION_FILE = "destination.json"
"""In the output: `{"version": PATH, "refused": ""}`, the version that holds the model; null and why there is none."""

ALLOW_CONTRACT_CHANGE = "allow_contract_change"
"""Key of `custom_config`: whether a model may be pushed that does not answer as the newest version does."""

_PUSH_SECONDS = 86400
"""Longer than any push takes, where several pipelines may push into one folder."""


class Executor(executor.Executor):
    """Pushes a blessed model whose contract is the newest version's, once it has answered in a process of its own.

    Unless the newest version is this very model, file by file: the same model is never pushed twice.
    """

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Runs the component; inputs, outputs and parameters are those of TFX's Pusher."""
        self._log_startup(input_dict, output_dict, exec_properties)
        pushed = artifact_utils.get_single_instance(output_dict[standard_component_specs.PUSHED_MODEL_KEY])
        destination = tfx.proto.PushDestination()
        proto_utils.json_to_proto(exec_properties[standard_component_specs.PUSH_DESTINATION_KEY], destination)
        folder = destination.filesystem.base_directory
        serving_folder.remove_leftovers(folder, older_than=_PUSH_SECONDS)
        custom_config = json_utils.loads(exec_properties[standard_component_specs.CUSTOM_CONFIG_KEY]) or {}
        version, refused = None, "no model is blessed"
        if self.CheckBlessing(input_dict):
            model = self.GetModelPath(input_dict)
            refused = "" if custom_config.get(ALLOW_CONTRACT_CHANGE) else _contract_change(model, folder)
        if refused:
            logging.info("not pushed: %s", refused)  # on Kubeflow a step's log is where a person looks
            self._MarkNotPushed(pushed)
        else:
            version, new = serving_folder.push(model, folder, served_model.check)
            if not new:
                progress.info("version %s is this very model already", os.path.basename(version))
            self._MarkPushed(pushed, pushed_destination=version, pushed_version=os.path.basename(version))
        made = {"version": version, "refused": refused}
        io_utils.write_string_file(os.path.join(pushed.uri, DESTINATION_FILE), json.dumps(made))


def _contract_change(model: str, folder: str) -> str:
    """Why `model` may not come after the newest version in `folder`; empty if it may."""
    newest = serving_folder.newest(folder)
    try:
        changes = contract.differences(newest, model) if newest else []
    except ValueError as error:
        return f"{error}. Move it out of the folder, or push all the same with --allow-contract-change"
    if not changes:
        return ""
    return (
        f"the model answers otherwise than version {os.path.basename(str(newest))}: {'; '.join(changes)}. Applications "
        "may rely on it; --allow-contract-change pushes it all the same"
    )


def told(uri: str, folder: str) -> str:
    """What a person is told of a push into `folder` whose output lies in `uri`: the version, or why there is none."""
    made = json.loads(io_utils.read_string_file(os.path.join(uri, DESTINATION_FILE)))
    served = serving_folder.newest(folder)
    return made["version"] or f"none: {made['refused']}. {f'Served is {served}' if served else 'Nothing is served'}"


class Pusher(tfx.components.Pusher):
    """TFX's Pusher in all but how it writes; nothing is to cache it, for what it looks after lies outside the run."""

    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)
