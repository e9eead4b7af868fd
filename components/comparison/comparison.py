"""From trained, evaluated models to the champion and the folder of the report.

`metrics.json` holds every number of the report, see `components.comparison.results`. `predictions-MODEL.npz` lets
anyone recompute them, in the order of the examples of split `test`: `file_names` [N], `labels` int64 [N] (-1: unknown)
and `probabilities` float32 [N, C] (class head), `pixels` int64 [N, K + 1, K + 1] (mask head: confusion matrix of each
example's pixels, rows true, background first).
"""

from __future__ import annotations

import dataclasses
import importlib.metadata
import json
import os
import platform
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow_metadata.proto.v0 import anomalies_pb2
from tfx.dsl.io import fileio

from components.comparison import cases, champion
from components.comparison.predictions import Predictions, Truth, count_classes, predict, read_photos
from components.comparison.results import Anomaly, Case, Comparison, DataSummary, Decision, ModelResult, RunInfo
from components.metrics import results
from components.report import figures, page, tfma_view
from schema import record
from schema.dataset_spec import DatasetSpec, Heads

PACKAGES = ("tfx", "tensorflow", "keras", "tensorflow-model-analysis", "tensorflow-transform", "apache-beam", "numpy")


@dataclasses.dataclass(frozen=True)
class ModelInputs:
    """Where one model's artifacts lie, and whether its Evaluator blessed it."""

    saved_model: str
    evaluation: str
    history: str
    blessed: bool


@dataclasses.dataclass(frozen=True)
class Inputs:
    """All that a comparison reads."""

    models: dict[str, ModelInputs]
    splits: dict[str, list[str]]
    """Record files of each split."""
    anomalies: str | None
    spec: DatasetSpec
    heads: Heads
    rule: champion.Rule
    config: dict[str, Any]
    fingerprint: str
    ingestion: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """As `components.example_gen.summary.of_report` gives it."""


def compare(inputs: Inputs, folder: str) -> Comparison:
    """Chooses the champion, runs every model over split `test`, and writes the report into the local `folder`.

    Raises:
      FileNotFoundError: A model, an evaluation or a history is not where it should be.
      ValueError: Split `test` is empty, or a model lacks a head.
    """
    os.makedirs(folder, exist_ok=True)
    files = inputs.splits[record.TEST]
    saved_models = {name: model.saved_model for name, model in inputs.models.items()}
    truth, predictions = predict(saved_models, files, inputs.spec, inputs.heads)
    compared = _compared(inputs, truth, predictions)
    for name, model in inputs.models.items():
        _write_predictions(os.path.join(folder, f"predictions-{name}.npz"), truth, predictions[name], inputs.heads)
        tfma_view.write_page(model.evaluation, inputs.spec, name, os.path.join(folder, f"tfma-{name}.html"))
    figures.draw_plots(compared, folder)
    size = truth.masks.mask(0).shape[:2] if truth.masks else None
    photos = read_photos(files, figures.photos_shown(compared), size)
    figures.write_pictures(compared, photos, truth, predictions, folder)
    page.write(compared, folder)
    return compared


def _compared(inputs: Inputs, truth: Truth, predictions: Mapping[str, Predictions]) -> Comparison:
    models = {
        name: _model_result(inputs, model, truth, predictions[name], inputs.heads)
        for name, model in inputs.models.items()
    }
    candidates = [_candidate(name, model) for name, model in models.items()]
    chosen = champion.choose(candidates, inputs.rule)
    return Comparison(
        champion=chosen.name,
        decision=Decision(
            rule=inputs.rule,
            scores={candidate.name: candidate.score(inputs.rule) for candidate in candidates},
            blessed=chosen.blessed,
            sentence=chosen.sentence(inputs.rule),
        ),
        models=models,
        spec=inputs.spec,
        heads=inputs.heads,
        portraits=_portraits(inputs.heads, truth, predictions),
        data=_data(inputs),
        run=RunInfo(
            config=inputs.config,
            fingerprint=inputs.fingerprint,
            versions={
                "python": platform.python_version(),
                **{name: importlib.metadata.version(name) for name in PACKAGES},
            },
            machine=f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPUs",
        ),
    )


