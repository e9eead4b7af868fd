"""What changes a component's own cache key, for each source: the steps after it follow from its outputs."""

from __future__ import annotations

import dataclasses
import json
import pathlib
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest

from components.datasets import tfds_folder
from pipeline import configs
from pipeline.configs import Config, Data
from pipeline.pipeline import create_pipeline
from schema import dataset_spec, spec_file

_PIECE = {"segmentation": [[1, 1, 5, 1, 5, 5]], "bbox": [1, 1, 4, 4], "area": 8, "iscrowd": 0}


def _photo(path: pathlib.Path, grey: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(".png", np.full((6, 8, 3), grey, np.uint8))[1].tobytes())


def class_folders(root: pathlib.Path) -> Data:
    for number in range(6):
        _photo(root / ("ash", "oak")[number % 2] / f"{number}.png", number)
    return Data("folder")


def metadata(root: pathlib.Path) -> Data:
    for number in range(6):
        _photo(root / f"{number}.png", number)
    rows = [f"{number}.png,{('ash', 'oak')[number % 2]},{number}" for number in range(6)]
    (root / "metadata.csv").write_text("\n".join(["file_name,tree,group", *rows]))
    return Data("folder")


def coco(root: pathlib.Path) -> Data:
    for number in range(6):
        _photo(root / f"{number}.png", number)
    images = [{"id": number, "file_name": f"{number}.png", "height": 6, "width": 8} for number in range(6)]
    pieces = [{"id": number, **_PIECE, "image_id": number, "category_id": 1 + number % 2} for number in range(6)]
    categories = [{"id": 1, "name": "cup"}, {"id": 2, "name": "plate"}]
    (root / "all.json").write_text(json.dumps({"images": images, "annotations": pieces, "categories": categories}))
    return Data("coco", annotations=("all.json",))


def prepared_by_tfds(root: pathlib.Path) -> Data:
    _shards_of(root, "oxford_iiit_pet/4.0.0")
    return Data("oxford_iiit_pet")


def _shards_of(root: pathlib.Path, name: str) -> None:
    folder = root / name
    folder.mkdir(parents=True)
    for file, content in {"dataset_info": "{}", "features": "{}", "shard": "first"}.items():
        (folder / f"{file}.json").write_text(content)
    assert tfds_folder.find(str(root), *name.split("/"))


