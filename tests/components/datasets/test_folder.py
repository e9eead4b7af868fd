"""The conventions of folders, each on pictures drawn for it."""

import os
import pickle

import numpy as np
import pytest

from components.datasets.folder import Folder
from schema import spec_file
from tests.components.datasets.conftest import mask, mask_of, picture, records_of, square


def classes(source):
    """{file_name: class of the primary label}; None where it is unknown."""
    label = source.spec().labels[0]
    return {
        name: label.classes[record.labels[label.name]] if record.labels else None
        for name, record in records_of(source).items()
    }


def test_class_folders_without_masks_make_a_classification(tree):
    source = Folder(str(tree({"ash/1.jpg": 1, "ash/deep/er/2.JPEG": 2, "oak/1.png": 3, "oak/2.webp": 4})))
    assert source.spec().task == "classification"
    assert classes(source) == {"ash/1.jpg": "ash", "ash/deep/er/2.JPEG": "ash", "oak/1.png": "oak", "oak/2.webp": "oak"}
    assert {record.split for record in records_of(source).values()} == {""}


def test_the_description_is_called_after_the_folder(tree):
    spec = Folder(str(tree({"ash/1.jpg": 1, "oak/1.jpg": 2}, folder="My leaves (2024)"))).spec()
    assert (spec.name, spec.title, spec.labels[0].name) == ("my_leaves_2024", "My leaves (2024)", "kind")


def test_the_photo_is_passed_as_the_bytes_of_its_file(tree):
    source = Folder(str(tree({"ash/1.jpg": "no photo at all", "oak/1.gif": 2})))
    assert records_of(source)["ash/1.jpg"].image == b"no photo at all"


@pytest.mark.parametrize(
    ("folders", "splits"),
    [
        (("train", "val", "test"), ("train", "eval", "test")),
        (("Training", "validation", "testing"), ("train", "eval", "test")),
    ],
)
def test_folders_called_as_splits_are_splits(tree, folders, splits):
    source = Folder(str(tree({f"{folder}/{kind}/1.jpg": 1 for folder in folders for kind in ("ash", "oak")})))
    assert {record.file_name.split("/")[0]: record.split for record in records_of(source).values()} == dict(
        zip(folders, ("train", "eval", "test"), strict=True)
    )
    assert source.spec().labels[0].classes == ("ash", "oak")


def test_a_train_among_planes_is_a_class(tree):
    source = Folder(str(tree({"train/1.jpg": 1, "plane/1.jpg": 2})))
    assert source.spec().labels[0].classes == ("plane", "train")


def test_pictures_beside_splits_are_refused_and_other_folders_are_not(tree):
    files = {"train/ash/1.jpg": 1, "test/oak/1.jpg": 2, "docs/about.txt": "leaves"}
    assert classes(Folder(str(tree(files)))) == {"train/ash/1.jpg": "ash", "test/oak/1.jpg": "oak"}
    with pytest.raises(ValueError, match=r"splits test, train and beside them the folder 'extra' with pictures: move"):
        Folder(str(tree(files | {"extra/1.jpg": 3}))).spec()


def test_masks_lie_beside_their_photos(tree):
    source = Folder(
        str(tree({"ash/Imgs/1.jpg": 1, "ash/Imgs/1.png": square(), "oak/2.png": 2, "oak/2_mask.png": square()}))
    )
    found = records_of(source)
    assert found["ash/Imgs/1.jpg"].mask == mask(square())
    assert found["oak/2.png"].mask == mask(square())
    assert source.spec().task == "both"


def test_a_name_ending_in_mask_without_its_photo_is_a_photo(tree):
    source = Folder(str(tree({"with/1_mask.jpg": 1, "without/1.jpg": 2})))
    assert set(records_of(source)) == {"with/1_mask.jpg", "without/1.jpg"}


