"""What the report says of the data: counts of every split."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from components.comparison.inputs import Inputs
from components.comparison.predictions import batches
from components.comparison.results import DataSummary
from schema import record
from schema.dataset_spec import DatasetSpec, Label


def summarise(inputs: Inputs) -> DataSummary:
    """Counts every split, and adds what ingestion wrote."""
    label = inputs.heads.label
    counted = {split: _count_classes(files, inputs.spec, label) for split, files in inputs.splits.items()}
    return DataSummary(
        examples={split: examples for split, (examples, _) in counted.items()},
        classes={split: classes for split, (_, classes) in counted.items()} if label else {},
        **inputs.ingestion,
    )


def _count_classes(files: Sequence[str], spec: DatasetSpec, label: Label | None) -> tuple[int, dict[str, int]]:
    """How many examples the record files hold, and how many of each class of the label, if there is one."""
    classes = label.classes if label else ()
    counts = np.zeros(len(classes), np.int64)
    examples = 0
    for serialized in batches(files, 256):
        examples += len(serialized)
        if label:
            found = tf.io.parse_example(serialized, record.parsing_spec(label.name, spec=spec))[label.name].numpy()
            counts += np.bincount(found[found >= 0], minlength=len(classes))
    return examples, dict(zip(classes, counts.tolist(), strict=True))
