from __future__ import annotations

import dataclasses
import pathlib

import pytest

import schema
from schema import spec_file
from schema.dataset_spec import DatasetSpec, Label, Mask, Splits
from schema.spec_file import load

SHIPPED = sorted(pathlib.Path(schema.__file__).parent.glob("*.yaml"))
TILES = DatasetSpec(
    name="tiles",
    title="Tiles",
    labels=(Label("kind", ("crack", "free", "no")), Label("state", ("sound", "broken"), "kind", (1, 0, 1))),
    mask=Mask(("defect", "scratch"), ((255,), (7, 8)), ignored=(9,), between="nearest", optional=True),
    slices=(("state",), ("kind", "size")),
    splits=Splits(0.2, 0.3),
    example="picture",
    about="Tiles, with Ümläuts: and a colon.",
)


def written(folder: pathlib.Path, text: str) -> str:
    path = folder / "spec.yaml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_the_pets_and_the_drawings_are_described() -> None:
    assert [path.stem for path in SHIPPED] == ["oxford_iiit_pet", "synthetic_pets"]


@pytest.mark.parametrize("spec", [*map(load, SHIPPED), TILES, dataclasses.replace(TILES, labels=(), slices=())])
def test_a_description_survives_its_file_and_its_json(spec: DatasetSpec, tmp_path: pathlib.Path) -> None:
    assert load(written(tmp_path, spec_file.dump(spec))) == spec
    assert DatasetSpec.from_json(spec.to_json()) == spec


def test_the_task_follows_from_what_there_is() -> None:
    assert TILES.task == "both"
    assert dataclasses.replace(TILES, mask=None, slices=()).task == "classification"
    assert dataclasses.replace(TILES, labels=(), slices=()).task == "segmentation"


def test_the_first_label_is_the_one_that_is_meant_without_a_name() -> None:
    assert TILES.label().name == "kind"
    assert TILES.label("state").name == "state"
    assert [label.name for label in TILES.coarser("kind")] == ["state"]
    with pytest.raises(ValueError, match="label is 'colour': Tiles has kind, state"):
        TILES.label("colour")


