"""Mask decoders on one backbone and the same data: F1 on split eval against the speed of a training step.

    python benchmarks/decoders.py [--examples RUN/pipeline/ExampleGen/examples/ID --weights FILE]

Each decoder trains for a few epochs from the same start: under a frozen backbone where it has weights, together with it
where it has none. Speed is that of a whole training step on one constant batch, the backbone training too; the decoders
take turns. Without --examples the pictures are drawings, and the figures say little about photos.
"""

from __future__ import annotations

import argparse
import dataclasses
import math
import pathlib
import statistics
import tempfile
from collections.abc import Callable, Sequence

from pipeline.configs import pets as pets_config  # before TensorFlow, whose environment it sets

# isort: split
import drawings
import keras
from batch_norm import images_per_second
from keras import layers

from schema import record, spec_file
from trainer_module import inputs, networks, training
from trainer_module.callbacks import History
from trainer_module.config import Phase, TrainerConfig
from trainer_module.models import heads
from trainer_module.models.norm import BatchNormalization

Tensors = Sequence[keras.KerasTensor]
Decoder = Callable[[Tensors, int, int, str], keras.KerasTensor]
Up = Callable[[keras.KerasTensor, int, str], keras.KerasTensor]

SPEED_STEPS, SPEED_ROUNDS = 8, 3
SHIPPED, WIDE = "shipped", "wide, full size"


def transposed(x: keras.KerasTensor, channels: int, name: str) -> keras.KerasTensor:
    return layers.Conv2DTranspose(channels, 3, 2, "same", use_bias=False, name=name)(x)


def separable(x: keras.KerasTensor, channels: int, name: str) -> keras.KerasTensor:
    """Spreads each pixel, then mixes neighbours a channel at a time and channels a pixel at a time."""
    x = layers.UpSampling2D(2, name=f"{name}_spread")(x)
    return layers.SeparableConv2D(channels, 3, padding="same", use_bias=False, name=name)(x)


def bilinear(x: keras.KerasTensor, channels: int, name: str) -> keras.KerasTensor:
    """Mixes channels, then interpolates: nothing learned about the neighbourhood."""
    x = layers.Conv2D(channels, 1, use_bias=False, name=name)(x)
    return layers.UpSampling2D(2, interpolation="bilinear", name=f"{name}_spread")(x)


def decoder(widths: Sequence[int], up: Up = separable, skips: bool = True, full_size: bool = False) -> Decoder:
    """A decoder in the shape of `heads.mask_logits`.

    Args:
        widths: channels of the bottleneck, then of each step that doubles the map.
        up: the layer that doubles it.
        skips: adds the backbone's maps.
        full_size: learned steps go on to the input's size; else one strided transpose does the rest.
    """

    def logits(features: Tensors, stride: int, channels: int, name: str) -> keras.KerasTensor:
        *shallow, deepest = features
        bottleneck, *steps = widths
        x = _norm_relu(layers.Conv2D(bottleneck, 1, use_bias=False, name=f"{name}_bottleneck")(deepest), name, "first")
        for step, count in enumerate(steps[: len(shallow) + (round(math.log2(stride)) if full_size else 0)]):
            x = up(x, count, f"{name}_up{step}")
            if skips and step < len(shallow):
                skip = layers.Conv2D(count, 1, use_bias=False, name=f"{name}_skip{step}")(shallow[-1 - step])
                x = layers.Add(name=f"{name}_add{step}")([x, skip])
            x = _norm_relu(x, name, str(step))
        if full_size:
            x = layers.Conv2D(channels, 1, name=f"{name}_logits")(x)
        else:
            x = layers.Conv2DTranspose(channels, 2 * stride, stride, "same", name=f"{name}_to_full_size")(x)
        return layers.Activation("linear", dtype="float32", name=name)(x)

    return logits


def _norm_relu(x: keras.KerasTensor, name: str, step: str) -> keras.KerasTensor:
    x = BatchNormalization(momentum=0.95, name=f"{name}_norm_{step}")(x)
    return layers.ReLU(name=f"{name}_relu_{step}")(x)


