"""`DatasetSchema`: the TFMD schema of a data set's records, made of its description."""

# No `from __future__ import annotations`: TFX reads the annotations of the function as types.

import os

from google.protobuf import text_format
from tfx.dsl.component.experimental.annotations import OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.dsl.io import fileio
from tfx.types import standard_artifacts

from schema import record
from schema.dataset_spec import DatasetSpec


@component  # type: ignore[call-overload]
def DatasetSchema(
    schema: OutputArtifact[standard_artifacts.Schema],  # type: ignore[type-arg]
    spec: Parameter[str],  # type: ignore[type-arg]
    code: Parameter[str],  # type: ignore[type-arg]
) -> None:
    """Writes `schema.pbtxt`, which ExampleValidator holds the data against and Transform parses by.

    `spec` is a `DatasetSpec` as JSON; `code` a fingerprint of the code that makes the schema, for the cache alone.
    """
    del code
    fileio.makedirs(schema.uri)  # type: ignore[attr-defined]
    with fileio.open(os.path.join(schema.uri, "schema.pbtxt"), "w") as file:  # type: ignore[attr-defined]
        file.write(text_format.MessageToString(record.schema(DatasetSpec.from_json(spec))))  # type: ignore[arg-type]
