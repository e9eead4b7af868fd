"""What the package tells a container about its step beyond what TFX and KFP tell it: the argument `--step`.

It is JSON: `{"artifacts": {KEY: TITLE}, "runtime_parameters": {NAME: [PATH, ...]}, "shown": {KEY: FILE},
"shared_dir": FOLDER, "checkpoint_dir": FOLDER, "volume": CLAIM:/FOLDER}`, see `Step`.
A path leads into an execution property, through JSON texts too: `["custom_config", "config", "recipe", "phases", 0,
"epochs"]`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Collection, Iterator
from typing import Any

Path = tuple[str | int, ...]


@dataclasses.dataclass
class Step:
    """One component's entry in the package."""

    artifacts: dict[str, str]
    """Title of the TFX type of each input and output, such as `tfx.Model`."""
    runtime_parameters: dict[str, list[Path]] = dataclasses.field(default_factory=dict)
    """For each of the run's parameters that this step takes: where its value goes."""
    shown: dict[str, str] = dataclasses.field(default_factory=dict)
    """Outputs for KFP's own pages: key, and the file of the output `report` that it shows."""
    shared_dir: str = ""
    """Where artifacts must lie for Beam's workers to reach them; empty: in the container."""
    checkpoint_dir: str = ""
    """Where a Trainer keeps its state after every epoch, for the next container; empty: it does not survive its own."""
    volume: str = ""
    """CLAIM:/FOLDER, where a Pusher must push to if not into a bucket; empty: there is none."""

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self), sort_keys=True)


def parameter_key(name: str) -> str:
    """What a component calls the run's parameter `name` among its own parameters, where `name` may be taken."""
    return f"run_{name}"


def with_value(tree: Any, path: Path, value: Any) -> Any:
    """A copy of `tree` with `value` at `path`."""
    if not path:
        return value
    if isinstance(tree, str):
        return json.dumps(with_value(json.loads(tree), path, value), sort_keys=True)
    copy = tree.copy()
    copy[path[0]] = with_value(tree[path[0]], path[1:], value)
    return copy


def paths_of_change(before: Any, after: Any, value: Any) -> Iterator[Path]:
    """Paths at which `after` has `value` and `before`, the same tree otherwise, has something else."""
    before, after = _parsed(before), _parsed(after)
    if isinstance(before, dict) and isinstance(after, dict):
        for key in before.keys() & after.keys():
            yield from ((key, *path) for path in paths_of_change(before[key], after[key], value))
    elif isinstance(before, list) and isinstance(after, list):
        for index, (one, other) in enumerate(zip(before, after, strict=False)):
            yield from ((index, *path) for path in paths_of_change(one, other, value))
    elif before != after and after == value:
        yield ()


def paths_of_value(tree: Any, names: Collection[str], value: Any) -> Iterator[Path]:
    """Paths at which `tree` has `value` under one of the names."""
    tree = _parsed(tree)
    for key, of in tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ():
        if key in names and of == value:
            yield (key,)
        else:
            yield from ((key, *path) for path in paths_of_value(of, names, value))


def _parsed(value: Any) -> Any:
    if isinstance(value, str) and value[:1] in ("{", "["):
        with contextlib.suppress(ValueError):  # a text of a person's, such as `[beta] Drawings`
            return json.loads(value)
    return value
