"""What `describe.py` says of folders drawn for it."""

import io
import json
import os
import pathlib
import shlex
import sys

import numpy as np
import PIL.Image
import pytest

import describe
from components.datasets import survey
from components.datasets.coco import Coco
from components.datasets.folder import Folder
from schema import spec_file
from tests import interrupts
from tests.components.datasets.conftest import mask, records_of, square
from tests.components.datasets.test_duplicates import scene


def photo(seed, quality=90, exif=None, size=(160, 120)):
    file = io.BytesIO()
    scene(seed, size).save(file, "JPEG", quality=quality, exif=exif or PIL.Image.Exif())
    return file.getvalue()


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Runs the command in a folder of its own; gives its exit code and what it printed, on one line."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "90")

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["describe.py", *map(str, arguments)])
        code = describe.main()
        printed = capsys.readouterr().out
        return code, " ".join(printed.split())

    return call


@pytest.fixture
def leaves(tree):
    """60 photos of four classes with masks, everything wrong with them that can be."""
    files: dict[str, object] = {f"ash/{number}.jpg": photo(number) for number in range(50)}
    files |= {f"elm/[bold]{number}.jpg": photo(100 + number) for number in range(3)}
    files |= {f"oak/{number}.jpg": photo(200 + number) for number in range(6)}
    edged = np.asarray(PIL.Image.fromarray(square(255)).resize((160, 120), PIL.Image.Resampling.BICUBIC))
    files |= {name.replace(".jpg", ".png"): mask(edged if "ash" in name else np.zeros((120, 160))) for name in files}
    turned = PIL.Image.Exif()
    turned[0x0112] = 6
    files["oak/turned.jpg"] = photo(300, exif=turned)
    files["oak/small.png"] = square()
    files["oak/small.jpg"] = photo(301)
    files["ash/copy of 1.jpg"] = photo(1)
    files["oak/like 2.jpg"] = photo(2, quality=40, size=(320, 240))
    files["oak/cut.jpg"] = photo(302)[:900]
    files |= {"notes.txt": "x", "oak/Thumbs.db": "x", "oak/._5.jpg": "x"}
    return tree(files)


def test_everything_is_counted_and_said(run, leaves, tmp_path):
    code, printed = run(leaves)
    assert code == 0
    for said in (
        "Photos: 64 photos in",
        "Each has a class and a mask: task both. No splits given: a hash will hold out eval 10%, test 20%.",
        "ash 51 82.3%",
        "elm 3 4.8% 0.0%",
        "JPEG 62 160 x 120",
        "0 background",
        "255 object",
        "the nearest of these",
        "2 photos cannot be used: oak/cut.jpg: its photo cannot be used: its end is missing: ",
        "; oak/small.jpg: its mask cannot be used: it is ",
        "kind has classes of fewer than 5 photos, too few to learn or to judge: elm (3).",
        "kind is unbalanced: always saying ash is right in 82.3%",
        "9 masks of 59 are empty: 6 of oak, 3 of elm.",
        "50 masks of 59 hold values between",
        "each becomes the nearest value that stands for something",
        "3 of 62 photos have no mask",
        "2 photos are the same, byte by byte, in 1 group, such as ash/1.jpg, ash/copy of 1.jpg.",
        "1 group of these stand in several classes, such as ash/2.jpg, oak/like 2.jpg.",
        "1 photo will be turned upright",
        "Files that are left out: 1 .txt, 1 hidden, 1 .db.",
    ):
        assert said in printed, said
    assert spec_file.load(tmp_path / "photos.yaml") == Folder(str(leaves)).spec()


def test_the_command_that_trains_names_the_folder_and_the_spec(run, tree):
    root = tree({"a/1.jpg": photo(1), "b/1.jpg": photo(2)}, folder="my red photos")
    printed = run(root)[1]
    command = shlex.split(printed[printed.index("python local_runner.py") :])
    assert command[2:] == [
        "--config", "own", "--data.source", "folder", "--data-dir", str(root), "--data.spec", "my_red_photos.yaml",
    ]  # fmt: skip
    assert "My red photos: 2 photos in" in printed


