"""Executor of `Edge`: the champion in, the champion with its edge models out."""

from __future__ import annotations

import json
import logging
import os
import pathlib
import platform
import tempfile
from typing import Any

from tfx.components.util import model_utils
from tfx.dsl.components.base import base_executor
from tfx.types import Artifact, artifact_utils
from tfx.utils import io_utils, path_utils

from components import contract
from components.comparison.results import Comparison
from components.edge import convert, package, parity
from components.edge.results import EDGE_FILE, Edge, EdgeModel, Figures
from components.metrics.results import OVERALL
from components.report.page import METRICS_FILE
from schema import record

progress = logging.getLogger("progress")

Artifacts = dict[str, list[Artifact]]

CALIBRATION_PHOTOS = 128
"""Of split train, to whose activations int8 is scaled; more changed nothing."""


class Executor(base_executor.BaseExecutor):
    """Converts, judges, and packs what is blessed; a champion that is not blessed is handed on as it is."""

    def Do(self, input_dict: Artifacts, output_dict: Artifacts, exec_properties: dict[str, Any]) -> None:
        """Runs the component; inputs, outputs and parameters are those of `component.EdgeSpec`."""
        self._log_startup(input_dict, output_dict, exec_properties)
        source = path_utils.serving_model_path(artifact_utils.get_single_uri(input_dict["champion"]))
        target = path_utils.serving_model_path(artifact_utils.get_single_uri(output_dict["model"]))
        if not model_utils.is_model_blessed(artifact_utils.get_single_instance(input_dict["blessing"])):
            progress.info("the champion is not blessed and not pushed: no edge models are made")
            io_utils.copy_dir(source, target)
            return
        report = artifact_utils.get_single_uri(input_dict["report"])
        compared = Comparison.from_json(io_utils.read_bytes_file(os.path.join(report, METRICS_FILE)))
        with tempfile.TemporaryDirectory() as scratch:
            files, packed = pathlib.Path(scratch, "files"), pathlib.Path(scratch, "model")
            files.mkdir()
            # Converters and engines want local files, and the champion may lie in a bucket.
            io_utils.copy_dir(source, str(packed))
            edge = _made(str(packed), compared, input_dict["examples"], exec_properties, files)
            package.write(edge, files, packed)
            io_utils.copy_dir(str(packed), target)
        figures = artifact_utils.get_single_uri(output_dict["figures"])
        io_utils.write_string_file(os.path.join(figures, EDGE_FILE), edge.to_json())


def _made(
    saved_model: str,
    compared: Comparison,
    examples: list[Artifact],
    exec_properties: dict[str, Any],
    files: pathlib.Path,
) -> Edge:
    """Writes the files and judges them."""
    formats: list[convert.Format] = json.loads(exec_properties["formats"])
    input_size = contract.description(saved_model)["input_size"]
    photos = parity.Photos(compared.spec, compared.heads, exec_properties["image_size"], input_size)
    folders = (artifact_utils.get_split_uri(examples, split) for split in (record.TRAIN, record.TEST))
    train, test = map(record.files_in, folders)
    of_train = compared.data.examples[record.TRAIN]
    failed = convert.convert(saved_model, formats, lambda: photos.pixels(train, CALIBRATION_PHOTOS, of_train), files)
    overall = compared.models[compared.champion].metrics[OVERALL]
    reference = Figures(
        overall.classification.accuracy.value if overall.classification else None,
        overall.segmentation.f1.value if overall.segmentation else None,
    )
    made = {name: files / convert.FILES[name] for name in formats if name not in failed}
    judged = {model.format: model for model in parity.judge(made, reference, photos, test)}
    for name, reason in failed.items():
        judged[name] = EdgeModel(name, convert.FILES[name], False, reason)
    models = tuple(judged[name] for name in formats)
    for model in models:
        progress.info("%s", _sentence(model))
    [photo] = photos.pixels(test, 1, 1)
    return Edge(
        champion=compared.champion,
        saved_model=reference,
        saved_model_milliseconds=parity.milliseconds(saved_model, photo[None]),
        machine=f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPUs",
        models=models,
    )


def _sentence(model: EdgeModel) -> str:
    if not model.blessed:
        return f"{model.file} is not pushed: {model.reason}"
    return f"{model.file}: {model.size_bytes / 1e6:.2f} MB, {model.milliseconds:.1f} ms a photo"
