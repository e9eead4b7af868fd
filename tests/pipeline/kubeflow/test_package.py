"""The package that KFP runs: its steps, their containers, volumes, parameters and order, of compiled pipelines."""

from __future__ import annotations

import dataclasses
import json
import pathlib
import shutil
from typing import Any

import cv2
import numpy as np
import pytest
import yaml

import schema
from pipeline.configs import Config, debug, own
from pipeline.kubeflow import cluster, entrypoint, package, parameters
from pipeline.kubeflow.deployment import Deployment, Resources
from pipeline.kubeflow.step import Step
from schema import spec_file
from tests.drawn import SPEC
from trainer_module.config import NetworkName

DEPLOYMENT = Deployment(
    image="registry.example/pets:1",
    pipeline_root="gs://bucket/root",
    volume="claim:/mnt/pets",
    secret_env=("keys:wandb=WANDB_KEY",),
    trainer=Resources(8, 30, gpus=1),
    trainer_nodes=("pool=gpu",),
    trainer_tolerations=("nvidia.com/gpu:NoSchedule",),
    retries=3,
    serving_model="gs://bucket/old/model",
)

TASKS = {
    "ExampleGen",
    "StatisticsGen",
    "DatasetSchema",
    "ExampleValidator",
    "AnomalyGate",
    "Transform",
    "Trainer-dcnn",
    "Trainer-mobilenet-v3-small",
    "Evaluator-dcnn",
    "Evaluator-mobilenet-v3-small",
    "ModelComparison",
    "Edge",
    "Pusher",
}


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    file = tmp_path_factory.mktemp("package") / "pipeline.yaml"
    package.write(file, debug(), DEPLOYMENT)
    return file


@pytest.fixture(scope="module")
def documents(path: pathlib.Path) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(path.read_text()))


@pytest.fixture(scope="module")
def spec(documents: list[dict[str, Any]]) -> dict[str, Any]:
    return documents[0]


def _containers(spec: dict[str, Any]) -> dict[str, dict[str, Any]]:
    executors = spec["deploymentSpec"]["executors"]
    return {name.removeprefix("exec-"): of["container"] for name, of in executors.items() if "container" in of}


def _step(container: dict[str, Any]) -> Step:
    return Step(**json.loads(container["args"][container["args"].index("--step") + 1]))


def test_kfps_own_loader_takes_it(path: pathlib.Path) -> None:
    from kfp import components

    component = components.load_component_from_file(str(path))
    assert component.pipeline_spec.schema_version == "2.1.0"
    assert component.pipeline_spec.pipeline_info.name == "debug"
    assert component.platform_spec.platforms["kubernetes"]


def test_every_component_is_a_task_and_nothing_needs_a_resolver_or_a_driver(spec: dict[str, Any]) -> None:
    assert set(spec["root"]["dag"]["tasks"]) == TASKS | {"ServingModel"}
    for executor in spec["deploymentSpec"]["executors"].values():
        assert set(executor) in ({"container"}, {"importer"})
        assert "lifecycle" not in executor.get("container", {})


def test_each_container_starts_our_entry_point_in_our_image(spec: dict[str, Any]) -> None:
    for container in _containers(spec).values():
        assert container["image"] == "registry.example/pets:1"
        assert container["command"] == ["python3", "-m", "pipeline.kubeflow.entrypoint"]
        assert "--executor_class_path" in container["args"]


def test_names_are_such_as_argo_takes(spec: dict[str, Any]) -> None:
    for name, task in spec["root"]["dag"]["tasks"].items():
        assert name.replace("-", "").isalnum()
        assert task["taskInfo"]["name"] == name, "KFP finds a producer by its task's name"
        assert spec["components"][task["componentRef"]["name"]]["executorLabel"] in spec["deploymentSpec"]["executors"]


def test_trainers_have_their_accelerator_and_do_not_wait_for_each_other(spec: dict[str, Any]) -> None:
    for trainer in ("Trainer-dcnn", "Trainer-mobilenet-v3-small"):
        resources = _containers(spec)[trainer]["resources"]
        assert resources["cpuLimit"] == 8
        assert resources["memoryLimit"] == 30
        assert resources["accelerator"]["type"] == "nvidia.com/gpu"
        assert int(resources["accelerator"]["count"]) == 1
        assert not any(other.startswith("Trainer") for other in spec["root"]["dag"]["tasks"][trainer]["dependentTasks"])


