"""Every entry of `networks.NETWORKS`: one test a property, one network of 64 x 64 pixels a session for all of them."""

from __future__ import annotations

import dataclasses
import pathlib
import subprocess
import sys
import typing

import keras
import numpy as np
import pytest
import tensorflow as tf
from conftest import small_config

from trainer_module import networks, schedule, training
from trainer_module.config import NetworkName, Phase, TrainerConfig
from trainer_module.models import backbone_of, build_model

SIDE = 64


def _config(name: NetworkName, width: float = 1.0, weights: str = "none") -> TrainerConfig:
    config = small_config("dcnn", input_size=SIDE, width=width, dropout=0.0)
    return dataclasses.replace(config.with_recipe(network=name), weights=weights)


@pytest.fixture(scope="session", params=networks.NETWORKS)
def name(request: pytest.FixtureRequest) -> NetworkName:
    return request.param


@pytest.fixture(scope="session")
def published(name: str) -> keras.Model | None:
    """Keras' own network as it would be after the download: random weights, but the statistics of ImageNet's photos."""
    entry = networks.NETWORKS[name]
    if not entry.application:
        return None
    keras.utils.set_random_seed(2)
    network = getattr(keras.applications, entry.application)(
        input_shape=(SIDE, SIDE, 3), include_top=False, weights=None
    )
    for layer in network.layers:
        if isinstance(layer, keras.layers.Normalization) and layer.weights:
            layer.adapt_mean.assign(networks.IMAGENET_MEAN)
            layer.adapt_variance.assign(np.square(networks.IMAGENET_DEVIATION))
            layer.finalize_state()
    return network


@pytest.fixture(scope="session")
def config(name: NetworkName, published: keras.Model | None, tmp_path_factory: pytest.TempPathFactory) -> TrainerConfig:
    if published is None:
        return _config(name)
    path = str(tmp_path_factory.mktemp(name) / "published.weights.h5")
    published.save_weights(path)
    return _config(name, weights=path)


@pytest.fixture(scope="session")
def model(config: TrainerConfig) -> keras.Model:
    """The network as a phase begins with it."""
    keras.utils.set_random_seed(1)
    model = build_model(config)
    training.compile_for(model, Phase(1, 1e-3), steps=1, config=config, probed=False)
    return model


@pytest.fixture(scope="session")
def images() -> np.ndarray:
    return np.random.default_rng(0).uniform(-1, 1, (2, SIDE, SIDE, 3)).astype(np.float32)


