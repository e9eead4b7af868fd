"""From trained, evaluated models to the champion and the folder of the report.

`metrics.json` holds every number of the report:

| key        | value                                                                                                |
|------------|------------------------------------------------------------------------------------------------------|
| `champion` | name of the chosen model                                                                             |
| `decision` | `rule`, `scores` (of each model), `blessed` (the champion), `sentence` (for a person)                |
| `models`   | by name, see below                                                                                   |
| `label`    | `name` and `classes` of the class head; null without it                                              |
| `portraits`| by class: the file name of the photo that stands for it                                              |
| `data`     | `breeds`: examples of each split by breed; `anomalies`: what ExampleValidator found, by split        |
| `run`      | `config`, `fingerprint`, `versions`, `seconds` of each component where they are known                |

Each of `models` holds `metrics` (`components.metrics.results.read_metrics`, arrays over classes only overall),
`history` (`pets.HISTORY_FILE`), `blessed`, `failed_thresholds`, `size_bytes`, `inference_images_per_second`, `cases`
(photos of the gallery by kind: `best`, `typical`, `worst`, `wrong`), and with a class head `order` (of the classes in
the confusion matrix) and `pairs` (the most confused).

`predictions-MODEL.npz` lets anyone recompute them, in the order of the photos of split `test`: `file_names` [N],
`labels` int64 [N] and `probabilities` float32 [N, C] (class head), `counts` int64 [N, 4] (mask head: TP, FP, FN, TN
pixels).
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
from components.comparison.predictions import (
    Predictions,
    Truth,
    count_breeds,
    image_f1,
    predict,
    read_photos,
    read_truth,
)
from components.metrics import results
from components.report import figures, page, tfma_view
from schema import pets

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
    rule: champion.Rule
    config: dict[str, Any]
    fingerprint: str


@dataclasses.dataclass(frozen=True)
class Winner:
    """The model that a comparison chose."""

    name: str
    blessed: bool
    sentence: str
    """Its name and the figure that decided, for a person."""


@dataclasses.dataclass(frozen=True)
class _Answers:
    """Every model's answers on split `test`."""

    truth: Truth
    predictions: dict[str, Predictions]


def compare(inputs: Inputs, folder: str) -> Winner:
    """Chooses the champion, runs every model over split `test`, and writes the report into the local `folder`.

    Raises:
      FileNotFoundError: A model, an evaluation or a history is not where it should be.
      ValueError: Split `test` is empty, or the models do not name the same classes.
    """
    os.makedirs(folder, exist_ok=True)
    answers = _run_models(inputs)
    metrics = _metrics(inputs, answers)
    for name, predictions in answers.predictions.items():
        _write_predictions(os.path.join(folder, f"predictions-{name}.npz"), answers.truth, predictions)
        tfma_view.write_page(inputs.models[name].evaluation, name, os.path.join(folder, f"tfma-{name}.html"))
    figures.draw_plots(metrics, folder)
    masks = answers.truth.masks
    photos = read_photos(inputs.splits[pets.TEST], figures.photos_shown(metrics), masks.height, masks.width)
    figures.write_pictures(metrics, photos, answers.truth, answers.predictions, folder)
    page.write_metrics(metrics, folder)
    page.write_page(folder)
    return Winner(metrics["champion"], metrics["decision"]["blessed"], metrics["decision"]["sentence"])


def _run_models(inputs: Inputs) -> _Answers:
    files = inputs.splits[pets.TEST]
    truth: Truth | None = None
    predictions = {}
    for name, model in inputs.models.items():
        loaded = tf.saved_model.load(model.saved_model)
        if truth is None:
            # Every model carries the same Transform graph, so one of them tells the truth for all.
            transform = loaded.signatures["transform_features"]
            truth = read_truth(transform, files)
        predictions[name] = predict(loaded.signatures["serving_default"], files, truth)
    assert truth is not None
    labels = {name: found.label for name, found in predictions.items()}
    if len(set(labels.values())) != 1:
        raise ValueError(f"the models name different things, {labels}: train them with one label and one task")
    return _Answers(truth, predictions)


def _metrics(inputs: Inputs, answers: _Answers) -> dict[str, Any]:
    models = {
        name: _model_metrics(model, answers.truth, answers.predictions[name]) for name, model in inputs.models.items()
    }
    label = next(iter(answers.predictions.values())).label
    chosen, scores = _choose(models, inputs.rule)
    return {
        "champion": chosen.name,
        "decision": {
            "rule": inputs.rule,
            "scores": scores,
            "blessed": chosen.blessed,
            "sentence": chosen.sentence(inputs.rule),
        },
        "models": models,
        "label": {"name": label, "classes": list(pets.CLASSES[label])} if label else None,
        "portraits": _portraits(answers) if label else {},
        "data": {
            "breeds": {
                split: dict(zip(pets.BREEDS, count_breeds(files), strict=True))
                for split, files in inputs.splits.items()
            },
            "anomalies": _anomalies(inputs) if inputs.anomalies else None,
        },
        "run": {
            "config": inputs.config,
            "fingerprint": inputs.fingerprint,
            "versions": {
                "python": platform.python_version(),
                **{name: importlib.metadata.version(name) for name in PACKAGES},
            },
            "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPUs",
            "seconds": {},
        },
    }


