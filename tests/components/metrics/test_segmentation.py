"""Mask metrics against scikit-learn, computed by TFMA on a Beam pipeline."""

import json

import numpy as np
import pytest
from sklearn import metrics as sk
from tensorflow_model_analysis.proto import config_pb2

from components.metrics import segmentation, summed
from components.metrics.segmentation import count_pixels

IMAGES, SIDE = 400, 8


def metric(class_name, **parameters):
    return config_pb2.MetricConfig(
        class_name=class_name, module="components.metrics.segmentation", config=json.dumps(parameters)
    )


@pytest.fixture(scope="module")
def masks():
    """Labels with ignored pixels, images of different difficulty, and probabilities on the threshold."""
    rng = np.random.default_rng(5)
    labels = rng.integers(-1, 2, (IMAGES, SIDE, SIDE, 1)).astype(np.float32)
    noise = rng.integers(0, 11, labels.shape) / 10
    right = rng.random(labels.shape) < rng.random((IMAGES, 1, 1, 1))
    return labels, np.where(right, labels > 0, noise).astype(np.float32)


@pytest.fixture(scope="module")
def results(masks, tfma_evaluate):
    metrics = [metric(one.__name__) for one in segmentation.METRICS]
    metrics += [metric("PixelF1", name="f1_with_interval", interval=True)]
    return tfma_evaluate(metrics, *masks, slices=[row % 2 for row in range(IMAGES)])


@pytest.mark.parametrize(("slice_key", "chosen"), [((), slice(None)), ((("slice", 1),), slice(1, None, 2))])
def test_pixel_metrics_equal_scikit_learns_on_the_pixels_that_are_not_ignored(results, masks, slice_key, chosen):
    label, prediction = (values[chosen].ravel() for values in masks)
    truth, predicted = label[label >= 0] > 0, prediction[label >= 0] > 0.5
    expected = {
        "precision": sk.precision_score(truth, predicted),
        "recall": sk.recall_score(truth, predicted),
        "f1": sk.f1_score(truth, predicted),
        "iou": sk.jaccard_score(truth, predicted),
        "accuracy": sk.accuracy_score(truth, predicted),
    }
    assert {name: results[slice_key][name] for name in expected} == pytest.approx(expected, abs=1e-9)
    np.testing.assert_array_equal(results[slice_key]["confusion_matrix"], sk.confusion_matrix(truth, predicted))


def test_mean_image_metrics_give_each_image_the_same_weight(results, masks):
    images = [(label[label >= 0] > 0, mask[label >= 0] > 0.5) for label, mask in zip(*masks, strict=True)]
    f1 = np.mean([sk.f1_score(*image) for image in images])
    iou = np.mean([sk.jaccard_score(*image) for image in images])
    assert results[()]["mean_image_f1"] == pytest.approx(f1, abs=1e-9)
    assert results[()]["mean_image_iou"] == pytest.approx(iou, abs=1e-9)


def test_an_empty_image_found_empty_has_a_perfect_score_of_its_own():
    counts = count_pixels(np.zeros((SIDE, SIDE)), np.zeros((SIDE, SIDE)))
    assert (counts["image_f1"], counts["image_iou"]) == (1, 1)


@pytest.mark.parametrize("name", ["PixelF1", "PixelIoU", "PixelPrecision", "PixelRecall"])
@pytest.mark.parametrize("marked", [0, 1])
@pytest.mark.parametrize("classes", [1, 2])
def test_pixels_without_true_foreground_have_no_figure(name, marked, classes):
    mask = np.full((SIDE, SIDE), marked, int)
    prediction = np.eye(classes + 1)[mask] if classes > 1 else mask
    counts = count_pixels(np.zeros((SIDE, SIDE, 1) if classes > 1 else (SIDE, SIDE)), prediction)
    assert np.isnan(getattr(segmentation, name)().result(counts))


def test_a_figure_that_is_none_without_one_group_has_no_interval():
    groups = np.zeros((20, 2, 2), int)
    groups[:, 0, 0], groups[3, 1] = 5, [1, 2]
    f1 = segmentation.PixelF1().result
    assert summed.jackknife({"examples": np.ones(20, int), "pixels": groups}, f1) == pytest.approx(4 / 5)


def test_a_probability_equal_to_the_threshold_is_background():
    assert count_pixels(np.ones(1), np.full(1, 0.5))["pixels"].tolist() == [[0, 0], [1, 0]]


def test_different_shapes_are_an_error():
    with pytest.raises(ValueError, match=r"label has shape \(8, 8\) and its prediction \(8, 8, 1\)"):
        count_pixels(np.zeros((8, 8)), np.zeros((8, 8, 1)))


def test_interval_estimates_the_spread_that_resampling_images_shows(results, masks):
    estimate = results[()]["f1_with_interval"]
    assert float(estimate) == results[()]["f1"]
    pixels = np.array([count_pixels(*image)["pixels"] for image in zip(*masks, strict=True)])
    resampled = pixels[np.random.default_rng(0).integers(0, IMAGES, (2000, IMAGES))].sum(axis=1)
    tp, wrong = resampled[:, 1, 1], resampled[:, 0, 1] + resampled[:, 1, 0]
    assert estimate.sample_standard_deviation == pytest.approx((2 * tp / (2 * tp + wrong)).std(), rel=0.1)


def test_tfmas_own_jackknife_works_and_agrees(results, masks, tfma_evaluate):
    options = config_pb2.Options(
        compute_confidence_intervals={"value": True},
        confidence_intervals={"method": config_pb2.ConfidenceIntervalOptions.JACKKNIFE},
    )
    theirs = tfma_evaluate([metric("PixelF1")], *masks, options=options)[()]["f1"]
    ours = results[()]["f1_with_interval"]
    assert float(theirs) == float(ours)
    assert theirs.sample_standard_deviation == pytest.approx(ours.sample_standard_deviation, rel=0.3)
