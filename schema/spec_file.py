"""The small YAML file of a `DatasetSpec`. It looks like this:

    name: magnetic_tiles
    title: Magnetic tiles
    example: photo                    # what one example is called
    labels:
      kind: [MT_Blowhole, MT_Break, MT_Free]
      state:                          # a coarser label: which classes of `kind` each of its classes has
        of: kind
        classes: {sound: [MT_Free], broken: [MT_Blowhole, MT_Break]}
    mask:
      classes: {defect: [255]}        # foreground classes and the values that stand for them in the mask files
      background: [0]
      ignored: []
      between: nearest                # what any other value is: the nearest of these; or `refuse`
      optional: false                 # true: examples may lack a mask; for a label: {classes: […], optional: true}
    slices: [[state], [kind], [kind, size]]
    splits: {eval: 0.1, test: 0.2}    # shares that a hash holds out where the data gives no such split

`labels` or `mask` may be missing: then the networks have the other head alone. The first label is the one that a model
is trained for unless the config names another. `size` in a slice is the share of the picture that the mask covers, in
thirds.

Importing this module does not import YAML.
"""

from __future__ import annotations

import collections
import dataclasses
import pathlib
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from schema.dataset_spec import DatasetSpec, Label, Mask, Splits

_FIELDS = {field.name for field in dataclasses.fields(DatasetSpec)}
_OF_LABEL = {"of", "classes", "optional"}
_OF_MASK = {"classes", "background", "ignored", "between", "optional"}
_OF_SPLITS = {field.name for field in dataclasses.fields(Splits)}


def load(path: str | pathlib.Path) -> DatasetSpec:
    """Reads a spec's file.

    Raises:
        ValueError: it is no such file, or a field is wrong; the message names file and field.
    """
    import yaml

    try:
        text = pathlib.Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise ValueError(f"the data set's description {path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ValueError(f"the data set's description {path} is not UTF-8 ({error}): save the file as UTF-8") from error
    try:
        _check_keys(yaml.compose(text, yaml.SafeLoader))
        content = yaml.safe_load(text)
        if not isinstance(content, Mapping):
            raise ValueError("it is no mapping of `name`, `title`, `labels`, `mask` …")
        return _of_file(content)
    except RecursionError as error:
        raise ValueError(f"the data set's description {path} is wrong: it is nested too deeply") from error
    except (yaml.YAMLError, ValueError, TypeError, KeyError) as error:
        reason = f"{error.args[0]!r} is missing" if isinstance(error, KeyError) else error
        raise ValueError(f"the data set's description {path} is wrong: {reason}") from error


def _check_keys(node: Any) -> None:
    """Raises ValueError where a mapping has a key twice, of which YAML would take the last alone."""
    import yaml

    if isinstance(node, yaml.MappingNode):
        keys = [key.value for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1:
                raise ValueError(f"{key} stands there twice: write it once")
        for _, value in node.value:
            _check_keys(value)
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            _check_keys(value)


def shipped(name: str) -> DatasetSpec:
    """A description that lies beside this module."""
    return load(pathlib.Path(__file__).with_name(f"{name}.yaml"))


def dump(spec: DatasetSpec) -> str:
    """The file's text; `load` reads it."""
    content: dict[str, Any] = {"name": spec.name, "title": spec.title, "example": spec.example}
    content |= {key: getattr(spec, key) for key in ("about", "licence") if getattr(spec, key)}
    if spec.labels:
        content["labels"] = {label.name: _label_as_file(spec, label) for label in spec.labels}
    if mask := spec.mask:
        content["mask"] = {
            "classes": {name: list(values) for name, values in zip(mask.classes, mask.values, strict=True)},
            "background": list(mask.background),
            "ignored": list(mask.ignored),
            "between": mask.between,
            "optional": mask.optional,
        }
    content["slices"] = [list(features) for features in spec.slices]
    content["splits"] = dataclasses.asdict(spec.splits)
    import yaml

    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=110, default_flow_style=None)


def _label_as_file(spec: DatasetSpec, label: Label) -> Any:
    if not label.of:
        return {"classes": list(label.classes), "optional": True} if label.optional else list(label.classes)
    finer = spec.label(label.of).classes
    members: dict[str, list[str]] = {name: [] for name in label.classes}
    for name, parent in zip(finer, label.parents, strict=True):
        members[label.classes[parent]].append(name)
    return {"of": label.of, "classes": members, **({"optional": True} if label.optional else {})}


def _of_file(content: Mapping[str, Any]) -> DatasetSpec:
    _check_fields(content, _FIELDS)
    for key in ("name", "title", "example", "about", "licence"):
        if key in content and not isinstance(content[key], str):
            raise ValueError(f"{key} is {content[key]!r}: write a text, in quotes where YAML reads a number, yes or no")
    plain = {key: content[key] for key in ("example", "about", "licence") if key in content}
    finer: dict[str, Sequence[str]] = {}
    labels = []
    for name, value in _mapping(content.get("labels") or {}, "labels").items():
        labels.append(_label_of_file(str(name), value, finer))
        finer[str(name)] = labels[-1].classes
    return DatasetSpec(
        name=content["name"],
        title=content["title"],
        labels=tuple(labels),
        mask=_mask_of_file(_mapping(content["mask"], "mask")) if content.get("mask") else None,
        slices=tuple(tuple(_list(names, "slices")) for names in _list(content.get("slices") or [], "slices")),
        splits=_splits_of_file(_mapping(content.get("splits") or {}, "splits")),
        **plain,
    )


def _check_fields(value: Mapping[Any, Any], known: Collection[str], prefix: str = "") -> None:
    for field in value:
        if field not in known:
            raise ValueError(f"{prefix}{field} is no field; known are {', '.join(sorted(known))}")


def _mapping(value: Any, field: str) -> Mapping[Any, Any]:
    if not isinstance(value, Mapping):
        raise ValueError(f"{field} is {value!r}: it must hold `name: value` pairs")
    for name in value:
        if name is None or isinstance(name, bool):
            raise ValueError(f"{field} names {name!r}: write it in quotes, since YAML reads yes, no and null otherwise")
    return value


def _list(value: Any, field: str) -> Sequence[Any]:
    if not isinstance(value, list):
        raise ValueError(f"{field} has {value!r} where a list should be: write [{value}]")
    return value


def _flag(value: Any, field: str) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"{field} is {value!r}: write true or false")
    return value


