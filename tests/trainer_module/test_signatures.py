"""The exported SavedModel: what it answers, as docs/serving.md promises it."""

from __future__ import annotations

import json
import pathlib
import subprocess
import sys

import cv2
import numpy as np
import pytest
import tensorflow as tf
from conftest import IMAGE_SIZE, train
from PIL import Image
from tensorflow_serving.apis import prediction_log_pb2
from test_photos import PHOTOS, drawn, encoded
from tfx.components.trainer.fn_args_utils import FnArgs

from schema import record
from tests.drawn import BREEDS, SPECIES, SPECIES_OF_BREED
from trainer_module import preprocessing

INPUT_SIZE = 40  # of the pictures that a training at 32 pixels is cut from


@pytest.fixture(scope="module")
def model(trained: FnArgs) -> tf.Module:
    return tf.saved_model.load(trained.serving_model_dir)


def ask(model: tf.Module, *photos: bytes) -> dict[str, np.ndarray]:
    """The answer of `serving_default`."""
    answer = model.signatures["serving_default"](image_bytes=tf.constant(photos, tf.string))
    return {name: value.numpy() for name, value in answer.items()}


def read_mask(png: bytes) -> np.ndarray:
    return np.asarray(cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_UNCHANGED))


def photos_of(serialized: list[bytes]) -> list[bytes]:
    return [tf.train.Example.FromString(s).features.feature[record.IMAGE].bytes_list.value[0] for s in serialized]


def test_a_photo_gets_names_and_a_mask_of_its_own_size(model: tf.Module) -> None:
    answer = ask(model, encoded(drawn(90, 50), "JPEG"), encoded(drawn(20, 130), "PNG"))
    assert answer["error"].tolist() == [b"", b""]
    assert answer["probabilities"].shape == (2, len(BREEDS))
    np.testing.assert_allclose(answer["probabilities"].sum(axis=1), 1.0, atol=1e-5)
    best = np.argsort(-answer["probabilities"], axis=1)[:, :5]
    assert answer["classes"].tolist() == [[BREEDS[index].encode() for index in row] for row in best]
    np.testing.assert_array_equal(answer["scores"], np.take_along_axis(answer["probabilities"], best, axis=1))
    assert [read_mask(png).shape for png in answer["mask_bytes"]] == [(50, 90), (130, 20)]


def test_the_photos_of_split_eval_are_known_and_noise_is_not(model: tf.Module, records: pathlib.Path) -> None:
    of_data = ask(model, *photos_of(list(tf.data.TFRecordDataset(str(records)).as_numpy_iterator())))["known"]
    # The Trainer's own pictures set the threshold; decoded and resized by other kernels, one that lies on it may fall.
    assert np.mean(of_data >= 0.49) >= 0.9
    noise = np.random.default_rng(0).integers(0, 256, (72, 80, 3)).astype(np.uint8)
    assert ask(model, encoded(Image.fromarray(noise), "PNG"))["known"] < 0.5


def test_a_coarser_label_has_the_summed_probabilities_of_its_classes(model: tf.Module) -> None:
    answer = ask(model, PHOTOS["JPEG"], PHOTOS["GIF"])
    summed = np.stack(
        [answer["probabilities"][:, np.array(SPECIES_OF_BREED) == index].sum(axis=1) for index in range(len(SPECIES))]
    )
    assert answer["species"].tolist() == [SPECIES[index].encode() for index in summed.argmax(axis=0)]
    np.testing.assert_allclose(answer["species_score"], summed.max(axis=0), atol=1e-6)


def test_photos_pixels_and_records_get_the_same_answer(model: tf.Module, serialized: list[bytes]) -> None:
    photos = photos_of(serialized)
    by_photo = ask(model, *photos)
    pixels = tf.stack(
        [preprocessing.resize_image(preprocessing.decode_image(photo, IMAGE_SIZE), INPUT_SIZE) for photo in photos]
    )
    by_pixels = model.signatures["serving_pixels"](pixels=pixels)
    by_record = model.signatures["serving_examples"](examples=tf.constant(serialized))
    np.testing.assert_allclose(by_photo["probabilities"], by_record["breed"], atol=1e-5)
    np.testing.assert_allclose(by_photo["probabilities"], by_pixels["probabilities"], atol=1e-5)
    np.testing.assert_allclose(by_photo["known"], by_pixels["known"], atol=1e-4)
    assert by_record["mask"].shape == (4, IMAGE_SIZE, IMAGE_SIZE, 1)
    enlarged = tf.image.resize(by_pixels["mask"], [IMAGE_SIZE, IMAGE_SIZE])
    np.testing.assert_allclose(by_record["mask"], enlarged, atol=1e-5)
    # The photos are larger than the network's picture: what is between its pixels differs.
    masks = [cv2.resize(read_mask(png) / 255.0, (IMAGE_SIZE, IMAGE_SIZE)) for png in by_photo["mask_bytes"]]
    np.testing.assert_allclose(np.stack(masks), by_record["mask"].numpy()[..., 0], atol=0.1)


def test_records_need_only_the_image(model: tf.Module, serialized: list[bytes]) -> None:
    example = tf.train.Example.FromString(serialized[0])
    only_image = tf.train.Example()
    only_image.features.feature[record.IMAGE].CopyFrom(example.features.feature[record.IMAGE])
    serve = model.signatures["serving_examples"]
    full = serve(examples=tf.constant(serialized[:1]))
    alone = serve(examples=tf.constant([only_image.SerializeToString()]))
    np.testing.assert_array_equal(full["breed"], alone["breed"])


