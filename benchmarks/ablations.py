"""What each choice of a recipe gives: the recipe as it is and with one choice switched off, judged on split eval.

    python benchmarks/ablations.py --examples RUN/pipeline/ExampleGen/examples/ID [--model dcnn] [--results FILE]

Every variant trains from the same start on the same data and is judged as it would be served: at its serving size, with
its second look, at the threshold that is best on eval. --epochs and --largest-size shrink all variants alike, for one
at full length costs as much as a Trainer. Split test is never read. A result is a line of --results as soon as it is
known; what is there already, by the same flags, is not trained again. The last lines are a table in Markdown.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import pathlib
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from unittest import mock

from pipeline.configs import pets as pets_config  # before TensorFlow, whose environment it sets

# isort: split
import keras
import numpy as np

from schema import record, spec_file
from trainer_module import inputs, looks, losses, networks, schedule, trainer, training
from trainer_module.callbacks import History, KeepBest
from trainer_module.config import Recipe, TrainerConfig
from trainer_module.models import build_model, dcnn, heads

AS_IS = "as it is"
SPEC = spec_file.shipped("oxford_iiit_pet")
Figures = dict[str, float]


@dataclasses.dataclass(frozen=True)
class Variant:
    """A recipe without one of its choices."""

    recipe: Callable[[Recipe], Recipe] = lambda recipe: recipe
    patch: Callable[[], contextlib.AbstractContextManager] = contextlib.nullcontext
    """Where the choice is the network's, so that no field of the recipe says it."""
    retrain: bool = True
    """False: only served otherwise."""
    taught: Callable[[keras.Model], contextlib.AbstractContextManager] | None = None
    """How it learns from the network as it is, trained before."""


def _with(**changes: Any) -> Callable[[Recipe], Recipe]:
    return lambda recipe: dataclasses.replace(recipe, **changes)


def _augmented(**changes: Any) -> Callable[[Recipe], Recipe]:
    return lambda recipe: dataclasses.replace(recipe, augmentation=dataclasses.replace(recipe.augmentation, **changes))


def _each_phase(**changes: Any) -> Callable[[Recipe], Recipe]:
    return lambda recipe: dataclasses.replace(
        recipe, phases=tuple(dataclasses.replace(phase, **changes) for phase in recipe.phases)
    )


def _without_shallowest_map() -> contextlib.AbstractContextManager:
    def backbone(network: networks.Network, recipe: Recipe, weights: str) -> keras.Model:
        whole = dcnn.backbone(recipe)
        return keras.Model(whole.input, whole.output[1:], name=whole.name)

    of_dcnn: Any = networks.NETWORKS["dcnn"]
    shallower = dataclasses.replace(of_dcnn, build=backbone, strides=of_dcnn.strides[1:])
    stack = contextlib.ExitStack()
    stack.enter_context(mock.patch.dict(networks.NETWORKS, dcnn=shallower))
    stack.enter_context(mock.patch.object(heads, "_STEP_CHANNELS", heads._STEP_CHANNELS[:2]))
    return stack


def _without_dice() -> contextlib.AbstractContextManager:
    """No pixel is ignored where the border counts as pet, so Keras' own cross-entropy does."""
    return mock.patch.object(losses, "mask_loss", keras.losses.BinaryCrossentropy(from_logits=True))


def _best_epoch() -> contextlib.AbstractContextManager:
    """On endless examples nothing but the best is within a standard error of it."""
    return mock.patch.object(training, "KeepBest", lambda config, _: KeepBest(config, 10**12))


def _without_mean_over_pet() -> contextlib.AbstractContextManager:
    whole = heads.class_logits
    return mock.patch.object(heads, "class_logits", lambda features, mask, *rest: whole(features, None, *rest))


