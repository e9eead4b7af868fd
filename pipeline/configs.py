"""Named configs: `sample()` (the default), `pets()` and `debug()` each return one frozen `Config`.

Every field is a flag of both runners (`--help` prints them); variants derive with `dataclasses.replace`.
Importing this module imports nothing heavy.
"""

from __future__ import annotations

import dataclasses
import json
import os
from typing import Annotated, Literal

from pipeline.beam import Beam
from schema.ranges import FOLDER, LINE, Checked, Number, Text
from trainer_module.config import MAX_SIZE, Augmentation, CacheMb, Label, Phase, Recipe, Seed, Task, TrainerConfig

IMAGENET_WIDTHS = (0.75, 1.0)
"""MobileNetV3Small's, for which Keras has weights."""


@dataclasses.dataclass(frozen=True)
class Data(Checked):
    """Where the examples come from and how their masks are prepared."""

    dataset: Literal["synthetic_pets", "oxford_iiit_pet"]
    """`synthetic_pets` is drawn by this project and needs no network; `oxford_iiit_pet` is the real one."""
    manual_dir: Annotated[str, LINE] = ""
    """A folder with the official `images.tar.gz` and `annotations.tar.gz`, where TFDS cannot download them."""
    examples_per_breed: Annotated[int, Number(ge=0, le=10_000)] = 0
    """Size of the synthetic set: so many drawings a breed for training, and half as many for the test."""
    border: Literal["pet", "background", "ignore"] = "pet"
    """What a trimap's border (its value 3) counts as; ignored pixels have weight 0 in losses and metrics."""
    min_speck: Annotated[float, Number(ge=0, lt=1)] = 0.001
    """Connected areas of pet or background smaller than this share of the picture are dropped from a mask."""
    eval_fraction: Annotated[float, Number(gt=0, lt=1)] = 0.1
    """Share of each breed's training photos that is held out as split `eval`."""
    max_quarantined: Annotated[float, Number(ge=0, le=1)] = 0.01
    """Share of a split's records that may be unusable (they go to quarantine) before the run stops."""
    max_megapixels: Annotated[int, Number(ge=1, le=10_000)] = 100
    """Photos with more millions of pixels, by their header, are not opened but go to quarantine."""
    image_size: Annotated[int, Number(ge=32, le=MAX_SIZE)] = 256
    """Side of the square that Transform resizes every picture to, in pixels; masks are judged at this size."""

    def __post_init__(self) -> None:
        """Raises ValueError: a field is out of its range, or the synthetic set would leave a split without a breed."""
        super().__post_init__()
        if self.dataset == "synthetic_pets" and self.examples_per_breed < 2:
            raise ValueError(
                f"examples_per_breed is {self.examples_per_breed}: it must be at least 2, since train and eval each "
                "need one drawing of every breed"
            )


@dataclasses.dataclass(frozen=True)
class Thresholds(Checked):
    """What a model must reach on split `test` to be blessed."""

    accuracy: Annotated[float, Number(ge=0, le=1)] = 0.0
    """Smallest accuracy of the class head."""
    mask_f1: Annotated[float, Number(ge=0, le=1)] = 0.0
    """Smallest F1 of the mask head, over all pixels."""
    max_drop: Annotated[float, Number(ge=-1, le=1)] = 0.01
    """How much worse than the latest blessed model either figure may be; below 0: how much better it must be."""


