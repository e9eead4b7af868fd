"""MobileNetV3Small of `keras.applications` as a backbone (Howard et al. 2019)."""

from __future__ import annotations

import pathlib

import keras

from trainer_module.config import Recipe

# Workaround: Keras builds this network with a batch normalisation momentum of 0.999; after the few hundred steps of a
# fine-tuning the moving statistics lag so far behind that evaluation collapses (seen: accuracy 0.04 against 0.77 in
# training). Cause: momentum is fixed in keras.applications. Can go when it becomes an argument there.
_NORM_MOMENTUM = 0.95

_STRIDES = (4, 8, 16)


def backbone(recipe: Recipe, weights: str) -> keras.Model:
    """Builds the backbone.

    Args:
        recipe: `input_size` and `width` (MobileNet's alpha; pretrained weights exist for 0.75 and 1.0).
        weights: `imagenet`, `none`, or the path of a `.weights.h5` file of the same alpha.

    Returns:
        A model from float32 [B, S, S, 3] in [-1, 1] to feature maps at 1/4, 1/8, 1/16 and 1/32, shallow to deep.

    Raises:
        ValueError: the file is missing or made for another alpha; or ImageNet's weights could not be downloaded.
    """
    network = _network(recipe, "imagenet" if weights == "imagenet" else None)
    if weights not in ("imagenet", "none"):
        _load_weights(network, weights, recipe.width)
    for layer in network.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = _NORM_MOMENTUM
    features = [_last_at_stride(network, stride) for stride in _STRIDES]
    return keras.Model(network.input, [*features, network.output], name="backbone")


def _network(recipe: Recipe, weights: str | None) -> keras.Model:
    try:
        return keras.applications.MobileNetV3Small(
            input_shape=(recipe.input_size, recipe.input_size, 3),
            alpha=recipe.width,
            include_top=False,
            weights=weights,
            include_preprocessing=False,  # Transform's graph has normalised already
        )
    except Exception as error:
        if "URL fetch failure" not in str(error):  # Keras raises a bare Exception
            raise
        raise ValueError(
            "weights is 'imagenet', but Keras could not download them: give a .weights.h5 file, or 'none'"
        ) from error


def _load_weights(network: keras.Model, path: str, alpha: float) -> None:
    if not pathlib.Path(path).is_file():
        raise ValueError(f"weights is {path!r}, which is no file: give 'imagenet', 'none' or a .weights.h5 file")
    try:
        network.load_weights(path)
    except ValueError as error:
        raise ValueError(
            f"weights {path!r} do not fit MobileNetV3Small of width {alpha}: set the recipe's width to the file's alpha"
        ) from error


def _last_at_stride(network: keras.Model, stride: int) -> keras.KerasTensor:
    """The deepest feature map of that stride: the widest one, just before the network halves it again.

    Found by its shape, since the automatic names of these layers change within a process.
    """
    side = network.input.shape[1] // stride
    outputs = [layer.output for layer in network.layers if len(layer.output.shape) == 4]
    return [output for output in outputs if output.shape[1] == output.shape[2] == side][-1]
