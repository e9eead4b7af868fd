"""What a Trainer can be told. Plain data: importing this module imports nothing heavy."""

from __future__ import annotations

import dataclasses
import functools
import json
import math
from typing import Annotated, Any, Literal

from schema.dataset_spec import DatasetSpec, Heads, Task
from schema.ranges import LINE, Checked, Number

NetworkName = Literal[
    "dcnn",
    "mobilenet_v3_small",
    "mobilenet_v3_large",
    "efficientnet_v2_b0",
    "efficientnet_b0",
    "resnet50_v2",
    "convnext_tiny",
    "densenet121",
]
"""Keys of `trainer_module.networks.NETWORKS`."""

SecondLook = Literal["none", "mirror", "closer"]

CacheMb = Annotated[int, Number(ge=0, le=100_000_000)]
Seed = Annotated[int, Number(ge=0, le=2**32 - 1)]  # what NumPy takes

_KEPT_SIZE = 1.25
"""A picture is kept for training at most this much larger than the network's input: a random crop of 3/4 then has about
the input's own resolution, so that warping neither blurs nor aliases."""

STRIDE = 32
"""The networks halve a picture five times."""
MAX_SIZE = 2048
"""Pixels a side: a batch of larger pictures is more than a machine's memory."""


@dataclasses.dataclass(frozen=True)
class Phase(Checked):
    """One stretch of training at one set of trainable layers."""

    epochs: Annotated[int, Number(ge=1, le=100_000)]
    """Passes over the train split, more if `steps` asks for them."""
    learning_rate: Annotated[float, Number(gt=0)]
    """Peak rate of AdamW; it warms up linearly, then falls along a cosine."""
    backbone_rate: Annotated[float, Number(ge=0, le=1)] = 1.0
    """Share of `learning_rate` at which the backbone's deepest layers learn, and a class head that was probed."""
    final_rate: Annotated[float, Number(ge=0, le=1)] = 0.01
    """Share of `learning_rate` at which the cosine ends; more where the next phase goes on from there."""
    input_size: Annotated[int, Number(ge=0, le=MAX_SIZE, multiple_of=STRIDE)] = 0
    """Side of the picture in this phase, in pixels; small first is fast and regularises; 0: the recipe's."""
    steps: Annotated[int, Number(ge=0, le=10_000_000)] = 0
    """The least number of training steps: a small split is passed over as often as they need."""
    cutmix: bool = True
    """Whether the recipe's CutMix is on: without it in the last phase a network ends on photos as it will meet them."""


@dataclasses.dataclass(frozen=True)
class Augmentation(Checked):
    """Random changes of a training picture; geometry moves image and mask together, colour only the image."""

    min_scale: Annotated[float, Number(gt=0, le=1)] = 0.5
    """Smallest side of a crop as a share of the picture's side; 1 turns crops off."""
    aspect: Annotated[float, Number(ge=1, le=10)] = 1.2
    """Largest change of a crop's aspect ratio, as a factor."""
    rotation: Annotated[float, Number(ge=0, le=180)] = 10.0
    """Largest rotation, in degrees."""
    flip: bool = True
    """Mirror left to right, half of the time."""
    colour: Annotated[float, Number(ge=0, le=1)] = 0.3
    """Largest relative change of brightness, contrast and saturation; 0 turns colour off."""
    cutmix: Annotated[float, Number(ge=0, le=1)] = 0.0
    """Share of the batches in which a square of each picture is another's; for training from scratch."""


