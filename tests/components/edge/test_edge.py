"""The component between a comparison and a Pusher, on the colour model, whose every figure can be told by eye."""

from __future__ import annotations

import json
import os
import pathlib
import shutil
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from tfx import v1 as tfx
from tfx.types import standard_artifacts as artifacts
from tfx.types.experimental import simple_artifacts

from components.comparison.results import Comparison, DataSummary, Decision, Known, ModelResult, RunInfo
from components.edge import convert, engine, isolation, package, parity
from components.edge.component import Edge as EdgeComponent
from components.edge.results import EDGE_FILE, Edge, EdgeModel, Figures
from components.metrics.results import OVERALL, ClassFigures, Interval, MaskFigures, SliceFigures
from components.pusher import Pusher
from components.report.page import METRICS_FILE
from schema import record
from schema.dataset_spec import DatasetSpec, Label, Mask
from tests.colours import CLASSES, SIZE, ColourModel, export, png, save
from trainer_module import warmup

SPEC = DatasetSpec("colours", "Colours", (Label("colour", CLASSES),), Mask(("object",), ((1,),)))
IMAGE_SIZE = 48
COLOURS = ((250, 0, 0), (0, 250, 0), (0, 0, 250), (120, 100, 40))
"""Of the photos, one after the other; the last ones are labelled as green and the model says red."""
LABELS = (0, 1, 2, 1)
PHOTOS = {"train": 12, "eval": 4, "test": 40}
REACHED = Figures(accuracy=0.75, mask_f1=1.0)
"""What the SavedModel reaches on split test: of the red photos alone the left half is found."""


def _example(number: int) -> bytes:
    mask = np.zeros((24, 40), np.uint8)
    mask[:, :20] = COLOURS[number % 4][0] > 127
    bytes_of = {
        record.IMAGE: png(COLOURS[number % 4]),
        record.MASK: tf.io.encode_png(mask[..., None]).numpy(),
        record.FILE_NAME: f"{number}.png".encode(),
    }
    features = {k: tf.train.Feature(bytes_list=tf.train.BytesList(value=[value])) for k, value in bytes_of.items()}
    features["colour"] = tf.train.Feature(int64_list=tf.train.Int64List(value=[LABELS[number % 4]]))
    return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    folder = tmp_path_factory.mktemp("examples")
    for split, count in PHOTOS.items():
        (folder / f"Split-{split}").mkdir()
        with tf.io.TFRecordWriter(str(folder / f"Split-{split}" / "data.gz"), "GZIP") as writer:
            for number in range(count):
                writer.write(_example(number))
    return folder