def test_a_mask_whose_photo_is_gone_is_no_photo(tree):
    files = {f"{kind}/{number}.jpg": number for kind in ("ash", "oak") for number in (1, 2)}
    files |= {f"{kind}/{number}_mask.png": square() for kind in ("ash", "oak") for number in (1, 2, 3)}
    files |= {
        "images/oak/4-mask.jpg": 4,
        "oak/deep/5_mask.jpg": 5,
        "oak/6_mask.jpg": 6,
        "oak/6_mask_mask.png": square(),
    }
    assert set(records_of(Folder(str(tree(files))))) == {
        "ash/1.jpg", "ash/2.jpg", "oak/1.jpg", "oak/2.jpg", "images/oak/4-mask.jpg", "oak/deep/5_mask.jpg",
        "oak/6_mask.jpg",
    }  # fmt: skip


def test_one_of_several_masks_of_a_photo_is_no_photo_and_marks_may_be_capitals(tree):
    files = {f"ash/{name}.png": 1 for name in ("1", "2 (3)", "A-1")}
    masks = ("1_mask", "1_mask_1", "1_mask_2", "2 (3)_Mask", "A-1-MASK")
    source = Folder(str(tree(files | {f"ash/{name}.png": square() for name in masks})))
    assert {name: bool(record.mask) for name, record in records_of(source).items()} == dict.fromkeys(files, True)


@pytest.mark.parametrize("folder", ["ash/", ""])
def test_numbered_masks_of_photos_beside_them_are_no_photos_without_another_mask(tree, folder):
    photos = {f"{folder}{number}.jpg": number for number in (1, 2)} | {"oak/3.jpg": 3, "elm/4.jpg": 4}
    masks = {f"{folder}{number}_mask_{part}.png": square() for number in (1, 2) for part in (1, 2)}
    assert set(records_of(Folder(str(tree(photos | masks))))) == set(photos)


def test_a_png_alone_where_pngs_are_masks_is_no_photo(tree):
    files = {f"{kind}/{number}.jpg": number for kind in ("ash", "oak") for number in (1, 2)}
    files |= {f"{kind}/{number}.png": square() for kind in ("ash", "oak") for number in (1, 2)}
    files |= {
        "ash/gone.png": square(),
        "oak/no mask.jpg": 3,
        "elm/only.png": 4,
        "pine/a.png": 5,
        "pine/a_mask.png": square(),
    }
    source = Folder(str(tree(files)))
    assert set(records_of(source)) == {
        "ash/1.jpg", "ash/2.jpg", "oak/1.jpg", "oak/2.jpg", "oak/no mask.jpg", "elm/only.png", "pine/a.png",
    }  # fmt: skip


@pytest.mark.parametrize("masks", ["photos/seg", "photos/seg/", "./photos/seg", "{root}/seg", "seg", "link/seg"])
def test_masks_that_are_named_by_a_path_into_the_folder_are_no_class(tree, tmp_path, monkeypatch, masks):
    names = [f"{kind}/1.jpg" for kind in ("ash", "oak")]
    masks_of = {f"seg/{name.replace('jpg', 'png')}": square() for name in names}
    root = tree(dict(zip(names, (1, 2), strict=True)) | masks_of)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link").symlink_to("photos")  # which a run's `data_dir` is not named by, for its links are followed
    source = Folder("photos", masks=masks.format(root=root))
    assert source.spec().labels[0].classes == ("ash", "oak")
    assert all(record.mask for record in records_of(source).values())


def test_labels_without_a_table_are_an_error(tree):
    root = tree({"ash/1.jpg": 1, "oak/1.jpg": 2})
    with pytest.raises(ValueError, match=r"labels is tree, columns of a metadata file, of which there is none"):
        Folder(str(root), labels=("tree",)).spec()


def test_a_folder_of_masks_that_is_missing_is_an_error(tree):
    root = tree({"ash/1.jpg": 1, "oak/1.jpg": 2})
    with pytest.raises(ValueError, match=r"there is no folder .*/typo: name in masks one that holds masks"):
        Folder(str(root), masks="typo").spec()


def test_the_photos_own_folder_as_that_of_the_masks_is_an_error(tree):
    """Each photo would be its own mask."""
    root = tree({"1.jpg": 1, "1_mask.png": square()})
    for masks in (".", str(root)):
        with pytest.raises(ValueError, match=r"the folder of the photos: leave it out"):
            Folder(str(root), masks=masks).spec()


