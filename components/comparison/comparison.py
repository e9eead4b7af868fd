"""From trained, evaluated models to the champion and the folder of the report.

`metrics.json` holds every number of the report, see `components.comparison.results`. `predictions-MODEL.npz` lets
anyone recompute them, in the order of the examples of split `test`: `file_names` [N], `labels` int64 [N] (-1: unknown)
and `probabilities` float32 [N, C] (class head), `pixels` int64 [N, K + 1, K + 1] (mask head: confusion matrix of each
example's pixels, rows true, background first). `suspects.csv`, where an audit was asked for: see `audit`.
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from components.comparison import (
    audit,
    cases,
    champion,
    data_summary,
    decision,
    known,
    model_result,
    predictions,
    robustness,
    twins,
)
from components.comparison.inputs import Inputs
from components.comparison.predictions import Predictions, Truth, batches, predict
from components.comparison.results import Audit, Comparison, Known, Robustness, RunInfo
from components.report import figures, page, tfma_view
from schema import record
from schema.dataset_spec import Heads

PACKAGES = ("tfx", "tensorflow", "keras", "tensorflow-model-analysis", "tensorflow-transform", "apache-beam", "numpy")


def compare(inputs: Inputs, folder: str) -> Comparison:
    """Chooses the champion, runs every model over split `test`, and writes the report into the local `folder`.

    Raises:
      FileNotFoundError: A model, an evaluation or a history is not where it should be.
      ValueError: Split `test` is empty, or a model lacks a head.
    """
    os.makedirs(folder, exist_ok=True)
    files = inputs.splits[record.TEST]
    models = {name: tf.saved_model.load(model.saved_model).signatures for name, model in inputs.models.items()}
    truth, found = predict(models, batches(files), inputs.spec, inputs.heads)
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
    robust = robustness.judge(models, files, len(truth.file_names), count, inputs.spec, inputs.heads) if count else {}
    asked = {
        split: (truth, found)
        if split == record.TEST
        else predict(models, batches(inputs.splits[split]), inputs.spec, inputs.heads)
        for split in inputs.audit
    }
    audited = audit.find(asked, twins.look_at(inputs.splits), inputs.heads) if asked else None
    compared = _compared(inputs, truth, found, knowing, robust, audited)
    for name, model in inputs.models.items():
        predictions.write(os.path.join(folder, f"predictions-{name}.npz"), truth, found[name], inputs.heads)
        tfma_view.write_page(model.evaluation, inputs.spec, name, os.path.join(folder, f"tfma-{name}.html"))
    figures.draw_plots(compared, folder)
    size = truth.masks.mask(0).shape[:2] if truth.masks else None
    photos = predictions.read_photos(files, figures.photos_shown(compared), size)
    figures.write_pictures(compared, photos, truth, found, folder)
    if audited:
        audit.write(audited.suspects, os.path.join(folder, audit.SUSPECTS_FILE))
        for split, names in figures.suspects_photos(audited).items():
            photos |= predictions.read_photos(inputs.splits[split], names, size)
        figures.write_suspects(audited, photos, asked, folder)
    page.write(compared, folder)
    return compared


def _compared(
    inputs: Inputs,
    truth: Truth,
    found: Mapping[str, Predictions],
    knowing: Mapping[str, Known],
    robust: Mapping[str, Robustness],
    audited: Audit | None,
) -> Comparison:
    models = {
        name: model_result.of_model(inputs, model, truth, found[name], knowing[name], robust.get(name))
        for name, model in inputs.models.items()
    }
    candidates = [model_result.candidate(name, model) for name, model in models.items()]
    chosen = champion.choose(candidates, inputs.rule)
    data = data_summary.summarise(inputs)
    held_out = data.examples[record.EVAL] + data.examples[record.TEST]
    data_refusals = audit.refusals(audited, held_out, inputs.max_suspects) if audited else ()
    return Comparison(
        champion=chosen.name,
        decision=decision.decide(inputs, candidates, chosen, truth, found, data_refusals),
        models=models,
        spec=inputs.spec,
        heads=inputs.heads,
        portraits=_portraits(inputs.heads, truth, found),
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


def _portraits(heads: Heads, truth: Truth, found: Mapping[str, Predictions]) -> dict[str, str]:
    if not heads.label:
        return {}
    mean = np.mean([answered.probabilities for answered in found.values()], axis=0)
    chosen = cases.portraits(mean, np.array(truth.labels[heads.label.name]))
    return {heads.label.classes[number]: truth.file_names[index] for number, index in chosen.items()}
