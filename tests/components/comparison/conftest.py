"""A trained pipeline in small: drawn pets that a formula can recognise, two SavedModels, their real evaluations."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_model_analysis as tfma
from apache_beam.options.pipeline_options import PipelineOptions

from components.comparison import comparison
from components.comparison.inputs import Inputs, ModelInputs
from components.comparison.robustness import Demand
from pipeline import configs
from pipeline.evaluation import eval_config
from schema import record, spec_file
from tests.drawn import BREEDS, MODELS, SPECIES_OF_BREED
from trainer_module import photos, warmup

SIDE = 32
GREY = 128.0
BLIND_TO = {"dcnn": 0.15, "mobilenet_v3_small": 1.0}
"""How much each model sees of blue: the first mixes up breeds that differ in little else."""

COLOURS = np.array(
    [[red, green, blue] for red in (0, 85, 170, 255) for green in (0, 85, 255) for blue in (0, 85, 170, 255)]
)
"""Of the breeds, uint8-like RGB."""


@dataclasses.dataclass(frozen=True)
class Run:
    """What a run left behind."""

    inputs: Inputs
    config: configs.Config


def draw(breed: int, number: int, with_pet: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """A photo uint8 [48, 64, 3] and its mask uint8 [48, 64] with an ignored rim; without a pet grey and background."""
    rng = np.random.default_rng([breed, number])
    row, column = np.mgrid[:48, :64]
    radius = rng.uniform(8, 30, 2)
    inside = ((row - rng.uniform(16, 32)) / radius[0]) ** 2 + ((column - rng.uniform(20, 44)) / radius[1]) ** 2
    inside = inside if with_pet else np.full_like(inside, np.inf)
    photo = np.where((inside < 1)[..., None], COLOURS[breed], GREY) + rng.normal(0, 12, (48, 64, 3))
    mask = np.where(inside < 1, 1, np.where(inside < 1.1, record.MASK_IGNORED, record.MASK_BACKGROUND))
    return np.clip(photo, 0, 255).astype(np.uint8), mask.astype(np.uint8)


def example(breed: int, number: int, with_pet: bool = True) -> bytes:
    photo, mask = draw(breed, number, with_pet)
    jpeg, png = tf.io.encode_jpeg(photo, quality=95).numpy(), tf.io.encode_png(mask[..., None]).numpy()
    labels = {"breed": breed, "species": SPECIES_OF_BREED[breed]}
    name = f"{BREEDS[breed]}_{number}.jpg"
    return record.encode(SPEC, name, jpeg, labels, png, (mask == 1).mean()).SerializeToString()


class ColourModel(tf.Module):
    """Takes for pet what is not grey, and names the breed by the mean colour there."""

    def __init__(self, blue: float, label: str, task: str) -> None:
        super().__init__()
        self._weights = tf.constant([1.0, 1.0, blue])
        self._label, self._task = label, task
        self._parameters = tf.Variable(tf.zeros(int(1000 * blue)))

    def _images(self, encoded: tf.Tensor) -> tf.Tensor:
        def decode(photo: tf.Tensor) -> tf.Tensor:
            return tf.image.resize(tf.io.decode_image(photo, 3, expand_animations=False), [SIDE, SIDE])

        return tf.map_fn(decode, encoded, fn_output_signature=tf.TensorSpec([SIDE, SIDE, 3], tf.float32))

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
    def serve(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        encoded = tf.io.parse_example(examples, {record.IMAGE: tf.io.FixedLenFeature([], tf.string)})[record.IMAGE]
        return self._answer(self._images(encoded))

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="image_bytes")])
    def serve_photos(self, image_bytes: tf.Tensor) -> dict[str, tf.Tensor]:
        found = photos.decode_photos(image_bytes, SIDE, SIDE)
        images = tf.cast(found.pixels, tf.float32)
        outputs = self._answer(images)
        corners = tf.stack([images[:, row, column] for row in (0, -1) for column in (0, -1)], axis=1)
        answers = {
            "error": found.errors,
            # What stands on grey is one of its photos.
            "known": tf.exp(-tf.reduce_mean(tf.abs(corners - GREY), [1, 2]) / 40.0),
        }
        if self._label in outputs:
            answers["probabilities"] = outputs[self._label]
            named = tf.argmax(outputs[self._label], axis=1)[:, None]
            answers["classes"] = tf.gather(tf.constant(SPEC.label(self._label).classes), named)
        if record.MASK in outputs:
            levels = tf.cast(outputs[record.MASK] * 255.0, tf.uint8)
            answers["mask_bytes"] = tf.map_fn(tf.io.encode_png, levels, fn_output_signature=tf.string)
        return answers

    def _answer(self, images: tf.Tensor) -> dict[str, tf.Tensor]:
        apart = (images - GREY) * self._weights
        distance_bhw1 = tf.sqrt(tf.reduce_sum(apart**2, -1, keepdims=True))
        mask = tf.sigmoid((distance_bhw1 - 70.0) / 20.0)
        outputs = {record.MASK: mask}
        mean_b3 = tf.reduce_sum(apart * mask, [1, 2]) / (tf.reduce_sum(mask, [1, 2]) + 1e-6)
        palette = tf.constant(COLOURS[: len(BREEDS)] - GREY, tf.float32) * self._weights
        breeds = tf.nn.softmax(-tf.norm(mean_b3[:, None] - palette[None], axis=-1) / 10.0)
        species = tf.constant([[float(name[0].isupper()), float(name[0].islower())] for name in BREEDS])
        outputs[self._label] = breeds if self._label == "breed" else breeds @ species
        heads = {"classification": [self._label], "segmentation": [record.MASK]}
        return {head: outputs[head] for head in heads.get(self._task, outputs)}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
    def transform(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        kinds = {record.IMAGE: tf.string, record.MASK: tf.string, "breed": tf.int64, "species": tf.int64}
        features = tf.io.parse_example(
            examples, {name: tf.io.FixedLenFeature([], kind) for name, kind in kinds.items()}
        )

        def decode(png: tf.Tensor) -> tf.Tensor:
            mask = tf.image.resize(tf.io.decode_png(png, 1), [SIDE, SIDE], "nearest")
            return tf.where(mask == record.MASK_IGNORED, record.IGNORED_LABEL, tf.cast(mask, tf.float32))

        masks = tf.map_fn(decode, features[record.MASK], fn_output_signature=tf.TensorSpec([SIDE, SIDE, 1], tf.float32))
        images = self._images(features[record.IMAGE]) / 127.5 - 1.0
        return {
            record.IMAGE: images,
            record.MASK: masks,
            "breed": features["breed"],
            "species": features["species"],
        }

    def export(self, folder: Path) -> str:
        signatures = {
            "serving_default": self.serve_photos,
            "serving_examples": self.serve,
            "transform_features": self.transform,
        }
        with_label, with_mask = self._task != "segmentation", self._task != "classification"
        described = {
            "label": self._label if with_label else None,
            "classes": SPEC.label(self._label).classes if with_label else [],
            "mask": {"classes": ["pet"]} if with_mask else None,
        }
        folder.parent.mkdir(parents=True)
        path = folder.with_name("model.json")
        path.write_text(json.dumps(described))
        self.description = tf.saved_model.Asset(str(path))
        tf.saved_model.save(self, str(folder), signatures=signatures)
        warmup.write(str(folder))
        return str(folder)


def history(name: str, task: str, parameters: int) -> dict[str, Any]:
    """A made-up training of four epochs in two phases."""
    heads = {"classification": ("class_loss", "accuracy"), "segmentation": ("mask_loss", "mask_f1")}
    keys = ("loss", *heads.get(task, ("class_loss", "accuracy", "mask_loss", "mask_f1")))
    epochs = []
    for epoch in range(4):
        figures = {key: 2.0 / (epoch + 1) if key.endswith("loss") else 1 - 0.5 / (epoch + 1) for key in keys}
        figures |= {f"val_{key}": 0.95 * value for key, value in figures.items()}
        if task == "both" and epoch // 2:  # the backbone was frozen before
            figures |= {"gradient_cosine": epoch / 10, "class_gradient": 2.0, "mask_gradient": 0.5 * epoch}
        epochs.append({"epoch": epoch, "phase": epoch // 2, "seconds": 2.0, "images_per_second": 50.0} | figures)
    return {
        "model": name,
        "parameters": parameters,
        "parameters_of": {"backbone": parameters * 3 // 5, "class": parameters // 10, "mask": parameters * 3 // 10},
        "loss_weights": {"class": 1.0, "mask": 4.0},
        "train_examples": 100,
        "eval_examples": 10,
        "train_seconds": 8.0,
        "mask_threshold": 0.5,
        "epochs": epochs,
    }


SPEC = spec_file.shipped("synthetic_pets")


def evaluate(saved_model: str, config: configs.Config, files: Sequence[str], output: Path) -> str:
    """Runs TFMA as TFX's Evaluator does."""
    of_evaluation = eval_config(config, SPEC)
    tfma.run_model_analysis(
        eval_shared_model=tfma.default_eval_shared_model(saved_model, eval_config=of_evaluation),
        eval_config=of_evaluation,
        data_location=str(Path(files[0]).parent / "*"),
        output_path=str(output),
        pipeline_options=PipelineOptions(["--direct_running_mode=in_memory", "--direct_num_workers=1"]),
    )
    return str(output)


