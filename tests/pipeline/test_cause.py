from __future__ import annotations

import dataclasses
import pathlib
import urllib.error

import apache_beam as beam
import keras
import pytest
import tensorflow as tf

from components.datasets import pets
from pipeline import cause
from trainer_module.config import Phase, Recipe
from trainer_module.models import applications
from trainer_module.networks import NETWORKS


def _sentence(error: BaseException) -> str:
    """As the runner does it: what a library put around the error comes first."""
    try:
        raise RuntimeError("the step failed") from error
    except RuntimeError as outer:
        return cause.sentence(outer)


def test_the_three_ways_to_provide_the_data_come_before_the_dead_network(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pets, "_HOST", "nowhere.invalid")
    with pytest.raises(RuntimeError) as failure:
        pets.OxfordPets(str(tmp_path)).prepare()
    said = _sentence(failure.value)
    assert said.startswith("RuntimeError: oxford_iiit_pet is not prepared")
    assert "in one of three ways" in said
    assert "urlopen error" in said


def test_weights_of_another_width_are_named_before_kerass_reason(tmp_path: pathlib.Path) -> None:
    path = str(tmp_path / "half.weights.h5")
    narrow = Recipe("mobilenet_v3_small", 32, (Phase(1, 1e-3),), width=0.5)
    keras.applications.MobileNetV3Small((32, 32, 3), alpha=0.5, include_top=False, weights=None).save_weights(path)
    with pytest.raises(ValueError, match="do not fit") as failure:
        applications.backbone(NETWORKS["mobilenet_v3_small"], dataclasses.replace(narrow, width=0.75), path)
    said = _sentence(failure.value)
    assert said.startswith(f"ValueError: weights '{path}' do not fit MobileNetV3Small of width 0.75: set")
    assert "(ValueError: " in said, "Keras' reason comes after it"


def test_archives_with_a_wrong_checksum_are_named_and_not_unpacked(tmp_path: pathlib.Path) -> None:
    archives = tmp_path / "archives"
    archives.mkdir()
    for name in ("images.tar.gz", "annotations.tar.gz"):
        (archives / name).write_bytes(b"no archive")
    with pytest.raises(RuntimeError) as failure:
        pets.OxfordPets(str(tmp_path / "data"), str(archives)).prepare()
    said = _sentence(failure.value)
    assert said.startswith("RuntimeError: oxford_iiit_pet is not prepared")
    assert "checksum" in said
    assert "in one of three ways" in said


def test_weights_that_cannot_be_downloaded_are_ours_before_kerass(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("keras.src.backend.config._KERAS_DIR", str(tmp_path))  # no cached copy
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    recipe = Recipe("mobilenet_v3_small", 32, (Phase(1, 1e-3),))
    with pytest.raises(ValueError, match="could not download") as failure:
        applications.backbone(NETWORKS["mobilenet_v3_small"], recipe, "imagenet")
    said = _sentence(failure.value)
    assert said.startswith("ValueError: weights is 'imagenet', but Keras could not download them: give a .weights.h5")
    assert "or 'none' (" in said, "the network's own reason comes after it"


def test_an_error_without_a_cause_of_its_own_is_the_sentence() -> None:
    with pytest.raises(ValueError, match="phases") as failure:
        Recipe("mobilenet_v3_small", 32, ())
    assert _sentence(failure.value) == "ValueError: phases is empty: name at least one phase"


def test_without_an_error_of_ours_the_first_cause_is_told() -> None:
    assert _sentence(urllib.error.URLError("no route")) == "URLError: <urlopen error no route>"


@pytest.mark.parametrize("mode", ["in_memory", "multi_processing"])
def test_our_error_is_found_in_what_beam_makes_of_it(mode: str) -> None:
    options = beam.options.pipeline_options.PipelineOptions([f"--direct_running_mode={mode}", "--direct_num_workers=1"])
    with pytest.raises(Exception, match="phases") as failure, beam.Pipeline("DirectRunner", options=options) as work:
        work | beam.Create([32]) | beam.Map(lambda size: Recipe("dcnn", size, ()))
    assert _sentence(failure.value) == "ValueError: phases is empty: name at least one phase"


def test_our_error_is_found_in_a_text_whose_cause_is_another_one() -> None:
    text = """RuntimeError: Traceback (most recent call last):
  File "/usr/lib/python3.11/urllib/request.py", line 1348, in do_open
    h.request(req.get_method(), req.selector, req.data, headers)
socket.gaierror: [Errno -2] Name or service not known

The above exception was the direct cause of the following exception:

Traceback (most recent call last):
  File "/somewhere/apache_beam/runners/common.py", line 1498, in process
    return self.do_fn_invoker.invoke_process(windowed_value)
  File "/app/components/example_gen/preparation.py", line 60, in _prepare
    raise RuntimeError(
    ^^^^^^^^^^^^^^^^^^^
RuntimeError: oxford_iiit_pet is not prepared
Provide it in one of three ways: a, b or c. [while running 'Read-ptransform-12']
"""
    said = _sentence(RuntimeError(text))
    assert said == (
        "RuntimeError: oxford_iiit_pet is not prepared Provide it in one of three ways: a, b or c. "
        "(gaierror: [Errno -2] Name or service not known)"
    )


def test_beams_additions_are_left_out() -> None:
    error = ValueError("a.jpg: no JPEG [while running 'Convert-ptransform-12']")
    assert _sentence(error) == "ValueError: a.jpg: no JPEG"


def test_tensorflows_reason_is_told_not_its_head() -> None:
    @tf.function
    def decode(data: tf.Tensor) -> tf.Tensor:
        return tf.reduce_sum(tf.io.decode_jpeg(data))

    with pytest.raises(tf.errors.InvalidArgumentError) as failure:
        decode(tf.constant(b"no picture"))
    assert "Graph execution error" in str(failure.value)
    said = _sentence(failure.value)
    assert said.startswith("InvalidArgumentError: Unknown image file format")
    assert "Graph execution error" not in said
    assert "[[" not in said


def test_a_sentence_is_no_book() -> None:
    assert len(_sentence(OSError("x" * 1_000_000))) < 1100
