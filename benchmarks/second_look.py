"""What a second look costs: an answer after one look, with the mirror image, and with a closer look, in turns.

    python benchmarks/second_look.py [--rounds 9] [--mirror-size 192] [--contestants dcnn mobilenet_v3_small]

Contestants of `pets`, at their serving sizes, with random weights, which cost what trained ones do: milliseconds of one
picture by float32 TFLite (XNNPACK, as on a phone) and by TensorFlow, which also gets 32 of them, and the ratios to the
mirror image's, which may be looked at at another size: a recipe's serving size may be chosen for its closer look.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import statistics
import time
import typing
from collections.abc import Callable

from pipeline.configs import pets as pets_config  # before TensorFlow, whose environment it sets

# isort: split
import numpy as np
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from schema import spec_file
from trainer_module.config import SecondLook, TrainerConfig
from trainer_module.looks import Looks
from trainer_module.models import build_model

SECOND_LOOKS: tuple[SecondLook, ...] = typing.get_args(SecondLook)
CALLS = 5
"""Timed one after the other in each turn."""
BATCH = 32

Ask = Callable[[], object]


def engines(config: TrainerConfig, image_size: int) -> dict[str, Ask]:
    """Ways to ask the network of `config`."""
    looks = Looks(build_model(config.serving), config, image_size)
    size = looks.size
    function = tf.function(looks, autograph=False)
    one, many = (function.get_concrete_function(tf.TensorSpec([count, size, size, 3])) for count in (1, BATCH))
    picture = np.random.default_rng(0).uniform(-1, 1, (1, size, size, 3)).astype(np.float32)
    content = tf.lite.TFLiteConverter.from_concrete_functions([convert_variables_to_constants_v2(one)]).convert()
    interpreter = Interpreter(model_content=content, num_threads=os.cpu_count())
    interpreter.allocate_tensors()
    [argument] = interpreter.get_input_details()
    interpreter.set_tensor(argument["index"], picture)
    constant = tf.constant(picture)
    batch = tf.repeat(constant, BATCH, axis=0)
    return {
        "TFLite": interpreter.invoke,
        "TensorFlow": lambda: one(constant),
        f"TensorFlow, {BATCH}": lambda: many(batch),
    }


def milliseconds(ask: Ask) -> float:
    start = time.perf_counter()
    for _ in range(CALLS):
        ask()
    return 1000 * (time.perf_counter() - start) / CALLS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--mirror-size", type=int, default=0, help="of both looks with the mirror image, in pixels")
    parser.add_argument("--contestants", nargs="+", default=[])
    flags = parser.parse_args()
    base = dataclasses.replace(pets_config(), weights="none")
    spec = spec_file.shipped("oxford_iiit_pet")
    for name in flags.contestants or base.contestants:
        recipe = base.contestants[name]
        ways: dict[str, dict[str, Ask]] = {}
        for second in SECOND_LOOKS:
            size = (second == "mirror" and flags.mirror_size) or recipe.serving_size
            contestants = {name: dataclasses.replace(recipe, second_look=second, serving_size=size)}
            trainer = dataclasses.replace(base, contestants=contestants).trainer(name, spec)
            ways[second] = engines(trainer, base.data.image_size)
        for engine in ways["none"]:
            for asks in ways.values():
                milliseconds(asks[engine])
            rounds = [
                {second: milliseconds(asks[engine]) for second, asks in ways.items()} for _ in range(flags.rounds)
            ]
            for second in SECOND_LOOKS:
                took = statistics.median(of_round[second] for of_round in rounds)
                ratio = statistics.median(of_round[second] / of_round["mirror"] for of_round in rounds)
                print(f"{name:<20} {engine:<15} {second:<8} {took:7.1f} ms, ratio {ratio:.2f}", flush=True)


if __name__ == "__main__":
    main()
