"""engines/kubernetes and engines/compose.yaml as far as they can be held without a cluster."""

from __future__ import annotations

import pathlib
from typing import Any

import pytest
import yaml

ENGINES = pathlib.Path(__file__).parents[3] / "engines"


def _kinds(name: str) -> dict[str, Any]:
    return {of["kind"]: of for of in yaml.safe_load_all((ENGINES / "kubernetes" / name).read_text())}


def test_the_flink_job_server_names_itself_as_other_pods_find_it() -> None:
    kinds = _kinds("flink.yaml")
    [container] = kinds["Deployment"]["spec"]["template"]["spec"]["containers"]
    assert f"--job-host={kinds['Service']['metadata']['name']}" in container["args"]


def test_the_spark_job_server_names_itself_as_other_pods_find_it() -> None:
    kinds = _kinds("spark.yaml")
    assert f"--job-host={kinds['Service']['metadata']['name']}" in kinds["SparkApplication"]["spec"]["arguments"]


@pytest.mark.parametrize("place", ["kubernetes", "compose"])
def test_flink_is_told_what_it_must_be_told(place: str) -> None:
    if place == "kubernetes":
        settings = _kinds("flink.yaml")["FlinkDeployment"]["spec"]["flinkConfiguration"]
    else:
        compose = yaml.safe_load((ENGINES / "compose.yaml").read_text())
        settings = yaml.safe_load(compose["services"]["node_1"]["environment"]["FLINK_PROPERTIES"])
    assert settings["classloader.resolve-order"] == "parent-first"
    assert settings["restart-strategy.type"] == "fixed-delay"