@dataclasses.dataclass(frozen=True)
class Recipe(Checked):
    """How one network is built and trained."""

    network: NetworkName
    """What is trained."""
    input_size: Annotated[int, Number(ge=STRIDE, le=MAX_SIZE, multiple_of=STRIDE)]
    """Side of the square picture that the network sees, in pixels; it halves it five times."""
    phases: tuple[Phase, ...]
    """Trained one after the other."""
    weights: Annotated[str, LINE] = ""
    """The backbone's start: `imagenet`, `none`, or a file; empty: what the run's own `weights` says."""
    width: Annotated[float, Number(ge=0.1, le=10)] = 1.0
    """Width multiplier of the backbone: MobileNetV3's alpha, the DCNN's channels."""
    dropout: Annotated[float, Number(ge=0, lt=1)] = 0.2
    """Share of the class head's inputs that a training step leaves out."""
    batch_size: Annotated[int, Number(ge=1, le=65_536)] = 32
    """Pictures in a training step, on all devices together."""
    weight_decay: Annotated[float, Number(ge=0, le=10)] = 1e-4
    """AdamW's decoupled weight decay."""
    probe_passes: Annotated[int, Number(ge=0, le=1_000)] = 0
    """Passes over the training split to whose frozen features the class head is fitted before the backbone thaws."""
    label_smoothing: Annotated[float, Number(ge=0, lt=1)] = 0.1
    """Share of the class target that is spread over all classes."""
    coarser_loss_weight: Annotated[float, Number(ge=0, le=1_000)] = 0.0
    """Weight of the cross-entropy of a coarser label, its classes' probabilities summed, beside the label's own 1."""
    class_balance: Annotated[float, Number(ge=0, le=1)] = 0.0
    """How much more rare classes weigh in the loss: their frequency to the power of minus this; 0: no more."""
    mask_loss_weight: Annotated[float, Number(ge=0, le=1_000)] = 1.0
    """Weight of the mask's loss beside the class's 1."""
    mask_overlap: Literal["photo", "batch"] = "photo"
    """What the mask's Dice loss is of: each photo, or all pixels of a batch, as suits objects that most photos lack."""
    ema: Annotated[float, Number(ge=0, lt=1)] = 0.0
    """Momentum of the weights' moving average that is evaluated and exported; 0 keeps the raw weights."""
    soup: Annotated[int, Number(ge=1, le=100)] = 1
    """More than 1: the last phase is trained so many times, each time from where the one before it ended and with other
    orders and crops, and what is exported is the mean of the weights that all of their epochs end with."""
    augmentation: Augmentation = Augmentation()
    serving_size: Annotated[int, Number(ge=0, le=MAX_SIZE, multiple_of=STRIDE)] = 0
    """Side that the exported network sees, in pixels; a little more than `input_size` often pays; 0: the same."""
    second_look: SecondLook = "none"
    """The exported model looks twice and averages both answers: at the picture's `mirror` image, at twice the cost, or
    `closer`, at what its own mask shows, magnified to the last phase's size; without masks that is the mirror image."""
    closer_reach: Annotated[float, Number(gt=0, le=100)] = 2.0
    """Half a side of what a closer look sees, in standard deviations of the object's pixels; of a filled box 1.7."""
    gradient_conflict: bool = False
    """After every epoch it is measured how far class and mask pull the layers that they share apart, where there are
    both; nothing of the training changes (docs/multi-task.md)."""

    def __post_init__(self) -> None:
        """Raises ValueError: a field is out of its range, or there is no phase."""
        super().__post_init__()
        if not self.phases:
            raise ValueError("phases is empty: name at least one phase")

    @property
    def trained_phases(self) -> tuple[Phase, ...]:
        """The phases as they are trained: the last one as often as `soup` says."""
        *before, last = self.phases
        return (*before, *[last] * self.soup)

    def in_soup(self, number: int) -> bool:
        """Whether the trained phase of this number, from 0, is one of those whose mean is exported."""
        return self.soup > 1 and number >= len(self.phases) - 1


@dataclasses.dataclass(frozen=True)
class TrainerConfig(Checked):
    """Everything that `trainer_module.trainer.run_fn` reads, for one contestant."""

    model: Annotated[str, LINE]
    """The contestant's name."""
    recipe: Recipe
    spec: DatasetSpec
    label: Annotated[str, LINE]
    """That the class head names; empty: the spec's first."""
    task: Task
    weights: Annotated[str, LINE]
    """Start of the backbone: `imagenet` (downloaded by Keras), `none` (random), or the path of a weights file."""
    cache_mb: CacheMb
    seed: Seed

    @functools.cached_property
    def heads(self) -> Heads:
        """What the network answers."""
        return self.spec.heads(self.label, self.task)

    def for_examples(self, examples: int) -> TrainerConfig:
        """The same config with the epochs that each phase's steps need on a train split of so many examples."""
        steps = max(1, examples // min(self.recipe.batch_size, examples))
        phases = (
            dataclasses.replace(phase, epochs=max(phase.epochs, math.ceil(phase.steps / steps)))
            for phase in self.recipe.phases
        )
        return self.with_recipe(phases=tuple(phases))

    def in_phase(self, phase: Phase) -> TrainerConfig:
        """The same config with the pictures that `phase` trains on."""
        stage = self.at_size(phase.input_size)
        if phase.cutmix:
            return stage
        return stage.with_recipe(augmentation=dataclasses.replace(stage.recipe.augmentation, cutmix=0.0))

    @property
    def serving(self) -> TrainerConfig:
        """The same config with the network at the size that is exported.

        Random crops magnify a training picture, so the network knows objects larger than it will meet them; a larger
        picture at test time makes up for it (Touvron et al. 2019, Fixing the train-test resolution discrepancy).
        """
        return self.at_size(self.recipe.serving_size)

    @property
    def last_stage(self) -> TrainerConfig:
        """The same config with the network at the size of its last phase."""
        return self.at_size(self.recipe.phases[-1].input_size)

    def kept_size(self, image_size: int) -> int:
        """Side of the pictures that training reads its crops from, in pixels, of those that Transform made."""
        return min(image_size, round(self.recipe.input_size * _KEPT_SIZE))

    @property
    def second_look(self) -> SecondLook:
        """What the exported model does: only a mask says where to look closer."""
        return "mirror" if self.recipe.second_look == "closer" and not self.heads.mask else self.recipe.second_look

    def at_size(self, size: int) -> TrainerConfig:
        """The same config with the network for pictures of `size` pixels a side; 0 changes nothing."""
        return self.with_recipe(input_size=size or self.recipe.input_size)

    def with_recipe(self, **changes: Any) -> TrainerConfig:
        """The same config with these fields of its recipe."""
        return dataclasses.replace(self, recipe=dataclasses.replace(self.recipe, **changes))

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> TrainerConfig:
        fields = json.loads(text)
        recipe = fields["recipe"]
        recipe["phases"] = tuple(Phase(**phase) for phase in recipe["phases"])
        recipe["augmentation"] = Augmentation(**recipe["augmentation"])
        fields["recipe"] = Recipe(**recipe)
        fields["spec"] = DatasetSpec.from_json(json.dumps(fields["spec"]))
        return cls(**fields)