def test_a_folder_that_the_command_could_not_name_is_refused(tree, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["describe.py", str(tree({"a/1.jpg": photo(1)}, folder="photos [2]"))])
    with pytest.raises(SystemExit, match="2"):
        describe.main()
    assert "must be a path without * ? [ ]" in " ".join(capsys.readouterr().err.split())


def test_in_the_command_a_folder_is_no_flag(run, tree, tmp_path, monkeypatch):
    tree({"a/1.jpg": photo(1), "b/1.jpg": photo(2)}, folder="-photos")
    monkeypatch.chdir(tmp_path)
    printed = run("--", "-photos")[1]
    assert "--data-dir ./-photos" in printed


def test_without_classes_the_command_chooses_by_the_masks(run, tree):
    files = {f"images/{number}.jpg": photo(number) for number in range(3)}
    printed = run(tree(files | {f"masks/{number}.png": square(1, 120, 160) for number in range(3)}))[1]
    assert printed.endswith("--champion mask_f1")


def test_a_class_that_contradicts_the_finer_one_is_said(run, tree):
    of = {"oak": "broad", "ash": "broad", "fir": "needle"}
    rows = [f"{number}.jpg,{name},{of[name]}" for number, name in enumerate(2 * list(of))]
    files = {f"{number}.jpg": photo(number) for number in range(6)}
    root = tree(files | {"metadata.csv": "\n".join(["file_name,tree,family", *rows]).encode()})
    assert "cannot be used" not in run(root, "--labels", "tree", "family")[1]
    (root / "metadata.csv").write_text("\n".join(["file_name,tree,family", "0.jpg,oak,needle", *rows[1:]]))
    printed = run(root, "--labels", "tree", "family")[1]
    said = "1 photo cannot be used: 0.jpg: its family is needle, but its tree oak belongs to broad"
    assert said in printed


def test_a_name_that_no_table_can_hold_is_told(run, tree):
    code, printed = run(tree({"a/1.jpg": photo(1), "b/back\\slash.jpg": photo(2)}), "--groups", "groups.csv")
    assert code == 2
    assert r"a metadata file, which cannot name b/back\slash.jpg: rename it" in printed


def test_a_left_out_name_that_is_no_text_is_printed(run, tree):
    files = {f"images/{number}.jpg": photo(number) for number in range(3)}
    root = tree(files | {f"masks/{number}.png": square(1, 120, 160) for number in range(3)})
    pathlib.Path(os.fsdecode(b"%s/masks/or\xff.png" % os.fsencode(root))).write_bytes(square())
    assert r"masks/or\xff.png" in run(root)[1]


def test_an_interrupt_is_no_traceback(tree, monkeypatch, capsys):
    monkeypatch.setattr(describe, "_describe", interrupts.interrupted)
    monkeypatch.setattr(sys, "argv", ["describe.py", str(tree({"a/1.jpg": photo(1)}))])
    assert interrupts.status(describe.main) == 130
    assert capsys.readouterr().out == "Interrupted.\n"


def test_a_description_that_exists_is_used_and_kept(run, tree, tmp_path):
    root = tree({"a/1.jpg": photo(1), "b/1.jpg": photo(2)})
    run(root)
    file = tmp_path / "photos.yaml"
    file.write_text(file.read_text().replace("kind", "letter").replace("Photos", "My letters"))
    code, printed = run(root)
    assert code == 0
    assert "My letters: 2 photos" in printed
    assert "letter: 2 classes" in printed
    assert "which was kept; --overwrite derives it anew" in printed
    assert "My letters" in file.read_text()
    run(root, "--overwrite")
    assert "My letters" not in file.read_text()


def test_splits_show_their_gaps_and_copies_across_them(run, tree):
    files = {f"{split}/a/{number}.jpg": photo(number + len(split)) for split in ("train", "val") for number in range(6)}
    files |= {f"train/b/{number}.jpg": photo(100 + number) for number in range(6)}
    printed = run(tree(files))[1]
    assert "Splits given: train, eval: a hash will hold out test 20%." in printed
    assert "class train eval share" in printed
    assert "Split eval has no photo of kind b." in printed
    assert "stand in several splits, such as train/a/" in printed


