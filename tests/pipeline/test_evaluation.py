"""The EvalConfig in TFX's real Evaluator, on a SavedModel that answers what its examples say."""

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pydantic
import pytest
import tensorflow as tf
from sklearn import metrics as sk
from tensorflow_model_analysis.proto import validation_result_pb2
from tfx import v1 as tfx
from tfx.dsl.components.base.base_beam_executor import BaseBeamExecutor
from tfx.utils import proto_utils

from components.evaluator import Executor
from components.metrics import results
from components.metrics.results import Evaluation, Interval, failed_thresholds, read_evaluation
from pipeline import fingerprint
from pipeline.configs import Config, Thresholds, debug
from pipeline.evaluation import eval_config
from schema import record, spec_file
from tests.drawn import BREEDS, SPECIES

SIDE, EXAMPLES = 8, 60
SPEC = spec_file.shipped("synthetic_pets")


@dataclasses.dataclass(frozen=True)
class Photos:
    """Labels and predictions of `EXAMPLES` photos, one row a photo."""

    breed: np.ndarray
    size: np.ndarray
    mask: np.ndarray
    breed_probability: np.ndarray
    mask_probability: np.ndarray

    def select(self, chosen: np.ndarray) -> "Photos":
        return Photos(*(getattr(self, field.name)[chosen] for field in dataclasses.fields(self)))

    @property
    def species(self) -> np.ndarray:
        return np.array([not BREEDS[breed][0].isupper() for breed in self.breed]).astype(int)


@pytest.fixture(scope="module")
def photos() -> Photos:
    rng = np.random.default_rng(3)
    breed = np.resize([0, 1, 32, 36], EXAMPLES)
    logits = rng.normal(size=(EXAMPLES, len(BREEDS))) + 3 * np.eye(len(BREEDS))[breed]
    mask = rng.integers(0, 2, (EXAMPLES, SIDE, SIDE, 1)).astype(np.float32)
    mask[:, 0] = record.IGNORED_LABEL
    return Photos(
        breed=breed,
        size=rng.integers(0, 3, EXAMPLES),
        mask=mask,
        breed_probability=tf.nn.softmax(logits).numpy().astype(np.float32),
        mask_probability=np.clip(0.6 * mask + 0.6 * rng.random(mask.shape), 0, 1).astype(np.float32),
    )


class Oracle(tf.Module):
    """Reads its predictions from features of the examples."""

    def __init__(self, outputs: tuple[str, ...], mask_bias: float = 0.0, breed: int | None = None):
        super().__init__()
        self.outputs, self.mask_bias, self.breed = outputs, mask_bias, breed

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
    def serving_examples(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        spec = {"p_breed": tf.io.FixedLenFeature([37], tf.float32), "p_mask": _MASK_FEATURE}
        parsed = tf.io.parse_example(examples, spec)
        predictions = {"breed": parsed["p_breed"], "mask": parsed["p_mask"] + self.mask_bias}
        if self.breed is not None:
            predictions["breed"] = tf.one_hot(tf.fill(tf.shape(examples), self.breed), len(BREEDS))
        return {name: predictions[name] for name in self.outputs}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
    def transform_features(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        number = tf.io.FixedLenFeature([], tf.int64)
        return tf.io.parse_example(examples, {"breed": number, "species": number, "mask": _MASK_FEATURE})

    def save(self, directory: Path) -> "tfx.types.standard_artifacts.Model":
        signatures = {name: getattr(self, name) for name in ("serving_examples", "transform_features")}
        tf.saved_model.save(self, str(directory / "Format-Serving"), signatures=signatures)
        return _artifact(tfx.types.standard_artifacts.Model, directory)


_MASK_FEATURE = tf.io.FixedLenFeature([SIDE, SIDE, 1], tf.float32)


def _artifact(artifact_type, directory: Path):
    artifact = artifact_type()
    artifact.uri = str(directory)
    artifact.id = 1
    directory.mkdir(parents=True, exist_ok=True)
    return artifact


@pytest.fixture(scope="module")
def examples(photos: Photos, tmp_path_factory: pytest.TempPathFactory):
    artifact = _artifact(tfx.types.standard_artifacts.Examples, tmp_path_factory.mktemp("examples"))
    artifact.split_names = json.dumps([record.TEST])
    artifact.version = 1
    split = Path(artifact.uri, f"Split-{record.TEST}")
    split.mkdir()
    with tf.io.TFRecordWriter(str(split / "data.gz"), "GZIP") as writer:
        for row in range(EXAMPLES):
            writer.write(_example(photos, row))
    return artifact


def _example(photos: Photos, row: int) -> bytes:
    def floats(values):
        return tf.train.Feature(float_list=tf.train.FloatList(value=np.ravel(values)))

    def number(value):
        return tf.train.Feature(int64_list=tf.train.Int64List(value=[value]))

    def text(value):
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value.encode()]))

    breed, species = photos.breed[row], photos.species[row]
    features = {
        "breed": number(breed),
        "species": number(species),
        record.MASK: floats(photos.mask[row]),
        "breed_name": text(BREEDS[breed]),
        "species_name": text(SPECIES[species]),
        "size": text(record.SIZES[photos.size[row]]),
        "p_breed": floats(photos.breed_probability[row]),
        "p_mask": floats(photos.mask_probability[row]),
    }
    return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()


