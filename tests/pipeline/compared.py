"""A comparison, as far as the console and KFP's pages show it."""

from __future__ import annotations

from collections.abc import Sequence

from components.comparison.known import Known
from components.comparison.results import Comparison, DataSummary, Decision, ModelResult, RunInfo
from components.metrics.results import OVERALL, ClassFigures, Interval, MaskFigures, SliceFigures
from schema.dataset_spec import DatasetSpec, Label

_NONE = Interval(None)
CLASSES = ClassFigures(74, Interval(0.41, 0.3, 0.5), 0.2, _NONE, Interval(0.3), _NONE, _NONE, _NONE, _NONE)


def masks(f1: float | None) -> MaskFigures:
    return MaskFigures(74, _NONE, _NONE, Interval(f1), _NONE, _NONE, _NONE, _NONE, (), (), ())


def comparison(
    names: Sequence[str] = ("dcnn",),
    mask: MaskFigures | None = None,
    failed: tuple[str, ...] = (),
    refusals: tuple[str, ...] = (),
    data_refusals: tuple[str, ...] = (),
) -> Comparison:
    """Of models with the same figures, the first of them the champion, all blessed where nothing failed."""
    overall = SliceFigures({}, 74, CLASSES, mask)
    model = ModelResult({OVERALL: overall}, {}, not failed, failed, 0, 0.0, {}, Known(1.0, {}))
    spec = DatasetSpec("tiles", "Tiles", (Label("kind", ("sound", "cracked")),))
    blessed = not (failed or refusals or data_refusals)
    return Comparison(
        champion=names[0],
        decision=Decision("mean", {}, blessed, "", refusals=refusals, data_refusals=data_refusals),
        models=dict.fromkeys(names, model),
        spec=spec,
        heads=spec.heads(),
        portraits={},
        data=DataSummary({}, {}),
        run=RunInfo({}, "", {}, ""),
    )
