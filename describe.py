"""Looks at labelled photos and says what they are: `python describe.py FOLDER`, see `--help`.

Prints classes, splits, sizes, mask values, what cannot be read, and copies; writes the description (`DatasetSpec`) for
you to correct and commit, and prints the command that trains on it.
"""

from __future__ import annotations

import dataclasses
import os
import pathlib
import re
import shlex
import sys
from typing import Annotated, Any

import tyro
from rich.console import Console
from rich.text import Text

from pipeline.flags import command_of
from schema.ranges import FOLDER, Checked

_MOST_FILES = 4
"""So many files are named of which nothing says that they are COCO's."""


@dataclasses.dataclass(frozen=True)
class Arguments(Checked):
    """Says what labelled photos are, writes their description, and prints the command that trains on them."""

    dir: Annotated[str, tyro.conf.Positional, FOLDER]
    """The folder with the photos (of a TFDS data set: its data_dir); docs/own-data.md shows the layouts."""
    masks: str = ""
    """A folder of masks in parallel to the photos', where it is not called `masks` or so beside `images`."""
    metadata: str = ""
    """A metadata.csv or .jsonl, where it does not lie in the folder."""
    labels: tuple[str, ...] = ()
    """Its columns that are labels, the primary one first."""
    annotations: tuple[str, ...] = ()
    """COCO's JSON files, as FILE or SPLIT=FILE."""
    tfds: str = ""
    """The name of a TFDS data set, NAME or NAME/CONFIG, that is prepared in the folder or to be prepared there."""
    features: tuple[str, ...] = ()
    """Its features, as ROLE=FEATURE, where ROLE is `image`, `mask` or the name of a label."""
    spec: str = ""
    """The file to write the description to; empty: NAME.yaml here. One that exists is used and kept."""
    groups: str = ""
    """Writes a metadata.csv that keeps photos which are nearly the same in one split."""
    overwrite: bool = False
    """Write files anew that exist."""


def main() -> int:
    """Returns 0 if the data can be used, 2 if not."""
    arguments = command_of(sys.argv[1:], "describe.py", Arguments, description=__doc__)
    console = Console(width=min(100, Console().width), highlight=False)
    try:
        _describe(arguments, console)
    except (OSError, RuntimeError, ValueError) as error:
        console.print(Text(f"{error}{_hint(arguments)}", style="red"), soft_wrap=True)
        return 2
    except KeyboardInterrupt:
        console.print("Interrupted.")
        return 130
    return 0


def _hint(arguments: Arguments) -> str:
    """What else the folder may be."""
    if arguments.annotations or arguments.tfds:
        return ""
    folder = pathlib.Path(arguments.dir)
    files = sorted(path.relative_to(folder) for path in folder.glob("**/*.json"))
    files = [path for path in files if re.search("coco|instances", path.name.lower())] or files[:_MOST_FILES]
    given = [f"{split}={folder / path}" if (split := _split_of(path)) else str(folder / path) for path in files]
    return f"\nIf it is annotated in COCO's JSON, name its files: --annotations {shlex.join(given)}" if given else ""


def _split_of(path: pathlib.Path) -> str:
    """The split that a file or a folder above it is called after: `train` of `instances_train2017.json`."""
    from components.datasets.metadata import SPLIT_NAMES

    words = [word for part in reversed(path.parts) for word in re.findall("[a-z]+", part.lower())]
    return next((SPLIT_NAMES[word] for word in words if word in SPLIT_NAMES), "")