def test_the_maps_have_the_strides_that_the_entry_declares(name: str, model: keras.Model) -> None:
    sides = [SIDE // output.shape[1] for output in backbone_of(model).outputs]
    assert tuple(sides) == networks.NETWORKS[name].strides


def test_both_heads_fit(model: keras.Model) -> None:
    shapes = {output: of.shape for output, of in model.output.items()}
    assert shapes == {"breed": (None, 37), "mask": (None, SIDE, SIDE, 1)}


def test_a_file_of_keras_own_network_gives_its_features_in_keras_own_range(
    name: str, published: keras.Model | None, model: keras.Model, images: np.ndarray
) -> None:
    if published is None:
        pytest.skip("the project's own network has no weights to load")
    photo = (images + 1.0) * 127.5
    module = {"ResNet50V2": keras.applications.resnet_v2, "DenseNet121": keras.applications.densenet}
    application = networks.NETWORKS[name].application
    if application in module:  # the others' networks do it themselves
        photo = module[application].preprocess_input(photo)
    expected = np.array(published(photo, training=False))
    deepest = np.array(backbone_of(model)(images, training=False)[-1])
    np.testing.assert_allclose(deepest, expected, rtol=1e-3, atol=1e-3 * np.abs(expected).max())


def test_a_file_of_its_weights_is_told_by_a_kernels_shape(name: str, published: keras.Model | None) -> None:
    if published is None:
        pytest.skip("the project's own network has no weights to load")
    shapes = {tuple(weight.shape) for weight in published.weights}
    others = {other: entry for other, entry in networks.NETWORKS.items() if entry.application}
    assert [other for other, entry in others.items() if entry.telling_kernel(1.0) in shapes] == [name]


def test_the_loss_is_finite_and_its_gradient_reaches_the_first_layer(model: keras.Model, images: np.ndarray) -> None:
    targets = {"breed": np.eye(37, dtype=np.float32)[:2], "mask": np.ones((2, SIDE, SIDE, 1), np.float32)}
    with tf.GradientTape() as tape:
        loss = model.compute_loss(images, targets, model(images, training=True))
    assert np.isfinite(loss)
    gradients = tape.gradient(loss, [variable.value for variable in model.trainable_variables])
    assert all(gradient is not None for gradient in gradients)
    first = backbone_of(model).trainable_variables[0]
    [of_first] = [g for g, v in zip(gradients, model.trainable_variables, strict=True) if v is first]
    assert np.abs(of_first).max() > 0


def test_every_layer_of_the_backbone_has_its_share_of_the_rate(model: keras.Model) -> None:
    backbone = backbone_of(model)
    shares = list(schedule.backbone_shares(backbone, rate=0.1))
    assert sorted(id(variable) for variable, _ in shares) == sorted(map(id, backbone.trainable_variables))
    rates = [rate for _, rate in shares]
    assert max(rates) == pytest.approx(0.1)
    assert min(rates) < 0.07, "early layers move less"


def test_pretrained_norms_stay_and_others_follow_a_short_training(config: TrainerConfig, model: keras.Model) -> None:
    norms = [layer for layer in model._flatten_layers() if isinstance(layer, keras.layers.BatchNormalization)]
    assert {layer.momentum for layer in norms} == {0.95}
    of_backbone = {layer.trainable for layer in backbone_of(model).layers if layer in norms}
    assert of_backbone <= {config.weights == "none"}


def test_it_is_rebuilt_at_another_size_with_the_same_weights(config: TrainerConfig, model: keras.Model) -> None:
    larger = training.rebuilt(model, config.at_size(96))
    assert larger.output["mask"].shape == (None, 96, 96, 1)
    for weight, same in zip(model.get_weights(), larger.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, same)


def test_weights_of_another_width_are_refused_with_the_field_to_change(tmp_path: pathlib.Path) -> None:
    source = keras.applications.MobileNetV3Small((64, 64, 3), alpha=1.0, include_top=False, weights=None)
    source.save_weights(path := tmp_path / "some.weights.h5")
    with pytest.raises(ValueError, match=r"MobileNetV3Small of width 0\.75: set the recipe's width"):
        build_model(_config("mobilenet_v3_small", weights=str(path), width=0.75))
    with pytest.raises(ValueError, match="do not fit ResNet50V2"):
        build_model(_config("resnet50_v2", weights=str(path)))


@pytest.mark.parametrize(
    ("network", "width", "weights", "said"),
    [
        ("mobilenet_v3_small", 1.0, "nowhere.h5", r"nowhere\.h5.*no file"),
        ("mobilenet_v3_large", 0.5, "imagenet", "width is 0.5: Keras has these weights for 0.75 and 1.0 alone"),
        ("resnet50_v2", 0.75, "none", "width is 0.75, but resnet50_v2 has one width: use 1"),
        ("dcnn", 1.0, "imagenet", "dcnn is trained from scratch: use 'none'"),
    ],
)
def test_what_a_network_does_not_have_is_refused_before_it_is_built(
    network: str, width: float, weights: str, said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        networks.check(network, width, weights)


@pytest.mark.parametrize("network", ["mobilenet_v3_small", "efficientnet_b0"])
def test_weights_that_cannot_be_downloaded_are_an_error_with_the_ways_out(
    network: NetworkName, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("keras.src.backend.config._KERAS_DIR", str(tmp_path))  # no cached copy
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    with pytest.raises(ValueError, match=r"could not download them.*'none'") as failure:
        build_model(_config(network, weights="imagenet"))
    assert networks.NETWORKS[network].keras_file.format(width=1.0) in str(failure.value.__cause__)


def test_every_network_that_a_recipe_may_name_has_its_entry() -> None:
    assert tuple(networks.NETWORKS) == typing.get_args(NetworkName)


def test_the_entries_are_read_without_tensorflow() -> None:
    code = "import sys, trainer_module.networks; print(bool({'keras', 'tensorflow', 'numpy'} & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout == "False\n"
