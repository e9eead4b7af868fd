"""Holds what the Beam steps of two runs wrote against each other, where order does not matter."""

from __future__ import annotations

import hashlib
import math
import pathlib
from collections.abc import Iterator
from typing import Any

import tensorflow as tf
import tensorflow_data_validation as tfdv
import tensorflow_transform as tft
from google.protobuf import json_format

from components.example_gen import quarantine, summary
from components.metrics.results import failed_thresholds, read_evaluation
from schema import record
from schema.dataset_spec import DatasetSpec

SUMS = 1e-9
"""So far floats may differ, as a share or at all: a sum's last digits depend on the order of adding, on the workers."""

_OF_PROBABILITIES = ("log_loss", "calibration_error")


def differences(
    here: pathlib.Path, there: pathlib.Path, spec: DatasetSpec, of_probabilities: float = SUMS
) -> list[str]:
    """Where two runs' artifacts differ, such as `/StatisticsGen/test/breed/stringStats/unique`; none if they are equal.

    Args:
        here: the folder pipeline/ of one run.
        there: that of the other.
        spec: of the data of both.
        of_probabilities: so far log loss and calibration error may differ.

    Raises:
        ValueError: a component wrote nothing, or more than once.
    """
    one, other = (dict(_leaves(_contents(artifacts, spec))) for artifacts in (here, there))

    def same(path: str) -> bool:
        bar = of_probabilities if any(f"/{name}/" in path for name in _OF_PROBABILITIES) else SUMS
        return _same(one.get(path, ...), other.get(path, ...), bar)

    return [path for path in sorted({*one, *other}) if not same(path)]


def examples(artifacts: pathlib.Path) -> dict[str, list[str]]:
    """The hash of each example by split, in no order of theirs."""
    return {split: [hashlib.sha256(each).hexdigest() for each in _records(artifacts, split)] for split in record.SPLITS}


def _contents(artifacts: pathlib.Path, spec: DatasetSpec) -> dict[str, Any]:
    aside = _only(artifacts, "ExampleGen/quarantine")
    return {
        "ExampleGen": {
            **examples(artifacts),
            "summary": summary.read(str(_only(artifacts, "ExampleGen/examples"))),
            "quarantine": [quarantine.read(str(aside)), sorted(path.name for path in (aside / "files").iterdir())],
        },
        "StatisticsGen": {split: _statistics(artifacts, split) for split in record.SPLITS},
        "Transform": _transformed(artifacts),
        **{path.name: _judged(artifacts, path.name, spec) for path in artifacts.glob("Evaluator_*")},
    }


def _only(artifacts: pathlib.Path, key: str) -> pathlib.Path:
    [artifact] = (artifacts / key).iterdir()
    return artifact


def _records(artifacts: pathlib.Path, split: str) -> list[bytes]:
    files = [str(file) for file in (_only(artifacts, "ExampleGen/examples") / f"Split-{split}").iterdir()]
    return sorted(tf.data.TFRecordDataset(files).as_numpy_iterator())


def _statistics(artifacts: pathlib.Path, split: str) -> dict[str, Any]:
    file = _only(artifacts, "StatisticsGen/statistics") / f"Split-{split}" / "FeatureStats.pb"
    [dataset] = tfdv.load_stats_binary(str(file)).datasets
    return {feature.path.step[0]: json_format.MessageToDict(feature) for feature in dataset.features}


def _transformed(artifacts: pathlib.Path) -> dict[str, Any]:
    """What the graph makes of some records: the graph itself holds names, which differ."""
    transform = tft.TFTransformOutput(str(_only(artifacts, "Transform/transform_graph")))
    some = tf.io.parse_example(_records(artifacts, record.TEST)[:4], transform.raw_feature_spec())
    tensors = transform.transform_features_layer()(some)
    return {name: [tensor.dtype.name, tensor.shape, tensor.numpy().tobytes()] for name, tensor in tensors.items()}


def _judged(artifacts: pathlib.Path, evaluator: str, spec: DatasetSpec) -> dict[str, Any]:
    evaluation = str(_only(artifacts, f"{evaluator}/evaluation"))
    blessing = _only(artifacts, f"{evaluator}/blessing")
    return {
        "metrics": read_evaluation(evaluation, spec),
        "failed": failed_thresholds(evaluation),
        "blessing": [path.name for path in blessing.iterdir()],
    }


def _leaves(tree: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """The values of nested dicts, lists, tuples and dataclasses, by their paths."""
    tree = vars(tree) if hasattr(tree, "__dataclass_fields__") else tree
    if not isinstance(tree, dict | list | tuple):
        yield path, tree
        return
    for key, value in tree.items() if isinstance(tree, dict) else enumerate(tree):
        yield from _leaves(value, f"{path}/{key}")


def _same(here: Any, there: Any, bar: float) -> bool:
    if not (isinstance(here, float) and isinstance(there, float)):
        return bool(here == there)
    return math.isclose(here, there, rel_tol=bar, abs_tol=bar)
