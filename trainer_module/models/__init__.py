"""The networks: a backbone of `BACKBONES` below the heads that both share.

A backbone is `build(recipe, weights) -> keras.Model` from image float32 [B, S, S, 3] in [-1, 1] to a list of four
feature maps, shallow to deep, each half the size of the one before.
"""

from __future__ import annotations

import keras

from schema import pets
from trainer_module.config import TrainerConfig
from trainer_module.models import dcnn, heads, mobilenet

BACKBONES = {"dcnn": dcnn.backbone, "mobilenet_v3_small": mobilenet.backbone}


def build_model(config: TrainerConfig) -> keras.Model:
    """Builds the network that `config` describes.

    Returns:
        A model from image float32 [B, S, S, 3] in [-1, 1] to a dict of logits: the label's name -> float32
        [B, classes], `mask` -> float32 [B, S, S, 1]; only the outputs of `config.task`.

    Raises:
        ValueError: unknown `config.model`, or weights that do not fit the backbone.
    """
    if config.model not in BACKBONES:
        raise ValueError(f"model is {config.model!r}; known are {sorted(BACKBONES)}")
    size = config.recipe.input_size
    backbone = BACKBONES[config.model](config.recipe, config.weights)
    image = keras.Input((size, size, 3), name=pets.IMAGE)
    features = backbone(image)
    outputs: dict[str, keras.KerasTensor] = {}
    if pets.MASK in config.outputs:
        outputs[pets.MASK] = heads.mask_logits(features, size, pets.MASK)
    if config.label in config.outputs:
        classes, mask = len(pets.CLASSES[config.label]), outputs.get(pets.MASK)
        outputs[config.label] = heads.class_logits(features[-1], mask, classes, config.recipe.dropout, config.label)
    return keras.Model(image, outputs, name=config.model)


def backbone_of(model: keras.Model) -> keras.Model:
    """The backbone inside a model of `build_model`."""
    return model.get_layer("backbone")