def test_other_steps_have_their_share_and_no_accelerator(spec: dict[str, Any]) -> None:
    assert _containers(spec)["Transform"]["resources"] == {"cpuLimit": 2.0, "memoryLimit": 8.0}
    assert _containers(spec)["Pusher"]["resources"] == {"cpuLimit": 1.0, "memoryLimit": 4.0}


def test_steps_are_tried_again_and_cached_as_the_deployment_says(spec: dict[str, Any]) -> None:
    for name, task in spec["root"]["dag"]["tasks"].items():
        assert task["retryPolicy"]["maxRetryCount"] == 3
        assert task["cachingOptions"] == {"enableCache": name != "Pusher"}, "what it looks after lies outside the run"


def test_the_config_names_components_that_are_not_cached() -> None:
    spec = package.build(dataclasses.replace(debug(), uncached=("ExampleGen", "Trainer_dcnn")), Deployment())
    cached = {name: task["cachingOptions"]["enableCache"] for name, task in spec["root"]["dag"]["tasks"].items()}
    assert {name for name, enabled in cached.items() if not enabled} == {"ExampleGen", "Trainer-dcnn", "Pusher"}


def test_a_description_travels_in_the_package_since_no_step_finds_its_file(tmp_path: pathlib.Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(spec_file.dump(dataclasses.replace(SPEC, name="my_drawings", title="My own drawings")))
    config = debug()
    config = dataclasses.replace(config, data=dataclasses.replace(config.data, spec=str(file)))
    spec = package.build(config, Deployment())
    tasks = spec["root"]["dag"]["tasks"]
    assert "my_drawings" in json.dumps(tasks["ExampleGen"])
    assert "My own drawings" in json.dumps(tasks["ModelComparison"])
    assert str(file) not in json.dumps([tasks["ExampleGen"], _containers(spec)["ExampleGen"]])


def test_a_trainer_keeps_its_state_on_the_volume_and_tfx_hears_nothing_of_it(spec: dict[str, Any]) -> None:
    steps = {name: _step(container) for name, container in _containers(spec).items()}
    assert {name: step.checkpoint_dir for name, step in steps.items() if step.checkpoint_dir} == {
        "Trainer-dcnn": "/mnt/pets/checkpoints/debug/Trainer_dcnn",
        "Trainer-mobilenet-v3-small": "/mnt/pets/checkpoints/debug/Trainer_mobilenet_v3_small",
    }
    parameters = spec["root"]["dag"]["tasks"]["Trainer-dcnn"]["inputs"]["parameters"]
    assert "checkpoint" not in json.dumps(parameters)


def test_the_pusher_knows_the_volume_that_it_may_push_to(spec: dict[str, Any]) -> None:
    steps = {name: _step(container) for name, container in _containers(spec).items()}
    assert {name: step.volume for name, step in steps.items() if step.volume} == {"Pusher": "claim:/mnt/pets"}


def test_volume_and_secret_are_in_every_container_and_the_nodes_are_the_trainers(
    documents: list[dict[str, Any]],
) -> None:
    settings = documents[1]["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    assert set(settings) == {f"exec-{name}" for name in TASKS}
    for name, of in settings.items():
        assert of["pvcMount"][0]["mountPath"] == "/mnt/pets"
        assert of["secretAsEnv"][0]["keyToEnv"] == [{"secretKey": "wandb", "envVar": "WANDB_KEY"}]
        assert ("nodeSelector" in of) == ("tolerations" in of) == name.startswith("exec-Trainer")
    trainer = settings["exec-Trainer-dcnn"]
    assert trainer["nodeSelector"] == {"labels": {"pool": "gpu"}}
    assert trainer["tolerations"] == [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]


def test_the_serving_model_is_imported_from_the_uri_that_the_run_gives(spec: dict[str, Any]) -> None:
    importer = spec["deploymentSpec"]["executors"]["exec-ServingModel"]["importer"]
    assert importer["artifactUri"] == {"runtimeParameter": "uri"}
    task = spec["root"]["dag"]["tasks"]["ServingModel"]
    assert task["inputs"]["parameters"]["uri"] == {"componentInputParameter": "serving_model"}
    assert "serving_model" in spec["root"]["dag"]["tasks"]["ModelComparison"]["inputs"]["artifacts"]


def test_a_parameter_that_no_package_has_is_refused() -> None:
    assert parameters.checked("serving_model", "gs://bucket/old/model") == "gs://bucket/old/model"
    with pytest.raises(ValueError, match="there is no parameter 'baseline_dcnn'"):
        parameters.checked("baseline_dcnn", "gs://bucket/old/model")


def test_no_path_of_the_compiling_machine_is_in_it(path: pathlib.Path) -> None:
    assert str(pathlib.Path(schema.__file__).parents[1]) not in path.read_text()
    assert str(pathlib.Path.home()) + "/" not in path.read_text()


def test_the_report_and_the_figures_are_artifacts_of_kfps_own_types(spec: dict[str, Any]) -> None:
    outputs = spec["components"]["comp-ModelComparison"]["outputDefinitions"]["artifacts"]
    assert outputs["report_page"]["artifactType"]["schemaTitle"] == "system.HTML"
    assert outputs["metrics"]["artifactType"]["schemaTitle"] == "system.Metrics"
    assert _step(_containers(spec)["ModelComparison"]).shown == {"report_page": "index.html", "metrics": "metrics.json"}


def test_the_run_can_change_what_a_person_changes(spec: dict[str, Any]) -> None:
    parameters = spec["root"]["inputDefinitions"]["parameters"]
    assert {name: (of["parameterType"], of["defaultValue"]) for name, of in parameters.items()} == {
        "data_dir": ("STRING", package.DATA_DIR),
        "serving_dir": ("STRING", "/mnt/pets/serving"),
        "dcnn_phases_0_epochs": ("NUMBER_INTEGER", 1),
        "mobilenet_v3_small_phases_0_epochs": ("NUMBER_INTEGER", 1),
        "mobilenet_v3_small_phases_1_epochs": ("NUMBER_INTEGER", 1),
        "min_accuracy": ("NUMBER_DOUBLE", 0.0),
        "min_mask_f1": ("NUMBER_DOUBLE", 0.0),
        "serving_model": ("STRING", "gs://bucket/old/model"),
    }


def test_a_parameter_of_the_run_does_what_the_flag_would_have_done(spec: dict[str, Any]) -> None:
    """Each container's execution properties, with parameters given at the run or compiled in."""
    at_run = {"data_dir": "/mnt/pets/data", "min_accuracy": 0.25, "min_mask_f1": 0.5}
    at_run |= {"dcnn_phases_0_epochs": 5.0, "mobilenet_v3_small_phases_0_epochs": 3.0}
    dcnn, mobilenet = debug().contestants.values()
    first, last = mobilenet.phases
    config = dataclasses.replace(
        debug(),
        data_dir="/mnt/pets/data",
        thresholds=dataclasses.replace(debug().thresholds, accuracy=0.25, mask_f1=0.5),
        contestants={
            "dcnn": dataclasses.replace(dcnn, phases=(dataclasses.replace(dcnn.phases[0], epochs=5),)),
            "mobilenet_v3_small": dataclasses.replace(mobilenet, phases=(dataclasses.replace(first, epochs=3), last)),
        },
    )
    compiled_in = package.build(config, DEPLOYMENT)
    for task in TASKS:
        assert _properties(spec, task, at_run) == _properties(compiled_in, task, {})


def _properties(spec: dict[str, Any], task: str, given: dict[str, Any]) -> dict[str, Any]:
    """What TFX's entry point gets; JSON texts parsed, since they may differ in spaces."""
    defaults = {name: of["defaultValue"] for name, of in spec["root"]["inputDefinitions"]["parameters"].items()}
    values = {}
    for key, source in spec["root"]["dag"]["tasks"][task]["inputs"].get("parameters", {}).items():
        constant = source.get("runtimeValue", {}).get("constant")
        values[key] = {**defaults, **given}[source["componentInputParameter"]] if constant is None else constant
    invocation = {"inputs": {"parameterValues": values}, "outputs": {}}
    step = _step(_containers(spec)[task])
    entrypoint.adapt(invocation, dataclasses.replace(step, shown={}))
    return _parsed(invocation["inputs"]["parameterValues"])


def _parsed(value: Any) -> Any:
    if isinstance(value, str) and value[:1] in ("{", "["):
        return _parsed(json.loads(value))
    if isinstance(value, dict):
        return {key: _parsed(of) for key, of in value.items()}
    return [_parsed(of) for of in value] if isinstance(value, list) else value


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"pipeline_root": "/mnt/artifacts"}, "mounted folders are for data_dir and serving_dir"),
        ({"serving_dir": "s3://bucket/serving"}, "mount the bucket"),
        ({"serving_dir": "serving"}, "absolute path"),
        ({"serving_dir": "/srv/models"}, "goes with its container: .*--deployment.volume CLAIM:/FOLDER"),
        ({"serving_dir": "/srv/models", "volume": "pets:/mnt/x"}, "goes with its container: .* below /mnt/x"),
        ({"serving_model": "model"}, "serving_model is 'model': in a container it must be an absolute path or gs://"),
        ({"serving_model": "/srv/model"}, "serving_model is '/srv/model', which no step would find"),
        ({"volume": "/mnt/pets"}, "CLAIM:/FOLDER"),
        ({"volume": "My_Claim:/mnt/x"}, "CLAIM:/FOLDER"),
        ({"trainer_tolerations": ("gpu",)}, "KEY=VALUE:EFFECT"),
        ({"trainer_tolerations": ("gpu:Foo",)}, "NoSchedule"),
        ({"trainer_nodes": ("a pool=gpu",)}, "LABEL=VALUE"),
        ({"trainer_nodes": ("pool=a gpu",)}, "LABEL=VALUE"),
        ({"secret_env": ("My_Secret:key=KEY",)}, "SECRET:KEY=VARIABLE"),
        ({"secret_env": ("keys:wandb=1 KEY",)}, "SECRET:KEY=VARIABLE"),
        ({"image": "registry.example/my pets:1"}, "without spaces"),
        ({"gpu_type": "a gpu"}, "nvidia.com/gpu"),
    ],
)
def test_what_a_cluster_cannot_use_is_refused_at_once(
    change: dict[str, Any], message: str, tmp_path: pathlib.Path
) -> None:
    with pytest.raises(ValueError, match=message):
        package.write(tmp_path / "pipeline.yaml", debug(), dataclasses.replace(Deployment(), **change))