def _model_result(
    inputs: Inputs, model: ModelInputs, truth: Truth, predictions: Predictions, heads: Heads
) -> ModelResult:
    evaluation = results.read_evaluation(model.evaluation, inputs.spec)
    with fileio.open(model.history, "r") as file:
        history = json.load(file)
    found = ModelResult(
        metrics=evaluation,
        history=history,
        blessed=model.blessed,
        failed_thresholds=results.failed_thresholds(model.evaluation),
        size_bytes=_size(model.saved_model),
        inference_images_per_second=predictions.images_per_second,
        cases=_cases(inputs.spec, heads, truth, predictions),
        known=predictions.known,
    )
    overall = evaluation[results.OVERALL].classification
    if overall is None:
        return found
    confusion = np.array(overall.confusion_matrix)
    order, pairs = cases.lookalike_order(confusion), cases.confused_pairs(confusion)
    return dataclasses.replace(found, order=tuple(order), pairs=tuple(pairs))


def _candidate(name: str, model: ModelResult) -> champion.Candidate:
    overall = model.metrics[results.OVERALL]
    classes, mask = overall.classification, overall.segmentation
    return champion.Candidate(
        name,
        model.blessed,
        model.history["parameters"],
        accuracy=classes.accuracy.value if classes else None,
        macro_f1=classes.macro_f1.value if classes else None,
        mask_f1=mask.f1.value if mask else None,
    )


def _cases(spec: DatasetSpec, heads: Heads, truth: Truth, predictions: Predictions) -> dict[str, tuple[Case, ...]]:
    f1 = np.array(predictions.image_f1)
    chosen = cases.mask_cases(f1) if heads.mask else {}
    probabilities = np.array(predictions.probabilities)
    if heads.label:
        chosen["wrong"] = cases.wrong_cases(probabilities, np.array(truth.labels[heads.label.name]))

    def case(index: int) -> Case:
        described: dict[str, Any] = {}
        if heads.mask and not np.isnan(f1[index]):
            described["mask_f1"] = float(f1[index])
        if heads.label:
            named = int(probabilities[index].argmax())
            described |= {"predicted": heads.label.classes[named], "confidence": float(probabilities[index, named])}
        known = {label.name: label.classes for label in spec.labels if truth.labels[label.name][index] >= 0}
        classes = {name: names[truth.labels[name][index]] for name, names in known.items()}
        return Case(truth.file_names[index], classes, **described)

    return {kind: tuple(case(index) for index in indices) for kind, indices in chosen.items()}


def _portraits(heads: Heads, truth: Truth, predictions: Mapping[str, Predictions]) -> dict[str, str]:
    if not heads.label:
        return {}
    mean = np.mean([found.probabilities for found in predictions.values()], axis=0)
    chosen = cases.portraits(mean, np.array(truth.labels[heads.label.name]))
    return {heads.label.classes[number]: truth.file_names[index] for number, index in chosen.items()}


def _data(inputs: Inputs) -> DataSummary:
    label = inputs.heads.label.name if inputs.heads.label else ""
    counted = {split: count_classes(files, inputs.spec, label) for split, files in inputs.splits.items()}
    return DataSummary(
        examples={split: examples for split, (examples, _) in counted.items()},
        classes={split: classes for split, (_, classes) in counted.items()} if label else {},
        anomalies=_anomalies(inputs) if inputs.anomalies else None,
        **inputs.ingestion,
    )


def _anomalies(inputs: Inputs) -> dict[str, tuple[Anomaly, ...]]:
    """What ExampleValidator wrote, by split; a split without a file was not validated and is left out."""
    found = {}
    for split in inputs.splits:
        path = os.path.join(str(inputs.anomalies), f"Split-{split}", "SchemaDiff.pb")
        if not fileio.exists(path):
            continue
        with fileio.open(path, "rb") as file:
            anomalies = anomalies_pb2.Anomalies.FromString(file.read())
        of_split = [(feature, info) for feature, info in sorted(anomalies.anomaly_info.items())]
        if anomalies.HasField("dataset_anomaly_info"):
            of_split.append(("(whole split)", anomalies.dataset_anomaly_info))
        found[split] = tuple(Anomaly(feature, info.short_description, info.description) for feature, info in of_split)
    return found


def _write_predictions(path: str, truth: Truth, predictions: Predictions, heads: Heads) -> None:
    arrays: dict[str, Any] = {"file_names": np.array(truth.file_names)}
    if heads.label:
        arrays |= {
            "labels": np.array(truth.labels[heads.label.name], np.int64),
            "probabilities": np.array(predictions.probabilities),
        }
    if heads.mask:
        arrays["pixels"] = np.array(predictions.pixels)
    np.savez_compressed(path, **arrays)


def _size(folder: str) -> int:
    """Bytes of all files in the folder and below."""
    size = 0
    for parent, _, names in tf.io.gfile.walk(folder):
        size += sum(tf.io.gfile.stat(os.path.join(parent, name)).length for name in names)
    return size
