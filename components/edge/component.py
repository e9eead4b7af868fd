"""The TFX component `Edge`: the champion in, and out with TFLite and ONNX files that answer as it does."""

from __future__ import annotations

import json
from collections.abc import Sequence

from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import BaseChannel, Channel, component_spec, standard_artifacts
from tfx.types.experimental import simple_artifacts

from components.edge import executor


class EdgeSpec(component_spec.ComponentSpec):
    """Parameters, inputs and outputs of `Edge`."""

    PARAMETERS = {  # noqa: RUF012 - TFX reads class attributes
        "formats": component_spec.ExecutionParameter(type=str),
        "image_size": component_spec.ExecutionParameter(type=int),
        "fingerprint": component_spec.ExecutionParameter(type=str),
    }
    INPUTS = {  # noqa: RUF012
        "champion": component_spec.ChannelParameter(type=standard_artifacts.Model),
        "blessing": component_spec.ChannelParameter(type=standard_artifacts.ModelBlessing),
        "report": component_spec.ChannelParameter(type=simple_artifacts.File),
        "examples": component_spec.ChannelParameter(type=standard_artifacts.Examples),
    }
    OUTPUTS = {  # noqa: RUF012
        "model": component_spec.ChannelParameter(type=standard_artifacts.Model),
        "figures": component_spec.ChannelParameter(type=simple_artifacts.File),
    }


class Edge(base_component.BaseComponent):
    """Converts a blessed champion, and keeps each file only if it answers split `test` as the champion does.

    Outputs:
      model: `Model`, the champion with `assets.extra/edge/` beside it, see `components.edge.package`.
      figures: a folder with `edge.json`, a `components.edge.results.Edge`; empty if the champion is not blessed.
    """

    SPEC_CLASS = EdgeSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(executor.Executor)

    def __init__(
        self,
        champion: BaseChannel,
        blessing: BaseChannel,
        report: BaseChannel,
        examples: BaseChannel,
        formats: Sequence[str],
        image_size: int,
        fingerprint: str,
    ):
        """Wires the component.

        Args:
          champion: `Model`.
          blessing: `ModelBlessing` of it.
          report: the comparison's; `metrics.json` says what the champion reached.
          examples: `Examples` with splits `train`, to scale int8 to, and `test`.
          formats: of `components.edge.convert.FORMATS`.
          image_size: side that Transform resizes to, in pixels.
          fingerprint: Of the code that runs here, so that changed code never meets a stale cache.
        """
        super().__init__(
            spec=EdgeSpec(
                formats=json.dumps(list(formats)),
                image_size=image_size,
                fingerprint=fingerprint,
                champion=champion,
                blessing=blessing,
                report=report,
                examples=examples,
                model=Channel(type=standard_artifacts.Model),
                figures=Channel(type=simple_artifacts.File),
            )
        )