SERVING = {
    "served at the training size": Variant(_with(serving_size=0), retrain=False),
    "served with the mirror image": Variant(_with(second_look="mirror"), retrain=False),
    "served with one look": Variant(_with(second_look="none"), retrain=False),
}
COMMON = {
    "raw weights instead of their average": Variant(_with(ema=0.0)),
    "no label smoothing": Variant(_with(label_smoothing=0.0)),
    "no loss on the species": Variant(_with(coarser_loss_weight=0.0)),
    "mask loss weight 1": Variant(_with(mask_loss_weight=1.0)),
    "mask loss without Dice": Variant(patch=_without_dice),
    "best epoch kept": Variant(_with(soup=1), _best_epoch),
    "constant rate after the warm-up": Variant(_each_phase(final_rate=1.0)),
    "weight decay 1e-4": Variant(_with(weight_decay=1e-4)),
    "no crops": Variant(_augmented(min_scale=1.0, aspect=1.0)),
    "no rotation": Variant(_augmented(rotation=0.0)),
    "no colour": Variant(_augmented(colour=0.0)),
    "no mirror images": Variant(_augmented(flip=False)),
    "class head without the mean over the pet": Variant(patch=_without_mean_over_pet),
}
VARIANTS = {
    "dcnn": {
        AS_IS: Variant(),
        **SERVING,
        **COMMON,
        "no CutMix": Variant(_augmented(cutmix=0.0)),
        "CutMix to the end": Variant(_each_phase(cutmix=True)),
        "one size": Variant(_each_phase(input_size=0)),
        "no squeeze-and-excitation": Variant(patch=lambda: mock.patch.object(dcnn, "_squeeze_excite", lambda x, _: x)),
        "no skip at half size": Variant(patch=_without_shallowest_map),
    },
    "mobilenet_v3_small": {
        AS_IS: Variant(),
        **SERVING,
        **COMMON,
        "CutMix in half of the batches": Variant(_augmented(cutmix=0.5)),
        "no linear probe": Variant(_with(probe_passes=0)),
        "last phase trained once": Variant(_with(soup=1)),
        "no frozen phase": Variant(lambda recipe: dataclasses.replace(recipe, phases=recipe.phases[1:])),
        "backbone at the heads' rate": Variant(_each_phase(backbone_rate=1.0)),
        "early layers as fast as late ones": Variant(patch=lambda: mock.patch.object(schedule, "_STAGE_DECAY", 1.0)),
        "batch normalisation trained": Variant(patch=lambda: mock.patch.object(training, "_fix_norms")),
    },
}


def shrunk(recipe: Recipe, epochs: int, largest_size: int) -> Recipe:
    """The recipe with about so many epochs in all, the last phase trained once, and no phase above `largest_size`.

    0 leaves either as it is.
    """
    total = sum(phase.epochs for phase in recipe.phases)
    share = epochs / total if epochs else 1.0
    sizes = [recipe.input_size, *(phase.input_size for phase in recipe.phases)]
    scale = min(1.0, largest_size / max(sizes)) if largest_size else 1.0

    def size(full: int) -> int:
        return full and max(32, round(full * scale / 32) * 32)

    phases = tuple(
        dataclasses.replace(phase, epochs=max(1, round(phase.epochs * share)), input_size=size(phase.input_size))
        for phase in recipe.phases
    )
    input_size, serving_size = size(recipe.input_size), size(recipe.serving_size)
    if serving_size == input_size:
        serving_size = 0
    soup = 1 if epochs else recipe.soup
    return dataclasses.replace(recipe, input_size=input_size, serving_size=serving_size, phases=phases, soup=soup)


def train(config: TrainerConfig, splits: list[inputs.Split], image_size: int, folder: str) -> keras.Model:
    """As `trainer.run_fn` trains."""

    def data(stage: TrainerConfig) -> training.Data:
        return (
            inputs.train_dataset(splits[0], stage, image_size, f"{folder}/train"),
            inputs.eval_dataset(splits[1], stage, image_size, f"{folder}/eval"),
        )

    keras.utils.set_random_seed(config.seed)
    history = History(config, folder, splits[0].examples, splits[1].examples)
    return training.fit(build_model(config), data, config, history)


def judge(model: keras.Model, config: TrainerConfig, evaluation: inputs.Split, image_size: int, folder: str) -> Figures:
    """Accuracy and nats a photo of breeds and species, mask F1 at the best threshold, as the model would be served."""
    serving = looks.Looks(training.rebuilt(model, config.serving), config, image_size)
    data = inputs.eval_dataset(evaluation, config, image_size, f"{folder}/serving", serving.size)
    is_dog = np.array(SPEC.label("species").parents, bool)
    probabilities, labels, logits, masks = [], [], [], []
    best = trainer.MaskThreshold()
    for image, targets in data:
        answer = serving(image)
        probabilities.append(keras.ops.convert_to_numpy(keras.ops.softmax(answer["breed"])))
        labels.append(targets["breed"].numpy().argmax(axis=1))
        logits.append(answer[record.MASK].numpy().ravel())
        masks.append(targets[record.MASK].numpy().ravel())
        best.add(keras.ops.convert_to_numpy(keras.ops.sigmoid(answer[record.MASK])), targets[record.MASK].numpy())
    probability, label = np.concatenate(probabilities), np.concatenate(labels)
    dog = probability @ is_dog
    threshold = best.best()
    pet = np.concatenate(masks) > 0
    predicted = np.concatenate(logits) > np.log(threshold / (1 - threshold))
    return {
        "breeds": float(np.mean(probability.argmax(axis=1) == label)),
        "nats": float(-np.mean(np.log(probability[np.arange(len(label)), label]))),
        "species": float(np.mean((dog > 0.5) == is_dog[label])),
        "species_nats": float(-np.mean(np.log(np.where(is_dog[label], dog, 1 - dog)))),
        "mask_f1": float(2 * np.count_nonzero(pet & predicted) / (np.count_nonzero(pet) + np.count_nonzero(predicted))),
    }


