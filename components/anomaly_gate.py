"""`AnomalyGate`: stops the run where ExampleValidator, which only reports, has found an anomaly."""

# No `from __future__ import annotations`: TFX reads the annotations of the function as types.

import json

from tensorflow_metadata.proto.v0 import anomalies_pb2
from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.dsl.io import fileio
from tfx.types import standard_artifacts


class AnomaliesFound(ValueError):
    """The data does not fit the schema."""


@component  # type: ignore[call-overload]
def AnomalyGate(
    anomalies: InputArtifact[standard_artifacts.ExampleAnomalies],  # type: ignore[type-arg]
    passed: OutputArtifact[standard_artifacts.String],  # type: ignore[type-arg]
    code: Parameter[str],  # type: ignore[type-arg]
) -> None:
    """Lets the run go on if no split has an anomaly; nodes that must wait for it name it with `add_upstream_node`.

    `passed` lists, as JSON, the features that each split was held against: {"train": ["kind", ...], ...}. `code` is the
    fingerprint of what runs here, for the cache key.
    """
    del code
    passed.value = json.dumps(check(anomalies.uri))  # type: ignore[attr-defined]


def check(uri: str) -> dict[str, list[str]]:
    """The features of the schema that each split was held against, given ExampleValidator's output at `uri`.

    Raises:
      AnomaliesFound: It names every anomaly: split, feature, and what is wrong with it.
      FileNotFoundError: There is no validation result.
    """
    checked: dict[str, list[str]] = {}
    found: list[str] = []
    for path in sorted(fileio.glob(f"{uri}/Split-*/SchemaDiff.pb")):
        split = str(path).split("/")[-2].removeprefix("Split-")
        with fileio.open(path, "rb") as file:
            result = anomalies_pb2.Anomalies.FromString(file.read())
        checked[split] = [feature.name for feature in result.baseline.feature]
        found += [f"split {split}, {line}" for line in _describe(result)]
    if not checked:
        raise FileNotFoundError(f"{uri} holds no Split-*/SchemaDiff.pb of an ExampleValidator")
    if found:
        raise AnomaliesFound("the data does not fit the schema of its description: " + "; ".join(found))
    return checked


def _describe(result: anomalies_pb2.Anomalies) -> list[str]:
    lines = []
    for feature, anomaly in sorted(result.anomaly_info.items()):
        lines.append(f"feature {feature!r}: {anomaly.short_description} ({anomaly.description})")
    if result.HasField("dataset_anomaly_info"):
        lines.append(f"the data set: {result.dataset_anomaly_info.description}")
    if result.data_missing:
        lines.append("the data set: no examples")
    return lines
