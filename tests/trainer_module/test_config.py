from __future__ import annotations

import pytest

from pipeline.configs import CONFIGS, sample
from tests.drawn import SPEC
from trainer_module.config import Phase, Recipe, TrainerConfig


@pytest.mark.parametrize(
    ("name", "model"), [(name, model) for name in CONFIGS for model in CONFIGS[name]().contestants]
)
def test_a_config_survives_json(name: str, model: str) -> None:
    config = CONFIGS[name]().trainer(model, SPEC)
    assert TrainerConfig.from_json(config.to_json()) == config


def test_an_input_size_that_the_networks_cannot_halve_is_refused() -> None:
    with pytest.raises(ValueError, match="multiple of 32"):
        Recipe("dcnn", 100, (Phase(1, 1e-3),))
    with pytest.raises(ValueError, match=r"input_size is 100"):
        Recipe("dcnn", 64, (Phase(1, 1e-3), Phase(1, 1e-3, input_size=100)))


def test_the_serving_config_has_the_serving_size() -> None:
    config = sample().trainer("dcnn", SPEC)
    assert config.serving.recipe.input_size == config.recipe.input_size
    larger = config.with_recipe(serving_size=96)
    assert larger.serving.recipe.input_size == 96


@pytest.mark.parametrize(("examples", "epochs"), [(16, 50), (100, 17), (320, 5), (100_000, 2)])
def test_steps_become_the_epochs_that_they_need(examples: int, epochs: int) -> None:
    config = sample().trainer("dcnn", SPEC).with_recipe(phases=(Phase(2, 1e-3, steps=50),), batch_size=32)
    assert config.for_examples(examples).recipe.phases[0].epochs == epochs


def test_a_recipe_without_epochs_is_refused() -> None:
    with pytest.raises(ValueError, match="phases"):
        Recipe("dcnn", 64, ())