def results(
    flags: argparse.Namespace, known: set[tuple[str, int]], of_network: Mapping[str, Variant]
) -> Iterator[dict[str, Any]]:
    """What is not known yet, one result at a time."""
    base = dataclasses.replace(pets_config(), weights=flags.weights)
    examples = pathlib.Path(flags.examples)
    splits = [inputs.Split.of([str(examples / f"Split-{split}" / "*")]) for split in (record.TRAIN, record.EVAL)]
    variants = {name: of_network[name] for name in flags.only or of_network}
    for seed in flags.seeds:
        model, seconds = None, 0.0
        for name, variant in variants.items():
            if (name, seed) in known or ((not variant.retrain or variant.taught) and model is None):
                continue
            config = dataclasses.replace(base.trainer(flags.model, SPEC), seed=seed)
            whole = shrunk(config.recipe, flags.epochs, flags.largest_size)
            recipe = variant.recipe(whole)
            if not variant.retrain and recipe == whole:  # shrunk, it is served at the training size anyway
                continue
            config = dataclasses.replace(config, recipe=recipe)
            taught = variant.taught(model) if variant.taught else contextlib.nullcontext()
            with tempfile.TemporaryDirectory() as folder, variant.patch(), taught:
                start = time.monotonic()
                trained = train(config, splits, base.data.image_size, folder) if variant.retrain else model
                seconds = time.monotonic() - start if variant.retrain else seconds
                figures = judge(trained, config, splits[1], base.data.image_size, folder)
            model = trained if name == AS_IS else model
            yield {"variant": name, "seed": seed, **figures, "minutes": seconds / 60}


def table(rows: list[dict[str, Any]]) -> str:
    """Markdown: means over the seeds, with the range where there are several."""
    patterns = {
        "breeds": "{:.1%}",
        "nats": "{:.2f}",
        "species": "{:.1%}",
        "species_nats": "{:.3f}",
        "mask_f1": "{:.3f}",
        "minutes": "{:.1f}",
    }
    lines = [f"| recipe | {' | '.join(patterns)} |", "|---" * (1 + len(patterns)) + "|"]
    for name in dict.fromkeys(row["variant"] for row in rows):
        cells = []
        for figure, pattern in patterns.items():
            values = [row[figure] for row in rows if row["variant"] == name]
            several = f" ({pattern.format(min(values))} to {pattern.format(max(values))})" if len(values) > 1 else ""
            cells.append(pattern.format(float(np.mean(values))) + several)
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main(variants: Mapping[str, Mapping[str, Variant]], description: str | None) -> None:
    """Trains and judges the `variants` of one network, as flags say."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--examples", required=True, help="output of ExampleGen: has Split-train and Split-eval")
    parser.add_argument("--model", choices=sorted(pets_config().contestants), default="dcnn")
    parser.add_argument("--weights", default="none", help="as the config's field")
    parser.add_argument("--epochs", type=int, default=0, help="about so many in all; 0: the recipe's")
    parser.add_argument("--largest-size", type=int, default=0, help="in pixels, of any phase; 0: the recipe's")
    parser.add_argument("--seeds", type=int, nargs="+", default=[pets_config().seed])
    parser.add_argument("--only", nargs="+", help="names of variants; all if not given")
    parser.add_argument("--results", type=pathlib.Path, default=pathlib.Path("ablations.jsonl"))
    flags = parser.parse_args()
    made_by = {name: getattr(flags, name) for name in ("model", "examples", "weights", "epochs", "largest_size")}
    lines = flags.results.read_text().splitlines() if flags.results.exists() else []
    rows = [row for row in map(json.loads, lines) if made_by.items() <= row.items()]
    for row in results(flags, {(row["variant"], row["seed"]) for row in rows}, variants[flags.model]):
        rows.append(row)
        with flags.results.open("a") as file:
            print(json.dumps({**row, **made_by}), file=file)
        print(row, flush=True)
        keras.backend.clear_session()
    print(table(rows))


if __name__ == "__main__":
    main(VARIANTS, __doc__)