def test_groups_that_the_data_itself_divides_are_told(run, tree):
    """As ingestion does; a photo without a split is one of train's."""
    rows = ["1.jpg,oak,,x", "2.jpg,oak,train,x", "3.jpg,ash,,y", "4.jpg,ash,test,y", "5.jpg,ash,test,", "6.jpg,oak,,"]
    files = {f"{number}.jpg": photo(number) for number in range(1, 7)}
    table = "\n".join(["file_name,tree,split,group", *rows]).encode()
    printed = run(tree(files | {"metadata.csv": table}))[1]
    assert "1 group of the data's own stand in several splits, such as 3.jpg, 4.jpg: figures flatter" in printed


def test_groups_keep_copies_together(run, leaves, tmp_path):
    printed = run(leaves, "--groups", "groups.csv")[1]
    assert "--data.metadata groups.csv" in printed
    found = records_of(Folder(str(leaves), metadata=str(tmp_path / "groups.csv")))
    assert found["ash/2.jpg"].group == found["oak/like 2.jpg"].group != ""
    assert found["ash/1.jpg"].group == found["ash/copy of 1.jpg"].group != found["ash/2.jpg"].group
    assert found["ash/3.jpg"].group == ""
    assert found["ash/3.jpg"].labels == {"kind": 0}
    code, printed = run(leaves, "--groups", "groups.csv")
    assert code == 2
    assert "groups.csv exists: name another file in --groups, or give --overwrite" in printed


def test_a_table_of_groups_may_lie_in_a_folder_of_the_photos(run, tree):
    """There its paths start from where it lies."""
    files = {f"{kind}/{n}.jpg": photo(10 * len(kind) + n) for kind in ("ash", "maple") for n in (1, 2)}
    root = tree(files | {"ash/like 1.jpg": photo(31, quality=40), "notes/1.txt": "x"})
    for place in ("notes/groups.csv", "groups.csv"):
        printed = run(root, "--groups", root / place, "--overwrite")[1]
        assert f"--data.metadata {root}/{place}" in printed
        found = records_of(Folder(str(root), metadata=str(root / place)))
        assert set(found) == {*files, "ash/like 1.jpg"}
        assert found["ash/1.jpg"].group == found["ash/like 1.jpg"].group != ""


def test_what_would_be_read_as_json_is_no_name_of_a_table_of_groups(run, tree):
    code, printed = run(tree({"a/1.jpg": photo(1), "b/1.jpg": photo(2)}), "--groups", "groups.jsonl")
    assert code == 2
    assert "--groups writes CSV, and groups.jsonl would be read as JSON: name a .csv file" in printed


@pytest.mark.parametrize(
    ("groups", "copy", "warned"),
    [
        ("", photo(1, quality=40), True),
        ("g", photo(1, quality=40), False),
        ("", photo(1), False),  # byte by byte: a hash keeps such copies together
    ],
)
def test_copies_that_no_hash_parts_are_not_warned_of(run, tree, groups, copy, warned):
    rows = [f"{n}.jpg,{'ab'[n % 2]},{groups if n in (1, 5) else ''}" for n in range(6)]
    files = {f"{n}.jpg": photo(n) for n in range(5)} | {"5.jpg": copy}
    root = tree(files | {"metadata.csv": "\n".join(["file_name,kind,group", *rows])})
    printed = run(root)[1]
    assert "2 photos are nearly the same, in 1 group, such as 1.jpg, 5.jpg." in printed
    assert ("A hash may put these into train and test" in printed) == warned


def test_the_lists_of_pascal_voc_are_used_and_others_are_left_out(run, tree):
    files = {f"JPEGImages/{n}.jpg": photo(n) for n in range(4)}
    files |= {f"SegmentationClass/{n}.png": square(1, 120, 160) for n in range(4)}
    lists = {"Segmentation/train.txt": "0\n1\n", "Segmentation/val.txt": "2\n3\n", "Main/train.txt": "0\n"}
    printed = run(tree(files | {f"ImageSets/{name}": text for name, text in lists.items()}))[1]
    assert "Splits given: train, eval" in printed
    assert "Files that are left out: 1 .txt." in printed


def test_it_is_said_when_a_run_would_stop(run, tree):
    files = {f"{kind}/{n}.jpg": photo(10 * len(kind) + n) for kind in ("ash", "maple") for n in (1, 2)}
    said = "A run stops where more than one photo and 1% of a split cannot be used: mend them, or raise --data.max-quar"
    assert said not in run(tree(files | {"ash/cut.jpg": photo(3)[:900]}))[1]
    assert said in run(tree(files | {"maple/cut.jpg": photo(4)[:900]}))[1]


