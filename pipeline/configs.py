"""Named configs: `sample()` (the default), `pets()`, `own()` and `debug()` each return one frozen `Config`.

Every field is a flag of both runners (`--help` prints them); variants derive with `dataclasses.replace`.
Importing this module imports nothing heavy.
"""

from __future__ import annotations

import dataclasses
import json
import os
import typing
from collections.abc import Sequence
from typing import Annotated, Literal

from pipeline.beam import Beam
from schema.dataset_spec import DatasetSpec
from schema.ranges import FOLDER, LINE, Checked, Number, Text
from trainer_module.config import (
    MAX_SIZE,
    Augmentation,
    CacheMb,
    NetworkName,
    Phase,
    Recipe,
    Seed,
    TrainerConfig,
)
from trainer_module.networks import NETWORKS

NETWORK_NAMES = typing.get_args(NetworkName)

CONTESTANT = Text(r"(?!serving$)[a-z][a-z0-9_]*", "lower-case letters, digits and '_', a letter first; not 'serving'")
"""A contestant's name is part of components' ids and inputs, on Kubeflow too; `serving_model` is an input already."""


@dataclasses.dataclass(frozen=True)
class Data(Checked):
    """Where the examples come from and how they are prepared; `--data-dir` says where they lie."""

    source: Literal["synthetic_pets", "oxford_iiit_pet", "folder", "coco", "tfds"]
    """One of `components.datasets.DATASETS`; docs/own-data.md shows what each reads."""
    spec: Annotated[str, LINE] = ""
    """The file that describes the data set (schema/spec_file.py); empty: the source's own, or what it derives."""
    masks: Annotated[str, LINE] = ""
    """folder: a folder of masks in parallel to the photos'; empty: where convention has them."""
    metadata: Annotated[str, LINE] = ""
    """folder: a .csv or .jsonl file with `file_name` and further columns; empty: `metadata.*` in the folder, if any."""
    labels: tuple[Annotated[str, LINE], ...] = ()
    """folder: the columns of the metadata that are labels, the primary one first; empty: those with a known name."""
    annotations: tuple[Annotated[str, LINE], ...] = ()
    """coco: JSON files, each as FILE or SPLIT=FILE."""
    name: Annotated[str, LINE] = ""
    """tfds: the data set's name, such as `caltech_birds2011`."""
    features: tuple[Annotated[str, LINE], ...] = ()
    """tfds: ROLE=FEATURE, such as image=photo, where the features are not named image, mask and as the labels are."""
    manual_dir: Annotated[str, LINE] = ""
    """oxford_iiit_pet: a folder with the official archives, where TFDS cannot download them."""
    drawings: Annotated[int, Number(ge=0, le=10_000)] = 0
    """synthetic_pets: so many drawings a class for training, and half as many for the test."""
    leave_out: Annotated[str, LINE] = ""
    """A .csv or .jsonl file with `split` and `file_name` of photos to leave out: a report's suspects.csv, edited."""
    min_speck: Annotated[float, Number(ge=0, lt=1)] = 0.0
    """Connected areas smaller than this share of the picture are dropped from a mask; 0: none is."""
    max_quarantined: Annotated[float, Number(ge=0, le=1)] = 0.01
    """Share of a split's records that may be unusable (they go to quarantine) before the run stops."""
    max_megapixels: Annotated[int, Number(ge=1, le=10_000)] = 50
    """Photos with more millions of pixels, by their header, are not opened but go to quarantine; a pushed model
    answers none of more than 50."""
    image_size: Annotated[int, Number(ge=32, le=MAX_SIZE)] = 256
    """Side of the square that Transform resizes every picture to, in pixels; masks are judged at this size."""