def _model_metrics(model: ModelInputs, truth: Truth, predictions: Predictions) -> dict[str, Any]:
    evaluation = results.read_metrics(model.evaluation)
    for name, heads in evaluation.items():
        if name != results.OVERALL:
            # A slice's own confusion matrix is the rows of its breeds: 47 copies would be most of the file.
            heads.update({head: _without_arrays(figures_of) for head, figures_of in heads.items()})
    with fileio.open(model.history, "r") as file:
        history = json.load(file)
    metrics = {
        "metrics": evaluation,
        "history": history,
        "blessed": model.blessed,
        "failed_thresholds": results.failed_thresholds(model.evaluation),
        "size_bytes": _size(model.saved_model),
        "inference_images_per_second": predictions.images_per_second,
        "cases": _cases(truth, predictions),
    }
    if predictions.label:
        confusion = np.array(evaluation[results.OVERALL]["class"]["confusion_matrix"])
        metrics["order"] = cases.lookalike_order(confusion)
        metrics["pairs"] = cases.confused_pairs(confusion)
    return metrics


def _without_arrays(of_head: dict[str, Any]) -> dict[str, Any]:
    return {key: figure for key, figure in of_head.items() if not isinstance(figure, list)}


def _choose(
    models: Mapping[str, Mapping[str, Any]], rule: champion.Rule
) -> tuple[champion.Candidate, dict[str, float]]:
    """The chosen model, and every model's score."""
    candidates = []
    for name, model in models.items():
        overall = model["metrics"][results.OVERALL]
        accuracy = overall["class"]["accuracy"]["value"] if "class" in overall else None
        mask_f1 = overall["mask"]["f1"]["value"] if "mask" in overall else None
        candidates.append(champion.Candidate(name, model["blessed"], model["history"]["parameters"], accuracy, mask_f1))
    return champion.choose(candidates, rule), {candidate.name: candidate.score(rule) for candidate in candidates}


def _cases(truth: Truth, predictions: Predictions) -> dict[str, list[dict[str, Any]]]:
    f1 = None if predictions.counts is None else image_f1(predictions.counts)
    chosen = {} if f1 is None else cases.mask_cases(f1)
    if predictions.label and predictions.probabilities is not None:
        chosen["wrong"] = cases.wrong_cases(predictions.probabilities, truth.labels[predictions.label])

    def case(index: int) -> dict[str, Any]:
        described: dict[str, Any] = {
            "file_name": truth.file_names[index],
            "breed": pets.BREEDS[truth.labels[pets.BREED][index]],
            "species": pets.SPECIES[truth.labels[pets.SPECIES_LABEL][index]],
        }
        if f1 is not None:
            described["mask_f1"] = float(f1[index])
        if predictions.label and predictions.probabilities is not None:
            named = int(predictions.probabilities[index].argmax())
            described["predicted"] = pets.CLASSES[predictions.label][named]
            described["confidence"] = float(predictions.probabilities[index, named])
        return described

    return {kind: [case(index) for index in indices] for kind, indices in chosen.items()}


def _portraits(answers: _Answers) -> dict[str, str]:
    found = list(answers.predictions.values())
    label = str(found[0].label)
    mean = np.mean([one.probabilities for one in found if one.probabilities is not None], axis=0)
    chosen = cases.portraits(mean, answers.truth.labels[label])
    return {pets.CLASSES[label][number]: answers.truth.file_names[index] for number, index in chosen.items()}


def _anomalies(inputs: Inputs) -> dict[str, list[dict[str, str]]]:
    """What ExampleValidator wrote, by split; a split without a file was not validated and is left out."""
    found = {}
    for split in inputs.splits:
        path = os.path.join(str(inputs.anomalies), f"Split-{split}", "SchemaDiff.pb")
        if not fileio.exists(path):
            continue
        with fileio.open(path, "rb") as file:
            anomalies = anomalies_pb2.Anomalies.FromString(file.read())
        found[split] = [
            {"feature": feature, "found": info.short_description, "description": info.description}
            for feature, info in sorted(anomalies.anomaly_info.items())
        ]
        if anomalies.HasField("dataset_anomaly_info"):
            info = anomalies.dataset_anomaly_info
            found[split].append(
                {"feature": "(whole split)", "found": info.short_description, "description": info.description}
            )
    return found


def _write_predictions(path: str, truth: Truth, predictions: Predictions) -> None:
    arrays: dict[str, Any] = {"file_names": np.array(truth.file_names)}
    if predictions.label:
        arrays |= {"labels": truth.labels[predictions.label], "probabilities": predictions.probabilities}
    if predictions.counts is not None:
        arrays["counts"] = predictions.counts
    np.savez_compressed(path, **arrays)


def _size(folder: str) -> int:
    """Bytes of all files in the folder and below."""
    size = 0
    for parent, _, names in tf.io.gfile.walk(folder):
        size += sum(tf.io.gfile.stat(os.path.join(parent, name)).length for name in names)
    return size
