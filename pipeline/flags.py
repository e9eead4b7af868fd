"""The command line of both runners, made from the config's dataclasses. Imports nothing heavy."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import tyro

from pipeline.configs import CONFIGS, Config


def parse(arguments: Sequence[str], program: str, description: str) -> Config:
    """Reads `--config NAME`, then every field of that config as a flag; exits with a message on a bad one.

    Args:
        arguments: the command line without the program's name.
        program: the program's name, for the help.
        description: what it does, for the help.
    """
    names = argparse.ArgumentParser(prog=program, add_help=False, allow_abbrev=False)
    names.add_argument("--config", choices=sorted(CONFIGS), default="sample")
    chosen, rest = names.parse_known_args(arguments)
    return tyro.cli(
        Config,
        prog=program,
        args=rest,
        default=CONFIGS[chosen.config](),
        config=(tyro.conf.SuppressFixed,),
        description=(
            f"{description}\n\n`--config NAME` chooses the config that the other flags change: "
            f"{', '.join(CONFIGS)} (default: sample). The defaults below are those of `{chosen.config}`."
        ),
    )