@pytest.fixture(scope="module")
def champion(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A Trainer's `Model` artifact."""
    folder = tmp_path_factory.mktemp("champion")
    warmup.write(str(export(folder / "Format-Serving")))
    return folder


@pytest.fixture(scope="module")
def files(champion: pathlib.Path, tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """All formats of it."""
    folder = tmp_path_factory.mktemp("files")
    photos = [np.full((SIZE, SIZE, 3), value, np.uint8) for value in (0, 120, 255)]
    assert convert.convert(str(champion / "Format-Serving"), convert.FORMATS, lambda: photos, folder) == {}
    return folder


def _photos() -> parity.Photos:
    return parity.Photos(SPEC, SPEC.heads("", "both"), IMAGE_SIZE, SIZE)


def _judge(files: dict[convert.Format, pathlib.Path], examples: pathlib.Path, reference: Figures) -> list[EdgeModel]:
    return parity.judge(files, reference, _photos(), [str(examples / "Split-test" / "data.gz")])


def test_every_format_answers_split_test_as_the_saved_model_does(files: pathlib.Path, examples: pathlib.Path) -> None:
    judged = _judge({name: files / convert.FILES[name] for name in convert.FORMATS}, examples, REACHED)
    assert [model.format for model in judged] == list(convert.FORMATS)
    for model in judged:
        assert model.blessed, model.reason
        assert model.figures
        assert model.figures.accuracy == REACHED.accuracy
        assert model.figures.mask_f1 == pytest.approx(1.0, abs=0.01)
        assert model.size_bytes == (files / model.file).stat().st_size
        assert model.milliseconds
        assert model.photos_per_second


@pytest.mark.parametrize("name", ["float32", "onnx"])
def test_its_answers_are_the_saved_models_numbers(
    files: pathlib.Path, champion: pathlib.Path, name: convert.Format
) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (5, SIZE, SIZE, 3), np.uint8)
    model = tf.saved_model.load(str(champion / "Format-Serving"))
    expected = model.signatures[convert.SIGNATURE](pixels=tf.constant(pixels))
    with isolation.Engine(files / convert.FILES[name]) as running:
        found = running.run(pixels).answers
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        np.testing.assert_allclose(found[key], value.numpy(), atol=1e-5)


def test_int8_is_smaller_where_there_are_weights_and_computes_in_int8(files: pathlib.Path) -> None:
    from ai_edge_litert.interpreter import Interpreter

    kinds = {tensor["dtype"] for tensor in Interpreter(str(files / convert.FILES["int8"])).get_tensor_details()}
    assert np.int8 in kinds


@pytest.mark.parametrize(
    ("reference", "reason"),
    [
        (Figures(0.76, 1.0), "its accuracy of 0.7500 is 0.0100 below the SavedModel's 0.7600, and 0.005 is allowed"),
        (Figures(0.754, 1.0), ""),
        (Figures(0.5, None), ""),
    ],
)
def test_a_file_that_is_worse_than_allowed_is_not_blessed(
    files: pathlib.Path, examples: pathlib.Path, reference: Figures, reason: str
) -> None:
    [model] = _judge({"float32": files / "model.tflite"}, examples, reference)
    assert model.blessed == (not reason)
    assert model.reason == reason


def test_a_worse_mask_is_not_blessed_either(
    examples: pathlib.Path, champion: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    dim = ColourModel(("object",), label=True)
    dim.one.assign(0.4)  # the red is below one half
    save(dim, tmp_path / "dim")
    assert convert.convert(str(tmp_path / "dim"), ["float32"], list, tmp_path) == {}
    [model] = _judge({"float32": tmp_path / "model.tflite"}, examples, REACHED)
    assert model.reason == "its mask F1 of 0.0000 is 1.0000 below the SavedModel's 1.0000, and 0.005 is allowed"


def test_int8_may_be_a_point_worse(files: pathlib.Path, examples: pathlib.Path) -> None:
    for accuracy, blessed in ((0.759, True), (0.761, False)):
        [model] = _judge({"int8": files / convert.FILES["int8"]}, examples, Figures(accuracy, None))
        assert model.blessed == blessed


def test_a_file_that_answers_no_numbers_is_not_blessed(examples: pathlib.Path, tmp_path: pathlib.Path) -> None:
    broken = ColourModel(("object",), label=True)
    broken.one.assign(np.nan)
    save(broken, tmp_path / "broken")
    convert.convert(str(tmp_path / "broken"), ["float32"], list, tmp_path)
    [model] = _judge({"float32": tmp_path / "model.tflite"}, examples, REACHED)
    assert not model.blessed
    assert model.reason == "it answers what is no number"


def test_an_engine_that_crashes_costs_its_file_the_blessing_and_nothing_else(
    files: pathlib.Path, examples: pathlib.Path, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "engine.py"
    crash = "import os, sys\nif 'int8' in sys.argv[1]:\n    os.abort()\n"
    script.write_text(crash + pathlib.Path(engine.__file__).read_text().replace("from __future__", "# from __future__"))
    monkeypatch.setattr(engine, "__file__", str(script))
    made: dict[convert.Format, pathlib.Path] = {name: files / convert.FILES[name] for name in ("int8", "float32")}
    crashed, whole = _judge(made, examples, REACHED)
    assert not crashed.blessed
    assert crashed.reason == "its engine crashed (SIGABRT)"
    assert crashed.figures is None
    assert whole.blessed


def test_a_file_that_is_no_model_is_told(examples: pathlib.Path, tmp_path: pathlib.Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"no model")
    [model] = _judge({"onnx": tmp_path / "model.onnx"}, examples, REACHED)
    assert not model.blessed
    assert model.reason.startswith("its engine failed: ")


class Antialiased(tf.Module):
    """Holds an operation that no converter knows."""

    @tf.function(input_signature=[tf.TensorSpec([None, 8, 8, 3], tf.uint8, name="pixels")])
    def serve(self, pixels: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"mask": tf.image.resize(pixels, [4, 4], antialias=True)}


def test_a_model_that_cannot_be_converted_is_told_and_ends_nothing(tmp_path: pathlib.Path) -> None:
    module = Antialiased()
    signatures = {convert.SIGNATURE: module.serve.get_concrete_function()}
    tf.saved_model.save(module, str(tmp_path / "model"), signatures=signatures)
    failed = convert.convert(str(tmp_path / "model"), ["float32"], list, tmp_path)
    assert failed["float32"].startswith("it cannot be converted: ")
    assert "\n" not in failed["float32"]
    assert set(failed) == {"float32"}
    assert not (tmp_path / "model.tflite").exists()


class HardSigmoid(tf.Module):
    """Convolutions, a scalar added behind each, as MobileNetV3 has it."""

    @tf.function(input_signature=[tf.TensorSpec([None, 8, 8, 3], tf.uint8, name="pixels")])
    def serve(self, pixels: tf.Tensor) -> dict[str, tf.Tensor]:
        x = tf.cast(pixels, tf.float32)
        for _ in range(3):
            x = tf.nn.relu6(tf.nn.conv2d(x, tf.ones([3, 3, 3, 3]), 1, "SAME") + 3.0)
        return {"mask": x}


def test_in_onnx_no_convolution_stands_between_transpositions(tmp_path: pathlib.Path) -> None:
    """Fails without the workaround in `convert`."""
    import onnx

    module = HardSigmoid()
    signatures = {convert.SIGNATURE: module.serve.get_concrete_function()}
    tf.saved_model.save(module, str(tmp_path / "model"), signatures=signatures)
    assert convert.convert(str(tmp_path / "model"), ["onnx"], list, tmp_path) == {}
    kinds = [node.op_type for node in onnx.load(tmp_path / "model.onnx").graph.node]
    assert kinds.count("Conv") == 3
    assert kinds.count("Transpose") <= 2


def test_masks_of_another_size_are_resized_as_the_saved_model_resizes_them() -> None:
    logits = tf.random.stateless_normal([2, 8, 8, 1], (1, 2)) * 4
    resized = parity._at_size(tf.sigmoid(logits).numpy(), 12)
    np.testing.assert_allclose(resized, tf.sigmoid(tf.image.resize(logits, [12, 12])).numpy(), atol=1e-5)
    several = tf.random.stateless_normal([2, 8, 8, 3], (1, 2)) * 4
    resized = parity._at_size(tf.nn.softmax(several).numpy(), 12)
    assert (resized.argmax(-1) == tf.image.resize(several, [12, 12]).numpy().argmax(-1)).all()


def test_photos_to_scale_by_come_from_the_whole_split(examples: pathlib.Path) -> None:
    files = [str(examples / "Split-train" / "data.gz")]
    found = [photo.mean(axis=(0, 1)).argmax() for photo in _photos().pixels(files, count=4, of=PHOTOS["train"])]
    assert found == [0, 0, 2, 1], "every third photo of the twelve: numbers 0, 3, 6 and 9"


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
        data=DataSummary(PHOTOS, {}, None),
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


def test_its_python_call_works(edge_run: pathlib.Path) -> None:
    [folder] = (edge_run / "serving").glob(f"*/{package.FOLDER}")
    call = (folder / "README.md").read_text().split("then\n  `")[1].split("`")[0]
    from ai_edge_litert.interpreter import Interpreter

    here = os.getcwd()
    os.chdir(folder)
    try:
        photos = np.full((1, SIZE, SIZE, 3), (0, 250, 0), np.uint8)
        assert eval(call, {"Interpreter": Interpreter, "photos": photos}).argmax() == 1
    finally:
        os.chdir(here)


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