def test_the_table_of_groups_finds_names_that_begin_with_a_space(run, tree, tmp_path):
    files = {f"{kind}/{number}.jpg": photo(10 * len(kind) + number) for kind in ("ash", " oak") for number in (1, 2)}
    root = tree(files)
    assert run(root, "--groups", "groups.csv")[0] == 0
    assert set(records_of(Folder(str(root), metadata=str(tmp_path / "groups.csv")))) == set(files)


def test_groups_keep_given_splits_classes_and_masks(run, tree, tmp_path):
    files = {
        f"{split}/images/{kind}/{n}.jpg": photo(100 * len(split + kind) + n)
        for split in ("train", "val")
        for kind in ("cat", "horse")
        for n in range(3)
    }
    values = np.zeros((120, 160))
    values[10:30, 10:30] = 255
    files |= {name.replace("images", "masks").replace("jpg", "png"): mask(values) for name in files}
    root = tree(files)
    before = records_of(Folder(str(root)))
    code, printed = run(root, "--groups", "groups.csv")
    assert (code, "Wrote groups.csv" in printed) == (0, True)
    after = Folder(str(root), metadata=str(tmp_path / "groups.csv"))
    assert {name: record._replace(group="") for name, record in records_of(after).items()} == before
    assert after.spec() == Folder(str(root)).spec()


def test_groups_are_not_written_beside_a_table_and_that_is_said_before_reading(run, tree, monkeypatch):
    table = "file_name,class\n1.jpg,a\n2.jpg,b\n3.jpg,a\n4.jpg,b\n"
    root = tree({f"{number}.jpg": photo(number) for number in (1, 2, 3, 4)} | {"metadata.csv": table})
    monkeypatch.setattr(survey, "look", lambda *_: pytest.fail("photos were read"))
    for flags in ([], ["--overwrite"]):
        code, printed = run(root, "--groups", root / "metadata.csv", *flags)
        assert code == 2
        assert "--groups writes a metadata file for a folder that has none: write the column group into" in printed
        assert f"{root}/metadata.csv" in printed
    assert (root / "metadata.csv").read_text() == table
    (root / "metadata.csv").rename(root / "other.csv")
    assert run(root, "--groups", root / "other.csv")[0] == 2


@pytest.mark.parametrize("ending", ["_mask.png", ".png"])
def test_a_mask_without_its_photo_is_left_out_and_named(run, tree, ending):
    values = np.zeros((120, 160))
    values[10:30, 10:30] = 1
    files = {f"{kind}/{n}.jpg": photo(len(kind) * 10 + n) for kind in ("ash", "maple") for n in (1, 2)}
    files |= {name.replace(".jpg", ending): mask(values) for name in files} | {f"ash/3{ending}": mask(values)}
    printed = run(tree(files))[1]
    assert "Photos: 4 photos in" in printed
    assert f"Files that are left out: 1 pictures: ash/3{ending}." in printed


def test_a_photo_is_judged_as_ingestion_judges_it(run, tree):
    """A JPEG without its last bytes is mended, numbers without a scale are refused; Pillow alone says the contrary."""
    numbers = io.BytesIO()
    scene(4).convert("F").save(numbers, "TIFF")
    files = {"a/cut.jpg": photo(2, size=(320, 400))[:-20], "b/2.jpg": photo(5)}
    printed = run(tree(files | {"b/3.tif": numbers.getvalue()}))[1]
    assert "1 photo cannot be used: b/3.tif: its photo cannot be used: its pixels are floating-point numbers" in printed
    assert "1 photo will be mended: end of file (1)." in printed


