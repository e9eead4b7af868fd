"""The component between a comparison and a Pusher."""

from __future__ import annotations

import json
import pathlib
import re
import shutil
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from tfx import v1 as tfx
from tfx.types import standard_artifacts as artifacts
from tfx.types.experimental import simple_artifacts

from components.comparison.results import Comparison, DataSummary, Decision, Known, ModelResult, RunInfo
from components.edge import package
from components.edge.component import Edge as EdgeComponent
from components.edge.results import EDGE_FILE, Edge, EdgeModel
from components.metrics.results import OVERALL, ClassFigures, Interval, MaskFigures, SliceFigures
from components.pusher import Pusher
from components.report.page import METRICS_FILE
from tests.colours import SIZE, png
from tests.components.edge.photo_records import IMAGE_SIZE, PHOTOS, REACHED, SPEC


def _figures() -> SliceFigures:
    one = Interval(1.0)
    return SliceFigures(
        by={},
        examples=PHOTOS["test"],
        classification=ClassFigures(PHOTOS["test"], Interval(REACHED.accuracy), 0.5, one, one, one, one, one, one),
        segmentation=MaskFigures(
            PHOTOS["test"],
            precision=one,
            recall=one,
            f1=Interval(REACHED.mask_f1),
            iou=one,
            accuracy=one,
            mean_image_f1=one,
            mean_image_iou=one,
            class_f1=(1.0,),
            class_iou=(1.0,),
            confusion_matrix=(),
        ),
    )


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """The comparison's `metrics.json`, as far as it is read."""
    result = ModelResult({OVERALL: _figures()}, {}, True, (), 0, 0.0, {}, Known(1.0, {}))
    compared = Comparison(
        champion="dcnn",
        decision=Decision("mean", {"dcnn": 0.9}, True, ""),
        models={"dcnn": result},
        spec=SPEC,
        heads=SPEC.heads("", "both"),
        portraits={},
        data=DataSummary(PHOTOS, {}),
        run=RunInfo({}, "", {}, ""),
    )
    folder = tmp_path_factory.mktemp("report")
    (folder / METRICS_FILE).write_text(compared.to_json())
    return folder


def _run(
    folder: pathlib.Path, champion: pathlib.Path, report: pathlib.Path, examples: pathlib.Path, blessed: int
) -> pathlib.Path:
    """Imports, makes edge models, pushes; returns the component's folder."""
    importers: list[Any] = []

    def imported(name: str, uri: pathlib.Path, kind: type, **properties: Any) -> Any:
        importers.append(tfx.dsl.Importer(source_uri=str(uri), artifact_type=kind, **properties).with_id(name))
        return importers[-1].outputs["result"]

    (folder / "blessing").mkdir()
    blessing = imported(
        "blessing", folder / "blessing", artifacts.ModelBlessing, custom_properties={"blessed": blessed}
    )
    edge = EdgeComponent(
        champion=imported("champion", champion, artifacts.Model),
        blessing=blessing,
        report=imported("report", report, simple_artifacts.File),
        examples=imported(
            "examples", examples, artifacts.Examples, properties={"split_names": json.dumps(list(PHOTOS))}
        ),
        formats=("float32", "int8", "onnx"),
        image_size=IMAGE_SIZE,
        fingerprint="0123",
    )
    destination = tfx.proto.PushDestination.Filesystem(base_directory=str(folder / "serving"))
    pusher = Pusher(
        model=edge.outputs["model"],
        model_blessing=blessing,
        push_destination=tfx.proto.PushDestination(filesystem=destination),
    )
    tfx.orchestration.LocalDagRunner().run(
        tfx.dsl.Pipeline(
            pipeline_name="edge",
            pipeline_root=str(folder / "pipeline"),
            components=[*importers, edge, pusher],
            metadata_connection_config=tfx.orchestration.metadata.sqlite_metadata_connection_config(
                str(folder / "metadata.db")
            ),
        )
    )
    return folder / "pipeline" / "Edge"