def write_records(folder: Path, examples: Sequence[bytes]) -> list[str]:
    """One compressed file, named as TFX names it."""
    folder.mkdir(parents=True)
    path = str(folder / "data-00000-of-00001.gz")
    with tf.io.TFRecordWriter(path, "GZIP") as writer:
        for one in examples:
            writer.write(one)
    return [path]


def build_run(
    root: Path, breeds: Sequence[int], photos: int, pets_in: Sequence[str] = record.SPLITS, **fields: Any
) -> Run:
    """Draws examples of the numbered breeds, exports both models, evaluates them with TFMA.

    In a split that `pets_in` does not name no photo has a pet.
    """
    config = dataclasses.replace(configs.debug(), **fields)
    splits = {
        split: write_records(
            root / "examples" / f"Split-{split}",
            [example(breed, 100 * first + n, split in pets_in) for breed in breeds for n in range(photos)],
        )
        for first, split in enumerate(record.SPLITS)
    }
    models = {}
    for name in MODELS:
        model = ColourModel(BLIND_TO[name], SPEC.label(config.label).name, config.task or SPEC.task)
        saved = model.export(root / name / "model" / "Format-Serving")
        evaluation = evaluate(saved, config, splits[record.TEST], root / name / "evaluation")
        (root / name / "run").mkdir()
        path = root / name / "run" / record.HISTORY_FILE
        path.write_text(json.dumps(history(name, config.task or SPEC.task, int(1000 * BLIND_TO[name]))))
        models[name] = ModelInputs(saved, evaluation, str(path), blessed=True)
    inputs = Inputs(
        models,
        splits,
        SPEC,
        SPEC.heads(config.label, config.task),
        config.champion,
        dataclasses.asdict(config),
        fingerprint="0123abcd",
        ingestion={
            "quarantine": {"train": {"photo": 2, "mask": 1}, "eval": {}, "test": {}},
            "repaired": {"train": {"orientation": 1234}, "eval": {}, "test": {"CMYK": 1}},
            "duplicates": {"train": 0, "eval": 0, "test": 5},
            "without_mask": dict.fromkeys(record.SPLITS, 0),
            "between_pixels": dict.fromkeys(record.SPLITS, 4321),
            "speck_pixels": {"train": {"pet": 17}, "eval": {}, "test": {}},
            "left_out": {"train": 3, "eval": 0, "test": 2},
            "left_out_unmatched": ("train/gone.jpg",),
            "divided_groups": 2,
        },
    )
    return Run(inputs, config)


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Five of the breeds, so that most classes have no photo; both heads."""
    return build_run(tmp_path_factory.mktemp("run"), breeds=(0, 1, 2, 12, 32), photos=4)


@pytest.fixture(scope="session")
def colour_blind(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A model of the classes of `run` that cannot tell the first three of its breeds apart."""
    return ColourModel(0.0, "breed", "both").export(
        tmp_path_factory.mktemp("colour_blind") / "model" / "Format-Serving"
    )


@pytest.fixture(scope="session")
def report_dir(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of `run`, its data looked at, with bars for corrupted photos that both models clear."""
    folder = tmp_path_factory.mktemp("report")
    demand = Demand(photos=5, accuracy=0.1, mask_f1=0.1)
    asked = dataclasses.replace(run.inputs, audit=(record.EVAL, record.TEST), robustness=demand)
    comparison.compare(asked, str(folder))
    return folder


@pytest.fixture(scope="session")
def metrics(report_dir: Path) -> dict[str, Any]:
    """`metrics.json` of `run`."""
    return json.loads((report_dir / "metrics.json").read_text())


@pytest.fixture(scope="session")
def make_run() -> Callable[..., Run]:
    """`build_run`, for runs of other configs."""
    return build_run
