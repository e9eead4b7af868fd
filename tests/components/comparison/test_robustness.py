"""Figures of corrupted photos, on models whose answers are known."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import tensorflow as tf

from components.comparison import corruptions, robustness
from components.comparison.results import Curves, Robustness
from components.comparison.robustness import Demand
from schema import record
from schema.dataset_spec import DatasetSpec, Label, Mask
from trainer_module import preprocessing

SPEC = DatasetSpec(
    "lamps",
    "Lamps",
    labels=(Label("lamp", ("off", "on"), optional=True),),
    mask=Mask(("glass",), ((1,),), optional=True),
)
HEADS = SPEC.heads()
LEVEL, SIDE = 100, 16


def example(name: str, label: int = 0, mask: int = 1) -> bytes:
    """A plain grey photo that the model below answers rightly, for its level is below the middle."""
    photo, of_mask = np.full((SIDE, SIDE, 3), LEVEL, np.uint8), np.full((SIDE, SIDE), mask, np.uint8)
    image, png = (cv2.imencode(".png", pixels)[1].tobytes() for pixels in (photo, of_mask))
    return record.encode(SPEC, name, image, {"lamp": label}, png, 1.0).SerializeToString()


@pytest.fixture
def write(tmp_path: Path):
    def _write(examples: list[bytes]) -> list[str]:
        path = str(tmp_path / "examples")
        with tf.io.TFRecordWriter(path) as writer:
            for one in examples:
                writer.write(one)
        return [path]

    return _write


class Signature:
    """Calls a function as `predict` calls a SavedModel's signature."""

    structured_input_signature = ((), {"examples": None})

    def __init__(self, answer: Callable[[Any], dict[str, np.ndarray]]) -> None:
        self.answer = answer
        self.asked: list[list[str]] = []

    def __call__(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        parsed = [tf.train.Example.FromString(one).features.feature for one in examples.numpy()]
        self.asked.append([of[record.FILE_NAME].bytes_list.value[0].decode() for of in parsed])
        answers = [self.answer(of) for of in parsed]
        return {name: tf.stack([one[name] for one in answers]) for name in answers[0]}


def _decoded(of, name: str) -> np.ndarray:
    return np.asarray(cv2.imdecode(np.frombuffer(of[name].bytes_list.value[0], np.uint8), cv2.IMREAD_UNCHANGED))


def _lamp(of) -> dict[str, np.ndarray]:
    """On where the photo is lighter than the middle; then it sees no glass either."""
    on = float(_decoded(of, record.IMAGE).mean() > 127.5)
    return {"lamp": np.array([1 - on, on], np.float32), record.MASK: np.full((SIDE, SIDE, 1), 1 - on, np.float32)}


def _true_mask(of) -> dict[str, np.ndarray]:
    mask = _decoded(of, record.MASK)[..., None].astype(np.float32)
    return {record.MASK: np.where(mask == record.MASK_IGNORED, record.IGNORED_LABEL, mask)}


@pytest.fixture
def model() -> dict[str, Signature]:
    return {"serving_examples": Signature(_lamp), "transform_features": Signature(_true_mask)}


def test_the_figures_are_those_of_what_the_model_says(write, model) -> None:
    """From strength 2 on added light takes the photo over the middle, and nothing else does."""
    files = write([example("a"), example("b"), example("no class", label=-1), example("no mask", mask=255)])
    found = robustness.judge({"lamp": model}, files, 4, 4, SPEC, HEADS)["lamp"]
    expected = dict.fromkeys(corruptions.KINDS, (1.0,) * 6) | {"bright": (1.0, 1.0, 0.0, 0.0, 0.0, 0.0)}
    assert found.photos == 4
    for curves in (found.accuracy, found.mask_f1):
        assert curves is not None
        assert curves.of_kind == expected
        assert (curves.clean, curves.means["bright"]) == (1.0, pytest.approx(1 / 5))
        assert curves.mean == pytest.approx((6 + 1 / 5) / 7)


def test_what_is_unknown_of_a_photo_does_not_count(write, model) -> None:
    """The class that is known is wrong, a lamp that is on; one of the masks is right, the other is of no glass."""
    files = write([example("on", label=1, mask=255), example("glass", label=-1), example("none", label=-1, mask=0)])
    found = robustness.judge({"lamp": model}, files, 3, 3, SPEC, HEADS)["lamp"]
    assert found.accuracy is not None
    assert found.mask_f1 is not None
    assert (found.accuracy.clean, found.accuracy.of_kind["bright"][2]) == (0.0, 1.0)
    assert found.mask_f1.clean == pytest.approx(2 / 3)


def test_without_any_known_class_there_is_no_accuracy_and_a_demand_of_it_fails(write, model) -> None:
    files = write([example("a", label=-1)])
    found = robustness.judge({"lamp": model}, files, 1, 1, SPEC, HEADS)["lamp"]
    assert found.accuracy is None
    assert Demand(1, accuracy=0.1).failures(found, HEADS) == ("lamp accuracy under corruption was not measured",)


def test_photos_are_evenly_spread_and_the_mask_of_each_is_prepared_once(write, model) -> None:
    files = write([example(str(number)) for number in range(20)])
    robustness.judge({"lamp": model}, files, 20, 8, SPEC, HEADS)
    photos = [[name] for name in ("0", "2", "5", "7", "10", "12", "15", "17")]
    assert model["transform_features"].asked == photos
    first, *asked = model["serving_examples"].asked  # the first batch, for its tracing, twice
    assert asked == [photo * 36 for photo in photos]
    assert first == asked[0]


def test_a_model_sees_each_state_to_the_pixel(write, model) -> None:
    """In colours and with an odd width, which a lossy or a padded format would change."""
    photo = np.random.default_rng(20).integers(0, 256, (SIDE, SIDE + 1, 3), np.uint8)
    png, mask = (cv2.imencode(".png", pixels)[1].tobytes() for pixels in (photo[..., ::-1], np.ones((SIDE, SIDE))))
    seen: list[np.ndarray] = []

    def look(of) -> dict[str, np.ndarray]:
        seen.append(preprocessing.decode(of[record.IMAGE].bytes_list.value[0]).numpy())
        return _lamp(of)

    files = write([record.encode(SPEC, "a", png, {"lamp": 0}, mask, 1.0).SerializeToString()])
    robustness.judge({"lamp": {**model, "serving_examples": Signature(look)}}, files, 1, 1, SPEC, HEADS)
    states = [(kind, strength) for kind in corruptions.KINDS for strength in corruptions.STRENGTHS]
    expected = [photo, *(corruptions.corrupt(photo, kind, strength, "a") for kind, strength in states)]
    np.testing.assert_array_equal(seen[-len(expected) :], expected)


def test_of_fewer_photos_than_are_asked_for_all_are_taken(write, model) -> None:
    files = write([example(str(number)) for number in range(3)])
    assert robustness.judge({"lamp": model}, files, 3, 200, SPEC, HEADS)["lamp"].photos == 3


def _found(accuracy: float, mask_f1: float) -> Robustness:
    return Robustness(1, Curves({}, accuracy), Curves({}, mask_f1))


@pytest.fixture
def failures() -> Callable[[float, float], tuple[str, ...]]:
    demand = Demand(1, accuracy=0.5, mask_f1=0.8)
    return lambda accuracy, mask_f1: demand.failures(_found(accuracy, mask_f1), HEADS)


def test_a_demand_is_met_by_what_equals_it_and_names_each_figure_that_is_below(failures) -> None:
    assert failures(0.5, 0.8) == ()
    assert failures(0.412, 0.8) == ("lamp accuracy under corruption is 0.4120: 0.0880 below the threshold 0.5",)
    assert failures(0.9, 0.7) == ("mask F1 under corruption is 0.7000: 0.1000 below the threshold 0.8",)
    assert Demand(1).failures(_found(0.0, 0.0), HEADS) == ()


def test_a_demand_of_a_head_that_there_is_not_is_refused() -> None:
    Demand(1, accuracy=0.5, mask_f1=0.5).check(HEADS)
    with pytest.raises(ValueError, match=r"thresholds\.robust_mask_f1 is set, but .* no mask head"):
        Demand(1, mask_f1=0.5).check(SPEC.heads(task="classification"))
    with pytest.raises(ValueError, match=r"thresholds\.robust_accuracy is set, but .* no class head"):
        Demand(1, accuracy=0.5).check(SPEC.heads(task="segmentation"))