@pytest.fixture(scope="module")
def edge_run(
    champion: pathlib.Path,
    report: pathlib.Path,
    examples: pathlib.Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> pathlib.Path:
    folder = tmp_path_factory.mktemp("run")
    _run(folder, champion, report, examples, blessed=1)
    return folder


def test_blessed_files_are_pushed_beside_the_saved_model_which_is_what_it_was(
    edge_run: pathlib.Path, champion: pathlib.Path
) -> None:
    [version] = (edge_run / "serving").iterdir()
    folder = version / package.FOLDER
    assert {path.name for path in folder.iterdir()} == {
        *("model.tflite", "model_int8.tflite", "model.onnx", "model.json", "labels.txt", "README.md"),
    }
    for file in filter(pathlib.Path.is_file, (champion / "Format-Serving").rglob("*")):
        assert (version / file.relative_to(champion / "Format-Serving")).read_bytes() == file.read_bytes()
    pushed = tf.saved_model.load(str(version))
    answer = pushed.signatures["serving_default"](image_bytes=tf.constant([png((250, 0, 0))]))
    assert answer["classes"].numpy()[0, 0] == b"red"


def test_the_readme_tells_in_ten_lines_how_to_call_them(edge_run: pathlib.Path) -> None:
    [folder] = (edge_run / "serving").glob(f"*/{package.FOLDER}")
    lines = (folder / "README.md").read_text().split("\n- ")[1:]
    assert len(lines) <= 10
    text = "\n".join(lines)
    shapes = (f"[B, {SIZE}, {SIZE}, 3]", "[B, 3]", f"[B, {SIZE}, {SIZE}, 1]")
    for told in ("model.onnx", "probabilities", "Kotlin", *shapes):
        assert told in text
    assert (folder / "labels.txt").read_text() == "red\ngreen\nblue\n"


def test_its_python_calls_work(edge_run: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    [folder] = (edge_run / "serving").glob(f"*/{package.FOLDER}")
    calls = re.findall(r"`([^`]* import [^`]*|import [^`]*)`, then\n  `([^`]*)`", (folder / "README.md").read_text())
    assert len(calls) == 2
    monkeypatch.chdir(folder)
    for imports, call in calls:
        names: dict[str, Any] = {"photos": np.full((1, SIZE, SIZE, 3), (0, 250, 0), np.uint8)}
        exec(imports, names)
        assert eval(call, names).argmax() == 1


def test_the_figures_are_an_artifact(edge_run: pathlib.Path) -> None:
    [file] = edge_run.glob(f"pipeline/Edge/figures/*/{EDGE_FILE}")
    edge = Edge.from_json(file.read_bytes())
    assert (edge.champion, edge.saved_model) == ("dcnn", REACHED)
    assert edge.saved_model_milliseconds > 0
    assert [model.format for model in edge.models] == ["float32", "int8", "onnx"]
    assert all(model.blessed for model in edge.models)


def test_a_champion_that_is_not_blessed_is_handed_on_as_it_is(
    champion: pathlib.Path, report: pathlib.Path, examples: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    component = _run(tmp_path, champion, report, examples, blessed=0)
    [model] = component.glob("model/*/Format-Serving")
    assert not (model / package.FOLDER).exists()
    assert (model / "saved_model.pb").exists()
    assert not list(component.glob(f"figures/*/{EDGE_FILE}"))
    assert not (tmp_path / "serving").exists()


def test_what_is_not_blessed_is_not_packed(files: pathlib.Path, champion: pathlib.Path, tmp_path: pathlib.Path) -> None:
    models = (
        EdgeModel("float32", "model.tflite", True, "", 10, REACHED, 1.0),
        EdgeModel("int8", "model_int8.tflite", False, "too bad", 10, REACHED, 1.0),
    )
    target = tmp_path / "model"
    shutil.copytree(champion / "Format-Serving", target)
    package.write(Edge("dcnn", REACHED, 1.0, "here", models), files, target)
    assert {path.name for path in (target / package.FOLDER).glob("*.tflite")} == {"model.tflite"}
    assert "model_int8" not in (target / package.FOLDER / "README.md").read_text()


def test_each_class_has_one_line_of_the_labels_whatever_it_is_called(tmp_path: pathlib.Path) -> None:
    told = {"title": "odd", "classes": ["a\r\nb", "c\u2028d", 'e, "f"'], "mask": None, "image_size": 8, "input_size": 8}
    (tmp_path / "assets").mkdir()
    (tmp_path / "assets" / package.DESCRIPTION_FILE).write_text(json.dumps(told))
    package.write(Edge("dcnn", REACHED, 1.0, "here", ()), tmp_path, tmp_path)
    labels = (tmp_path / package.FOLDER / package.LABELS_FILE).read_text(encoding="utf-8")
    assert labels.splitlines() == ["a b", "c d", 'e, "f"']


@pytest.mark.parametrize(
    ("blessed", "called", "not_called"),
    [
        (["model.tflite"], ["model.tflite", "Kotlin"], ["model.onnx", "onnxruntime"]),
        (["model_float16.tflite"], ["model_float16.tflite", "Kotlin"], ["model.tflite", "model.onnx"]),
        (["model.onnx"], ["model.onnx"], ["TFLite", ".tflite", "Kotlin"]),
        ([], [], ["InferenceSession", "Interpreter", "Kotlin"]),
    ],
)
def test_the_readme_calls_only_what_there_is(
    champion: pathlib.Path, blessed: list[str], called: list[str], not_called: list[str]
) -> None:
    names = {"float32": "model.tflite", "float16": "model_float16.tflite", "onnx": "model.onnx"}
    models = tuple(EdgeModel(kind, file, file in blessed, "", 10) for kind, file in names.items())
    told = json.loads((champion / "Format-Serving" / "assets" / package.DESCRIPTION_FILE).read_text())
    text = package.readme(Edge("dcnn", REACHED, 1.0, "here", models), told)
    assert all(name in text for name in called)
    assert not [name for name in not_called if name in text]
    assert "Files: none passed" in text or blessed


@pytest.mark.parametrize("input_size", [64, 48])
def test_the_readme_tells_of_a_second_resizing_where_there_is_one(champion: pathlib.Path, input_size: int) -> None:
    told = json.loads((champion / "Format-Serving" / "assets" / package.DESCRIPTION_FILE).read_text())
    told |= {"image_size": 64, "input_size": input_size}
    text = package.readme(Edge("dcnn", REACHED, 1.0, "here", ()), told)
    assert ("and that to 48 x 48" in text) == (input_size == 48)
    assert "64 x 64" in text