@pytest.mark.parametrize(
    ("gone", "where"),
    [
        ({"ash/3_mask.png": square(), "ash/1_mask.png": square()}, "ash/3_mask.png"),
        ({"ash/3.png": square(), "ash/1.png": square(), "ash/2.png": square()}, "ash/3.png"),
        ({"masks/3.png": square(), "masks/1.png": square()}, "masks/3.png"),
    ],
)
def test_a_run_says_which_masks_it_leaves_out(tree, gone, where, caplog):
    caplog.set_level("INFO", "progress")
    photos = "images" if where.startswith("masks") else "ash"
    files = {f"{photos}/{number}.jpg": number for number in (1, 2)}
    source = Folder(str(tree(files | gone)))
    assert len(records_of(source)) == 2
    source.prepare()
    assert caplog.messages == [f"left out, masks without a photo: 1, such as {where}"]


def test_a_run_says_nothing_of_masks_that_a_table_or_no_photo_misses(tree, caplog):
    caplog.set_level("INFO", "progress")
    pair = {"ash/1.jpg": 1, "ash/1_mask.png": square()}
    Folder(str(tree(pair))).prepare()
    Folder(str(tree(pair | {"ash/3_mask.png": square(), "metadata.csv": "file_name\nash/1.jpg\n"}))).prepare()
    assert not caplog.messages


def test_pngs_are_photos_where_few_of_them_have_the_name_of_another_photo(tree):
    files = {"ash/1.jpg": 1, "ash/1.png": square(), "ash/2.png": 2, "ash/3.png": 3, "oak/1.jpg": 4}
    assert set(records_of(Folder(str(tree(files))))) == {"ash/1.jpg", "ash/2.png", "ash/3.png", "oak/1.jpg"}


def test_a_table_may_name_a_png_alone_as_a_photo(tree):
    files = {f"{number}.{suffix}": square() for number in (1, 2) for suffix in ("jpg", "png")}
    source = Folder(str(tree(files | {"alone.png": 3, "metadata.csv": "file_name,kind\n1.jpg,a\nalone.png,b\n"})))
    assert set(records_of(source)) == {"1.jpg", "alone.png"}


@pytest.mark.parametrize(
    ("photo", "its_mask"),
    [
        ("images/ash/1.jpg", "masks/ash/1.png"),
        ("images/train/ash/1.jpg", "annotations/train/ash/1.png"),
        ("train/images/ash/1.jpg", "train/labels/ash/1_mask.png"),
        ("ash/imgs/1.jpg", "ash/masks/1.jpg.png"),
    ],
)
def test_masks_lie_in_a_parallel_tree(tree, photo, its_mask):
    other = {photo.replace("ash", "oak"): 2, its_mask.replace("ash", "oak"): square()}
    source = Folder(str(tree({photo: 1, its_mask: square()} | other)))
    assert {name: record.mask for name, record in records_of(source).items()} == dict.fromkeys(
        (photo, photo.replace("ash", "oak")), mask(square())
    )
    assert source.spec().labels[0].classes == ("ash", "oak")
    assert {record.split for record in records_of(source).values()} == {"train" if "train" in photo else ""}


def test_a_tree_of_masks_can_be_named(tree, tmp_path):
    files = {"photos/ash/1.jpg": 1, "photos/oak/1.jpg": 2, "truth/ash/1.png": square(), "truth/oak/1.png": square(0)}
    root = tree(files, folder="set")
    inside = Folder(str(root), masks="truth")
    assert {name: record.mask for name, record in records_of(inside).items()} == {
        "photos/ash/1.jpg": mask(square()),
        "photos/oak/1.jpg": mask(square(0)),
    }
    outside = Folder(str(root / "photos"), masks=str(root / "truth"))
    assert records_of(outside)["ash/1.jpg"].mask == mask(square())
    assert inside.spec().labels[0].classes == outside.spec().labels[0].classes == ("ash", "oak")