def evaluate(config: Config, examples, model, directory: Path) -> tuple[str, bool]:
    """Runs TFX's Evaluator; returns the evaluation's URI and whether the model was blessed."""
    outputs = {
        "evaluation": _artifact(tfx.types.standard_artifacts.ModelEvaluation, directory / "evaluation"),
        "blessing": _artifact(tfx.types.standard_artifacts.ModelBlessing, directory / "blessing"),
    }
    inputs = {"examples": [examples], "model": [model]}
    context = BaseBeamExecutor.Context(
        beam_pipeline_args=["--direct_running_mode=in_memory", "--direct_num_workers=1"], tmp_dir=str(directory)
    )
    Executor(context).Do(
        inputs,
        {name: [artifact] for name, artifact in outputs.items()},
        {
            "eval_config": proto_utils.proto_to_json(eval_config(config, SPEC)),
            "example_splits": json.dumps([record.TEST]),
        },
    )
    return outputs["evaluation"].uri, Path(outputs["blessing"].uri, "BLESSED").exists()


def config_with(**thresholds: Any) -> Config:
    return dataclasses.replace(debug(), thresholds=Thresholds(**thresholds))


def everything(photos: Photos) -> dict[str, np.ndarray]:
    """Which photos are in each slice that the evaluation must have, by its readable name."""
    slices = {"overall": np.ones(EXAMPLES, bool)}
    slices |= {f"species: {name}": photos.species == i for i, name in enumerate(SPECIES)}
    slices |= {f"breed: {BREEDS[breed]}": photos.breed == breed for breed in np.unique(photos.breed)}
    for i, species in enumerate(SPECIES):
        for j, size in enumerate(record.SIZES):
            slices[f"species: {species}, size: {size}"] = (photos.species == i) & (photos.size == j)
    return slices


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory):
    return Oracle(("breed", "mask")).save(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def passed(examples, model, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, bool]:
    return evaluate(config_with(accuracy=0.5, mask_f1=0.5), examples, model, tmp_path_factory.mktemp("passed"))


def test_every_slice_has_a_readable_name(passed, photos):
    assert list(read_evaluation(passed[0], SPEC)) == list(everything(photos))


def test_figures_of_every_slice_equal_scikit_learns(passed, photos):
    metrics = read_evaluation(passed[0], SPEC)
    for name, chosen in everything(photos).items():
        part, measured = photos.select(chosen), metrics[name]
        predicted = part.breed_probability.argmax(axis=1)
        label, mask = part.mask.ravel(), part.mask_probability.ravel()
        truth, pet = label[label >= 0] > 0, mask[label >= 0] > 0.5
        expected = {
            ("classification", "accuracy"): sk.accuracy_score(part.breed, predicted),
            ("classification", "macro_f1"): sk.f1_score(part.breed, predicted, average="macro", zero_division=0),
            ("classification", "weighted_f1"): sk.f1_score(part.breed, predicted, average="weighted", zero_division=0),
            ("segmentation", "f1"): sk.f1_score(truth, pet),
            ("segmentation", "iou"): sk.jaccard_score(truth, pet),
        }
        figures = {(head, metric): getattr(getattr(measured, head), metric).value for head, metric in expected}
        assert figures == pytest.approx(expected, abs=1e-9), name
        assert measured.classification is not None
        assert measured.segmentation is not None
        support = np.bincount(part.breed)
        assert measured.classification.majority_share == support.max() / support.sum()
        assert np.array_equal(measured.segmentation.confusion_matrix, sk.confusion_matrix(truth, pet))
        assert measured.classification.example_count == measured.segmentation.example_count == chosen.sum()
        assert measured.examples == chosen.sum()
        confusion = sk.confusion_matrix(part.breed, predicted, labels=range(len(BREEDS)))
        # Only of all examples: a slice's own are rows of it.
        assert np.array_equal(measured.classification.confusion_matrix, confusion if name == "overall" else [])


def test_numbers_have_an_interval_around_them_and_the_whole_is_json(passed):
    evaluation = read_evaluation(passed[0], SPEC)
    classification = evaluation["overall"].classification
    assert classification is not None
    figure = dataclasses.astuple(classification.accuracy)
    assert figure[1] < figure[0] < figure[2]
    adapter = pydantic.TypeAdapter(Evaluation)
    assert adapter.validate_json(adapter.dump_json(evaluation)) == evaluation


def test_the_interval_of_accuracy_is_wilsons_and_of_no_slice_without_width(passed):
    z, shares = 1.959964, []
    for name, figures in read_evaluation(passed[0], SPEC).items():
        assert figures.classification is not None
        share, *bounds = dataclasses.astuple(figures.classification.accuracy)
        n = figures.classification.example_count
        half = z * (share * (1 - share) / n + z**2 / (4 * n**2)) ** 0.5
        expected = [(share + z**2 / (2 * n) + end * half) / (1 + z**2 / n) for end in (-1, 1)]
        assert bounds == pytest.approx(expected, abs=1e-6), name
        shares.append(share)
    assert 1.0 in shares, "or it tells little"


def test_no_interval_reaches_beyond_what_the_figure_can_be(passed):
    for figures in read_evaluation(passed[0], SPEC).values():
        for head in (figures.classification, figures.segmentation):
            for name, figure in vars(head).items():
                if isinstance(figure, Interval) and figure.lower is not None and figure.upper is not None:
                    assert figure.lower >= (-1 if name == "gain_over_majority" else 0)
                    assert figure.upper <= 1 or name == "log_loss"


def test_a_model_above_its_thresholds_is_blessed(passed):
    uri, blessed = passed
    assert blessed
    assert failed_thresholds(uri) == ()


def test_a_model_below_a_threshold_is_refused_with_the_reason(examples, model, tmp_path):
    uri, blessed = evaluate(config_with(accuracy=0.99), examples, model, tmp_path)
    assert not blessed
    [too_low] = failed_thresholds(uri)
    assert re.fullmatch(r"breed accuracy is 0\.8333: 0\.1567 below the threshold 0\.99", too_low)


def test_a_model_that_always_names_the_most_frequent_class_is_not_blessed(examples, photos, tmp_path):
    constant = Oracle(("breed", "mask"), breed=0).save(tmp_path / "constant")
    uri, blessed = evaluate(config_with(), examples, constant, tmp_path)
    assert not blessed
    assert failed_thresholds(uri) == ("breed accuracy does not beat always naming the most frequent class: +0.0000",)


def test_a_gain_that_need_not_be_one_is_bounded_as_any_figure():
    failure = validation_result_pb2.ValidationFailure()
    failure.metric_key.output_name, failure.metric_key.name = "kind", "gain_over_majority"
    failure.metric_value.double_value.value = -0.35
    failure.metric_threshold.value_threshold.lower_bound.value = -0.2
    assert results._sentence(failure, "") == "kind gain over majority is -0.3500: 0.1500 below the threshold -0.2"


def test_a_bound_on_the_masks_of_a_slice_without_an_object_says_that_there_is_no_figure():
    failure = validation_result_pb2.ValidationFailure()
    failure.metric_key.output_name, failure.metric_key.name = "mask", "f1"
    failure.metric_value.double_value.value = float("nan")
    failure.metric_threshold.value_threshold.lower_bound.value = 0.5
    assert results._sentence(failure, " of crack") == "mask F1 of crack was not measured"


@pytest.mark.parametrize(
    ("thresholds", "sentence"),
    [
        ({"macro_f1": 0.9}, r"breed macro F1 is 0\.\d+: 0\.\d+ below the threshold 0\.9"),
        ({"worst_class_f1": 0.95}, r"breed worst class F1 is 0\.\d+: 0\.\d+ below the threshold 0\.95"),
        (
            {"slices": ("species=Cat,size=small:mask_f1=0.999",)},
            r"mask F1 of small, Cat is 0\.\d+: 0\.\d+ below the threshold 0\.999",
        ),
    ],
)
def test_rare_classes_and_slices_have_thresholds_of_their_own(thresholds, sentence, examples, model, tmp_path):
    uri, blessed = evaluate(config_with(**thresholds), examples, model, tmp_path)
    assert not blessed
    (failed,) = failed_thresholds(uri)
    assert re.fullmatch(sentence, failed)


@pytest.mark.parametrize(
    ("thresholds", "task", "message"),
    [
        ({"slices": ("species=Cat,=x:accuracy=.5.",)}, "both", "give LABEL=CLASS:FIGURE=NUMBER"),
        ({"slices": ("species=Cat:loss=0.5",)}, "both", "figures are accuracy, macro_f1"),
        ({"slices": ("species=Cat:accuracy=5",)}, "both", r"each in \[0, 1\]"),
        ({"slices": ("size=small:accuracy=0.5",)}, "both", "the slices of Synthetic pets are by species; breed"),
        ({"slices": ("species=Cow:accuracy=0.5",)}, "both", "species is one of Cat, Dog"),
        ({"slices": ("species=Cat,species=Dog:mask_f1=0.5",)}, "both", "name each label once"),
        ({"mask_f1": 0.5}, "classification", "thresholds.mask_f1 is set, but .* no mask head"),
        (
            {"slices": ("species=Cat:mask_f1=0.5",)},
            "classification",
            "thresholds.slices bounds mask_f1, but .* no mask head",
        ),
        ({"macro_f1": 0.5}, "segmentation", "thresholds.macro_f1 is set, but .* no class head"),
        ({"gain_over_majority": 0.3}, "segmentation", "thresholds.gain_over_majority is set, but .* no class head"),
        ({"gain_over_majority": -0.3}, "segmentation", "thresholds.gain_over_majority is set, but .* no class head"),
    ],
)
def test_a_threshold_on_what_there_is_not_is_refused_by_name(thresholds, task, message):
    config = dataclasses.replace(config_with(**thresholds), task=task)
    with pytest.raises(ValueError, match=message):
        eval_config(config, SPEC)


def test_a_model_of_one_head_is_evaluated_on_that_head(examples, tmp_path):
    segmenter = Oracle(("mask",)).save(tmp_path / "segmenter")
    config = dataclasses.replace(debug(), task="segmentation")
    uri, blessed = evaluate(config, examples, segmenter, tmp_path)
    assert blessed
    assert read_evaluation(uri, SPEC)["overall"].classification is None


def test_species_have_no_top_5():
    config = dataclasses.replace(debug(), label="species", task="classification")
    (_, head) = eval_config(config, SPEC).metrics_specs
    assert list(head.output_names) == ["species"]
    assert "Top5Accuracy" not in {metric.class_name for metric in head.metrics}


def test_thresholds_hold_for_all_examples_together_only():
    config = eval_config(config_with(accuracy=0.5), SPEC)
    limited = [metric for spec in config.metrics_specs for metric in spec.metrics if metric.per_slice_thresholds]
    assert [metric.class_name for metric in limited] == ["ClassificationAccuracy", "GainOverMajority", "PixelF1"]
    for metric in limited:
        assert not metric.HasField("threshold")
        (threshold,) = metric.per_slice_thresholds
        assert [list(spec.feature_keys) for spec in threshold.slicing_specs] == [[]]


def test_metrics_carry_the_fingerprint_of_their_code():
    _, *heads = eval_config(debug(), SPEC).metrics_specs
    codes = {json.loads(metric.config)["code"] for head in heads for metric in head.metrics}
    modules = ("components.metrics.classification", "components.metrics.segmentation")
    assert codes == {fingerprint.of_code(module, "components.evaluator") for module in modules}


def test_an_evaluation_without_results_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError, match="no metrics in"):
        read_evaluation(str(tmp_path), SPEC)
    with pytest.raises(FileNotFoundError, match="no validation result in"):
        failed_thresholds(str(tmp_path))