def _replace(path: pathlib.Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def _config(data: Data, root: pathlib.Path) -> Config:
    return dataclasses.replace(configs.debug(), data=data, data_dir=str(root))


def _keys(config: Config) -> dict[str, dict[str, object]]:
    """What each component is told by itself; what others hand it is not among it."""
    dag = create_pipeline(config, "root", "serving", config.data_dir)
    return {node.id: dict(node.exec_properties) for node in dag.components}


def _changed(config: Config, other: Config) -> set[str]:
    before, after = _keys(config), _keys(other)
    assert before.keys() == after.keys()
    return {name for name in before if before[name] != after[name]}


def _other_category(root: pathlib.Path) -> None:
    _replace(root / "all.json", '"image_id": 0, "category_id": 1', '"image_id": 0, "category_id": 2')


def _other_outline(root: pathlib.Path) -> None:
    _replace(root / "all.json", '"id": 0, "segmentation": [[1, 1, 5', '"id": 0, "segmentation": [[1, 1, 4')


def test_other_photos_to_leave_out_are_another_key_of_ingestion_and_the_same_in_another_order_are_not(
    tmp_path: pathlib.Path,
) -> None:
    def listing(*rows: str) -> dict[str, dict[str, object]]:
        (tmp_path / "suspects.csv").write_text("\n".join(["split,file_name,kind", *rows]))
        return _keys(config)

    data = dataclasses.replace(class_folders(tmp_path / "photos"), leave_out=str(tmp_path / "suspects.csv"))
    config = _config(data, tmp_path / "photos")
    before = listing("train,ash/0.png,label", "test,oak/1.png,mask")
    assert listing("test,oak/1.png,", "train,ash/0.png,", "train,ash/0.png,mask") == before
    after = listing("test,oak/1.png,mask")
    assert {name for name in before if before[name] != after[name]} == {"ExampleGen"}


@pytest.mark.parametrize(
    ("make", "change"),
    [
        (class_folders, lambda root: _photo(root / "ash" / "0.png", 200)),
        (class_folders, lambda root: _photo(root / "ash" / "new.png", 200)),
        (class_folders, lambda root: (root / "ash" / "0.png").unlink()),
        (class_folders, lambda root: (root / "ash" / "0.png").rename(root / "oak" / "0.png")),
        (metadata, lambda root: _photo(root / "0.png", 200)),
        (metadata, lambda root: _replace(root / "metadata.csv", "0.png,ash", "0.png,oak")),
        (metadata, lambda root: _replace(root / "metadata.csv", "\n5.png,oak,5", "")),
        (metadata, lambda root: _replace(root / "metadata.csv", "oak,5", "oak,4")),
        (coco, lambda root: _photo(root / "0.png", 200)),
        (coco, _other_category),
        (coco, _other_outline),
        (prepared_by_tfds, lambda root: (root / "oxford_iiit_pet" / "4.0.0" / "shard.json").write_text("other")),
    ],
)
def test_another_picture_or_label_is_another_key_of_ingestion_and_of_nothing_else(
    make: Callable[[pathlib.Path], Data], change: Callable[[pathlib.Path], object], tmp_path: pathlib.Path
) -> None:
    root = tmp_path / "data"
    config = _config(make(root), root)
    before = _keys(config)
    assert _keys(config) == before
    change(root)
    after = _keys(config)
    assert {name for name in before if before[name] != after[name]} == {"ExampleGen"}


def test_what_the_data_are_held_to_is_another_key_of_the_comparison_alone(tmp_path: pathlib.Path) -> None:
    config = _config(class_folders(tmp_path), tmp_path)
    bar = dataclasses.replace(config, thresholds=dataclasses.replace(config.thresholds, max_label_issues=0.02))
    assert _changed(config, dataclasses.replace(config, audit=("train",))) == {"ModelComparison"}
    assert _changed(config, bar) == {"ModelComparison"}
    told = _keys(bar)["ModelComparison"]
    assert json.loads(str(told["audit"])) == ["eval", "test"]
    assert json.loads(str(told["max_suspects"])) == {"label": 0.02, "mask": 1.0, "duplicate": 1.0}
    with pytest.raises(ValueError, match=r"thresholds\.max_label_issues is set, but audit is empty"):
        _keys(dataclasses.replace(bar, audit=()))


def test_more_drawings_are_another_key_of_ingestion_and_of_nothing_else(tmp_path: pathlib.Path) -> None:
    data = configs.debug().data
    more = dataclasses.replace(data, drawings=data.drawings + 1)
    assert _changed(_config(data, tmp_path), _config(more, tmp_path)) == {"ExampleGen", "ModelComparison"}


def test_a_new_class_is_another_network_too(tmp_path: pathlib.Path) -> None:
    config = _config(class_folders(tmp_path), tmp_path)
    before = _keys(config)
    for number in range(3):
        _photo(tmp_path / "elm" / f"{number}.png", number)
    after = _keys(config)
    changed = {name for name in before if before[name] != after[name]}
    assert {"ExampleGen", "DatasetSchema", "Trainer_dcnn", "ModelComparison"} <= changed
    assert not changed & {"StatisticsGen", "ExampleValidator", "AnomalyGate", "Transform", "Pusher"}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"title": "Trees", "about": "Of a park.", "licence": "CC0", "example": "leaf"}, set()),
        ({"slices": ()}, {"Evaluator_dcnn", "Evaluator_mobilenet_v3_small"}),
        ({"splits": dataset_spec.Splits(0.3, 0.3)}, {"ExampleGen"}),
    ],
)
def test_what_things_are_called_changes_the_report_alone(
    change: dict[str, Any], expected: set[str], tmp_path: pathlib.Path
) -> None:
    data = class_folders(tmp_path / "data")
    described = dataset_spec.DatasetSpec(
        "trees", "trees", (dataset_spec.Label("tree", ("ash", "oak")),), None, (("tree",),)
    )
    configs_ = []
    for number, spec in enumerate((described, dataclasses.replace(described, **change))):
        file = tmp_path / f"{number}" / "trees.yaml"
        file.parent.mkdir()
        file.write_text(spec_file.dump(spec))
        configs_.append(_config(dataclasses.replace(data, spec=str(file)), tmp_path / "data"))
    assert _changed(*configs_) == {"ModelComparison", *expected}
