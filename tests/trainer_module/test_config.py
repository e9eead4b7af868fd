from __future__ import annotations

import dataclasses

import pytest

from pipeline.configs import CONFIGS, sample
from schema import pets
from trainer_module.config import Phase, Recipe, TrainerConfig


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("model", pets.MODELS)
def test_a_config_survives_json(name: str, model: str) -> None:
    config = CONFIGS[name]().trainer(model)
    assert TrainerConfig.from_json(config.to_json()) == config


def test_an_input_size_that_the_networks_cannot_halve_is_refused() -> None:
    with pytest.raises(ValueError, match="multiple of 32"):
        Recipe(100, (Phase(1, 1e-3),))
    with pytest.raises(ValueError, match=r"input_size is 100"):
        Recipe(64, (Phase(1, 1e-3), Phase(1, 1e-3, input_size=100)))


def test_the_serving_config_has_the_serving_size() -> None:
    config = dataclasses.replace(sample(), dcnn=Recipe(64, (Phase(1, 1e-3),), serving_size=96)).trainer("dcnn")
    assert config.serving.recipe.input_size == 96
    assert sample().trainer("dcnn").serving.recipe.input_size == sample().dcnn.input_size


def test_a_recipe_without_epochs_is_refused() -> None:
    with pytest.raises(ValueError, match="phases"):
        Recipe(64, ())
