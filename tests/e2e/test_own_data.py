"""A user's own data, in the layouts that people have, from the files to a pushed model: no code, flags alone."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import pathlib
from collections.abc import Callable, Iterator
from typing import Any

import cv2
import numpy as np
import pytest

from pipeline import configs, console, local
from pipeline.configs import Config, Data
from schema import spec_file
from schema.dataset_spec import DatasetSpec, Label, Mask, Splits
from trainer_module.config import Phase, Recipe

KINDS = {"disc": (220, 60, 40), "square one": (40, 60, 220), "[tri] angle é猫": (60, 200, 60)}
PHOTOS = 12


def draw(kind: str, number: int) -> tuple[np.ndarray, np.ndarray]:
    """A photo uint8 [48, 56, 3], BGR, and its mask uint8 [48, 56]: 0 background, 1 body, 2 rim."""
    rng = np.random.default_rng([list(KINDS).index(kind), number])
    photo = rng.normal(110, 25, (48, 56, 3))
    mask = np.zeros(photo.shape[:2], np.uint8)
    x, y = rng.integers(16, 32, 2)
    cv2.circle(mask, (int(x), int(y)), 11, 2, -1)
    cv2.circle(mask, (int(x), int(y)), 8, 1, -1)
    photo[mask > 0] = KINDS[kind]
    return np.clip(photo, 0, 255).astype(np.uint8), mask


def write(path: pathlib.Path, picture: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    done, encoded = cv2.imencode(path.suffix, picture)
    assert done
    path.write_bytes(encoded.tobytes())  # OpenCV's own writer knows no names beyond ASCII on some systems


def everything() -> Iterator[tuple[str, int, np.ndarray, np.ndarray]]:
    for kind in KINDS:
        for number in range(PHOTOS):
            yield kind, number, *draw(kind, number)


def class_folders(folder: pathlib.Path) -> Data:
    for kind, number, photo, _ in everything():
        write(folder / kind / f"{number} photo.jpg", photo)
    return Data("folder")


def masks_without_classes(folder: pathlib.Path) -> Data:
    for kind, number, photo, mask in everything():
        write(folder / "images" / f"{kind} {number}.jpg", photo)
        write(folder / "masks" / f"{kind} {number}.png", 255 * (mask > 0).astype(np.uint8))
    return Data("folder")


def metadata_with_groups_and_splits(folder: pathlib.Path) -> Data:
    rows = []
    for kind, number, photo, mask in everything():
        name = f"{list(KINDS).index(kind)}-{number}"
        write(folder / f"{name}.jpg", photo)
        write(folder / f"{name}_m.png", 255 * (mask > 0).astype(np.uint8))
        split = ("train", "train", "val", "test")[number % 4]
        rows.append((f"{name}.jpg", kind, f"{name}_m.png", split, f"group {number // 4}-{number % 4}"))
    with (folder / "metadata.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("file_name", "shape", "mask", "split", "group"), *rows])
    return Data("folder")


def partial_labels(folder: pathlib.Path) -> Data:
    """Of four photos one has no class, another no mask."""
    rows = []
    for kind, number, photo, mask in everything():
        name = f"{list(KINDS).index(kind)}-{number}"
        write(folder / f"{name}.jpg", photo)
        has_mask = number % 4 != 1
        if has_mask:
            write(folder / f"{name}_m.png", 255 * (mask > 0).astype(np.uint8))
        rows.append((f"{name}.jpg", kind if number % 4 != 3 else "", f"{name}_m.png" if has_mask else ""))
    with (folder / "metadata.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("file_name", "shape", "mask"), *rows])
    return Data("folder")


def three_mask_classes(folder: pathlib.Path) -> Data:
    """Background, body and rim, in a description of one's own."""
    for kind, number, photo, mask in everything():
        write(folder / "pictures" / kind / f"{number}.jpg", photo)
        write(folder / "pictures" / kind / f"{number}.png", mask)
    spec = DatasetSpec(
        name="shapes",
        title="Shapes",
        labels=(Label("shape", tuple(sorted(KINDS))),),
        mask=Mask(("body", "rim"), ((1,), (2,))),
        slices=(("shape",), ("shape", "size")),
        splits=Splits(0.2, 0.3),
    )
    (folder / "spec.yaml").write_text(spec_file.dump(spec), encoding="utf-8")
    return Data("folder", spec=str(folder / "spec.yaml"))


