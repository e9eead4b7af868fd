"""From trained, evaluated models to the champion and the folder of the report.

`metrics.json` holds every number of the report, see `components.comparison.results`. `predictions-MODEL.npz` lets
anyone recompute them, in the order of the examples of split `test`: `file_names` [N], `labels` int64 [N] (-1: unknown)
and `probabilities` float32 [N, C] (class head), `pixels` int64 [N, K + 1, K + 1] (mask head: confusion matrix of each
example's pixels, rows true, background first). `suspects.csv`, where an audit was asked for: see `audit`.
"""

from __future__ import annotations

import dataclasses
import importlib.metadata
import json
import os
import platform
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf
from tensorflow_metadata.proto.v0 import anomalies_pb2
from tfx.dsl.io import fileio

from components import contract
from components.comparison import audit, cases, champion, known, paired, twins
from components.comparison.predictions import (
    Predictions,
    Truth,
    answers,
    batches,
    count_classes,
    predict,
    read_photos,
)
from components.comparison.results import (
    Anomaly,
    Audit,
    Case,
    Comparison,
    DataSummary,
    Decision,
    Difference,
    Known,
    ModelResult,
    Robustness,
    RunInfo,
)
from components.comparison.robustness import NOTHING, Demand, judge
from components.metrics import results
from components.report import figures, page, tfma_view
from schema import record
from schema.dataset_spec import SIZE, DatasetSpec, Heads

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
    serving: str | None = None
    """The SavedModel that a champion would replace, with the same heads; None: there is none."""
    max_drop: float = 0.0
    """How much worse than that one the champion may be, in [0, 1]; see `paired`."""
    robustness: Demand = NOTHING
    ingestion: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """As `components.example_gen.summary.of_report` gives it."""
    audit: tuple[str, ...] = ()
    """Splits whose labels and masks are held against the models; empty: the data are not looked at."""
    max_suspects: Mapping[str, float] = dataclasses.field(default_factory=dict)
    """The largest share of each kind in `audit.BARS`, in [0, 1]; with more no model is blessed."""


def compare(inputs: Inputs, folder: str) -> Comparison:
    """Chooses the champion, runs every model over split `test`, and writes the report into the local `folder`.

    Raises:
      FileNotFoundError: A model, an evaluation or a history is not where it should be.
      ValueError: Split `test` is empty, or a model lacks a head.
    """
    os.makedirs(folder, exist_ok=True)
    files = inputs.splits[record.TEST]
    models = {name: tf.saved_model.load(model.saved_model).signatures for name, model in inputs.models.items()}
    truth, predictions = predict(models, batches(files), inputs.spec, inputs.heads)
    if not truth.file_names:
        raise ValueError(f"split {record.TEST!r} holds no examples: {files}")
    knowing = {
        name: known.judge(
            signatures["serving_default"],
            batches(files),
            len(truth.file_names),
            len(inputs.heads.mask.classes) if inputs.heads.mask else 0,
        )
        for name, signatures in models.items()
    }
    count = inputs.robustness.photos
    robust = judge(models, files, len(truth.file_names), count, inputs.spec, inputs.heads) if count else {}
    asked = {
        split: (truth, predictions)
        if split == record.TEST
        else predict(models, batches(inputs.splits[split]), inputs.spec, inputs.heads)
        for split in inputs.audit
    }
    audited = audit.find(asked, twins.look_at(inputs.splits), inputs.heads) if asked else None
    compared = _compared(inputs, truth, predictions, knowing, robust, audited)
    for name, model in inputs.models.items():
        _write_predictions(os.path.join(folder, f"predictions-{name}.npz"), truth, predictions[name], inputs.heads)
        tfma_view.write_page(model.evaluation, inputs.spec, name, os.path.join(folder, f"tfma-{name}.html"))
    figures.draw_plots(compared, folder)
    size = truth.masks.mask(0).shape[:2] if truth.masks else None
    photos = read_photos(files, figures.photos_shown(compared), size)
    figures.write_pictures(compared, photos, truth, predictions, folder)
    if audited:
        audit.write(audited.suspects, os.path.join(folder, audit.SUSPECTS_FILE))
        for split, names in figures.suspects_photos(audited).items():
            photos |= read_photos(inputs.splits[split], names, size)
        figures.write_suspects(audited, photos, asked, folder)
    page.write(compared, folder)
    return compared