@pytest.mark.parametrize("orientation", range(2, 9))
def test_a_turned_photo_gets_the_answer_of_the_upright_one(orientation: int, model: tf.Module) -> None:
    turned = encoded(drawn(), "PNG", orientation)
    back = {2: 0, 3: 3, 4: 1, 5: 5, 6: 4, 7: 6, 8: 2}[orientation]  # FLIP_LEFT_RIGHT …: what EXIF asks of a viewer
    upright = encoded(drawn().transpose(back), "PNG")
    answer = ask(model, turned, upright)
    np.testing.assert_allclose(answer["probabilities"][0], answer["probabilities"][1], atol=1e-3)
    one, other = (read_mask(png).astype(int) for png in answer["mask_bytes"])
    np.testing.assert_allclose(one, other, atol=1)


def test_a_photo_that_cannot_be_read_leaves_its_neighbours_answers_as_they_are(model: tf.Module) -> None:
    alone = ask(model, PHOTOS["JPEG"])
    answer = ask(model, b"no photo", PHOTOS["JPEG"])
    assert answer["error"].tolist() == [b"the photo is none of JPEG, PNG, GIF, BMP and WebP: send one of them", b""]
    for name, values in answer.items():
        if name != "error":
            assert not any(np.ravel(values[0]).tolist()), f"{name} says nothing of a photo that is none"
        if values.dtype == np.float32:
            np.testing.assert_allclose(values[1], alone[name][0], atol=1e-5)
        else:
            np.testing.assert_array_equal(values[1], alone[name][0])


def test_an_empty_batch_gets_an_empty_answer(model: tf.Module) -> None:
    assert {len(values) for values in ask(model).values()} == {0}
    of_records = model.signatures["serving_examples"](examples=tf.constant([], tf.string))
    assert {len(values) for values in of_records.values()} == {0}


def test_pixels_are_answered_without_an_operation_on_strings(model: tf.Module) -> None:
    graph = model.signatures["serving_pixels"].graph.as_graph_def()
    nodes = [*graph.node, *(node for function in graph.library.function for node in function.node_def)]
    strings = [node.name for node in nodes if any(tf.string.as_datatype_enum == a.type for a in node.attr.values())]
    assert strings == []


def test_one_file_tells_an_application_what_the_answers_mean(trained: FnArgs) -> None:
    described = json.loads(pathlib.Path(trained.serving_model_dir, "assets", "model.json").read_text())
    assert described == {
        "title": "synthetic_pets",
        "label": "breed",
        "classes": list(BREEDS),
        "coarser": {"species": {"classes": list(SPECIES), "of": list(SPECIES_OF_BREED)}},
        "mask": {"classes": ["pet"]},
        "image_size": IMAGE_SIZE,
        "input_size": INPUT_SIZE,
        "version of the contract": 1,
    }


def test_the_saved_model_answers_in_a_process_without_our_code(trained: FnArgs, records: pathlib.Path) -> None:
    code = (
        "import sys, tensorflow as tf\n"
        "model = tf.saved_model.load(sys.argv[1])\n"
        "examples = next(iter(tf.data.TFRecordDataset(sys.argv[2]).batch(2)))\n"
        "photos = tf.io.parse_example(examples, {'image': tf.io.FixedLenFeature([], tf.string)})['image']\n"
        "print(*sorted(model.signatures['serving_default'](image_bytes=photos)))\n"
        "print(*sorted(model.signatures['serving_examples'](examples=examples)))\n"
        "print(*sorted(model.signatures['transform_features'](examples=examples)))\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", code, trained.serving_model_dir, str(records)],
        capture_output=True,
        text=True,
        check=True,
        cwd="/",
    )
    assert result.stdout.splitlines() == [
        "classes error known mask_bytes probabilities scores species species_score",
        "breed mask",
        "breed mask species",
    ]


@pytest.mark.parametrize(
    ("task", "outputs"),
    [
        ("classification", {"probabilities", "classes", "scores", "known", "error"}),
        ("segmentation", {"mask_bytes", "known", "error"}),
    ],
)
def test_one_head_alone_is_trained_and_exported(
    tmp_path: pathlib.Path, records: pathlib.Path, transform_graph: str, task: str, outputs: set[str]
) -> None:
    fn_args = train(tmp_path, records, transform_graph, task=task, label="species")
    answer = ask(tf.saved_model.load(fn_args.serving_model_dir), PHOTOS["JPEG"])
    assert set(answer) == outputs
    if task == "classification":
        assert set(answer["classes"][0].tolist()) == {name.encode() for name in SPECIES}, "there are no five"


def test_warm_up_requests_hold_a_photo_of_every_kind_that_the_model_answers(trained: FnArgs, model: tf.Module) -> None:
    path = pathlib.Path(trained.serving_model_dir, "assets.extra", "tf_serving_warmup_requests")
    logs = [
        prediction_log_pb2.PredictionLog.FromString(serialized).predict_log.request
        for serialized in tf.data.TFRecordDataset(str(path)).as_numpy_iterator()
    ]
    assert {request.model_spec.signature_name for request in logs} == {"serving_default"}
    for request in logs:
        photos = tf.make_ndarray(request.inputs["image_bytes"]).tolist()
        errors = ask(model, *photos)["error"].tolist()
        assert [bool(error) for error in errors] == [photo == b"no photo" for photo in photos]