@pytest.mark.parametrize("folders", [("", ""), ("images/", "masks/"), ("train/images/", "train/masks/")])
def test_masks_without_classes_make_a_segmentation(tree, folders):
    photos, masks = folders
    source = Folder(
        str(tree({f"{photos}1.jpg": 1, f"{masks}1.png": square(), f"{photos}2.jpg": 2, f"{masks}2.png": square()}))
    )
    assert source.spec().task == "segmentation"
    assert all(record.mask and not record.labels and not record.fault for record in records_of(source).values())
    assert len(records_of(source)) == 2


def test_pascal_voc_has_palette_masks_and_its_lists_are_the_splits(tree):
    values = square(15)
    values[0] = 255
    files = {f"JPEGImages/{name}.jpg": picture((1, 2, 3)) for name in ("2007_1", "2007_2", "2007_3")}
    files |= {f"SegmentationClass/{name}.png": mask(values, palette=True) for name in ("2007_1", "2007_2")}
    lists = {"ImageSets/Segmentation/train.txt": b"2007_1\n", "ImageSets/Segmentation/val.txt": b"2007_2\n"}
    files |= {"Annotations/2007_1.xml": b"<xml/>", "SegmentationObject/2007_1.png": mask(values, palette=True)}
    source = Folder(str(tree(files | lists)))
    described = mask_of(source)
    assert (described.values, described.background, described.ignored) == (((15,),), (0,), (255,))
    assert {name: record.split for name, record in records_of(source).items()} == {
        "JPEGImages/2007_1.jpg": "train",
        "JPEGImages/2007_2.jpg": "eval",
    }


@pytest.mark.parametrize(
    "lines", ["my photo 1\nmy photo 2\n", "\ufeffmy photo 1\r\nmy photo 2", "my photo 1 -1\n\nmy photo 2  1 \n"]
)
def test_a_line_of_vocs_lists_is_a_name_and_perhaps_a_number_of_its_class(tree, lines):
    files = {
        f"JPEGImages/{name}.jpg": number for number, name in enumerate(("my photo 1", "my photo 2", "my", "photo"))
    }
    files |= {f"SegmentationClass/my photo {number}.png": square() for number in (1, 2)}
    source = Folder(str(tree(files | {"ImageSets/Segmentation/train.txt": lines})))
    assert {name: record.split for name, record in records_of(source).items()} == {
        "JPEGImages/my photo 1.jpg": "train",
        "JPEGImages/my photo 2.jpg": "train",
    }


def test_a_photo_that_vocs_lists_name_and_nobody_finds_is_a_fault_and_no_part_of_the_description(tree):
    files = {"JPEGImages/1.jpg": 1, "SegmentationClass/1.png": square(), "JPEGImages/2.jpg": 2}
    files |= {"SegmentationClass/2.png": square(), "ImageSets/Segmentation/val.txt": "1\nno such\n2\n"}
    source = Folder(str(tree(files)))
    assert {(record.file_name, record.split, record.fault) for record in records_of(source).values()} == {
        ("JPEGImages/1.jpg", "eval", ""),
        ("JPEGImages/2.jpg", "eval", ""),
        ("no such", "eval", "a list in ImageSets/Segmentation names it, but there is no such photo"),
    }
    assert not mask_of(source).optional
    with pytest.raises(ValueError, match=r"Segmentation/train.txt, line 2: byte 0xe9 is not UTF-8: save"):
        Folder(str(tree(files | {"ImageSets/Segmentation/train.txt": b"1\ncaf\xe9\n"}))).key()


def test_a_photo_in_the_lists_of_two_splits_is_refused(tree):
    lists = {f"ImageSets/Segmentation/{split}.txt": "1\n" for split in ("train", "val")}
    root = tree({"JPEGImages/1.jpg": 1, "SegmentationClass/1.png": square()} | lists)
    with pytest.raises(ValueError, match=r"val.txt: 1 stands in the list of train too: keep it in one of them"):
        Folder(str(root)).spec()