HEAD = "name: tiles\ntitle: Tiles\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: [", "spec.yaml is wrong"),
        (HEAD + "labels: " + "[" * 5_000 + "]" * 5_000, "spec.yaml is wrong: it is nested too deeply"),
        (HEAD + "labels: &all {kind: *all}", "spec.yaml is wrong: it is nested too deeply"),
        ("just text", "is no mapping"),
        ("title: Tiles\nmask: {classes: {x: [1]}}", "'name' is missing"),
        (HEAD, "neither labels nor mask"),
        (HEAD + "labels: {kind: [a, b]}\ncolour: red", "wrong: colour is no field; known are about, example, "),
        (HEAD + "labels: {kind: [a]}", "labels.kind has 1 classes"),
        (HEAD + "labels: {kind: [a, a]}", "labels.kind names a twice"),
        (HEAD + "labels: {kind: [yes, no]}", "put it in quotes"),
        (HEAD + "labels: {image: [a, b]}", "a label is named 'image'"),
        (HEAD + "labels: {kind name: [a, b]}", "a label is named 'kind name'"),
        *(
            (HEAD + f"labels: {{{name}: [a, b]}}", f"a label is named '{name}': rename it")
            for name in ("file", "known", "mask", "overlay", "error")
        ),
        (HEAD + "labels: {kind: [a, b], s: {of: x, classes: {u: [a], v: [b]}}}", "labels.s.of is 'x'"),
        (
            HEAD + "labels: {kind: [a, b], s: {of: kind, classes: {u: [a], v: []}}}",
            "each class of kind once; look at b",
        ),
        (
            HEAD + "labels: {kind: [a, b], s: {of: kind, classes: {u: [a, b], v: [b]}}}",
            "each class of kind once; look at b",
        ),
        *(
            (
                HEAD + f"labels: {{{finer}: [a, b], {coarser}: {{of: {finer}, classes: {{u: [a], v: [b]}}}}}}",
                f"labels.{coarser} is coarser than {finer}: name it otherwise, .* a `_score` of each label",
            )
            for finer, coarser in (
                *(("kind", name) for name in ("probabilities", "classes", "scores", "mask_bytes", "state_score")),
                ("state_score", "state"),
            )
        ),
        (HEAD + "labels: {kind: [a, b], s: {of: kind, classes: [a, b]}}", "labels.s.classes is .*`name: value` pairs"),
        (HEAD + "labels: [a, b]", "labels is .*`name: value` pairs"),
        (HEAD + "labels: {kind: abc}", r"labels.kind has 'abc' where a list should be: write \[abc\]"),
        (HEAD + "labels: {kind: {classes: [a, b], optional: 'no'}}", "labels.kind.optional is 'no': write true or"),
        (HEAD + "mask: [defect]", "mask is .*`name: value` pairs"),
        (HEAD + "mask: {classes: [defect]}", "mask.classes is .*`name: value` pairs"),
        (HEAD + "mask: {classes: {x: 255}}", r"mask.classes.x has 255 where a list should be: write \[255\]"),
        (HEAD + "mask: {classes: {x: [1]}, background: 0}", "mask.background has 0 where a list should be"),
        (HEAD + "mask: {classes: {x: [1]}, optional: 'no'}", "mask.optional is 'no'"),
        (HEAD + "labels: {kind: [a, b]}\nslices: [kind]", r"slices has 'kind' where a list should be: write \[kind\]"),
        (HEAD + "labels: {kind: [a, b]}\nsplits: {eval: 10%}", "splits.eval is '10%': write a share"),
        (HEAD + "labels: {kind: [a, b]}\nsplits: {eval: .6, test: .6}", "hold out 0.6 and 0.6: nothing is left"),
        (HEAD + "mask: {classes: {x: [1], y: [1]}}", "gives the value 1 two meanings"),
        (HEAD + "mask: {classes: {x: [-1]}}", "mask names the value -1"),
        (HEAD + "mask: {classes: {x: [1]}, between: guess}", "mask.between is 'guess'"),
        (HEAD + "mask: {classes: {x: [1]}, colour: 1}", "mask.colour is no field; known are background, "),
        (
            HEAD + "labels: {kind: {classes: [a, b], colour: red}}",
            "labels.kind.colour is no field; known are classes, of, optional",
        ),
        (HEAD + "labels: {kind: [a, b]}\nsplits: {train: 0.7}", "splits.train is no field; known are eval, test"),
        (HEAD + "labels: {kind: [a, b]}\nslices: [[colour]]", "slices name 'colour': this data set has kind"),
        (HEAD + "labels: {kind: [a, b]}\nsplits: {eval: 1}", "splits.eval is 1"),
        ("name: My tiles\ntitle: T\nlabels: {kind: [a, b]}", "name is 'My tiles'"),
        *(
            (
                f"{name}name: t\n{title}title: T\nlabels: {{kind: [a, b]}}\n{line}",
                "wrong: .* is .*: write a text, in quotes",
            )
            for name, title, line in (
                ("", "# ", "title: 2024"),
                ("", "# ", "title:"),
                ("# ", "", "name: 7"),
                ("", "", "licence: 4"),
                ("", "", "example: no"),
                ("", "", "about: [a]"),
            )
        ),
        (HEAD + "mask: {classes: {a: [1], a: [2]}}", "wrong: a stands there twice"),
        (HEAD + "labels: {kind: [a, b]}\nlabels: {kind: [c, d]}", "wrong: labels stands there twice"),
        (HEAD + "mask: {classes: {no: [1]}}", "mask.classes names False: write it in quotes"),
        (HEAD + "labels: {yes: [a, b]}", "labels names True: write it in quotes"),
        (HEAD + "labels: {kind: {of: [s], classes: {a: [b]}}}", r"labels.kind.of is \['s'\]"),
    ],
)
def test_a_wrong_description_says_which_field_and_why(text: str, message: str, tmp_path: pathlib.Path) -> None:
    with pytest.raises(ValueError, match=message):
        load(written(tmp_path, text))


def test_a_description_that_is_no_utf8_is_named(tmp_path: pathlib.Path) -> None:
    (tmp_path / "spec.yaml").write_bytes("title: Größe".encode("latin-1"))
    with pytest.raises(ValueError, match=r"spec\.yaml is not UTF-8 .*: save the file as UTF-8"):
        load(tmp_path / "spec.yaml")


def test_a_missing_description_is_named(tmp_path: pathlib.Path) -> None:
    with pytest.raises(ValueError, match=r"none\.yaml cannot be read: No such file"):
        load(tmp_path / "none.yaml")
