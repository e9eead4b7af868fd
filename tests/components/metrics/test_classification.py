"""Class metrics against scikit-learn, computed by TFMA on a Beam pipeline."""

import json

import numpy as np
import pytest
from sklearn import metrics as sk
from tensorflow_model_analysis.proto import config_pb2

from components.metrics import classification, summed
from components.metrics.classification import count_classes

EXAMPLES, CLASSES = 300, 7


def metric(class_name, **parameters):
    return config_pb2.MetricConfig(
        class_name=class_name, module="components.metrics.classification", config=json.dumps(parameters)
    )


@pytest.fixture(scope="module")
def classes():
    """Labels of all classes but the last, and probabilities that name the last one too."""
    rng = np.random.default_rng(5)
    labels = rng.integers(0, CLASSES - 1, EXAMPLES)
    scores = np.exp(rng.normal(size=(EXAMPLES, CLASSES)) + 1.5 * np.eye(CLASSES)[labels])
    return labels, scores / scores.sum(axis=1, keepdims=True)


@pytest.fixture(scope="module")
def results(classes, tfma_evaluate):
    metrics = [metric(one.__name__) for one in classification.METRICS]
    intervals = ("ClassificationAccuracy", "ClassRecall")
    metrics += [metric(name, name=f"{name}_with_interval", interval=True) for name in intervals]
    return tfma_evaluate(metrics, *classes)[()]


def test_numbers_equal_scikit_learns(results, classes):
    labels, probabilities = classes
    predicted = probabilities.argmax(axis=1)
    every = range(CLASSES)
    expected = {
        "accuracy": sk.accuracy_score(labels, predicted),
        "top_5_accuracy": sk.top_k_accuracy_score(labels, probabilities, k=5, labels=every),
        "macro_f1": sk.f1_score(labels, predicted, average="macro", zero_division=0),
        "weighted_f1": sk.f1_score(labels, predicted, average="weighted", zero_division=0),
        "log_loss": sk.log_loss(labels, probabilities, labels=every),
    }
    assert {name: results[name] for name in expected} == pytest.approx(expected, abs=1e-9)


def test_per_class_arrays_and_confusion_matrix_equal_scikit_learns(results, classes):
    labels, probabilities = classes
    predicted = probabilities.argmax(axis=1)
    oracle = sk.precision_recall_fscore_support(labels, predicted, labels=range(CLASSES), zero_division=0)
    for name, expected in zip(("precision", "recall", "f1", "support"), oracle, strict=True):
        np.testing.assert_allclose(results[f"class_{name}"], expected, atol=1e-9)
    confusion = sk.confusion_matrix(labels, predicted, labels=range(CLASSES))
    np.testing.assert_array_equal(results["confusion_matrix"], confusion)


def test_calibration_error_is_the_weighted_gap_of_accuracy_and_confidence_in_15_bins(results, classes):
    labels, probabilities = classes
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    gaps = []
    for low, high in zip(np.arange(15) / 15, np.arange(1, 16) / 15, strict=True):
        chosen = (confidence > low) & (confidence <= high)
        if chosen.any():
            gaps.append(chosen.mean() * abs(right[chosen].mean() - confidence[chosen].mean()))
    assert results["calibration_error"] == pytest.approx(sum(gaps), abs=1e-9)


def test_interval_is_computed_for_numbers_only(results):
    accuracy, estimate = results["accuracy"], results["ClassificationAccuracy_with_interval"]
    assert float(estimate) == accuracy
    binomial = (accuracy * (1 - accuracy) / EXAMPLES) ** 0.5
    assert estimate.sample_standard_deviation == pytest.approx(binomial, rel=0.4)
    np.testing.assert_array_equal(results["ClassRecall_with_interval"], results["class_recall"])


@pytest.mark.parametrize("right", [0, 3])
def test_examples_that_are_all_alike_have_no_interval(right):
    confusion = np.zeros((20, 2, 2), int)
    confusion[:right, 0, 0] = confusion[right:3, 0, 1] = 1
    sums = {"examples": confusion.sum(axis=(1, 2)), "confusion": confusion}
    assert summed.jackknife(sums, classification.ClassificationAccuracy().result) == right / 3


def test_zero_probability_of_the_true_class_costs_what_scikit_learn_says():
    probabilities = np.array([[0.0, 1.0], [0.25, 0.75]], np.float32)
    loss = np.mean(
        [count_classes(np.array([label]), row)["log_loss"] for label, row in zip((0, 1), probabilities, strict=True)]
    )
    assert loss == pytest.approx(sk.log_loss([0, 1], probabilities), rel=1e-6)


def test_a_probability_that_is_rounded_beyond_1_counts_among_the_surest():
    bins = count_classes(np.array([0]), np.array([1 + 1e-7, 0]))["bins"]
    assert bins[-1, 0] == 1


def test_probabilities_that_are_no_numbers_are_an_error():
    with pytest.raises(ValueError, match="the model answers probabilities that are no numbers"):
        count_classes(np.array([0]), np.array([np.nan, np.nan]))


def test_a_label_without_probability_is_an_error():
    with pytest.raises(ValueError, match=r"label is 37 and the probabilities have shape \(37,\)"):
        count_classes(np.array([37]), np.full(37, 1 / 37))
