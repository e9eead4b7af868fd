"""The first run of a folder: what it shows, what it writes, and what it pushed."""

from __future__ import annotations

import io
import json
import pathlib
import re
import subprocess
import sys

import numpy as np
import pytest
from conftest import Run
from PIL import Image

from schema import record
from serving import models
from tests.drawn import MODELS

COMPONENTS = (
    "ExampleGen",
    "StatisticsGen",
    "DatasetSchema",
    "ExampleValidator",
    "AnomalyGate",
    "Transform",
    *(f"Trainer_{model}" for model in MODELS),
    *(f"Evaluator_{model}" for model in MODELS),
    "ModelComparison",
    "Edge",
    "Pusher",
)


def test_every_component_is_shown_as_done(first_run: Run) -> None:
    states = first_run.states
    assert {component: states.get(component) for component in COMPONENTS} == dict.fromkeys(COMPONENTS, "done")


def test_training_progress_is_shown(first_run: Run) -> None:
    for model in MODELS:
        assert re.search(
            rf"{model}  epoch 1/\d  \d+ images/s  loss \d.*ETA \d", " ".join(first_run.console.split("\n"))
        )


def test_the_console_shows_nothing_of_the_libraries(first_run: Run) -> None:
    assert not re.search(r"warning|deprecat|[EWI]0000|absl|tensorflow", first_run.console, re.IGNORECASE)


@pytest.mark.parametrize(
    "pattern",
    [
        *(f"pipeline/ExampleGen/examples/*/Split-{split}/*" for split in record.SPLITS),
        "pipeline/StatisticsGen/statistics/*/Split-train/FeatureStats.pb",
        "pipeline/ExampleValidator/anomalies/*/Split-test/SchemaDiff.pb",
        "pipeline/Transform/transform_graph/*/transform_fn/saved_model.pb",
        *(f"pipeline/Trainer_{model}/model/*/Format-Serving/saved_model.pb" for model in MODELS),
        *(f"pipeline/Trainer_{model}/model_run/*/history.json" for model in MODELS),
        *(f"pipeline/Evaluator_{model}/blessing/*/BLESSED" for model in MODELS),
        "serving/*/saved_model.pb",
        "report/index.html",
        "report/metrics.json",
        "report/suspects.csv",
        "metadata.db",
        "log.txt",
    ],
)
def test_each_step_leaves_its_output(first_run: Run, pattern: str) -> None:
    assert list(first_run.directory.glob(pattern))


def test_transform_writes_no_images(first_run: Run) -> None:
    assert not list(first_run.directory.glob("pipeline/Transform/transformed_examples/**/*"))


def test_the_console_ends_with_both_models_and_where_things_are(first_run: Run) -> None:
    figures = json.loads((first_run.directory / "report" / "metrics.json").read_text())["models"]
    for model in MODELS:
        overall = figures[model]["metrics"]["overall"]
        row = next(line for line in first_run.console.splitlines() if model in line and "│" in line)
        assert f"{overall['classification']['accuracy']['value']:.3f}" in row
        assert f"{overall['segmentation']['f1']['value']:.3f}" in row
    text = first_run.console.replace("\n", "")
    assert str(next(first_run.directory.glob("serving/*"))) in text
    assert str(first_run.directory / "log.txt") in text


_SERVE = """
import json, sys
import numpy as np, tensorflow as tf
from sklearn.metrics import accuracy_score, f1_score

model = tf.saved_model.load(sys.argv[1])
serialized = list(tf.data.TFRecordDataset(tf.io.gfile.glob(sys.argv[2])).as_numpy_iterator())
only_images, breeds, masks = [], [], []
for record in serialized:
    feature = tf.train.Example.FromString(record).features.feature
    only_image = tf.train.Features(feature={"image": feature["image"]})
    only_images.append(tf.train.Example(features=only_image).SerializeToString())
    breeds.append(feature["breed"].int64_list.value[0])
    mask = tf.io.decode_png(feature["mask"].bytes_list.value[0], channels=1)
    masks.append(mask)
answer = model.signatures["serving_examples"](examples=tf.constant(only_images))
height, width = answer["mask"].shape[1:3]
truth = np.stack([tf.image.resize(mask, [height, width], method="nearest").numpy() for mask in masks])
known = truth != 2
print(json.dumps({
    "accuracy": accuracy_score(breeds, np.argmax(answer["breed"], axis=1)),
    "mask_f1": f1_score(truth[known] == 1, answer["mask"].numpy()[known] > 0.5),
}))
"""


def test_the_pushed_model_in_a_new_process_has_the_figures_of_tfma(first_run: Run) -> None:
    metrics = json.loads((first_run.directory / "report" / "metrics.json").read_text())
    [serving] = first_run.directory.glob("serving/*")
    [records] = first_run.directory.glob("pipeline/ExampleGen/examples/*/Split-test")
    result = subprocess.run(
        [sys.executable, "-c", _SERVE, str(serving), f"{records}/*"],
        capture_output=True,
        text=True,
        check=True,
        cwd="/",
    )
    served = json.loads(result.stdout.splitlines()[-1])
    overall = metrics["models"][metrics["champion"]]["metrics"]["overall"]
    assert served["accuracy"] == pytest.approx(overall["classification"]["accuracy"]["value"], abs=1e-4)
    assert served["mask_f1"] == pytest.approx(overall["segmentation"]["f1"]["value"], abs=1e-4)


def test_the_pushed_tflite_file_answers_photos_as_the_pushed_saved_model_does(
    first_run: Run, tmp_path: pathlib.Path
) -> None:
    [serving] = first_run.directory.glob("serving/*")
    photos = []
    for number, size in enumerate([(64, 64), (200, 150), (37, 90)]):
        noise = [Image.effect_noise((8, 8), 200).resize(size, Image.Resampling.BICUBIC) for _ in range(3)]
        photos.append(tmp_path / f"{number}.jpg")
        Image.merge("RGB", noise).save(photos[-1])
    answers = []
    for path in (serving, serving / "assets.extra" / "edge" / "model.tflite"):
        model = models.open_model(str(path))
        answers.append(model.answer([model.prepare(photo.read_bytes()) for photo in photos]))
    for one, other in zip(*answers, strict=True):
        assert one.classes[0] == other.classes[0]
        np.testing.assert_allclose(one.scores, other.scores, atol=1e-4)
        assert one.known == pytest.approx(other.known, abs=1e-4)
        masks = [np.asarray(Image.open(io.BytesIO(answer.mask_png))).astype(int) for answer in (one, other)]
        np.testing.assert_allclose(masks[0], masks[1], atol=1)
