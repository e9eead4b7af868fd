"""What engines/ has for containers and Kubernetes, as far as it can be held without them."""

from __future__ import annotations

import pathlib
from typing import Any
from xml.etree import ElementTree as xml

import pytest
import yaml

from engines.cluster import FLINK_MUST

ENGINES = pathlib.Path(__file__).parents[2] / "engines"
POM = "{http://maven.apache.org/POM/4.0.0}"


def _kinds(engine: str) -> dict[str, Any]:
    return {of["kind"]: of for of in yaml.safe_load_all((ENGINES / engine / "kubernetes.yaml").read_text())}


def test_the_flink_job_server_names_itself_as_other_pods_find_it() -> None:
    kinds = _kinds("flink")
    [container] = kinds["Deployment"]["spec"]["template"]["spec"]["containers"]
    assert f"--job-host={kinds['Service']['metadata']['name']}" in container["args"]


def test_the_spark_job_server_names_itself_as_other_pods_find_it() -> None:
    kinds = _kinds("spark")
    assert f"--job-host={kinds['Service']['metadata']['name']}" in kinds["SparkApplication"]["spec"]["arguments"]


def test_every_flink_is_told_what_it_must_be_told() -> None:
    operator = _kinds("flink")["FlinkDeployment"]["spec"]["flinkConfiguration"]
    service = yaml.safe_load((ENGINES / "flink/compose.yaml").read_text())["services"]["node_1"]
    for settings in (operator, yaml.safe_load(service["environment"]["FLINK_PROPERTIES"])):
        assert {key: str(settings.get(key)) for key in FLINK_MUST} == {key: str(of) for key, of in FLINK_MUST.items()}


@pytest.mark.parametrize("place", ["kubernetes.yaml", "compose.yaml"])
def test_sparks_job_server_is_the_jar_that_its_image_has(place: str) -> None:
    pom = xml.parse(ENGINES / "spark/pom.xml").getroot()
    [runner] = [of for of in pom.iter(f"{POM}dependency") if of.findtext(f"{POM}artifactId") == "beam-runners-spark-3"]
    jar = f"local:///opt/spark/jars/beam-runners-spark-3-{runner.findtext(f'{POM}version')}.jar"
    assert jar in (ENGINES / "spark" / place).read_text().split()