def test_three_mask_classes_are_three(tree):
    values = np.repeat(np.repeat(np.arange(4, dtype=np.uint8).reshape(2, 2), 4, 0), 4, 1)
    source = Folder(str(tree({"1.jpg": picture((1, 2, 3), (8, 8)), "1.png": values})))
    assert mask_of(source).classes == ("class_1", "class_2", "class_3")
    assert mask_of(source).between == "refuse"


def test_names_may_hold_spaces_brackets_and_any_script(tree):
    names = ["ein Blatt/a b [1] (2).jpg", "été/日本 {x}*?.jpg", "été/a b [1] (2).jpg"]
    source = Folder(str(tree({name: number for number, name in enumerate(names)})))
    assert classes(source) == {name: name.split("/")[0] for name in names}
    assert all(record.image and not record.fault for record in records_of(source).values())


def test_a_name_that_is_no_utf8_is_shown_with_escapes(tree):
    root = tree({"ash/1.jpg": 1, "oak/1.jpg": 2})
    with open(os.fsencode(root) + b"/oak/caf\xe9.jpg", "wb") as file:
        file.write(picture((1, 1, 1)))
    record = records_of(Folder(str(root)))["oak/caf\\xe9.jpg"]
    assert record.image == picture((1, 1, 1))
    assert record.file_name.encode()


def test_hidden_files_and_what_is_no_picture_are_left_out(tree):
    files = {"ash/1.jpg": 1, "oak/1.jpg": 2, "ash/.1.jpg": 3, "ash/._1.jpg": "fork", "__MACOSX/ash/1.jpg": 4}
    source = Folder(str(tree(files | {"ash/Thumbs.db": "x", "README.md": "x", ".cache/x/1.jpg": 5})))
    assert set(records_of(source)) == {"ash/1.jpg", "oak/1.jpg"}


def test_a_link_to_a_folder_above_is_followed_once(tree):
    root = tree({"ash/1.jpg": 1, "oak/1.jpg": 2})
    (root / "oak" / "all").symlink_to(root)
    assert set(records_of(Folder(str(root)))) == {"ash/1.jpg", "oak/1.jpg"}


def test_a_link_in_a_folder_to_itself_gives_no_photo_twice(tree):
    root = tree({"ash/1.jpg": 1, "oak/1.jpg": 2})
    (root / "ash" / "loop").symlink_to("../ash")
    assert set(records_of(Folder(str(root)))) == {"ash/1.jpg", "oak/1.jpg"}


def test_partial_labels_make_both_optional(tree):
    source = Folder(
        str(tree({"ash/1.jpg": 1, "oak/1.jpg": 2, "oak/1.png": square(), "loose.jpg": 3, "loose.png": square()}))
    )
    spec = source.spec()
    assert (spec.labels[0].optional, mask_of(source).optional) == (True, True)
    found = records_of(source)
    assert (found["loose.jpg"].labels, found["ash/1.jpg"].mask) == ({}, None)
    assert not any(record.fault for record in found.values())


def test_a_photo_with_neither_is_a_fault_of_its_own(tree):
    found = records_of(Folder(str(tree({"ash/1.jpg": 1, "oak/1.jpg": 2, "loose.jpg": 3}))))
    assert {name: record.fault for name, record in found.items() if record.fault} == {
        "loose.jpg": "it has neither a class nor a mask"
    }


def test_a_photo_that_cannot_be_read_is_a_fault(tree):
    root = tree({"ash/1.jpg": 1, "oak/1.jpg": 2})
    (root / "oak" / "gone.jpg").symlink_to(root / "nowhere.jpg")
    found = records_of(Folder(str(root)))
    assert found["oak/gone.jpg"].fault == "its photo oak/gone.jpg cannot be read: No such file or directory"