@pytest.mark.parametrize("weights", ["some.h5", "/mnt/pets/../some.h5", "/other/some.h5", "gs://bucket/some.h5"])
def test_weights_that_no_container_would_find_are_refused(weights: str) -> None:
    config = dataclasses.replace(debug(), weights=weights)
    with pytest.raises(ValueError, match="which no step would find: give a file below /mnt/pets"):
        cluster.check(config, DEPLOYMENT)
    with pytest.raises(ValueError, match="the folder of a mounted volume"):
        cluster.check(config, Deployment())


@pytest.mark.parametrize(
    ("network", "width", "weights", "message"),
    [
        ("mobilenet_v3_small", 0.5, "imagenet", "Keras has these weights for 0.75 and 1.0 alone"),
        ("resnet50_v2", 0.5, "/mnt/pets/some.h5", "resnet50_v2 has one width"),
        ("dcnn", 1.0, "/mnt/pets/some.h5", "dcnn is trained from scratch: use 'none'"),
    ],
)
def test_what_a_trainer_would_refuse_is_refused_as_a_local_run_does(
    network: NetworkName, width: float, weights: str, message: str
) -> None:
    recipe = dataclasses.replace(debug().contestants["dcnn"], network=network, width=width, weights=weights)
    config = dataclasses.replace(debug(), contestants={"mine": recipe})
    with pytest.raises(ValueError, match=f"^mine: .*{message}"):
        cluster.check(config, DEPLOYMENT)


