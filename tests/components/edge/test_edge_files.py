"""The files that a model becomes, on the colour model, whose every figure can be told by eye."""

from __future__ import annotations

import pathlib
import threading

import numpy as np
import pytest
import tensorflow as tf

from components.edge import convert, engine, isolation, parity
from components.edge.results import EdgeModel, Figures
from tests.colours import SIZE, ColourModel, save
from tests.components.edge.photo_records import PHOTOS, REACHED, photos
from trainer_module import looks


def _judge(files: dict[convert.Format, pathlib.Path], examples: pathlib.Path, reference: Figures) -> list[EdgeModel]:
    return parity.judge(files, reference, photos(), [str(examples / "Split-test" / "data.gz")])


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


def test_an_engine_that_crashes_at_a_single_photo_costs_its_file_alone(
    files: pathlib.Path, examples: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = isolation.Engine.run

    def crashing(engine: isolation.Engine, pixels: np.ndarray) -> isolation.Timed:
        if len(pixels) == 1:
            raise isolation.EngineError("its engine crashed (SIGSEGV)")
        return run(engine, pixels)

    monkeypatch.setattr(isolation.Engine, "run", crashing)
    [model] = _judge({"float32": files / convert.FILES["float32"]}, examples, REACHED)
    assert not model.blessed
    assert model.reason == "its engine crashed (SIGSEGV)"


def test_int8_is_smaller_where_there_are_weights_and_computes_in_int8(files: pathlib.Path) -> None:
    from ai_edge_litert.interpreter import Interpreter

    kinds = {tensor["dtype"] for tensor in Interpreter(str(files / convert.FILES["int8"])).get_tensor_details()}
    assert np.int8 in kinds


class DeadUnits(tf.Module):
    """Its hidden units answer zero to every photo, so its answer is its last bias."""

    @tf.function(input_signature=[tf.TensorSpec([None, SIZE, SIZE, 3], tf.uint8, name="pixels")])
    def serve(self, pixels: tf.Tensor) -> dict[str, tf.Tensor]:
        scaled = tf.cast(pixels, tf.float32) / 255.0
        hidden = tf.nn.relu(tf.nn.conv2d(scaled, tf.fill([1, 1, 3, 8], -1.0), 1, "SAME") - 1.0)
        return {"mask": tf.nn.sigmoid(tf.nn.conv2d(hidden, tf.fill([1, 1, 8, 1], 0.5), 1, "SAME") + 0.7)}


def test_int8_runs_though_units_have_died(tmp_path: pathlib.Path) -> None:
    module = DeadUnits()
    tf.saved_model.save(module, str(tmp_path / "model"), signatures={convert.SIGNATURE: module.serve})
    photos = np.random.default_rng(0).integers(0, 256, (5, SIZE, SIZE, 3), np.uint8)
    assert convert.convert(str(tmp_path / "model"), ["int8"], lambda: photos, tmp_path) == {}
    with isolation.Engine(tmp_path / convert.FILES["int8"]) as running:
        mask = running.run(photos).answers["mask"]
    np.testing.assert_allclose(mask, 1 / (1 + np.exp(-0.7)), atol=0.01)


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


def test_an_engine_may_print_more_than_a_pipe_holds(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "engine.py"
    noisy = """
def _onnx(file):
    def run(pixels):
        os.write(1, b"W" * 100_000)
        return {"mask": pixels}
    return run


if __name__"""
    script.write_text(pathlib.Path(engine.__file__).read_text().replace("\nif __name__", noisy))
    monkeypatch.setattr(engine, "__file__", str(script))
    pixels = np.zeros((1, 2, 2, 3), np.uint8)
    with isolation.Engine(tmp_path / "model.onnx") as process:
        asked = threading.Thread(target=process.run, args=(pixels,), daemon=True)
        asked.start()
        asked.join(timeout=60)
        assert not asked.is_alive()


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
    resized = parity.at_size(tf.sigmoid(logits).numpy(), 12)
    np.testing.assert_allclose(resized, tf.sigmoid(tf.image.resize(logits, [12, 12])).numpy(), atol=1e-5)
    several = tf.random.stateless_normal([2, 8, 8, 3], (1, 2)) * 4
    resized = parity.at_size(tf.nn.softmax(several).numpy(), 12)
    assert (resized.argmax(-1) == tf.image.resize(several, [12, 12]).numpy().argmax(-1)).all()


def test_photos_to_scale_by_come_from_the_whole_split(examples: pathlib.Path) -> None:
    files = [str(examples / "Split-train" / "data.gz")]
    found = [photo.mean(axis=(0, 1)).argmax() for photo in photos().pixels(files, count=4, of=PHOTOS["train"])]
    assert found == [0, 0, 2, 1], "every third photo of the twelve: numbers 0, 3, 6 and 9"


class CloserLook(tf.Module):
    """Looks at the bright part of a photo, magnified, and says how bright that is."""

    @tf.function(input_signature=[tf.TensorSpec([None, SIZE, SIZE, 3], tf.uint8, name="pixels")])
    def serve(self, pixels: tf.Tensor) -> dict[str, tf.Tensor]:
        image = tf.cast(pixels, tf.float32) / 127.5 - 1.0
        with tf.name_scope(looks.GEOMETRY):
            closer = looks.magnified(image, looks.object_box(8.0 * image[..., :1], reach=2.0), SIZE)
        return {"brightness": tf.reduce_mean(closer, axis=[1, 2])}


def test_every_format_looks_at_the_same_place(tmp_path: pathlib.Path) -> None:
    generator = np.random.default_rng(0)
    photos = np.zeros((8, SIZE, SIZE, 3), np.uint8)
    for photo, top, left in zip(photos, *generator.integers(0, SIZE // 2, (2, len(photos))), strict=True):
        photo[top : top + SIZE // 2, left : left + SIZE // 4] = generator.integers(180, 256, 3)
    module = CloserLook()
    tf.saved_model.save(module, str(tmp_path / "model"), signatures={convert.SIGNATURE: module.serve})
    assert convert.convert(str(tmp_path / "model"), convert.FORMATS, lambda: photos, tmp_path) == {}
    expected = module.serve(tf.constant(photos))["brightness"].numpy()
    assert np.ptp(expected[:, 0]) > 0.1
    tolerances: dict[convert.Format, float] = {"float32": 1e-5, "float16": 1e-3, "int8": 0.02, "onnx": 1e-5}
    for name, atol in tolerances.items():
        with isolation.Engine(tmp_path / convert.FILES[name]) as running:
            np.testing.assert_allclose(running.run(photos).answers["brightness"], expected, atol=atol, err_msg=name)
