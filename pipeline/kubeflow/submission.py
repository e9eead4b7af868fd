"""What a package and a command make of a run, checked before a server is asked."""

from __future__ import annotations

import pathlib
from typing import Any

import yaml

from pipeline.kubeflow import cluster, parameters
from pipeline.kubeflow.commands import Sent


class CommandError(ValueError):
    """The command or its package is wrong, and what to do, for a person: nothing was sent."""


def read_package(path: pathlib.Path) -> dict[str, Any]:
    """The pipeline spec in a package.

    Raises:
        CommandError: there is no such file, or it is no package.
    """
    if not path.is_file():
        raise CommandError(f"there is no package {path}: write one with kubeflow_runner.py compile --output {path}")
    try:
        spec = next(yaml.safe_load_all(path.read_text()), None)
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError):
        spec = None
    if not isinstance(spec, dict) or "pipelineInfo" not in spec:
        raise CommandError(f"{path} is no package of kubeflow_runner.py compile")
    return spec


def arguments(command: Sent) -> dict[str, Any]:
    """What kfp's client takes of the command, checked; asks no server.

    Raises:
        CommandError: the package or a parameter is wrong.
    """
    spec = read_package(command.package)
    known = spec["root"].get("inputDefinitions", {}).get("parameters", {})
    values = parameter_values(known, command.parameter)
    try:
        cluster.check_pipeline_root(command.pipeline_root or spec.get("defaultPipelineRoot", ""))
        for name in values.keys() & {"data_dir", "serving_dir", "photos"}:
            if "photos" in known and not values[name].startswith("/"):
                raise cluster.not_plain(name, values[name])
            cluster.check_folder(name, values[name])
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