def test_weights_below_the_volume_are_taken() -> None:
    cluster.check(dataclasses.replace(debug(), weights="/mnt/pets/some.h5"), DEPLOYMENT)


def test_every_contestants_own_weights_are_looked_for() -> None:
    dcnn, mobilenet = debug().contestants.values()
    started = dataclasses.replace(mobilenet, weights="/home/me/x.h5")
    config = dataclasses.replace(debug(), contestants={"dcnn": dcnn, "small": started})
    with pytest.raises(ValueError, match=r"^small\.weights is '/home/me/x.h5', which no step would find"):
        cluster.check(config, DEPLOYMENT)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("data.manual_dir", {"source": "oxford_iiit_pet", "manual_dir": "archives"}),
        ("data.masks", {"masks": "/home/me/masks"}),
        ("data.metadata", {"metadata": "/mnt/pets/../metadata.csv"}),
        ("data.annotations", {"source": "coco", "annotations": ("train=train.json", "test=/home/me/test.json")}),
        ("data_dir", {}),
        ("data_dir", {"source": "tfds", "name": "caltech_birds2011"}),
    ],
)
def test_files_of_this_machine_are_refused(name: str, data: dict[str, Any]) -> None:
    config = _own("/home/me/photos" if name == "data_dir" else "/mnt/pets/photos", **data)
    with pytest.raises(ValueError, match=rf"^{name} is .*, which no step would find: give .* below /mnt/pets"):
        cluster.check(config, DEPLOYMENT)