def _compared(
    inputs: Inputs,
    truth: Truth,
    predictions: Mapping[str, Predictions],
    knowing: Mapping[str, Known],
    robust: Mapping[str, Robustness],
    audited: Audit | None,
) -> Comparison:
    models = {
        name: _model_result(inputs, model, truth, predictions[name], knowing[name], robust.get(name))
        for name, model in inputs.models.items()
    }
    candidates = [_candidate(name, model) for name, model in models.items()]
    chosen = champion.choose(candidates, inputs.rule)
    data = _data(inputs)
    held_out = data.examples[record.EVAL] + data.examples[record.TEST]
    data_refusals = audit.refusals(audited, held_out, inputs.max_suspects) if audited else ()
    return Comparison(
        champion=chosen.name,
        decision=_decision(inputs, candidates, chosen, truth, predictions, data_refusals),
        models=models,
        spec=inputs.spec,
        heads=inputs.heads,
        portraits=_portraits(inputs.heads, truth, predictions),
        data=data,
        run=RunInfo(
            config=inputs.config,
            fingerprint=inputs.fingerprint,
            versions={
                "python": platform.python_version(),
                **{name: importlib.metadata.version(name) for name in PACKAGES},
            },
            machine=f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPUs",
        ),
        audit=audited,
    )


def _decision(
    inputs: Inputs,
    candidates: Sequence[champion.Candidate],
    chosen: champion.Candidate,
    truth: Truth,
    predictions: Mapping[str, Predictions],
    data_refusals: tuple[str, ...],
) -> Decision:
    of_models = {name: answers(truth, found, inputs.heads) for name, found in predictions.items()}
    of_champion = of_models.pop(chosen.name)
    everything = {results.OVERALL: np.arange(len(truth.file_names))}
    slices = everything | _slices(truth, inputs.spec)
    against_serving: tuple[Difference, ...] = ()
    if inputs.serving:
        _check_comparable(inputs.serving, inputs.models[chosen.name].saved_model)
        # Asked by itself, for its masks may have another size, and so another truth.
        serving = {"serving": tf.saved_model.load(inputs.serving).signatures}
        its_truth, found = predict(serving, batches(inputs.splits[record.TEST]), inputs.spec, inputs.heads)
        of_serving = answers(its_truth, found["serving"], inputs.heads)
        against_serving = paired.compare(of_champion, of_serving, slices, inputs.max_drop)
    refusals = paired.refusals(against_serving, inputs.max_drop)
    return Decision(
        rule=inputs.rule,
        scores={candidate.name: candidate.score(inputs.rule) for candidate in candidates},
        blessed=chosen.blessed and not refusals and not data_refusals,
        sentence=chosen.sentence(inputs.rule),
        max_drop=inputs.max_drop,
        against_serving=against_serving,
        against_contestants={
            name: paired.compare(of_champion, of_other, everything, margin=0.0) for name, of_other in of_models.items()
        },
        refusals=refusals,
        data_refusals=data_refusals,
    )


def _check_comparable(serving: str, model: str) -> None:
    its, ours = (contract.description(folder) for folder in (serving, model))
    for key, is_ours in ours.items():
        if key in ("label", "classes", "mask") and _names(its.get(key)) != _names(is_ours):
            raise ValueError(
                f"the serving model {serving} cannot be compared with the champion: its {key} is {its.get(key)}, "
                f"the champion's {is_ours}; give a model with the same classes, or none"
            )


def _names(described: Any) -> Any:
    """Of a head: a mask's threshold may differ from model to model."""
    return described["classes"] if isinstance(described, dict) else described


def _slices(truth: Truth, spec: DatasetSpec) -> dict[str, npt.NDArray[np.int64]]:
    """Indices of the examples of each slice, by its name."""
    members: dict[str, list[int]] = {}
    for names in spec.slices:
        ordered = [name for name in (*truth.labels, SIZE) if name in names]
        for index, values in enumerate(zip(*(truth.slices[name] for name in ordered), strict=True)):
            members.setdefault(results.slice_name(dict(zip(ordered, values, strict=True))), []).append(index)
    return {name: np.array(indices) for name, indices in members.items()}


def _model_result(
    inputs: Inputs,
    model: ModelInputs,
    truth: Truth,
    predictions: Predictions,
    knowing: Known,
    robust: Robustness | None,
) -> ModelResult:
    evaluation = results.read_evaluation(model.evaluation, inputs.spec)
    with fileio.open(model.history, "r") as file:
        history = json.load(file)
    too_fragile = inputs.robustness.failures(robust, inputs.heads) if robust else ()
    found = ModelResult(
        metrics=evaluation,
        history=history,
        blessed=model.blessed and not too_fragile,
        failed_thresholds=(*results.failed_thresholds(model.evaluation), *too_fragile),
        size_bytes=_size(model.saved_model),
        inference_images_per_second=predictions.images_per_second,
        cases=_cases(inputs.spec, inputs.heads, truth, predictions),
        known=knowing,
        robustness=robust,
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
