"""What the report says of the data: counts of every split, and what ExampleValidator found."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np
import tensorflow as tf
from tensorflow_metadata.proto.v0 import anomalies_pb2
from tfx.dsl.io import fileio

from components.comparison.inputs import Inputs
from components.comparison.predictions import batches
from components.comparison.results import Anomaly, DataSummary
from schema import record
from schema.dataset_spec import DatasetSpec


def summarise(inputs: Inputs) -> DataSummary:
    """Counts every split, and adds what ingestion and ExampleValidator wrote."""
    label = inputs.heads.label.name if inputs.heads.label else ""
    counted = {split: _count_classes(files, inputs.spec, label) for split, files in inputs.splits.items()}
    return DataSummary(
        examples={split: examples for split, (examples, _) in counted.items()},
        classes={split: classes for split, (_, classes) in counted.items()} if label else {},
        anomalies=_anomalies(inputs) if inputs.anomalies else None,
        **inputs.ingestion,
    )


def _count_classes(files: Sequence[str], spec: DatasetSpec, label: str) -> tuple[int, dict[str, int]]:
    """How many examples the record files hold, and how many of each class of `label` ("" for none)."""
    names = [label] if label else []
    classes = spec.label(label).classes if label else ()
    counts = np.zeros(len(classes), np.int64)
    examples = 0
    for serialized in batches(files, 256):
        examples += len(serialized)
        for name in names:
            found = tf.io.parse_example(serialized, record.parsing_spec(name, spec=spec))[name].numpy()
            counts += np.bincount(found[found >= 0], minlength=len(classes))
    return examples, dict(zip(classes, counts.tolist(), strict=True))


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