@pytest.mark.parametrize("place", ["masks", "../../masks"])
def test_a_path_that_means_one_of_this_machine_is_refused(
    place: str, monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "masks").mkdir()
    monkeypatch.chdir(tmp_path if place == "masks" else tmp_path / "a" / "b")
    with pytest.raises(ValueError, match=rf"^data\.masks is '{tmp_path}/masks', which no step would find"):
        cluster.check(_own("/mnt/pets/photos", masks=place), DEPLOYMENT)


def test_a_path_that_leads_out_of_the_volume_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^data\.metadata is '/mnt/pets/photos/\.\./\.\./t\.csv', which no step"):
        cluster.check(_own("/mnt/pets/photos", metadata="../../t.csv"), DEPLOYMENT)
    cluster.check(_own("/mnt/pets/photos", metadata="../t.csv"), DEPLOYMENT)


@pytest.mark.parametrize("folder", ["/mnt/pets", "/mnt/pets/photos", "gs://bucket/photos"])
def test_files_of_the_volume_and_of_buckets_are_taken(folder: str) -> None:
    cluster.check(_own(folder, masks="masks", metadata="gs://bucket/metadata.csv"), DEPLOYMENT)


def test_photos_to_leave_out_travel_in_the_package_unless_they_are_too_many(tmp_path: pathlib.Path) -> None:
    def listing(photos: int) -> Any:
        path = tmp_path / "suspects.csv"
        path.write_text("\n".join(["split,file_name", *(f"train,some/photo {number}.jpg" for number in range(photos))]))
        return dataclasses.replace(debug(), data=dataclasses.replace(debug().data, leave_out=str(path)))

    built = package.build(listing(2), DEPLOYMENT)
    parameters = built["root"]["dag"]["tasks"]["ExampleGen"]["inputs"]["parameters"]
    assert "some/photo 1.jpg" in json.dumps(parameters["leave_out"])
    with pytest.raises(ValueError, match=r"data\.leave_out is .*suspects\.csv', whose photos take \d+,\d+ bytes"):
        cluster.check(listing(3000), DEPLOYMENT)


def test_every_parameter_of_a_package_has_the_range_of_its_field(spec: dict[str, Any]) -> None:
    for name, of in spec["root"]["inputDefinitions"]["parameters"].items():
        assert parameters.checked(name, of["defaultValue"]) == of["defaultValue"]
        wrong = "a\nb" if of["parameterType"] == "STRING" else -1.0
        with pytest.raises(ValueError, match=rf"^{name} is "):
            parameters.checked(name, wrong)


def test_a_run_directory_is_refused_since_a_package_has_none() -> None:
    with pytest.raises(ValueError, match=r"^run_dir is 'runs/x', which no step would write to: .* leave it out$"):
        cluster.check(dataclasses.replace(debug(), run_dir="runs/x"), DEPLOYMENT)


def test_a_name_that_kubeflow_refuses_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match="lower-case"):
        package.build(dataclasses.replace(debug(), name="My_Run"), Deployment())


