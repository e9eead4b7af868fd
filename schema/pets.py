"""Names that `components` and `trainer_module` share: features, classes, splits, models.

A record, as `ExampleGen` writes it (one `tf.Example` a photo):

| feature        | type   | value                                                                    |
|----------------|--------|--------------------------------------------------------------------------|
| `image`        | bytes  | encoded photo, upright, RGB or grey, any size                            |
| `mask`         | bytes  | PNG, one channel, the image's size: 0 background, 1 pet, 255 ignored     |
| `breed`        | int64  | index into `BREEDS`                                                      |
| `species`      | int64  | index into `SPECIES`                                                     |
| `breed_name`   | bytes  | `BREEDS[breed]`, for slices that a person can read                       |
| `species_name` | bytes  | `SPECIES[species]`                                                       |
| `size`         | bytes  | one of `SIZES`: the pet's share of the picture, in thirds                |
| `file_name`    | bytes  | the photo's name in the data set, unique                                 |

`preprocessing_fn` turns it into `image` float32 [H, W, 3] in [-1, 1], `mask` float32 [H, W, 1] (0
background, 1 pet, -1 ignored), `breed` and `species` int64 [].
"""

from __future__ import annotations

IMAGE = "image"
MASK = "mask"
BREED = "breed"
SPECIES_LABEL = "species"
BREED_NAME = "breed_name"
SPECIES_NAME = "species_name"
SIZE = "size"
FILE_NAME = "file_name"

DESCRIBED_FEATURES = (BREED, SPECIES_LABEL, BREED_NAME, SPECIES_NAME, SIZE, FILE_NAME)
"""Features that have statistics worth computing; encoded pictures have none."""

MASK_BACKGROUND, MASK_PET, MASK_IGNORED = 0, 1, 255
IGNORED_LABEL = -1.0
"""What `MASK_IGNORED` becomes in the transformed mask: losses and metrics give such a pixel weight 0."""

SPECIES = ("Cat", "Dog")

BREEDS = (
    "Abyssinian",
    "american_bulldog",
    "american_pit_bull_terrier",
    "basset_hound",
    "beagle",
    "Bengal",
    "Birman",
    "Bombay",
    "boxer",
    "British_Shorthair",
    "chihuahua",
    "Egyptian_Mau",
    "english_cocker_spaniel",
    "english_setter",
    "german_shorthaired",
    "great_pyrenees",
    "havanese",
    "japanese_chin",
    "keeshond",
    "leonberger",
    "Maine_Coon",
    "miniature_pinscher",
    "newfoundland",
    "Persian",
    "pomeranian",
    "pug",
    "Ragdoll",
    "Russian_Blue",
    "saint_bernard",
    "samoyed",
    "scottish_terrier",
    "shiba_inu",
    "Siamese",
    "Sphynx",
    "staffordshire_bull_terrier",
    "wheaten_terrier",
    "yorkshire_terrier",
)
"""In the order of TFDS `oxford_iiit_pet:4.0.0`; the capitalised ones are cats."""

SPECIES_OF_BREED = tuple(int(breed[0].islower()) for breed in BREEDS)
"""Index into `SPECIES` of each of `BREEDS`."""

CLASSES = {BREED: BREEDS, SPECIES_LABEL: SPECIES}
"""Class names of each label that a model can be trained for."""

SIZES = ("small", "medium", "large")
"""The pet covers under a third, under two thirds, or more of the picture."""

TRAIN, EVAL, TEST = "train", "eval", "test"
SPLITS = (TRAIN, EVAL, TEST)

MODELS = ("dcnn", "mobilenet_v3_small")
"""The networks that every run trains, evaluates and compares."""

HISTORY_FILE = "history.json"
"""In a Trainer's `model_run` artifact: what `trainer_module.trainer` measured, see its docstring."""
