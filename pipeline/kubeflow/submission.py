"""What a package and a command make of a run, checked before a server is asked."""

from __future__ import annotations

import pathlib
from typing import Any

import yaml

from pipeline.kubeflow import cluster, parameters
from pipeline.kubeflow.commands import Sent

_PLACES = {"data_dir", "serving_dir", "serving_model", "photos"}
"""Parameters of a run that say where something lies."""


class CommandError(ValueError):
    """The command or its package is wrong, and what to do, for a person: nothing was sent."""


def read_package(path: pathlib.Path) -> dict[str, Any]:
    """The pipeline spec in a package.

    Raises:
        CommandError: there is no such file, or it is no package.
    """
    return _documents(path)[0]


def _documents(path: pathlib.Path) -> list[Any]:
    """All of a package, the pipeline spec first."""
    if not path.is_file():
        raise CommandError(f"there is no package {path}: write one with kubeflow_runner.py compile --output {path}")
    try:
        documents = list(yaml.safe_load_all(path.read_text()))
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError):
        documents = []
    if not documents or not isinstance(documents[0], dict) or "pipelineInfo" not in documents[0]:
        raise CommandError(f"{path} is no package of kubeflow_runner.py compile")
    return documents


def arguments(command: Sent) -> dict[str, Any]:
    """What kfp's client takes of the command, checked; asks no server.

    Raises:
        CommandError: the package or a parameter is wrong.
    """
    spec, *others = _documents(command.package)
    placement = cluster.placement_of(others)
    known = spec["root"].get("inputDefinitions", {}).get("parameters", {})
    values = parameter_values(known, command.parameter)
    try:
        cluster.check_pipeline_root(command.pipeline_root or spec.get("defaultPipelineRoot", ""))
        check = cluster.check_plain if "photos" in known else cluster.check_place
        for name in values.keys() & _PLACES:
            check(name, values[name], placement)
    except ValueError as error:
        raise CommandError(str(error)) from error
    return {
        "pipeline_package_path": str(command.package),
        "params": values,
        "pipeline_root": command.pipeline_root or None,
        "service_account": command.service_account or None,
        "enable_caching": None if command.cache else False,
    }


def parameter_values(known: dict[str, Any], given: tuple[str, ...]) -> dict[str, Any]:
    """Values of a run's parameters from NAME=VALUE, and from what the package says of each.

    Raises:
        CommandError: the package has no such parameter, it is a number and the value is none, or out of its range.
    """
    makers = {"STRING": str, "NUMBER_INTEGER": int, "NUMBER_DOUBLE": float}
    values = {}
    for text in given:
        name, _, value = text.partition("=")
        if name not in known:
            raise CommandError(f"the package has no parameter {name!r}; it has {', '.join(sorted(known))}")
        try:
            typed = makers[known[name]["parameterType"]](value)
        except ValueError as error:
            raise CommandError(f"parameter {name} is {value!r}, not a number") from error
        try:
            values[name] = parameters.checked(name, typed)
        except ValueError as error:
            raise CommandError(f"parameter {error}") from error
    return values