@pytest.fixture
def photos(tmp_path: pathlib.Path) -> pathlib.Path:
    """Three photos in each of two class folders, and a COCO file of the same."""
    folder = tmp_path / "photos"
    images, outlines = [], []
    for number in range(6):
        name = f"{('cup', 'plate')[number % 2]}/{number}.png"
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(folder / name), np.full((8, 8, 3), 40 * number, np.uint8))
        images.append({"id": number, "file_name": name, "width": 8, "height": 8})
        outline = {"segmentation": [[1, 1, 5, 1, 5, 5, 1, 5]], "area": 16}
        outlines.append({"id": number, "image_id": number, "category_id": number % 2 + 1, **outline})
    categories = [{"id": 1, "name": "cup"}, {"id": 2, "name": "plate"}]
    coco = {"images": images, "annotations": outlines, "categories": categories}
    (folder / "set.json").write_text(json.dumps(coco))
    return folder


def _own(photos: pathlib.Path | str, **data: Any) -> Config:
    config = dataclasses.replace(own(), weights="none", robustness=0, data_dir=str(photos))
    return dataclasses.replace(config, data=dataclasses.replace(config.data, **data))


def _mounted(photos: pathlib.Path) -> Deployment:
    return Deployment(volume=f"claim:{photos.parent}")


def test_a_folder_of_photos_may_lie_elsewhere_when_the_package_runs(photos: pathlib.Path) -> None:
    spec = package.build(_own(f"{photos}/"), _mounted(photos))
    assert spec["root"]["inputDefinitions"]["parameters"]["data_dir"]["defaultValue"] == str(photos)
    elsewhere = shutil.copytree(photos, photos.parent / "elsewhere" / photos.name)
    compiled_in = package.build(_own(elsewhere), _mounted(photos))
    for task in ("ExampleGen", "ModelComparison"):
        assert str(elsewhere) in json.dumps(_properties(compiled_in, task, {}))
        assert _properties(spec, task, {"data_dir": str(elsewhere)}) == _properties(compiled_in, task, {})


def test_the_photos_of_coco_files_stay_where_the_files_are(photos: pathlib.Path) -> None:
    spec = package.build(_own(photos, source="coco", annotations=("set.json",)), _mounted(photos))
    assert "data_dir" not in spec["root"]["inputDefinitions"]["parameters"]
    assert str(photos / "set.json") in json.dumps(_properties(spec, "ExampleGen", {}))


@pytest.mark.parametrize("data", [{}, {"source": "coco", "annotations": ("set.json",)}])
def test_photos_that_nobody_named_are_asked_for(data: dict[str, Any]) -> None:
    with pytest.raises(
        ValueError, match=r"^data_dir is missing: data\.source (folder|coco) needs the folder of the ph"
    ):
        package.build(_own("", **data), Deployment())


def test_every_value_that_a_flag_may_have_can_be_compiled() -> None:
    dcnn = debug().contestants["dcnn"]
    longest = dataclasses.replace(dcnn, phases=(dataclasses.replace(dcnn.phases[0], epochs=100_000),))
    strictest = dataclasses.replace(debug().thresholds, accuracy=1.0, mask_f1=0.9)
    config = dataclasses.replace(debug(), contestants={"dcnn": longest}, thresholds=strictest)
    parameters = package.build(config, Deployment())["root"]["inputDefinitions"]["parameters"]
    defaults = {
        name: parameters[name]["defaultValue"] for name in ("dcnn_phases_0_epochs", "min_accuracy", "min_mask_f1")
    }
    assert defaults == {"dcnn_phases_0_epochs": 100_000, "min_accuracy": 1.0, "min_mask_f1": 0.9}


def test_a_title_may_begin_with_a_bracket(tmp_path: pathlib.Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(spec_file.dump(dataclasses.replace(SPEC, title="[beta] Drawings")))
    config = dataclasses.replace(debug(), data=dataclasses.replace(debug().data, spec=str(file)))
    assert "[beta] Drawings" in json.dumps(package.build(config, Deployment()))


@pytest.mark.parametrize(
    ("deployment", "folder"),
    [
        (Deployment(), "/tmp/serving"),
        (Deployment(volume="claim:/mnt/x"), "/mnt/x/serving"),
        (Deployment(volume="claim:/mnt/x", serving_dir="/mnt/x/models"), "/mnt/x/models"),
        (Deployment(serving_dir="gs://bucket/models"), "gs://bucket/models"),
    ],
)
def test_models_are_pushed_to_where_a_step_may_write(deployment: Deployment, folder: str) -> None:
    cluster.check(debug(), deployment)
    assert deployment.serving_folder == folder