@dataclasses.dataclass(frozen=True)
class Thresholds(Checked):
    """What a model must reach on split `test` to be blessed."""

    accuracy: Annotated[float, Number(ge=0, le=1)] = 0.0
    """Smallest accuracy of the class head."""
    gain_over_majority: Annotated[float, Number(ge=-1, le=1)] = 0.0
    """By how much accuracy must exceed the share of the most frequent class, which always naming that class has."""
    macro_f1: Annotated[float, Number(ge=0, le=1)] = 0.0
    """Smallest mean F1 of the classes, in which rare ones weigh as much as frequent ones."""
    worst_class_f1: Annotated[float, Number(ge=0, le=1)] = 0.0
    """Smallest F1 of any class that has test examples."""
    mask_f1: Annotated[float, Number(ge=0, le=1)] = 0.0
    """Smallest F1 of the mask head, over all pixels; of several mask classes their mean."""
    slices: tuple[Annotated[str, Text(r".+=.+:\w+=[\d.]+", "LABEL=CLASS:FIGURE=NUMBER")], ...] = ()
    """What one slice must reach, such as `kind=crack,size=small:mask_f1=0.8`."""
    robust_accuracy: Annotated[float, Number(ge=0, le=1)] = 0.0
    """Smallest accuracy on corrupted photos (`--robustness`): the mean over the corruptions."""
    robust_mask_f1: Annotated[float, Number(ge=0, le=1)] = 0.0
    """Smallest mask F1 on corrupted photos, likewise."""
    max_drop: Annotated[float, Number(ge=0, le=1)] = 0.01
    """How much worse than the serving model accuracy and mask F1 may be, on all photos and on each slice; a champion
    that is worse by more, with 95 % confidence on the same photos, does not replace it."""
    max_label_issues: Annotated[float, Number(ge=0, le=1)] = 1.0
    """Largest share of the photos in `audit` whose class the models contradict; with more no model is blessed."""
    max_mask_issues: Annotated[float, Number(ge=0, le=1)] = 1.0
    """Largest share of the photos in `audit` whose mask the models contradict, likewise."""
    max_split_duplicates: Annotated[float, Number(ge=0, le=1)] = 1.0
    """Largest share of the photos of eval and test that are nearly the same as one of another split, likewise."""


