"""All that the report says of one model, and what of it the rule for the champion looks at."""

from __future__ import annotations

import dataclasses
import json
import os
from typing import Any

import numpy as np
import tensorflow as tf
from tfx.dsl.io import fileio

from components.comparison import cases, champion
from components.comparison.inputs import Inputs, ModelInputs
from components.comparison.predictions import Predictions, Truth
from components.comparison.results import Case, Known, ModelResult, Robustness
from components.metrics import results
from schema.dataset_spec import DatasetSpec, Heads


def of_model(
    inputs: Inputs,
    model: ModelInputs,
    truth: Truth,
    predictions: Predictions,
    knowing: Known,
    robust: Robustness | None,
) -> ModelResult:
    """What is known of one model.

    Args:
      inputs: What the comparison reads.
      model: Where its artifacts lie.
      truth: Of split `test`.
      predictions: Its own.
      knowing: How it tells photos that are like the training data from others.
      robust: How it does on corrupted photos; None: it was not asked.
    """
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


def candidate(name: str, model: ModelResult) -> champion.Candidate:
    """What the rule for the champion looks at."""
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


def _size(folder: str) -> int:
    """Bytes of all files in the folder and below."""
    size = 0
    for parent, _, names in tf.io.gfile.walk(folder):
        size += sum(tf.io.gfile.stat(os.path.join(parent, name)).length for name in names)
    return size
