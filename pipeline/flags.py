"""The command line of both runners, made from the config's dataclasses. Imports nothing heavy."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from typing import TypeVar

import tyro

from pipeline.configs import CONFIGS, Config

T = TypeVar("T")


def parse(arguments: Sequence[str], program: str, description: str) -> Config:
    """Reads `--config NAME`, then every field of that config as a flag; exits with a message on a bad one.

    Args:
        arguments: the command line without the program's name.
        program: the program's name, for the help.
        description: what it does, for the help.
    """
    return parse_with(arguments, program, description, Config, lambda config: config)


def parse_with(
    arguments: Sequence[str], program: str, description: str, command: type[T], default: Callable[[Config], T]
) -> T:
    """The same for a command that has flags of its own beside the config's.

    Args:
        arguments: the command line without the program's name.
        program: the program's name, for the help.
        description: what it does, for the help.
        command: the dataclass of all flags.
        default: gives the command's defaults for the config that `--config` names.
    """
    names = argparse.ArgumentParser(prog=program, add_help=False, allow_abbrev=False)
    names.add_argument("--config", choices=sorted(CONFIGS), default="sample")
    chosen, rest = names.parse_known_args(arguments)
    return tyro.cli(
        command,
        prog=program,
        args=rest,
        default=default(CONFIGS[chosen.config]()),
        config=(tyro.conf.SuppressFixed,),
        description=(
            f"{description}\n\n`--config NAME` chooses the config that the other flags change: "
            f"{', '.join(CONFIGS)} (default: sample). The defaults below are those of `{chosen.config}`."
        ),
    )