def test_a_turned_photo_is_as_high_as_it_is_shown(run, tree):
    """So may its mask and its copy be; a photo on its head is as wide as before."""
    turned, on_its_head = PIL.Image.Exif(), PIL.Image.Exif()
    turned[0x0112], on_its_head[0x0112] = 6, 3
    upright = io.BytesIO()
    scene(1).rotate(-90, expand=True).save(upright, "JPEG", quality=90)
    files = {"shown": photo(1, exif=turned), "stored": photo(2, exif=turned), "head": photo(3, exif=on_its_head)}
    files = {f"a/{name}.jpg": data for name, data in files.items()} | {"b/upright.jpg": upright.getvalue()}
    shapes = {"a/shown": (160, 120), "a/stored": (120, 160), "a/head": (160, 120), "b/upright": (160, 120)}
    printed = run(tree(files | {f"{name}.png": square(1, *shape) for name, shape in shapes.items()}))[1]
    assert "JPEG 3 120 x 160 120 x 160 120 x 160" in printed
    assert "1 photo cannot be used: a/head.jpg: its mask cannot be used: it is 120 x 160 pixels, but" in printed
    assert "2 photos will be turned upright" in printed
    assert "2 photos are nearly the same, in 1 group, such as a/shown.jpg, b/upright.jpg." in printed


def test_partial_labels_are_counted(run, tree):
    files = {"a/1.jpg": photo(1), "b/1.jpg": photo(2), "b/1.png": mask(np.zeros((120, 160))), "c.jpg": photo(3)}
    values = np.zeros((120, 160))
    values[10:30, 10:30] = 1
    printed = run(tree(files | {"c.png": mask(values)}))[1]
    assert "1 of 3 photos have no kind: they count for the masks alone." in printed
    assert "1 of 3 photos have no mask: they count for the classes alone." in printed


def test_no_usable_photo_is_said_with_the_reasons(run, tree, tmp_path):
    pointer = "version https://git-lfs.github.com/spec/v1"
    code, printed = run(tree({f"{name}/{number}.jpg": pointer for name in "ab" for number in range(4)}))
    assert code == 2
    assert "none of the 8 photos can be used: a/0.jpg: its photo cannot be used: its 42 bytes begin no" in printed
    assert printed.endswith("and 4 more")
    assert not (tmp_path / "photos.yaml").exists()


def table(tree, columns, rows):
    """A folder of photos with a metadata.csv."""
    lines = ["file_name," + columns, *(f"{number}.jpg,{row}" for number, row in enumerate(rows))]
    return tree({f"{number}.jpg": photo(number) for number in range(len(rows))} | {"metadata.csv": "\n".join(lines)})


def test_an_empty_mask_of_a_photo_without_the_first_label(run, tree):
    root = table(
        tree, "mask,leaf,bark", [f"{n}.png,{'' if n == 3 else 'ab'[n % 2]},{'xy'[n // 2 % 2]}" for n in range(8)]
    )
    for number in range(8):
        (root / f"{number}.png").write_bytes(mask(square(0 if number in (3, 4) else 1, 120, 160)))
    code, printed = run(root)
    assert code == 0
    assert "2 masks of 8 are empty: 1 of a." in printed


def test_empty_masks_of_photos_without_classes(run, tree):
    root = tree({"1.jpg": photo(1), "2.jpg": photo(2), "3.jpg": photo(3)})
    made = json.loads(instances())
    made["images"].append({"id": 3, "file_name": "3.jpg", "width": 160, "height": 120})
    (root / "set.json").write_text(json.dumps(made))
    printed = run(root, "--annotations", "set.json")[1]
    assert "1 mask of 3 are empty." in printed
    assert "1 of 3 photos have no kind: they count for the masks alone." in printed


def test_what_becomes_of_photos_that_lack_something(run, tree, tmp_path):
    """It depends on what the description allows and on what else there is to learn."""
    said = {}
    for name, columns, rows in (
        ("other labels", "leaf,bark", ["a,x", "b,y", "a,y", ",x"]),
        ("nothing", "leaf", ["a", "b", "a", ""]),
    ):
        root = table(tree, columns, rows)
        (root / "metadata.csv").rename(root.parent / f"{name}.csv")
        said[name] = run(root, "--overwrite", "--labels", *columns.split(","), "--metadata", f"{name}.csv")[1]
    assert "1 of 4 photos have no leaf: they count for other labels alone." in said["other labels"]
    assert "1 photo cannot be used: 3.jpg: it has neither a class nor a mask" in said["nothing"]


