"""Networks of `keras.applications` as backbones, by their entries in `networks.NETWORKS`."""

from __future__ import annotations

import keras

from trainer_module.config import Recipe
from trainer_module.networks import Network

# Workaround: Keras builds MobileNetV3 with a batch normalisation momentum of 0.999 and the others with 0.99; after the
# few hundred steps of a fine-tuning the moving statistics lag so far behind that evaluation collapses (seen with
# MobileNetV3Small: accuracy 0.04 against 0.77 in training).
# Cause: momentum is fixed in keras.applications.
# Can go when it becomes an argument there.
_NORM_MOMENTUM = 0.95


def backbone(network: Network, recipe: Recipe, weights: str) -> keras.Model:
    """Builds the backbone.

    Args:
        network: an entry with an `application`.
        recipe: `input_size` and `width`.
        weights: `imagenet`, `none`, or the path of a `.weights.h5` file of the same network and width.

    Returns:
        A flat model from float32 [B, S, S, 3] in [-1, 1] to a feature map for each of `network.strides`.

    Raises:
        ValueError: the file is made for another network or width; or ImageNet's weights could not be downloaded.
    """
    application = _application(network, recipe, "imagenet" if weights == "imagenet" else None)
    if weights not in ("imagenet", "none"):
        _load_weights(application, weights, network, recipe)
    for layer in application.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = _NORM_MOMENTUM
        _leave_values_alone(layer)
    features = [application.get_layer(name).input for name in network.before_halving]
    return keras.Model(application.inputs[0], [*features, application.output], name="backbone")


def _application(network: Network, recipe: Recipe, weights: str | None) -> keras.Model:
    arguments = dict(network.arguments)
    if network.width_argument:
        arguments[network.width_argument] = recipe.width
    shape = (recipe.input_size, recipe.input_size, 3)
    try:
        return getattr(keras.applications, network.application)(
            input_shape=shape, include_top=False, weights=weights, input_tensor=_normalised(network, shape), **arguments
        )
    except Exception as error:
        if "URL fetch failure" not in str(error):  # Keras raises a bare Exception
            raise
        raise ValueError(
            "weights is 'imagenet', but Keras could not download them: give a .weights.h5 file, or 'none'"
        ) from error


def _normalised(network: Network, shape: tuple[int, int, int]) -> keras.KerasTensor | None:
    """An input in [-1, 1], as Transform's graph gives it, in the range of the network's weights; None: it is that."""
    scale = [0.5 / deviation for deviation in network.deviation]
    offset = [(0.5 - mean) / deviation for mean, deviation in zip(network.mean, network.deviation, strict=True)]
    if scale == [1.0, 1.0, 1.0] and offset == [0.0, 0.0, 0.0]:
        return None
    return ToRangeOfWeights(scale, offset)(keras.Input(shape))


class ToRangeOfWeights(keras.layers.Rescaling):
    """Scales and shifts each channel."""


def _leave_values_alone(layer: keras.layers.Layer) -> None:
    """Turns off what a network of Keras would do to its input where no argument does: `_normalised` has done it.

    EfficientNetB0's has statistics among its weights, and one layer more with ImageNet's weights than without.
    """
    if isinstance(layer, keras.layers.Rescaling) and not isinstance(layer, ToRangeOfWeights):
        layer.scale, layer.offset = 1.0, 0.0
    if isinstance(layer, keras.layers.Normalization):
        layer.adapt_mean.assign(keras.ops.zeros_like(layer.adapt_mean))
        layer.adapt_variance.assign(keras.ops.ones_like(layer.adapt_variance))
        layer.finalize_state()


def _load_weights(application: keras.Model, path: str, network: Network, recipe: Recipe) -> None:
    try:
        application.load_weights(path)
    except ValueError as error:
        advice = ": set the recipe's width to the file's" if network.width_argument else ""
        raise ValueError(
            f"weights {path!r} do not fit {network.application} of width {recipe.width:g}{advice}"
        ) from error
