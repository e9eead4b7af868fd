"""What a Trainer can be told. Plain data: importing this module imports nothing heavy."""

from __future__ import annotations

import dataclasses
import json
from typing import Literal

Task = Literal["both", "classification", "segmentation"]
Label = Literal["breed", "species"]


@dataclasses.dataclass(frozen=True)
class Phase:
    """One stretch of training at one set of trainable layers."""

    epochs: int
    """Passes over the train split."""
    learning_rate: float
    """Peak rate of AdamW; it warms up linearly, then falls along a cosine."""
    backbone_rate: float = 1.0
    """Share of `learning_rate` at which the backbone's deepest layers learn, and a class head that was probed."""
    final_rate: float = 0.01
    """Share of `learning_rate` at which the cosine ends; more where the next phase goes on from there."""
    input_size: int = 0
    """Side of the picture in this phase, in pixels; small first is fast and regularises; 0: the recipe's."""


@dataclasses.dataclass(frozen=True)
class Augmentation:
    """Random changes of a training picture; geometry moves image and mask together, colour only the image."""

    min_scale: float = 0.5
    """Smallest side of a crop as a share of the picture's side, in (0, 1]; 1 turns crops off."""
    aspect: float = 1.2
    """Largest change of a crop's aspect ratio, as a factor >= 1."""
    rotation: float = 10.0
    """Largest rotation, in degrees."""
    flip: bool = True
    """Mirror left to right, half of the time."""
    colour: float = 0.3
    """Largest relative change of brightness, contrast and saturation; 0 turns colour off."""
    cutmix: float = 0.0
    """Share of the batches in which a square of each picture is another's, in [0, 1]; for training from scratch."""


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How one network is built and trained."""

    input_size: int
    """Side of the square picture that the network sees, in pixels; a multiple of 32."""
    phases: tuple[Phase, ...]
    """Trained one after the other."""
    width: float = 1.0
    """Width multiplier of the backbone: MobileNetV3's alpha, the DCNN's channels."""
    dropout: float = 0.2
    """Share of the class head's inputs that a training step leaves out."""
    batch_size: int = 32
    """Pictures in a training step, on all devices together."""
    weight_decay: float = 1e-4
    """AdamW's decoupled weight decay."""
    probe_passes: int = 0
    """Passes over the training split to whose frozen features the class head is fitted before the backbone thaws."""
    label_smoothing: float = 0.1
    """Share of the class target that is spread over all classes."""
    species_loss_weight: float = 0.0
    """Weight of the cross-entropy of the species, their breeds' probabilities summed, beside the breeds' 1."""
    mask_loss_weight: float = 1.0
    """Weight of the mask's loss beside the class's 1."""
    ema: float = 0.0
    """Momentum of the weights' moving average that is evaluated and exported; 0 keeps the raw weights."""
    augmentation: Augmentation = Augmentation()
    serving_size: int = 0
    """Side that the exported network sees, in pixels; a little more than `input_size` often pays; 0: the same."""
    serving_mirror: bool = False
    """The exported model averages its answers for a picture and its mirror image, at twice the cost."""

    def __post_init__(self) -> None:
        sizes = {"input_size": self.input_size, "serving_size": self.serving_size or self.input_size}
        sizes |= {f"phases[{i}].input_size": phase.input_size or self.input_size for i, phase in enumerate(self.phases)}
        for field, size in sizes.items():
            if size % 32 or size <= 0:
                raise ValueError(f"{field} is {size}: the networks halve it five times, so use a multiple of 32")
        if not self.phases or any(phase.epochs < 1 for phase in self.phases):
            raise ValueError("phases must name at least one phase, each of one epoch or more")


@dataclasses.dataclass(frozen=True)
class TrainerConfig:
    """Everything that `trainer_module.trainer.run_fn` reads, for one of `schema.pets.MODELS`."""

    model: str
    recipe: Recipe
    label: Label
    task: Task
    weights: str
    """Start of the backbone: `imagenet` (downloaded by Keras), `none` (random), or the path of a weights file."""
    cache_mb: int
    seed: int

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the network's outputs: the label, `mask`, or both."""
        heads = {"classification": (self.label,), "segmentation": ("mask",), "both": (self.label, "mask")}
        return heads[self.task]

    @property
    def serving(self) -> TrainerConfig:
        """The same config with the network at the size that is exported.

        Random crops magnify a training picture, so the network knows objects larger than it will meet them; a larger
        picture at test time makes up for it (Touvron et al. 2019, Fixing the train-test resolution discrepancy).
        """
        return self.at_size(self.recipe.serving_size)

    def at_size(self, size: int) -> TrainerConfig:
        """The same config with the network for pictures of `size` pixels a side; 0 changes nothing."""
        recipe = self.recipe
        return dataclasses.replace(self, recipe=dataclasses.replace(recipe, input_size=size or recipe.input_size))

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> TrainerConfig:
        fields = json.loads(text)
        recipe = fields["recipe"]
        recipe["phases"] = tuple(Phase(**phase) for phase in recipe["phases"])
        recipe["augmentation"] = Augmentation(**recipe["augmentation"])
        fields["recipe"] = Recipe(**recipe)
        return cls(**fields)