@dataclasses.dataclass(frozen=True)
class Config(Checked):
    """One run of the pipeline."""

    name: Annotated[str, Text(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}", "letters, digits, '.', '_' and '-'")]
    """Names the run: `runs/NAME`, and the pipeline on Kubeflow."""
    data: Data
    dcnn: Recipe
    mobilenet: Recipe
    data_dir: Annotated[str, FOLDER] = ""
    """A TFDS data_dir, prepared or to be prepared; empty: `runs/data` for the synthetic set, else TFDS' own default."""
    run_dir: Annotated[str, FOLDER] = ""
    """Everything the run writes; empty: `runs/NAME`."""
    weights: Annotated[str, LINE] = "none"
    """MobileNetV3Small's start: `imagenet` (downloaded by Keras), `none` (random), or the path of a weights file."""
    label: Label = "breed"
    """What the class head names: one of 37 breeds or one of 2 species."""
    task: Task = "both"
    """Which heads the networks have."""
    thresholds: Thresholds = Thresholds()
    champion: Literal["mean", "accuracy", "mask_f1"] = "mean"
    """What decides between blessed models: accuracy, mask F1 or their mean; ties go to the smaller model."""
    uncached: tuple[Annotated[str, Text(r"\w+", "a component's id, or all")], ...] = ()
    """Components that run anew though nothing changed, such as `Trainer_dcnn`, or `all`."""
    beam: Beam = dataclasses.field(default_factory=Beam)
    cache_mb: CacheMb = 4096
    """A Trainer keeps its decoded pictures in memory up to this many MB; a larger set is cached in a file."""
    seed: Seed = 20
    """Of everything random: initial weights, order of the examples, augmentation."""

    def __post_init__(self) -> None:
        """Raises ValueError: a field is out of its range, or there are no such weights."""
        super().__post_init__()
        if self.weights == "imagenet" and self.mobilenet.width not in IMAGENET_WIDTHS:
            raise ValueError(
                f"weights is 'imagenet' and mobilenet.width is {self.mobilenet.width}: Keras has these weights for "
                f"{' and '.join(map(str, IMAGENET_WIDTHS))} alone"
            )

    def data_path(self) -> str:
        """The TFDS data_dir to use: `data_dir`, or what it stands for when it is empty."""
        path = self.data_dir or ("runs/data" if self.data.dataset == "synthetic_pets" else "")
        # One spelling of one place: what is made of the data is cached by it.
        return path if not path or "://" in path else os.path.realpath(os.path.expanduser(path))

    def to_json(self) -> str:
        """The config, for the report: all of it but where and how fresh, which change no figure."""
        fields = dataclasses.asdict(self)
        for name in ("run_dir", "uncached"):
            del fields[name]
        return json.dumps(fields, sort_keys=True)

    def trainer(self, model: str) -> TrainerConfig:
        """The Trainer's config for one of `schema.pets.MODELS`."""
        recipe, weights = {"dcnn": (self.dcnn, "none"), "mobilenet_v3_small": (self.mobilenet, self.weights)}[model]
        return TrainerConfig(model, recipe, self.label, self.task, weights, self.cache_mb, self.seed)


def sample() -> Config:
    """The first run: synthetic pets, no network, a few minutes on two cores."""
    augmentation = Augmentation(min_scale=0.7, rotation=0.0)
    return Config(
        name="sample",
        data=Data("synthetic_pets", examples_per_breed=30, image_size=128),
        dcnn=Recipe(64, (Phase(12, 3e-3),), augmentation=augmentation),
        mobilenet=Recipe(96, (Phase(8, 2e-3),), augmentation=augmentation),
        thresholds=Thresholds(accuracy=0.3, mask_f1=0.7),
    )


def pets() -> Config:
    """The real thing: Oxford-IIIT Pet, both networks, official test split.

    Seen with weights of alpha 0.75, on photos of 256 x 256 (means of three seeds; the README has the commands): DCNN
    67.9 % of breeds and mask F1 0.935, MobileNetV3Small 88.1 % and 0.954.
    """
    return Config(
        name="pets",
        data=Data("oxford_iiit_pet"),
        dcnn=Recipe(
            128,
            (
                Phase(55, 3e-3, final_rate=0.3, input_size=96),
                Phase(24, 1.5e-3, final_rate=0.2),
                Phase(10, 3e-4, input_size=160),
            ),
            weight_decay=0.05,
            species_loss_weight=1.0,
            mask_loss_weight=8.0,
            ema=0.98,
            augmentation=Augmentation(cutmix=0.5),
            serving_size=192,
            serving_mirror=True,
        ),
        mobilenet=Recipe(
            256,
            (Phase(2, 3e-3, backbone_rate=0.0), Phase(8, 1.5e-3, backbone_rate=0.1)),
            width=0.75,
            probe_passes=4,
            weight_decay=0.01,
            species_loss_weight=1.0,
            mask_loss_weight=4.0,
            ema=0.98,
            augmentation=Augmentation(min_scale=0.6),
            serving_size=320,
            serving_mirror=True,
        ),
        weights="imagenet",
        thresholds=Thresholds(accuracy=0.5, mask_f1=0.8),
    )


def debug() -> Config:
    """Every branch in a minute, on a handful of drawings; its figures mean nothing."""
    return Config(
        name="debug",
        data=Data("synthetic_pets", examples_per_breed=4, image_size=64),
        dcnn=Recipe(32, (Phase(1, 1e-3),), width=0.5),
        mobilenet=Recipe(
            32,
            (Phase(1, 1e-3, backbone_rate=0.0), Phase(1, 1e-3, backbone_rate=0.1)),
            width=0.75,
            probe_passes=1,
            ema=0.9,
            serving_size=64,
            serving_mirror=True,
        ),
        cache_mb=1,
    )


CONFIGS = {"sample": sample, "pets": pets, "debug": debug}