def coco(folder: pathlib.Path) -> Data:
    names = list(KINDS)
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for kind, number, photo, mask in everything():
        name = f"{names.index(kind)}-{number}.jpg"
        write(folder / "images" / name, photo)
        images.append({"id": len(images), "file_name": name, "height": 48, "width": 56})
        outline, _ = cv2.findContours((mask > 0).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        annotations.append(
            {
                "id": len(annotations) + 1,
                "image_id": images[-1]["id"],
                "category_id": names.index(kind) + 1,
                "segmentation": [outline[0].ravel().tolist()],
                "area": int((mask > 0).sum()),
                "bbox": [0, 0, 56, 48],
                "iscrowd": 0,
            }
        )
    categories = [{"id": names.index(name) + 1, "name": name} for name in names]
    content = {"images": images, "annotations": annotations, "categories": categories}
    (folder / "all.json").write_text(json.dumps(content), encoding="utf-8")
    return Data("coco", annotations=("all.json",))


@dataclasses.dataclass(frozen=True)
class Ended:
    """A finished run."""

    metrics: dict[str, Any]
    page: str
    serving: list[pathlib.Path]
    console: str


def run(data: Data, data_dir: pathlib.Path, folder: pathlib.Path, **changes: Any) -> Ended:
    """What `local_runner.py --config own …` does, in this process and with a network of a debug run's size."""
    config: Config = dataclasses.replace(
        configs.own(),
        data=dataclasses.replace(data, image_size=32),
        contestants={"dcnn": Recipe("dcnn", 32, (Phase(1, 3e-3, steps=4),), weights="none", width=0.25)},
        thresholds=configs.debug().thresholds,
        champion="mean",
        data_dir=str(data_dir),
        weights="none",
        **changes,
    )
    dag = local.create(config, folder)
    screen = console.Console(file=io.StringIO(), width=100)
    executions = local.run(dag, console.RunDisplay(screen), set())
    report = pathlib.Path(local.output_uri(dag.metadata_connection_config, executions["ModelComparison"], "report"))
    metrics = json.loads((report / "metrics.json").read_text(encoding="utf-8"))
    assert isinstance(screen.file, io.StringIO)
    page = (report / "index.html").read_text(encoding="utf-8")
    return Ended(metrics, page, sorted((folder / "serving").glob("*/saved_model.pb")), screen.file.getvalue())


@pytest.mark.parametrize(
    ("make", "task", "label"),
    [
        (class_folders, "classification", "kind"),
        (masks_without_classes, "segmentation", None),
        (metadata_with_groups_and_splits, "both", "shape"),
        (partial_labels, "both", "shape"),
        (three_mask_classes, "both", "shape"),
        (coco, "both", None),
    ],
)
def test_from_files_to_a_pushed_model(
    make: Callable[[pathlib.Path], Data], task: str, label: str | None, tmp_path: pathlib.Path
) -> None:
    source = tmp_path / "own data é"
    source.mkdir()
    data = make(source)
    ended = run(data, source if make is not three_mask_classes else source / "pictures", tmp_path / "run")
    overall = ended.metrics["models"]["dcnn"]["metrics"]["overall"]
    assert (overall["classification"] is not None) == (task != "segmentation")
    assert (overall["segmentation"] is not None) == (task != "classification")
    if label:
        assert ended.metrics["heads"]["label"]["name"] == label
        assert set(ended.metrics["heads"]["label"]["classes"]) == set(KINDS)
    assert sum(ended.metrics["data"]["examples"].values()) == len(KINDS) * PHOTOS
    assert all(ended.metrics["data"]["examples"].values()), "no split is empty"
    assert len(ended.serving) == 1
    for word in ("breed", "species"):
        assert word not in ended.page
    if make is three_mask_classes:
        assert np.shape(overall["segmentation"]["confusion_matrix"]) == (3, 3)
        assert len(overall["segmentation"]["class_iou"]) == 2
        assert "body: F1, IoU" in ended.page
    if make is partial_labels:
        assert overall["classification"]["example_count"] < overall["examples"]
        assert overall["segmentation"]["example_count"] < overall["examples"]
    if make is metadata_with_groups_and_splits:
        assert ended.metrics["data"]["examples"] == {"train": 18, "eval": 9, "test": 9}


def test_a_changed_photo_repeats_what_depends_on_it_and_nothing_else(tmp_path: pathlib.Path) -> None:
    photos = tmp_path / "photos"
    data = class_folders(photos)
    run(data, photos, tmp_path / "run")
    assert set(_states(run(data, photos, tmp_path / "run").console).values()) == {"cached"}
    write(photos / "disc" / "0 photo.jpg", draw("disc", 99)[0])
    changed = _states(run(data, photos, tmp_path / "run").console)
    assert {name for name, state in changed.items() if state == "cached"} == {"DatasetSchema"}
    assert {"ExampleGen", "Trainer_dcnn", "Evaluator_dcnn", "Pusher"} <= {
        name for name, state in changed.items() if state == "done"
    }


def _states(shown: str) -> dict[str, str]:
    words = [line.split() for line in shown.splitlines() if line[:1].strip()]
    return {line[0]: line[1] for line in words if line[1:2] in (["done"], ["cached"])}
