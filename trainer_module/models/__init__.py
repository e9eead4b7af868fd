"""The networks: a backbone of `networks.NETWORKS` below the heads that all share."""

from __future__ import annotations

import keras

from schema import record
from trainer_module import likeness, networks
from trainer_module.config import TrainerConfig
from trainer_module.models import heads


def build_model(config: TrainerConfig, with_features: bool = False) -> keras.Model:
    """Builds the network that `config` describes.

    Args:
        config: network, heads, size and weights.
        with_features: adds the output `likeness.FEATURES`, the means of the two deepest feature maps; the weights stay
            the same.

    Returns:
        A model from image float32 [B, S, S, 3] in [-1, 1] to a dict of logits: the label's name -> float32
        [B, classes], `mask` -> float32 [B, S, S, 1] of one foreground class, [B, S, S, K + 1] of K; only the outputs of
        `config.heads`.

    Raises:
        ValueError: a width or weights that the network does not have.
    """
    recipe, size = config.recipe, config.recipe.input_size
    networks.check(recipe.network, recipe.width, config.weights)
    network = networks.NETWORKS[recipe.network]
    backbone = network.build(network, recipe, config.weights)
    image = keras.Input((size, size, 3), name=record.IMAGE)
    features = backbone(image)
    outputs: dict[str, keras.KerasTensor] = {}
    label, mask = config.heads.label, config.heads.mask
    if mask:
        channels = 1 if len(mask.classes) == 1 else len(mask.classes) + 1
        outputs[record.MASK] = heads.mask_logits(features, network.strides[0], channels, record.MASK)
    if label:
        outputs[label.name] = heads.class_logits(
            features[-1], outputs.get(record.MASK), len(label.classes), recipe.dropout, label.name
        )
    if with_features:
        means = [keras.layers.GlobalAveragePooling2D()(of_stage) for of_stage in features[-2:]]
        outputs[likeness.FEATURES] = keras.layers.Concatenate(name=likeness.FEATURES)(means)
    return keras.Model(image, outputs, name=config.model)


def backbone_of(model: keras.Model) -> keras.Model:
    """The backbone inside a model of `build_model`."""
    return model.get_layer("backbone")


def parameters_of(model: keras.Model, config: TrainerConfig) -> dict[str, int]:
    """Of the `backbone`, which the heads share, and of the heads that a model of `build_model` has: `class`, `mask`."""
    counts = {"backbone": backbone_of(model).count_params()}
    if label := config.heads.label:
        counts["class"] = sum(model.get_layer(name).count_params() for name in (label.name, f"{label.name}_norm"))
    if config.heads.mask:
        counts["mask"] = model.count_params() - sum(counts.values())
    return counts
