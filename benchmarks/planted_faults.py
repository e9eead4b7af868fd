"""How many planted faults the audit of the data finds among real photos, and how long its lists are.

    python benchmarks/planted_faults.py --run-dir runs/pets [--seed 20]

Takes the examples and the trained models of a finished run with both heads, and plants, in splits eval and test, 20
labels that are exchanged among 20 photos and 20 masks that are shifted by 15 % of the side; and, in any split, 20
copies of photos of another split: resized to 80 %, 3 % lighter, compressed anew. The models' answers are asked for as
ModelComparison does, and `audit.find` lists what is suspicious, without the faults and with them.
"""

from __future__ import annotations

import argparse
import copy
import pathlib
import tempfile
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import cv2
import numpy as np
import tensorflow as tf

from components.comparison import audit, predictions, twins
from components.comparison.results import Comparison
from components.report.page import METRICS_FILE
from schema import record
from schema.dataset_spec import Label

FAULTS = 20
SHIFT = 0.15
SCALE, LIGHTER, QUALITY = 0.8, 1.03, 75
AUDITED = (record.EVAL, record.TEST)


class Planted(NamedTuple):
    """A record that has a fault now."""

    kind: str
    split: str
    example: tf.train.Example
    names: frozenset[str]
    """Of its photo, and of the photo that it is a copy of."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run-dir", type=pathlib.Path, required=True)
    parser.add_argument("--seed", type=int, default=20)
    flags = parser.parse_args()
    run = Comparison.from_json((flags.run_dir / "report" / METRICS_FILE).read_bytes())
    examples = newest(flags.run_dir / "pipeline" / "ExampleGen" / "examples")
    files = {split: sorted(map(str, examples.glob(f"Split-{split}/*"))) for split in record.SPLITS}
    models = {
        name: tf.saved_model.load(
            str(newest(flags.run_dir / "pipeline" / f"Trainer_{name}" / "model") / "Format-Serving")
        ).signatures
        for name in run.models
    }
    if not run.heads.label or not run.heads.mask:
        parser.error(f"{flags.run_dir} has networks of one head: give a run with both")
    planted = plant(files, run.heads.label, np.random.default_rng(flags.seed))

    asked = {
        split: predictions.predict(models, predictions.batches(files[split]), run.spec, run.heads) for split in AUDITED
    }
    photos = twins.look_at(files)
    without = audit.find(asked, photos, run.heads)
    with tempfile.TemporaryDirectory() as folder:
        paths = write(planted, pathlib.Path(folder))
        for split in AUDITED:
            splice(asked[split], predictions.predict(models, predictions.batches(paths[split]), run.spec, run.heads))
        known = {photo.file_name for photo in photos}
        photos += [photo for photo in twins.look_at(paths) if photo.file_name not in known]
    found = audit.find(asked, photos, run.heads)

    audited = sum(without.examples.values())
    print(f"{audited:,} photos audited, {len(photos):,} compared; seed {flags.seed}")
    print(f"{'kind':10s} {'planted':>8s} {'found':>6s} {'list without':>13s} {'list with':>10s}")
    for kind in audit.BARS:
        listed = {(one.split, one.file_name) for one in found.suspects if one.kind == kind}
        of_kind = [one for one in planted if one.kind == kind]
        hits = sum(any(name in one.names for _, name in listed) for one in of_kind)
        before = sum(one.kind == kind for one in without.suspects)
        print(f"{kind:10s} {len(of_kind):8d} {hits:6d} {before:13d} {len(listed):10d}")


def newest(folder: pathlib.Path) -> pathlib.Path:
    """The artifact of the last execution."""
    return max(folder.iterdir(), key=lambda path: int(path.name))


def plant(files: dict[str, list[str]], label: Label, rng: np.random.Generator) -> list[Planted]:
    """Records with a fault each, no photo twice."""
    audited = [(split, example) for split in AUDITED for example in read(files[split])]
    chosen = [audited[index] for index in rng.permutation(len(audited))]
    chosen = [(split, example) for split, example in chosen if (mask_of(example) == 1).any()]
    swapped, shifted, copied = (chosen[start : start + FAULTS] for start in (0, FAULTS, 2 * FAULTS))
    train = list(read(files[record.TRAIN]))
    of_train = [train[index] for index in rng.permutation(len(train))[:FAULTS]]
    planted = [*swap_labels(swapped, label, rng)]
    planted += [Planted("mask", split, shift_mask(example, rng), name(example)) for split, example in shifted]
    # Half of the copies stand in train, of photos held out; the others are held out, of photos in train.
    for number, ((split, held_out), of_split) in enumerate(zip(copied, of_train, strict=True)):
        into, example = (record.TRAIN, held_out) if number % 2 else (split, of_split)
        made = near_copy(example)
        planted.append(Planted("duplicate", into, made, name(example) | name(made)))
    return planted


def read(files: Sequence[str]) -> Iterator[tf.train.Example]:
    for serialized in predictions.batches(files):
        yield from map(tf.train.Example.FromString, serialized.numpy())


def name(example: tf.train.Example) -> frozenset[str]:
    return frozenset([example.features.feature[record.FILE_NAME].bytes_list.value[0].decode()])


def swap_labels(
    chosen: Sequence[tuple[str, tf.train.Example]], label: Label, rng: np.random.Generator
) -> Iterator[Planted]:
    """Each gets the class of another one, which has another class."""
    given = np.array([example.features.feature[label.name].int64_list.value[0] for _, example in chosen])
    swapped = rng.permutation(given)
    while (swapped == given).any():
        swapped = rng.permutation(given)
    for (split, example), index in zip(chosen, swapped.tolist(), strict=True):
        example.features.feature[label.name].int64_list.value[:] = [index]
        text = example.features.feature[record.name_feature(label.name)].bytes_list
        text.value[:] = [label.classes[index].encode()]
        yield Planted("label", split, example, name(example))


def shift_mask(example: tf.train.Example, rng: np.random.Generator) -> tf.train.Example:
    """Left, right, up or down; what comes into the picture is background."""
    mask = mask_of(example)
    height, width = mask.shape
    right, down = [(1, 0), (-1, 0), (0, 1), (0, -1)][rng.integers(4)]
    moved = np.array([[1, 0, round(right * SHIFT * width)], [0, 1, round(down * SHIFT * height)]], np.float32)
    set_bytes(example, record.MASK, cv2.warpAffine(mask, moved, (width, height), flags=cv2.INTER_NEAREST), ".png")
    return example


def near_copy(example: tf.train.Example) -> tf.train.Example:
    """Smaller, lighter, compressed anew, under another name."""
    made = copy.deepcopy(example)
    photo, mask = decoded(example, record.IMAGE), mask_of(example)
    height, width = (round(SCALE * side) for side in mask.shape)
    small = cv2.resize(photo, (width, height), interpolation=cv2.INTER_AREA)
    set_bytes(made, record.IMAGE, np.clip(LIGHTER * small, 0, 255).astype(np.uint8), ".jpg")
    set_bytes(made, record.MASK, cv2.resize(mask, (width, height), interpolation=cv2.INTER_NEAREST), ".png")
    of_name = made.features.feature[record.FILE_NAME].bytes_list
    of_name.value[:] = [b"copy of " + of_name.value[0]]
    return made


def mask_of(example: tf.train.Example) -> np.ndarray:
    return decoded(example, record.MASK)


def decoded(example: tf.train.Example, feature: str) -> np.ndarray:
    content = example.features.feature[feature].bytes_list.value[0]
    return np.asarray(cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED))


def set_bytes(example: tf.train.Example, feature: str, pixels: np.ndarray, suffix: str) -> None:
    options = [cv2.IMWRITE_JPEG_QUALITY, QUALITY] if suffix == ".jpg" else []
    content = cv2.imencode(suffix, pixels, options)[1].tobytes()
    example.features.feature[feature].bytes_list.value[:] = [content]


def write(planted: Sequence[Planted], folder: pathlib.Path) -> dict[str, list[str]]:
    """The record file of each split."""
    for split in record.SPLITS:
        with tf.io.TFRecordWriter(str(folder / split)) as writer:
            for one in planted:
                if one.split == split:
                    writer.write(one.example.SerializeToString())
    return {split: [str(folder / split)] for split in record.SPLITS}


def splice(asked: audit.Asked, planted: audit.Asked) -> None:
    """Puts what is said of planted records in the place of their photos', or at the end where they are new."""
    truth, models = asked
    place = {file_name: index for index, file_name in enumerate(truth.file_names)}
    for number, file_name in enumerate(planted[0].file_names):
        index = place.get(file_name, len(truth.file_names))
        pairs: list[tuple[list[Any], list[Any]]] = [(truth.file_names, planted[0].file_names)]
        pairs += [(truth.masks, planted[0].masks)]
        pairs += [(truth.labels[key], planted[0].labels[key]) for key in truth.labels]
        for model, found in models.items():
            others = planted[1][model]
            pairs += [(found.probabilities, others.probabilities), (found.masks, others.masks)]
            pairs += [(found.image_f1, others.image_f1)]
        for values, news in pairs:
            values[index : index + 1] = [news[number]]


if __name__ == "__main__":
    main()
