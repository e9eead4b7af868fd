"""`ExampleGen`: any `Source` of labelled photos becomes the splits train, eval and test of `schema.record` records."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence

from tfx.dsl.components.base import base_beam_component, executor_spec
from tfx.types import Channel, component_spec, standard_artifacts
from tfx.types.experimental import simple_artifacts

from components import datasets
from components.datasets.source import Source
from components.example_gen import executor
from schema.dataset_spec import DatasetSpec


class ExampleGenSpec(component_spec.ComponentSpec):
    """Parameters and outputs of `ExampleGen`."""

    PARAMETERS = {  # noqa: RUF012 - TFX reads class attributes
        "source": component_spec.ExecutionParameter(type=str),
        "data": component_spec.ExecutionParameter(type=str),
        "spec": component_spec.ExecutionParameter(type=str),
        "min_speck": component_spec.ExecutionParameter(type=float),
        "max_pixels": component_spec.ExecutionParameter(type=int),
        "max_quarantined": component_spec.ExecutionParameter(type=float),
        "leave_out": component_spec.ExecutionParameter(type=str),
        "fingerprint": component_spec.ExecutionParameter(type=str),
    }
    INPUTS = {}  # noqa: RUF012 - TFX reads class attributes
    OUTPUTS = {  # noqa: RUF012 - TFX reads class attributes
        "examples": component_spec.ChannelParameter(type=standard_artifacts.Examples),
        # KFP v2 restores only TFX's own artifact types by itself; of those, `File` promises nothing untrue.
        "quarantine": component_spec.ChannelParameter(type=simple_artifacts.File),
    }


class ExampleGen(base_beam_component.BaseBeamComponent):
    """Prepares the data where it is not there, checks and mends each record, and writes them by Beam.

    Outputs:
      examples: `Examples` with splits train, eval and test, and `summary.json`, see `components.example_gen.summary`.
      quarantine: a folder with what could not be used, see `components.example_gen.quarantine`.
    """

    SPEC_CLASS = ExampleGenSpec
    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(executor.Executor)

    def __init__(
        self,
        source: Source,
        spec: DatasetSpec,
        fingerprint: str,
        min_speck: float = 0.0,
        max_megapixels: int = 50,
        max_quarantined: float = 0.01,
        leave_out: Sequence[tuple[str, str]] = (),
    ) -> None:
        """Makes the component, with what names the data in its cache key; they may not be there yet.

        Args:
          source: Where the records come from, one of `components.datasets.DATASETS`.
          spec: What their labels and masks mean; `splits` are cut where the source gives none.
          fingerprint: Of the code that runs here, so that changed code never meets a stale cache.
          min_speck: Areas of a mask smaller than this share of the picture are dropped, in [0, 1); 0 drops none.
          max_megapixels: Photos of more pixels (by their header) are not opened, 1 or more.
          max_quarantined: The share of a split that may be unusable before the run stops, in [0, 1]; copies of photos
            in other splits do not count, and one record may be unusable in any split unless this is 0.
          leave_out: Split and file name of records that are not written; the others keep the splits that they have
            with them.

        Raises:
          ValueError: A value is out of its range, or the source cannot find its data.
        """
        if not 0 <= min_speck < 1:
            raise ValueError(f"min_speck is {min_speck}; a share of the picture lies in [0, 1)")
        if max_megapixels < 1:
            raise ValueError(f"max_megapixels is {max_megapixels}; give 1 or more")
        if not 0 <= max_quarantined <= 1:
            raise ValueError(f"max_quarantined is {max_quarantined}; a share of a split lies in [0, 1]")
        component_spec = ExampleGenSpec(
            source=datasets.to_json(source),
            data=source.key(),
            # What a person calls things changes no record.
            spec=dataclasses.replace(spec.essence(), splits=spec.splits).to_json(),
            min_speck=min_speck,
            max_pixels=max_megapixels * 1_000_000,
            max_quarantined=max_quarantined,
            leave_out=json.dumps(list(leave_out)),
            fingerprint=fingerprint,
            examples=Channel(type=standard_artifacts.Examples),
            quarantine=Channel(type=simple_artifacts.File),
        )
        super().__init__(spec=component_spec)