def _splits_of_file(value: Mapping[str, Any]) -> Splits:
    _check_fields(value, _OF_SPLITS, "splits.")
    for field, share in value.items():
        if isinstance(share, bool) or not isinstance(share, int | float):
            raise ValueError(f"splits.{field} is {share!r}: write a share of the examples, such as 0.1")
    return Splits(**value)


def _label_of_file(name: str, value: Any, finer: Mapping[str, Sequence[str]]) -> Label:
    if not isinstance(value, Mapping):
        return Label(name, _class_names(name, value))
    _check_fields(value, _OF_LABEL, f"labels.{name}.")
    optional = _flag(value.get("optional", False), f"labels.{name}.optional")
    if "of" not in value:
        return Label(name, _class_names(name, value["classes"]), optional=optional)
    of, members = value["of"], _mapping(value["classes"], f"labels.{name}.classes")
    if not isinstance(of, str) or of not in finer:
        raise ValueError(f"labels.{name}.of is {of!r}: name a label that stands above it")
    parents = [(one, number) for number, names in enumerate(members.values()) for one in _class_names(name, names)]
    held = collections.Counter(one for one, _ in parents)
    wrong = [one for one in sorted({*held, *finer[of]}) if held[one] != 1 or one not in finer[of]]
    if wrong:
        raise ValueError(f"labels.{name}.classes must hold each class of {of} once; look at {', '.join(wrong)}")
    index = dict(parents)
    return Label(name, _class_names(name, list(members)), of, tuple(index[one] for one in finer[of]), optional)


def _class_names(label: str, names: Any) -> tuple[str, ...]:
    for name in _list(names, f"labels.{label}"):
        if isinstance(name, bool) or name is None:
            raise ValueError(f"labels.{label} has the class {name}: YAML reads yes, no and null so; put it in quotes")
    return tuple(map(str, names))


def _mask_of_file(value: Mapping[str, Any]) -> Mask:
    _check_fields(value, _OF_MASK, "mask.")
    classes = _mapping(value["classes"], "mask.classes")
    return Mask(
        classes=tuple(map(str, classes)),
        values=tuple(tuple(_list(values, f"mask.classes.{name}")) for name, values in classes.items()),
        background=tuple(_list(value.get("background", [0]), "mask.background")),
        ignored=tuple(_list(value.get("ignored", []), "mask.ignored")),
        between=value.get("between", "refuse"),
        optional=_flag(value.get("optional", False), "mask.optional"),
    )