def test_photos_that_a_kept_description_does_not_allow_to_lack_something(run, tree, tmp_path):
    both = {f"{name}/{number}{end}": None for name in "ab" for number in range(5) for end in (".jpg", ".png")}
    files = {name: photo(number) if ".jpg" in name else square(1, 120, 160) for number, name in enumerate(both)}
    run(tree(files))
    root = tree({"b/new.jpg": photo(60), "new.jpg": photo(61), "new.png": square(1, 120, 160)})
    printed = run(root)[1]
    for what in ("kind", "mask"):
        assert (
            f"1 of 12 photos have no {what}: ingestion refuses them. Give them one, take them out, or write {what}: "
            "{classes: …, optional: true} in photos.yaml."
        ) in printed
    text = (tmp_path / "photos.yaml").read_text()
    (tmp_path / "photos.yaml").write_text(
        text[: text.index("mask:")] + text[text.index("slices:") :].replace("- [size]\n", "")
    )
    printed = run(root)[1]
    assert "1 of 11 photos have no kind" not in printed
    assert "1 of 12 photos have no kind: ingestion refuses them. Give them one, take them out." in printed


def test_a_coarser_label_of_a_kept_description_follows_from_the_finer(run, tree, tmp_path):
    root = tree({f"{name}/{number}.jpg": photo(10 * ord(name) + number) for name in "abc" for number in range(5)})
    run(root)
    file = tmp_path / "photos.yaml"
    coarser = "  kind: [a, b, c]\n  shape:\n    of: kind\n    classes: {round: [a, b], long: [c]}\n"
    file.write_text(file.read_text().replace("  kind: [a, b, c]\n", coarser))
    printed = run(root)[1]
    assert "shape: 2 classes class photos share" in printed
    assert "round 10 66.7%" in printed
    assert "too few" not in printed
    assert "have no" not in printed


def instances(*changes, outline=((10, 10, 60, 10, 60, 60),)):
    """COCO's JSON of two photos with an object each, a cup and a plate; then further objects of the first."""
    fields = [{"image_id": n, "category_id": n} for n in (1, 2)]
    fields += [{"image_id": 1, "category_id": 1, **change} for change in changes]
    made = {
        "images": [{"id": n, "file_name": f"{n}.jpg", "width": 160, "height": 120} for n in (1, 2)],
        "categories": [{"id": 1, "name": "cup"}, {"id": 2, "name": "plate"}],
        "annotations": [
            {"id": n, "segmentation": outline, "area": 1250, "iscrowd": 0, **one} for n, one in enumerate(fields)
        ],
    }
    return json.dumps(made)


def test_crowds_of_coco_are_counted(run, tree):
    root = tree({"1.jpg": photo(1), "2.jpg": photo(2), "set.json": instances({"iscrowd": 1}, {"iscrowd": 1})})
    code, printed = run(root, "--annotations", "set.json")
    assert code == 0
    assert "2 of 4 objects are crowds (iscrowd: 1), unknown pixels and no class of their photo" in printed
    (root / "set.json").write_text(instances({"category_id": 2}))
    assert "are crowds" not in run(root, "--annotations", "set.json")[1]


def test_coco_without_a_pixel_of_a_category_is_refused(run, tree, tmp_path):
    nowhere = [[200, 200, 260, 200, 260, 260]]
    root = tree({"1.jpg": photo(1), "2.jpg": photo(2), "set.json": instances(outline=nowhere)})
    code, printed = run(root, "--annotations", "set.json")
    assert code == 2
    assert "none of 2 annotations has a pixel of cup, plate: look whether they have outlines" in printed
    assert not (tmp_path / "photos.yaml").exists()


def test_coco_is_described_by_its_categories(run, tree):
    root = tree({"1.jpg": photo(1), "2.jpg": photo(2), "set.json": instances()})
    code, printed = run(root)
    assert code == 2
    assert "photos without classes and no masks" in printed
    assert f"If it is annotated in COCO's JSON, name its files: --annotations {root}/set.json" in printed
    code, printed = run(root, "--annotations", "train=set.json")
    assert code == 0
    assert "2 classes" in printed
    assert "cup 1 50.0%" in printed
    assert "--data.source coco" in printed
    assert "--data.annotations train=set.json" in printed
    spec = spec_file.load("photos.yaml")
    assert spec == Coco(("train=set.json",), dir=str(root)).spec()