def _describe(arguments: Arguments, console: Console) -> None:
    from pipeline.configs import Data
    from pipeline.console import quiet
    from schema import spec_file

    with quiet():  # TensorFlow and libjpeg, since photos are judged as ingestion judges them.
        from components.datasets import describe, survey

    source, flags = _source(arguments)
    source.prepare()
    _check_groups(arguments, source)
    spec = source.spec()
    path = pathlib.Path(arguments.spec or f"{spec.name}.yaml")
    kept = path.exists() and not arguments.overwrite
    if kept:
        spec = spec_file.load(path)
        source = dataclasses.replace(source, description=spec)
    with quiet(), console.status("reading …") as status:
        found = survey.look(
            source,
            Data.max_megapixels * 1_000_000,
            lambda count: status.update(f"reading … {count:,} photos"),
        )
        if arguments.annotations:
            images = list(source.images())
            objects = [one for image in images for one in image.objects]
            found.objects, found.crowds = len(objects), sum(one.crowd for one in objects)
            used = {image.listed.image for image in images} | {path for _, path in source.files()}
            survey.left_out(found, source.dir, used, "pictures that no annotation file names")
        elif arguments.tfds:
            found.left_out_splits = source.left_out()
        else:
            survey.left_out(found, source.dir, _used(source))
        copies = describe.Copies.of(found.usable())
    if not kept and not arguments.annotations:
        spec = describe.corrected(spec, found)
    describe.check(spec, found)
    describe.tell(console, arguments.dir, spec, str(path), found, copies)
    if len(found.photos) - len(found.usable()) > 1:
        said = f"A run stops where more than one photo and {Data.max_quarantined:.0%} of a split cannot be used: "
        console.print(
            Text("! ", style="yellow").append(said + "mend them, or raise --data.max-quarantined.", "default")
        )
    if kept:
        console.print(Text(f"\nDescribed as {path} says, which was kept; --overwrite derives it anew."), soft_wrap=True)
    else:
        path.write_text(spec_file.dump(spec), encoding="utf-8")
        console.print(Text(f"\nWrote {path}: correct its names, and commit it."), soft_wrap=True)
    if arguments.groups:
        table = describe.groups_table(found.usable(), copies, _start(arguments.groups, source.dir))
        _write_groups(arguments, table, console)
        flags["metadata"] = arguments.groups
    command = ["python", "local_runner.py", "--config", "own"]
    for name, value in {**flags, "spec": str(path)}.items():
        values = value if isinstance(value, tuple) else (value,)
        words = [f"./{word}" if word.startswith("-") else word for word in values]
        command += ["--data-dir" if name == "dir" else f"--data.{name}", *words]
    if spec.task == "segmentation":
        command += ["--champion", "mask_f1"]
    console.print("Train on it:")
    console.print(Text(f"  {shlex.join(command)}", style="bold"), soft_wrap=True)


def _source(arguments: Arguments) -> tuple[Any, dict[str, Any]]:
    """The data set, and the runner's flags that name it."""
    flags: dict[str, Any] = {"dir": arguments.dir}
    _check_read(arguments)
    if arguments.tfds:
        from components.datasets.tfds import Tfds

        flags = {"source": "tfds", "name": arguments.tfds, **flags}
        flags |= {"features": arguments.features} if arguments.features else {}
        return Tfds(arguments.tfds, arguments.dir, arguments.features), flags
    flags = {"source": "coco" if arguments.annotations else "folder", **flags}
    if arguments.annotations:
        from components.datasets.coco import Coco

        return Coco(arguments.annotations, arguments.dir), flags | {"annotations": arguments.annotations}
    from components.datasets.folder import Folder

    given = {name: getattr(arguments, name) for name in ("masks", "metadata", "labels") if getattr(arguments, name)}
    return Folder(arguments.dir, **given), flags | given


def _check_read(arguments: Arguments) -> None:
    """Raises ValueError where a flag is of another kind of source than the one that is described."""
    what, others = "a folder has", ["features"]
    if arguments.tfds:
        what, others = "a TFDS data set has", ["annotations", "masks", "metadata", "labels"]
    elif arguments.annotations:
        what, others = "COCO's files have", ["masks", "metadata", "labels", "features"]
    for name in others:
        if getattr(arguments, name):
            raise ValueError(f"--{name} is given, and {what} no use for it: leave it out")


def _used(source: Any) -> set[str]:
    """The paths of a folder's files that its examples and their description are made of."""
    from components.datasets import layout, storage

    paths = [path for example in source.examples() for path in (example.image, example.mask) if path]
    return {
        storage.join(source.dir, path) for path in [*paths, *source.metadata_files(), *layout.voc_lists(source.dir)]
    }


def _check_groups(arguments: Arguments, source: Any) -> None:
    """Before anything is read: a table that the user has is not to be replaced by one without its labels."""
    if not arguments.groups:
        return
    tables = [] if arguments.annotations or arguments.tfds else source.metadata_files()
    if tables or arguments.annotations or arguments.tfds:
        yours = " and ".join(os.path.join(arguments.dir, path) for path in tables) or "yours"
        raise ValueError(
            f"--groups writes a metadata file for a folder that has none: write the column group into {yours}"
        )
    if arguments.groups.lower().endswith(".jsonl"):
        raise ValueError(f"--groups writes CSV, and {arguments.groups} would be read as JSON: name a .csv file")
    if os.path.exists(arguments.groups) and not arguments.overwrite:
        raise ValueError(f"{arguments.groups} exists: name another file in --groups, or give --overwrite")


def _start(table: str, folder: str) -> str:
    """What the paths in a table begin with: those of one in the photos' folder start from the table's own."""
    from components.datasets import storage

    place = storage.inside(folder, os.path.abspath(table))
    return os.curdir if os.path.isabs(place) else os.path.relpath(os.curdir, os.path.dirname(place) or os.curdir)


def _write_groups(arguments: Arguments, table: str, console: Console) -> None:
    path = pathlib.Path(arguments.groups)
    path.write_text(table, encoding="utf-8")
    console.print(Text(f"Wrote {os.fspath(path)}: the column group keeps photos together."), soft_wrap=True)


if __name__ == "__main__":
    sys.exit(main())
