"""The command line of both runners, made from the config's dataclasses. Imports nothing heavy."""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import os
import sys
import typing
from collections.abc import Callable, Iterator, Sequence
from typing import Annotated, Any, TypeVar

import tyro
from tyro.constructors import ConstructorRegistry, StructConstructorSpec, StructFieldSpec, StructTypeInfo
from tyro.constructors._struct_spec_dataclass import dataclass_rule

from pipeline.configs import CONFIGS, NETWORK_NAMES, Config, with_contestants
from schema import ranges

T = TypeVar("T")


@dataclasses.dataclass(frozen=True)
class _Refused:
    """Stands for a dataclass that could not be made, up to the command that would have held it."""

    reason: str
    """Begins with the path of the field, as its flag has it."""


def parse(arguments: Sequence[str], program: str, description: str) -> Config:
    """Reads `--config NAME` and `--contestants A B` (or `A,B`), then every field of that config as a flag; exits with a
    message on a bad one.

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
    names.add_argument("--contestants", nargs="+", action="extend", default=[])
    chosen, rest = names.parse_known_args(arguments)
    config = CONFIGS[chosen.config]()
    if chosen.contestants:
        try:
            config = with_contestants(config, ",".join(chosen.contestants).split(","))
        except ValueError as error:
            names.error(str(error))
    return command_of(
        rest,
        program,
        command,
        default(config),
        f"{description}\n\n`--config NAME` chooses the config that the other flags change: "
        f"{', '.join(CONFIGS)} (default: sample). The defaults below are those of `{chosen.config}`.\n\n"
        f"`--contestants A B` says which networks are trained and compared, of {', '.join(config.contestants)} and "
        f"NAME=NETWORK with a NETWORK of {', '.join(NETWORK_NAMES)}; the flags of each begin with its name.",
    )


def command_of(
    arguments: Sequence[str], program: str, command: type[T], default: T | None = None, description: str | None = None
) -> T:
    """Reads the fields of a dataclass; exits with status 2 and one sentence where a value is out of its range.

    A list that is given several times holds the values of all; given empty, it drops those before it.

    Args:
        arguments: the command line without the program's name.
        program: the program's name, for the help and the sentence.
        command: the dataclass of all flags.
        default: where the flags' defaults come from, where not from the dataclass.
        description: what the program does, for the help; None: the dataclass' docstring.
    """
    try:
        result: Any = tyro.cli(
            command,
            prog=program,
            args=arguments,
            default=default,
            description=description,
            config=(tyro.conf.SuppressFixed,),
            registry=_REGISTRY,
        )
    except BrokenPipeError:  # nobody reads on, as of `--help | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for what Python flushes as it ends
        sys.exit(0)
    if isinstance(result, _Refused):
        flag, _, rest = result.reason.partition(" ")
        print(f"{program}: --{flag.replace('_', '-')} {rest}", file=sys.stderr)
        sys.exit(2)
    return result


_REGISTRY = ConstructorRegistry()


@_REGISTRY.struct_rule
def _checked(info: StructTypeInfo) -> StructConstructorSpec | None:
    """Reads our dataclasses as tyro does, with the range in each field's help, a sentence that names the flag, and
    lists that may be given several times."""
    spec = dataclass_rule(info)
    if spec is None or not issubclass(info.type, ranges.Checked):
        return None
    defaults = {field.name: field.default for field in spec.fields if _is_list(field.type)}
    unflagged = [field.name for field in spec.fields if tyro.conf.Positional in getattr(field.type, "__metadata__", ())]

    def instantiate(**values: Any) -> Any:
        for word, name in itertools.product(unflagged, defaults):
            if () in values[name]:  # tyro takes the last word for the missing one, and leaves the flag before it empty
                return _Refused(f"{name} has no value, or it was taken for {word}, which has no flag: put {word} first")
        values |= {name: _joined(values[name], default) for name, default in defaults.items()}
        for name, value in values.items():
            if refused := _refused(_prefix(info.type, name), value):
                return refused
        try:
            return spec.instantiate(**values)
        except ValueError as error:
            return _Refused(str(error))

    fields = tuple(_repeatable(_with_range(_unprefixed(field))) for field in spec.fields)
    return StructConstructorSpec(instantiate, fields)


def _refused(prefix: str, value: Any) -> _Refused | None:
    """The first `_Refused` in a field's value, its reason with the field's prefix."""
    if isinstance(value, _Refused):
        return _Refused(prefix + value.reason)
    numbered = enumerate(value) if isinstance(value, tuple) else value.items() if isinstance(value, dict) else ()
    return next((found for number, of in numbered if (found := _refused(f"{prefix}{number}.", of))), None)


def _prefix(command: type, field: str) -> str:
    """Of the flags of a field that is a dataclass itself: none for a dict or where `tyro.conf.arg(name="")` says so."""
    hint = ranges.hints(command)[field]
    if typing.get_origin(ranges.plain(hint)) is dict:
        return ""
    unnamed = any(getattr(extra, "name", None) == "" for extra in getattr(hint, "__metadata__", ()))
    return "" if unnamed else f"{field}."


def _unprefixed(field: StructFieldSpec) -> StructFieldSpec:
    """What stands in a dict has a name of its own: `--dcnn.dropout`, not `--contestants.dcnn.dropout`."""
    if typing.get_origin(ranges.plain(field.type)) is not dict:
        return field
    unprefixed: Any = Annotated[field.type, tyro.conf.arg(name="")]
    return dataclasses.replace(field, type=unprefixed)


def _is_list(hint: Any) -> bool:
    """Whether one flag takes all elements; those that are dataclasses have flags of their own."""
    hint = ranges.plain(hint)
    arguments = typing.get_args(hint)
    listed = typing.get_origin(hint) is tuple and arguments[1:] == (Ellipsis,)
    return listed and not dataclasses.is_dataclass(ranges.plain(arguments[0]))


def _repeatable(field: StructFieldSpec) -> StructFieldSpec:
    """A list becomes the list of what each of its flags gives: of several, tyro would take the last alone."""
    if not _is_list(field.type):
        return field
    default = tyro.conf.arg(help_behavior_hint=f"(default: {' '.join(map(str, field.default))})")
    nested: Any = tuple[field.type, ...]  # type: ignore[name-defined]
    repeatable: Any = Annotated[nested, tyro.conf.UseAppendAction, default]
    return dataclasses.replace(field, type=repeatable, default=())


def _joined(given: tuple[tuple[Any, ...], ...], default: tuple[Any, ...]) -> tuple[Any, ...]:
    """The values of a list's flags, in their order."""
    if not given:
        return default
    joined: tuple[Any, ...] = ()
    for values in given:
        joined = joined + values if values else ()
    return joined


def _with_range(field: StructFieldSpec) -> StructFieldSpec:
    stated = " and ".join(map(str, _stated(field.type)))
    if not stated:
        return field

    def text() -> str:
        documented = field.helptext() if callable(field.helptext) else field.helptext
        return f"{documented or ''} [{stated}]"

    return dataclasses.replace(field, helptext=text)


def _stated(hint: Any) -> Iterator[ranges.Number | ranges.Text]:
    """The ranges in a type, those of a tuple's elements too; that it is text need not be said."""
    yield from (of for of in ranges.stated(hint) if of != ranges.LINE)
    if typing.get_origin(hint) in (tuple, Annotated):
        for element in typing.get_args(hint):
            yield from _stated(element)