def test_pictures_that_no_annotation_file_names_are_counted(run, tree):
    pictures = {f"{name}.jpg": photo(number) for number, name in enumerate(("1", "2", "extra", "other/new"))}
    printed = run(tree(pictures | {"set.json": instances(), "notes.txt": "x"}), "--annotations", "set.json")[1]
    assert (
        "Files that are left out: 2 pictures that no annotation file names, 1 .txt: extra.jpg, other/new.jpg."
        in printed
    )


@pytest.mark.parametrize(
    ("files", "named"),
    [
        (
            (
                "train/_annotations.coco.json",
                "valid/_annotations.coco.json",
                "test/_annotations.coco.json",
                "info.json",
            ),
            (
                "test=test/_annotations.coco.json",
                "train=train/_annotations.coco.json",
                "eval=valid/_annotations.coco.json",
            ),
        ),
        (
            ("annotations/instances_train2017.json", "annotations/instances_Val.json", "annotations/captions_val.json"),
            ("eval=annotations/instances_Val.json", "train=annotations/instances_train2017.json"),
        ),
        (("a b/result.json", "latest.json"), ("a b/result.json", "latest.json")),
        (tuple(f"{number}.json" for number in range(9)), ("0.json", "1.json", "2.json", "3.json")),
    ],
    ids=["Roboflow", "CVAT", "others", "one a photo"],
)
def test_the_files_to_name_are_told_with_their_splits(run, tree, files, named):
    root = tree(dict.fromkeys(files, instances()) | {"train/1.jpg": photo(1), "train/2.jpg": photo(2)})
    given = [
        f"{split}={root}/{path}" if split else f"{root}/{path}" for split, _, path in (n.rpartition("=") for n in named)
    ]
    code, printed = run(root)
    assert code == 2
    assert shlex.split(printed[printed.index("--annotations") :])[1:] == given


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ("--annotations a.json --labels kind", "--labels is given, and COCO's files have no use for it: leave it out"),
        ("--annotations a.json --tfds leaves", "--annotations is given, and a TFDS data set has no use for it"),
        ("--tfds leaves --masks outlines", "--masks is given, and a TFDS data set has no use for it"),
        ("--features image=photo", "--features is given, and a folder has no use for it"),
    ],
)
def test_a_flag_that_the_source_does_not_read_is_refused(run, tree, arguments, sentence):
    code, printed = run(tree({"1.jpg": photo(1)}), *arguments.split())
    assert code == 2
    assert sentence in printed


def test_files_named_one_by_one_are_all_described(run, tree):
    files = {"a.json": instances(), "b.json": instances().replace(".jpg", "b.jpg")}
    root = tree({f"{name}.jpg": photo(number) for number, name in enumerate(("1", "2", "1b", "2b"))} | files)
    code, printed = run(root, "--annotations", "train=a.json", "--annotations", "test=b.json")
    assert code == 0, printed
    assert "--data.annotations train=a.json test=b.json" in printed


@pytest.mark.parametrize(
    "arguments",
    [
        "--annotations a.json {} --annotations b.json",
        "--annotations=a.json {} --annotations=b.json",
        "{} --annotations",
    ],
)
def test_a_list_whose_last_value_would_be_the_folder_is_refused(run, tmp_path, capsys, arguments):
    with pytest.raises(SystemExit, match="2"):
        run(*arguments.format(tmp_path).split())
    assert capsys.readouterr().err == (
        "describe.py: --annotations has no value, or it was taken for dir, which has no flag: put dir first\n"
    )


def test_what_cannot_be_described_is_one_sentence(run, tmp_path):
    assert run(tmp_path / "nowhere") == (2, f"there is no folder {tmp_path}/nowhere: name one that holds photos")


TILES = pathlib.Path(__file__).parents[4] / "shared" / "data" / "magnetic-tiles"


@pytest.mark.skipif(not TILES.is_dir(), reason="the magnetic tiles are not at hand")
def test_the_magnetic_tiles(run):
    printed = run(TILES)[1]
    for said in (
        "Magnetic tiles: 939 photos in",
        "MT_Free 666 70.9% 0.0%",
        "MT_Blowhole 80 8.5% 0.2%",
        "MT_Uneven 72",
        "MT_Break 59",
        "MT_Crack 40",
        "MT_Fray 22",
        "JPEG grey 939",
        "1 to 254 the nearest of these",
        "271 masks of 939 hold values between",
    ):
        assert said in printed, said
