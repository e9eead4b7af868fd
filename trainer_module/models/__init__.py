"""The networks: a backbone of `BACKBONES` below the heads that both share.

A backbone is `build(recipe, weights) -> keras.Model` from image float32 [B, S, S, 3] in [-1, 1] to a list of four
feature maps, shallow to deep, each half the size of the one before.
"""

from __future__ import annotations

import keras

from schema import record
from trainer_module.config import TrainerConfig
from trainer_module.models import dcnn, heads, mobilenet

BACKBONES = {"dcnn": dcnn.backbone, "mobilenet_v3_small": mobilenet.backbone}


def build_model(config: TrainerConfig) -> keras.Model:
    """Builds the network that `config` describes.

    Returns:
        A model from image float32 [B, S, S, 3] in [-1, 1] to a dict of logits: the label's name -> float32
        [B, classes], `mask` -> float32 [B, S, S, 1] of one foreground class, [B, S, S, K + 1] of K; only the outputs of
        `config.heads`.

    Raises:
        ValueError: weights that do not fit the backbone.
    """
    size = config.recipe.input_size
    backbone = BACKBONES[config.recipe.network](config.recipe, config.weights)
    image = keras.Input((size, size, 3), name=record.IMAGE)
    features = backbone(image)
    outputs: dict[str, keras.KerasTensor] = {}
    label, mask = config.heads.label, config.heads.mask
    if mask:
        channels = 1 if len(mask.classes) == 1 else len(mask.classes) + 1
        outputs[record.MASK] = heads.mask_logits(features, size, channels, record.MASK)
    if label:
        outputs[label.name] = heads.class_logits(
            features[-1], outputs.get(record.MASK), len(label.classes), config.recipe.dropout, label.name
        )
    return keras.Model(image, outputs, name=config.model)


def backbone_of(model: keras.Model) -> keras.Model:
    """The backbone inside a model of `build_model`."""
    return model.get_layer("backbone")
