from __future__ import annotations

import keras
import numpy as np
import pytest
from conftest import small_config

from trainer_module.config import Phase
from trainer_module.models import build_model
from trainer_module.schedule import LayerwiseAdamW, backbone_shares, learning_rate


@pytest.mark.parametrize("final", [0.01, 0.3])
def test_the_rate_warms_up_to_its_peak_and_falls_to_the_final_rate(final: float) -> None:
    rate = learning_rate(Phase(10, 1e-3, final_rate=final), steps=1000)
    assert float(rate(0)) == pytest.approx(1e-5, rel=1e-3)
    assert float(rate(100)) == pytest.approx(1e-3, rel=1e-3)
    assert float(rate(1000)) == pytest.approx(1e-3 * final, rel=1e-3)
    assert float(rate(50)) < float(rate(100)) > float(rate(550)) > float(rate(900))


def test_early_layers_of_a_backbone_get_the_smallest_share() -> None:
    backbone = build_model(small_config("dcnn", input_size=64)).get_layer("backbone")
    shares = [share for _, share in backbone_shares(backbone, 0.1)]
    assert shares == sorted(shares)
    assert shares[0] == pytest.approx(0.1 * 0.7**3)
    assert shares[-1] == 0.1


def test_a_variable_moves_at_its_share_of_the_rate() -> None:
    slow, fast = (keras.layers.Dense(1, use_bias=False) for _ in range(2))
    model = keras.Sequential([keras.Input((1,)), slow, fast])
    optimizer = LayerwiseAdamW([(slow.kernel, 0.01)], learning_rate=0.1, weight_decay=0.0)
    model.compile(optimizer, "mse")
    before = [weight.copy() for weight in model.get_weights()]
    model.fit(np.ones((8, 1)), np.full((8, 1), 100.0), batch_size=8, epochs=1, verbose=0)
    steps = [abs(float((new - old).squeeze())) for new, old in zip(model.get_weights(), before, strict=True)]
    # Adam's first step has the length of the rate, whatever the gradient.
    assert steps == pytest.approx([0.001, 0.1], rel=1e-3)


def test_without_shares_it_is_adamw_of_keras_bit_for_bit() -> None:
    settings = {"weight_decay": 0.01, "global_clipnorm": 1.0, "use_ema": True, "ema_momentum": 0.9}
    weights = []
    for adamw in (keras.optimizers.AdamW, lambda **given: LayerwiseAdamW([], **given)):
        keras.utils.set_random_seed(0)
        model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(4), keras.layers.Dense(1)])
        optimizer = adamw(learning_rate=learning_rate(Phase(1, 1e-2), steps=12), **settings)
        if adamw is keras.optimizers.AdamW:
            optimizer.exclude_from_weight_decay(var_names=["gamma", "beta", "bias"])
        model.compile(optimizer, "mse")
        inputs = np.random.default_rng(0).normal(size=(96, 3))
        model.fit(inputs, inputs.sum(axis=1), batch_size=8, epochs=1, verbose=0, shuffle=False)
        weights.append([*model.get_weights(), *(value.numpy() for value in optimizer.variables)])
    for keras_own, ours in zip(*weights, strict=True):
        np.testing.assert_array_equal(ours, keras_own)