@dataclasses.dataclass(frozen=True)
class Config(Checked):
    """One run of the pipeline."""

    name: Annotated[str, Text(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}", "letters, digits, '.', '_' and '-'")]
    """Names the run: `runs/NAME`, and the pipeline on Kubeflow."""
    data: Data
    contestants: dict[Annotated[str, CONTESTANT], Recipe]
    """What is trained, evaluated and compared, by name; `--contestants` adds and drops."""
    data_dir: Annotated[str, FOLDER] = ""
    """Where the data lies: a folder of photos or TFDS' data_dir; empty: `runs/data` for drawings, or TFDS' default."""
    run_dir: Annotated[str, FOLDER] = ""
    """Everything the run writes; empty: `runs/NAME`."""
    weights: Annotated[str, LINE] = "none"
    """Start of the backbones whose recipes name none: `imagenet` (downloaded by Keras), `none`, or a weights file."""
    label: Annotated[str, LINE] = ""
    """What the class head names: one of the data set's labels; empty: its first."""
    task: Literal["", "both", "classification", "segmentation"] = ""
    """Which heads the networks have; empty: all that the data can train."""
    robustness: Annotated[int, Number(ge=0, le=100_000)] = 0
    """So many test photos are also blurred, made noisy, dark and so on, 35 ways in all, and every model is asked about
    each; 0: none is."""
    thresholds: Thresholds = Thresholds()
    audit: tuple[Literal["train", "eval", "test"], ...] = ("eval", "test")
    """Splits whose labels and masks are held against the models, for the report's list of photos to look at; those
    that learned from a split (train) contradict it less. Empty (`--audit` alone): the data are not looked at."""
    champion: Literal["mean", "accuracy", "macro_f1", "mask_f1"] = "mean"
    """What decides between blessed models; `mean`: of accuracy and mask F1; ties go to the smaller model."""
    edge: tuple[Literal["float32", "float16", "int8", "onnx"], ...] = ("float32", "float16", "int8", "onnx")
    """What is made of a champion for phones and small machines: TFLite of three kinds, ONNX; none: `--edge` alone."""
    uncached: tuple[Annotated[str, Text(r"\w+", "a component's id, or all")], ...] = ()
    """Components that run anew though nothing changed, such as `Trainer_dcnn`, or `all`."""
    allow_contract_change: bool = False
    """Push a model though its inputs, outputs, classes or sizes are not those of the version before."""
    beam: Beam = dataclasses.field(default_factory=Beam)
    cache_mb: CacheMb = 4096
    """A Trainer keeps its decoded pictures in memory up to this many MB; a larger set is cached in a file."""
    seed: Seed = 20
    """Of everything random: initial weights, order of the examples, augmentation."""

    def __post_init__(self) -> None:
        """Raises ValueError: a field is out of its range or useless without another, or there is no contestant."""
        super().__post_init__()
        if not self.contestants:
            raise ValueError("contestants is empty: name one network or more")
        starts = {self.weights_of(name) for name in self.contestants}
        if self.weights not in ("imagenet", "none", *starts):
            raise ValueError(
                f"weights is {self.weights!r}, but {', '.join(self.contestants)} would not start from it: leave it out"
            )
        for name in ("robust_accuracy", "robust_mask_f1"):
            if getattr(self.thresholds, name) and not self.robustness:
                raise ValueError(
                    f"thresholds.{name} is set, but robustness is 0, so that nothing would be measured: set that too"
                )

    def data_path(self) -> str:
        """Where the data lies: `data_dir`, or what it stands for when it is empty."""
        path = self.data_dir or ("runs/data" if self.data.source == "synthetic_pets" else "")
        # One spelling of one place: what is made of the data is cached by it.
        return path if not path or "://" in path else os.path.realpath(os.path.expanduser(path))

    def to_json(self) -> str:
        """The config, for the report: all of it but where, how fresh and what is pushed, which change no figure; each
        contestant with the weights that it starts from."""
        fields = dataclasses.asdict(self)
        for name in self.contestants:
            fields["contestants"][name]["weights"] = self.weights_of(name)
        for name in ("run_dir", "uncached", "allow_contract_change"):
            del fields[name]
        return json.dumps(fields, sort_keys=True)

    def trainer(self, name: str, spec: DatasetSpec) -> TrainerConfig:
        """The Trainer's config for one of the contestants, on data of this description.

        Raises:
            ValueError: its loss would be none.
        """
        recipe, task, weights = self.contestants[name], self.task or spec.task, self.weights_of(name)
        trainer = TrainerConfig(name, recipe, spec.essence(), self.label, task, weights, self.cache_mb, self.seed)
        if not trainer.heads.label and not recipe.mask_loss_weight:
            raise ValueError(f"{name}.mask_loss_weight is 0, but the networks of this run have only a mask head")
        return trainer

    def weights_of(self, name: str) -> str:
        """A contestant's start: its own, or the run's where its network has pretrained weights at all."""
        recipe = self.contestants[name]
        return recipe.weights or (self.weights if NETWORKS[recipe.network].pretrained_widths else "none")


def with_contestants(config: Config, names: Sequence[str]) -> Config:
    """The same config with these contestants alone.

    Args:
        config: of which the recipes are taken.
        names: each the name of a contestant of `config`, or a network, or NAME=NETWORK. A network takes the recipe of
            the contestant that has it, else that of the last one, at width 1 and with the run's weights.

    Raises:
        ValueError: there is no such contestant or network.
    """
    chosen: dict[str, Recipe] = {}
    for text in names:
        name, _, network = text.strip().rpartition("=")
        name, network = name or network, network
        if name in chosen:
            raise ValueError(f"contestants names {name!r} twice: give the other one another name, as NAME=NETWORK")
        if name == network and name in config.contestants:
            chosen[name] = config.contestants[name]
            continue
        if network not in NETWORK_NAMES:
            raise ValueError(
                f"contestants names {text!r}: give one of {', '.join(config.contestants)}, or NAME=NETWORK with one of "
                f"{', '.join(NETWORK_NAMES)}"
            )
        recipes = [recipe for recipe in config.contestants.values() if recipe.network == network]
        like = list(config.contestants.values())[-1]
        made = dataclasses.replace(like, network=typing.cast(NetworkName, network), width=1.0, weights="")
        chosen[name] = recipes[0] if recipes else made
    return dataclasses.replace(config, contestants=chosen)


def sample() -> Config:
    """The first run: drawings, no network, a few minutes on two cores."""
    augmentation = Augmentation(min_scale=0.7, rotation=0.0)
    return Config(
        name="sample",
        data=Data("synthetic_pets", drawings=30, min_speck=0.001, image_size=128),
        contestants={
            "dcnn": Recipe("dcnn", 64, (Phase(12, 3e-3),), weights="none", augmentation=augmentation),
            "mobilenet_v3_small": Recipe("mobilenet_v3_small", 96, (Phase(8, 2e-3),), augmentation=augmentation),
        },
        thresholds=Thresholds(accuracy=0.3, mask_f1=0.7),
        edge=("float32",),
    )


def pets() -> Config:
    """The benchmark: Oxford-IIIT Pet, both networks, official test split.

    Seen with weights of alpha 0.75, on photos of 256 x 256 (seed 20; the README has the command): DCNN 72.3 % of the
    classes and mask F1 0.938, MobileNetV3Small 89.9 % and 0.954.
    """
    return Config(
        name="pets",
        data=Data("oxford_iiit_pet", min_speck=0.001),
        contestants={
            "dcnn": Recipe(
                "dcnn",
                128,
                (
                    Phase(55, 3e-3, final_rate=0.3, input_size=96),
                    Phase(24, 1.5e-3, final_rate=0.2),
                    Phase(10, 3e-4, input_size=160, cutmix=False),
                ),
                weights="none",
                weight_decay=0.05,
                coarser_loss_weight=1.0,
                mask_loss_weight=8.0,
                ema=0.98,
                augmentation=Augmentation(cutmix=0.5),
                serving_size=160,
                second_look="closer",
                closer_reach=1.7,
            ),
            "mobilenet_v3_small": Recipe(
                "mobilenet_v3_small",
                256,
                (Phase(2, 3e-3, backbone_rate=0.0), Phase(8, 1.5e-3, backbone_rate=0.1)),
                width=0.75,
                probe_passes=4,
                weight_decay=0.01,
                coarser_loss_weight=1.0,
                mask_loss_weight=4.0,
                ema=0.98,
                soup=3,
                augmentation=Augmentation(min_scale=0.6),
                serving_size=320,
                second_look="closer",
            ),
        },
        weights="imagenet",
        robustness=200,
        thresholds=Thresholds(accuracy=0.5, mask_f1=0.8),
    )


def own() -> Config:
    """Photos of one's own, from a folder: a fine-tuned MobileNetV3Small, in steps, as fit 100 photos and 100,000.

    docs/own-data.md leads from a folder to a pushed model.
    """
    return Config(
        name="own",
        data=Data("folder"),
        contestants={
            "mobilenet_v3_small": Recipe(
                "mobilenet_v3_small",
                256,
                (Phase(1, 3e-3, backbone_rate=0.0, steps=100), Phase(1, 1.5e-3, backbone_rate=0.3, steps=1000)),
                width=0.75,
                probe_passes=2,
                weight_decay=0.01,
                class_balance=0.5,
                mask_loss_weight=4.0,
                mask_overlap="batch",
                ema=0.98,
                # A closer crop may leave out what the class is about.
                augmentation=Augmentation(min_scale=0.9),
                second_look="mirror",
            ),
        },
        weights="imagenet",
        robustness=200,
        champion="macro_f1",
    )


def debug() -> Config:
    """Every branch in a minute, on a handful of drawings; its figures mean nothing."""
    return Config(
        name="debug",
        data=Data("synthetic_pets", drawings=4, min_speck=0.001, image_size=64),
        contestants={
            "dcnn": Recipe("dcnn", 32, (Phase(1, 1e-3),), weights="none", width=0.5),
            "mobilenet_v3_small": Recipe(
                "mobilenet_v3_small",
                32,
                (Phase(1, 1e-3, backbone_rate=0.0), Phase(1, 1e-3, backbone_rate=0.1)),
                width=0.75,
                probe_passes=1,
                ema=0.9,
                serving_size=64,
                second_look="closer",
            ),
        },
        robustness=2,
        # In a few steps a model learns nothing, and the steps after it shall run all the same.
        thresholds=Thresholds(gain_over_majority=-1.0),
        edge=("float32",),
        cache_mb=1,
    )


CONFIGS = {"sample": sample, "pets": pets, "own": own, "debug": debug}