LEAN, TWICE, LARGE = (96, 64, 48, 32), (192, 128, 96, 64), (256, 256, 128, 64, 32, 16)
DECODERS: dict[str, Decoder] = {
    SHIPPED: heads.mask_logits,
    "twice the channels": decoder(TWICE),
    "no skips": decoder(LEAN, skips=False),
    "strided transposes": decoder(LEAN, transposed),
    "bilinear": decoder(LEAN, bilinear),
    WIDE: decoder(LARGE, transposed, full_size=True),
}


def network(logits: Decoder, config: TrainerConfig) -> keras.Model:
    """As `models.build_model`, with a mask head alone, made by `logits`."""
    keras.utils.set_random_seed(config.seed)
    size = config.recipe.input_size
    image = keras.Input((size, size, 3), name=record.IMAGE)
    entry = networks.NETWORKS[config.recipe.network]
    features = entry.build(entry, config.recipe, config.weights)(image)
    return keras.Model(image, {record.MASK: logits(features, entry.strides[0], 1, record.MASK)}, name=config.model)


def mask_f1(
    model: keras.Model, data: training.Data, examples: Sequence[int], config: TrainerConfig, directory: str
) -> float:
    """Trains as the Trainer does on (train, eval), of so many `examples`; returns F1 on eval of the kept epoch."""
    training.fit(model, lambda _: data, config, History(config, directory, *examples))
    return model.evaluate(data[1], verbose=0, return_dict=True)["f1"]


def speeds(models: dict[str, keras.Model], batch: tuple, config: TrainerConfig) -> dict[str, float]:
    """Median images/s of each, the backbone training; in turns, after a warm-up."""
    for model in models.values():
        training.compile_for(model, Phase(1, 1e-4), steps=SPEED_STEPS, config=config, probed=False)
        images_per_second(model, batch, 2)
    rounds = [
        {name: images_per_second(model, batch, SPEED_STEPS) for name, model in models.items()}
        for _ in range(SPEED_ROUNDS)
    ]
    return {name: statistics.median(each[name] for each in rounds) for name in models}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--examples", help="output of ExampleGen: a folder with Split-train and Split-eval")
    parser.add_argument("--model", choices=sorted(pets_config().contestants), default="mobilenet_v3_small")
    parser.add_argument("--weights", default="none", help="as the config's field")
    parser.add_argument("--size", type=int, default=128, help="side of the network's input, in pixels")
    parser.add_argument("--epochs", type=int, default=3)
    flags = parser.parse_args()
    base = dataclasses.replace(pets_config(), task="segmentation", weights=flags.weights)
    given = base.trainer(flags.model, spec_file.shipped("oxford_iiit_pet"))
    backbone_rate = 0.0 if given.weights != "none" else 1.0
    config = given.with_recipe(input_size=flags.size, phases=(Phase(flags.epochs, 3e-3, backbone_rate),))
    with tempfile.TemporaryDirectory() as folder:
        examples = pathlib.Path(flags.examples or drawings.write_splits(pathlib.Path(folder) / "drawn"))
        splits = [inputs.Split.of([str(examples / f"Split-{split}" / "*")]) for split in (record.TRAIN, record.EVAL)]
        size, counts = base.data.image_size, [split.examples for split in splits]
        train = inputs.train_dataset(splits[0], config, size, f"{folder}/train")
        evaluation = inputs.eval_dataset(splits[1], config, size, f"{folder}/eval")
        models = {name: network(logits, config) for name, logits in DECODERS.items()}
        f1 = {name: mask_f1(model, (train, evaluation), counts, config, folder) for name, model in models.items()}
        images, targets = next(iter(train))
        speed = speeds(models, (images.numpy(), {key: value.numpy() for key, value in targets.items()}), config)
    print(f"{flags.model}, {flags.size} x {flags.size}, {flags.epochs} epochs, {splits[0].examples} pictures")
    print(f"{'decoder':<20} {'F1 on eval':>10} {'images/s':>9} {'parameters':>11}")
    for name, model in models.items():
        print(f"{name:<20} {f1[name]:10.4f} {speed[name]:9.0f} {model.count_params():11,}")
    print(
        f"{SHIPPED} against {WIDE!r}: speed ratio {speed[SHIPPED] / speed[WIDE]:.2f}, F1 {f1[SHIPPED] - f1[WIDE]:+.4f}"
    )


if __name__ == "__main__":
    main()