def test_a_spec_names_the_label_and_the_order_of_its_classes(tree, tmp_path):
    root = tree({"ash/1.jpg": 1, "oak/1.jpg": 2})
    file = tmp_path / "leaves.yaml"
    file.write_text("name: leaves\ntitle: Leaves\nlabels: {tree: [oak, ash]}\n")
    found = records_of(Folder(str(root), description=spec_file.load(file)))
    assert {name: record.labels for name, record in found.items()} == {
        "ash/1.jpg": {"tree": 1},
        "oak/1.jpg": {"tree": 0},
    }
    file.write_text("name: leaves\ntitle: Leaves\nlabels: {tree: [oak, elm]}\n")
    with pytest.raises(
        ValueError, match=r"photos/ash: the class 'ash' is not among labels.tree of the description .leaves., which"
    ):
        list(Folder(str(root), description=spec_file.load(file)).shards())


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"notes.txt": "x"}, "photos holds no photos: its files have none of the endings of pictures"),
        ({"1.jpg": 1, "2.jpg": 2}, "holds 2 photos without classes and no masks: a label needs two classes"),
        ({"ash/1.jpg": 1}, "holds 1 photos, all of the class ash, and no masks: a label needs two classes"),
        (
            {"1.jpg": 1, "1.png": "broken"},
            "none of the masks can be read, such as 1.png: the mask cannot be read: cannot",
        ),
        (
            {"images/1.jpg": 1, "masks/1.png": picture((255, 0, 0), kind="PNG")},
            "none of the masks can be read, such as masks/1.png: the mask is a picture in colours: save it with one",
        ),
        (
            {"images/1.jpg": 1, "masks/1.png": np.full((6, 8), 255)},
            r"^the masks hold the value 255 alone and so no background: write a description's file that says which "
            r"value is which, such as `mask: \{classes: \{object: \[255\]\}, background: \[0\]\}`",
        ),
    ],
)
def test_a_folder_without_anything_to_learn_says_what_it_holds(tree, files, message):
    with pytest.raises(ValueError, match=message):
        Folder(str(tree(files))).spec()


def test_a_folder_that_is_missing_is_an_error():
    for call in (Folder("/no/where").spec, Folder("/no/where").key):
        with pytest.raises(ValueError, match="there is no folder /no/where"):
            call()
    with pytest.raises(RuntimeError, match="there is no folder /no/where"):
        Folder("/no/where").prepare()


def test_large_folders_are_read_in_shards_that_can_be_pickled(tree):
    source = Folder(str(tree({f"{kind}/{number}.jpg": b"x" for kind in ("ash", "oak") for number in range(200)})))
    shards = list(source.shards())
    assert [len(shard.examples) for shard in shards] == [256, 144]
    assert pickle.loads(pickle.dumps(shards)) == list(source.shards())


def test_a_bucket_works_as_a_folder_does(tree):
    import tensorflow as tf

    files = {
        "train/ash/a b [1].jpg": picture((1, 2, 3)),
        "train/ash/a b [1].png": mask(square()),
        "test/oak/é.jpg": picture((2, 2, 2)),
    }
    files["test/oak/é.png"] = mask(square(0))
    for name, content in files.items():
        tf.io.gfile.makedirs(f"ram://bucket/leaves/{os.path.dirname(name)}")
        with tf.io.gfile.GFile(f"ram://bucket/leaves/{name}", "wb") as file:
            file.write(content)
    here, there = Folder(str(tree(files, folder="leaves"))), Folder("ram://bucket/leaves")
    assert there.spec() == here.spec()
    assert records_of(there) == records_of(here)
    before = there.key()
    with tf.io.gfile.GFile("ram://bucket/leaves/test/oak/é.jpg", "wb") as file:
        file.write(picture((2, 2, 2))[:-1] + b"?")
    assert there.key() != before


def test_masks_that_are_named_by_a_path_into_the_bucket_are_no_class(tree):
    import tensorflow as tf

    for name, content in {"photos/1.jpg": picture((1, 2, 3)), "outlines/1.png": mask(square())}.items():
        tf.io.gfile.makedirs(f"ram://traced/set/{name.split('/')[0]}")
        with tf.io.gfile.GFile(f"ram://traced/set/{name}", "wb") as file:
            file.write(content)
    source = Folder("ram://traced/set", masks="ram://traced/set/outlines")
    assert source.spec().task == "segmentation"
    assert [record.mask for record in records_of(source).values()] == [mask(square())]
