"""COCO's JSON as it is exported: polygons, RLE, crowds; what becomes of them."""

import io
import json

import numpy as np
import PIL.Image
import pytest
from pycocotools import mask as coco_mask

from components.datasets.coco import Coco
from schema import spec_file
from tests.components.datasets.conftest import mask_of, picture, records_of

BOX = [1, 1, 5, 1, 5, 5, 1, 5]
"""A polygon: x and y from 1 to 5."""


def content(annotations, names=("1.jpg", "2.jpg"), categories=((3, "cup"), (7, "plate"))):
    """A file with images of 8 x 6 pixels."""
    return {
        "images": [{"id": number, "file_name": name, "width": 8, "height": 6} for number, name in enumerate(names, 1)],
        "categories": [{"id": number, "name": name} for number, name in categories],
        "annotations": [{"id": 100 + number, **one} for number, one in enumerate(annotations)],
    }


def an_object(image=1, category=3, segmentation=(BOX,), area=16, **more):
    return {"image_id": image, "category_id": category, "segmentation": segmentation, "area": area, **more}


def values(record):
    return np.asarray(PIL.Image.open(io.BytesIO(record.mask)))


@pytest.fixture
def coco(tree):
    """Writes a file and its photos; gives the source."""

    def write(annotations, **arguments):
        made = content(annotations, **arguments)
        photos = {image["file_name"]: 9 for image in made["images"] if "missing" not in image["file_name"]}
        return Coco((str(tree(photos | {"set.json": json.dumps(made)}) / "set.json"),))

    return write


def test_categories_are_mask_classes_and_the_largest_is_the_class(coco):
    source = coco([an_object(), an_object(2, 7), an_object(2, 3, [[0, 0, 2, 0, 2, 2, 0, 2]], 4)])
    spec = source.spec()
    assert (spec.labels[0].name, spec.labels[0].classes) == ("kind", ("cup", "plate"))
    assert (mask_of(source).classes, mask_of(source).values) == (("cup", "plate"), ((1,), (2,)))
    assert mask_of(source).ignored == (255,)
    found = records_of(source)
    assert {name: record.labels for name, record in found.items()} == {"1.jpg": {"kind": 0}, "2.jpg": {"kind": 1}}
    assert (values(found["1.jpg"])[1:5, 1:5] == 1).all()
    assert np.bincount(values(found["1.jpg"]).ravel(), minlength=3).tolist() == [32, 16, 0]
    assert found["1.jpg"].image == picture((9, 246, 7))


def test_without_areas_the_outlines_say_what_covers_most(coco):
    def square_of(side, at):
        return [at, at, at + side, at, at + side, at + side, at, at + side]

    outlines = [(1, 3, square_of(4, 0)), (1, 7, square_of(1, 4)), (1, 7, square_of(1, 0)), (2, 7, square_of(2, 1))]
    source = coco([an_object(image, category, (outline,), 0) for image, category, outline in outlines])
    assert source.spec().labels[0].classes == ("cup", "plate")
    assert [record.labels["kind"] for record in records_of(source).values()] == [0, 1]


def test_a_box_beyond_the_picture_covers_nothing_of_it(coco):
    boxed = an_object(1, 7, segmentation=(), bbox=[-5, -5, 3, 3])
    source = coco([an_object(), boxed, an_object(2, 7)])
    assert 255 not in values(records_of(source)["1.jpg"])


def test_the_smaller_of_two_objects_lies_on_top(coco):
    small = an_object(1, 7, [[2, 2, 4, 2, 4, 4, 2, 4]], 4)
    for order in ([small, an_object()], [an_object(), small]):
        assert values(records_of(coco(order))["1.jpg"])[1:5, 1:5].tolist() == [
            [1, 1, 1, 1], [1, 2, 2, 1], [1, 2, 2, 1], [1, 1, 1, 1],
        ]  # fmt: skip


def test_rle_in_both_spellings_is_the_same_as_the_polygon(coco):
    polygon = coco_mask.frPyObjects([BOX], 6, 8)[0]
    compressed = {"size": [6, 8], "counts": polygon["counts"].decode()}
    counts, last, run = [], 0, 0
    for value in coco_mask.decode(polygon).ravel(order="F").tolist():
        if value != last:
            counts.append(run)
            last, run = value, 0
        run += 1
    plain = {"size": [6, 8], "counts": [*counts, run]}
    of_polygon, of_rle, of_plain = (
        values(records_of(coco([an_object(segmentation=one)]))["1.jpg"]) for one in ([BOX], compressed, plain)
    )
    assert (of_polygon == of_rle).all()
    assert (of_polygon == of_plain).all()
    assert of_rle.sum() == 16


def test_crowds_and_objects_without_outline_are_unknown_and_no_class(coco):
    crowd = an_object(1, 7, {"size": [6, 8], "counts": [0, 48]}, 48, iscrowd=1)
    boxed = an_object(2, 7, [], 4, bbox=[0, 0, 2, 2])
    found = records_of(
        coco([crowd, an_object(), boxed, an_object(2), an_object(3, 7)], names=("1.jpg", "2.jpg", "3.jpg"))
    )
    assert found["1.jpg"].labels == {"kind": 0}
    assert np.unique(values(found["1.jpg"])).tolist() == [1, 255]
    assert values(found["2.jpg"])[:3, :3].tolist() == [[255, 255, 0], [255, 255, 1], [0, 1, 1]]


def test_crowds_of_a_category_that_has_nothing_else_are_its_objects(tree):
    """As CVAT exports brush masks; single objects in another file make crowds of them."""

    def found(other):
        made = content([an_object(iscrowd=1), an_object(2, 7)])
        others = content([an_object(1, 1, **other)], ("3.jpg",), [(1, "cup")])
        root = tree(dict.fromkeys(("1.jpg", "2.jpg", "3.jpg"), 9) | {"a.json": json.dumps(made)})
        (root / "b.json").write_text(json.dumps(others))
        return records_of(Coco(("a.json", "b.json"), dir=str(root)))["1.jpg"]

    assert (found({"iscrowd": 1}).labels, values(found({"iscrowd": 1})).max()) == ({"kind": 0}, 1)
    assert (found({}).labels, values(found({})).max()) == ({}, 255)


def test_an_image_without_objects_is_all_background_and_has_no_class(coco):
    source = coco([an_object(1, 3), an_object(3, 7)], names=("1.jpg", "empty.jpg", "3.jpg"))
    record = records_of(source)["empty.jpg"]
    assert (record.labels, record.fault, values(record).max()) == ({}, "", 0)
    assert source.spec().labels[0].optional


def test_one_category_makes_a_segmentation_and_boxes_alone_a_classification(coco):
    assert coco([an_object(), an_object(2)], categories=((0, "none"), (3, "cup"))).spec().task == "segmentation"
    boxed = [an_object(1, 3, [], bbox=[0, 0, 2, 2]), an_object(2, 7, [], bbox=[0, 0, 2, 2])]
    assert coco(boxed).spec().task == "classification"


@pytest.mark.parametrize(
    ("file", "photo"),
    [
        ("train/_annotations.coco.json", "train/1.jpg"),
        ("annotations/instances_default.json", "images/1.jpg"),
        ("annotations/instances_default.json", "images/default/1.jpg"),
        ("annotations/instances_train2017.json", "train2017/1.jpg"),
        ("result.json", "images/1.jpg"),
    ],
    ids=["Roboflow", "CVAT 1", "CVAT 2", "COCO", "Label Studio"],
)
def test_photos_are_found_where_exports_put_them(tree, file, photo):
    annotations = [an_object(), an_object(category=7)]
    root = tree({file: json.dumps(content(annotations, names=("1.jpg",))), photo: 9})
    assert [record.image for record in records_of(Coco((str(root / file),))).values()] == [picture((9, 246, 7))]


def test_windows_paths_and_a_named_folder_are_followed(tree):
    root = tree(
        {
            "a.json": json.dumps(content([an_object()], names=("x\\1 é.jpg", "x/2.jpg"))),
            "p/x/1 é.jpg": 9,
            "p/x/2.jpg": 9,
        }
    )
    assert set(records_of(Coco((str(root / "a.json"),), dir=str(root / "p")))) == {"x/1 é.jpg", "x/2.jpg"}


@pytest.mark.parametrize(("given", "split"), [("lr=1/a.json", ""), ("train=lr=1/a.json", "train")])
def test_the_sign_may_stand_in_a_path(tree, tmp_path, monkeypatch, given, split):
    tree({"lr=1/a.json": json.dumps(content([an_object()])), "lr=1/1.jpg": 9, "lr=1/2.jpg": 9}, folder="photos")
    monkeypatch.chdir(tmp_path / "photos")
    found = records_of(Coco((given,), dir="lr=1"))
    assert {record.split for record in found.values()} == {split}


def test_a_split_that_is_none_is_told(tree):
    root = tree({"a.json": json.dumps(content([an_object()]))})
    with pytest.raises(ValueError, match="split is 'trian'; write one of"):
        Coco(("trian=a.json",), dir=str(root))


def test_files_are_splits_and_names_stay_unique_over_them(tree):
    made = json.dumps(content([an_object(), an_object(2, 7)]))
    files = {f"{split}/{name}": 9 for split in ("train", "valid") for name in ("1.jpg", "2.jpg")}
    root = tree(files | {f"{split}/_annotations.coco.json": made for split in ("train", "valid")})
    source = Coco(("train=train/_annotations.coco.json", "valid=valid/_annotations.coco.json"), dir=str(root))
    assert {name: record.split for name, record in records_of(source).items()} == {
        "train/1.jpg": "train", "train/2.jpg": "train", "valid/1.jpg": "eval", "valid/2.jpg": "eval",
    }  # fmt: skip
    for path in (root / "train").glob("*.jpg"):
        path.unlink()
    with pytest.raises(ValueError, match=r"none of the first images of .*_annotations.coco.json, such as 1.jpg, is in"):
        source.spec()


def test_a_missing_photo_and_a_wrong_outline_are_faults(coco):
    line = an_object(3, segmentation=[[1, 1, 2, 2]])
    turned = an_object(4, segmentation={"size": [8, 6], "counts": [48]})
    names = ("1.jpg", "missing.jpg", "3.jpg", "4.jpg")
    source = coco([an_object(), an_object(2, 7), line, turned], names=names)
    faults = {name: record.fault for name, record in records_of(source).items()}
    assert not faults["1.jpg"]
    assert "missing.jpg cannot be read: No such file" in faults["missing.jpg"]
    assert faults["3.jpg"] == "the outline of annotation 102 is wrong: its polygons have fewer than three points"
    assert faults["4.jpg"].endswith("annotation 103 is wrong: its RLE is of 6 x 8 pixels, not 8 x 6")


def test_a_photo_of_the_web_is_a_fault_and_files_of_it_are_told(tree):
    """Label Studio names photos so that it did not hold itself."""
    made = content([an_object(), an_object(2, 7)], names=("https://example.org/1.jpg", "2.jpg"))
    root = tree({"2.jpg": 9, "set.json": json.dumps(made)})
    found = records_of(Coco((f"{root}/set.json",)))
    assert [record.fault[:60] for record in found.values()] == [
        "its photo https://example.org/1.jpg cannot be read: File sys", ""
    ]  # fmt: skip
    with pytest.raises(RuntimeError, match=r"there is no file https://example.org/set.json: name COCO's JSON files"):
        Coco(("https://example.org/set.json",)).prepare()


def test_a_size_that_no_memory_holds_is_a_fault(tree):
    made = content([an_object(), an_object(2, 7)])
    made["images"][0] |= {"width": 10**8, "height": 10**8}
    source = Coco((str(tree({"1.jpg": 9, "2.jpg": 9, "set.json": json.dumps(made)}) / "set.json"),))
    faults = {name: record.fault for name, record in records_of(source).items()}
    assert faults == {"1.jpg": "a mask of 100000000 x 100000000 pixels, as its file says, is too large", "2.jpg": ""}


@pytest.mark.parametrize(
    ("outline", "reason"),
    [
        ([[None] * 6], "its polygons hold coordinates that are no pixels"),
        ([[1, 1, 5, 1, 5, 1e18]], "its polygons hold coordinates that are no pixels"),
        ([[1, 1, 5, 1, 5, float("nan")]], "its polygons hold coordinates that are no pixels"),
        ([["a"] * 6], "could not convert string to float: 'a'"),
        ({"size": [6, 8], "counts": [-1, 49]}, "Python integer -1 out of bounds for uint32"),
    ],
)
def test_an_outline_of_no_pixels_is_a_fault(coco, outline, reason):
    record = records_of(coco([an_object(segmentation=outline), an_object(2)]))["1.jpg"]
    assert record.fault == f"the outline of annotation 100 is wrong: {reason}"


@pytest.mark.parametrize(
    ("annotations", "message"),
    [
        (
            [an_object(category=5)],
            r"set.json, annotation 100: category_id 5 is no category of the file, which has 3, 7",
        ),
        ([an_object(image=9)], r"set.json, annotation 100: image_id 9 is no image of the file"),
        ([], r"the 2 images have no objects with outlines, and no two categories"),
    ],
)
def test_what_is_wrong_is_said_with_file_and_annotation(coco, annotations, message):
    with pytest.raises(ValueError, match=message):
        coco(annotations).spec()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", r"set.json is no JSON: Expecting"),
        ("[" * 100_000, r"set.json is no JSON: maximum recursion depth"),
        ("[1]", r"set.json has no 'images': export the annotations as COCO instances"),
        ('{"images": [], "annotations": []}', r"set.json has no 'categories'"),
        ('{"images": [], "annotations": [], "categories": []}', r"set.json lists no images"),
    ],
)
def test_a_file_of_another_kind_is_refused(tree, text, message):
    with pytest.raises(ValueError, match=message):
        Coco((str(tree({"set.json": text}) / "set.json"),)).spec()


def of(key, place, **changes):
    """Changes an entry's fields; one that becomes `...` is taken out."""

    def change(made):
        made[key][place] = {name: one for name, one in (made[key][place] | changes).items() if one is not ...}

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (of("images", 1, id=1), r"image 1: its id stands there twice: number the images anew"),
        (of("images", 0, id=None), r"image number 1: id is null: write a number"),
        (of("images", 0, width=None), r"image 1: width is null: write a number"),
        (of("images", 0, height=0), r"image 1: height is 0: write how many pixels it has"),
        (of("images", 0, file_name=None), r"image 1: file_name is null: write a text"),
        (of("images", 0, file_name=...), r"image 1: it has no 'file_name'"),
        (of("images", 0, file_name="a\0.jpg"), r"image 1: file_name is .*: write a path"),
        (of("categories", 0, name=...), r"category 3: it has no 'name'"),
        (of("categories", 0, name=None), r"category 3: name is null: write a text"),
        (of("categories", 0, id=None), r"category number 1: id is null: write a number"),
        (of("categories", 0, id=7), r"category 7: its id is that of 'cup' too: number the categories anew"),
        (of("annotations", 1, image_id=...), r"annotation 101: it has no 'image_id'"),
        (of("annotations", 1, image_id=[1]), r"annotation 101: image_id is \[1\]: write a number"),
        (of("annotations", 1, category_id=...), r"annotation 101: it has no 'category_id'"),
        (of("annotations", 1, bbox=[None] * 4), r"annotation 101: bbox is \[null, .* null\]: write a number"),
        (of("annotations", 1, bbox="x"), r'annotation 101: bbox is "x": write x, y, width and height'),
        (of("annotations", 1, area="x"), r'annotation 101: area is "x": write a number'),
        (of("annotations", 1, area=float("nan")), r"annotation 101: area is NaN: write a number"),
        (of("annotations", 1, iscrowd="no"), r'annotation 101: iscrowd is "no": write a number'),
        (lambda made: made["annotations"].append(None), r"annotation number 3: it is null: write an object"),
        (lambda made: made.update(annotations=None), r"has no 'annotations'"),
        (lambda made: made.update(images={}), r"has no 'images'"),
    ],
)
def test_an_odd_field_is_said_with_file_and_entry(tree, change, message):
    made = content([an_object(), an_object(2, 7)])
    change(made)
    root = tree({"1.jpg": 9, "2.jpg": 9, "set.json": json.dumps(made)})
    with pytest.raises(ValueError, match=rf"set\.json,? {message}"):
        Coco((str(root / "set.json"),)).spec()


def test_what_may_be_missing_may_be_null_and_numbers_may_be_texts(tree):
    nothing = dict.fromkeys(("bbox", "area", "iscrowd", "segmentation", "id"))
    made = content([an_object(), an_object(2, 7), nothing | {"image_id": 2, "category_id": 3}])
    of("images", 0, width="8", height=6.0)(made)
    of("annotations", 0, area="16", iscrowd="0", bbox=[])(made)
    root = tree({"1.jpg": 9, "2.jpg": 9, "set.json": json.dumps(made)})
    found = records_of(Coco((str(root / "set.json"),)))
    assert [record.labels for record in found.values()] == [{"kind": 0}, {"kind": 1}]
    assert np.bincount(values(found["1.jpg"]).ravel()).tolist() == [32, 16]


def test_arguments_are_checked():
    with pytest.raises(ValueError, match=r"annotations is empty: name COCO's JSON files"):
        Coco(())
    with pytest.raises(ValueError, match=r"annotations 'later=a.json': split is 'later'; write one of train"):
        Coco(("later=a.json",))
    with pytest.raises(RuntimeError, match=r"there is no file /no/where.json"):
        Coco(("/no/where.json",)).prepare()
    with pytest.raises(ValueError, match=r"/no/where.json cannot be read: No such file"):
        Coco(("/no/where.json",)).spec()


def test_an_image_that_stands_twice_is_refused(coco):
    with pytest.raises(ValueError, match=r"set.json, image 2: its file_name 1.jpg stands already in .*image 1"):
        coco([an_object()], names=("1.jpg", "1.jpg")).spec()


def described(source, tmp_path, mask, label="kind: [plate, cup]"):
    """The source with a description that says so of its labels and its mask."""
    file = tmp_path / "spec.yaml"
    file.write_text(f"name: x\ntitle: X\nlabels: {{{label}}}\n" + (f"mask: {{{mask}}}\n" if mask else ""))
    return Coco(source.annotations, description=spec_file.load(file))


def test_a_description_may_call_the_label_otherwise_and_leave_the_mask_out(coco, tmp_path):
    found = records_of(described(coco([an_object(), an_object(2, 7)]), tmp_path, "", "what: [plate, cup]"))
    assert [(record.labels, record.mask) for record in found.values()] == [({"what": 1}, None), ({"what": 0}, None)]


def test_ids_of_another_export_change_nothing(coco):
    before = coco([an_object(1, 3), an_object(2, 7)])
    spec, masks = before.spec(), {name: record.mask for name, record in records_of(before).items()}
    after = coco([an_object(1, 2), an_object(2, 1)], categories=((1, "plate"), (2, "cup"), (3, "fork")))
    assert after.spec() == spec
    for source in (after, Coco(after.annotations, description=spec)):
        assert {name: record.mask for name, record in records_of(source).items()} == masks


def test_the_order_of_the_files_changes_nothing_but_the_order(tree):
    files = {
        "a.json": json.dumps(content([an_object(1, 1)], ("1.jpg",), [(1, "plate")])),
        "b.json": json.dumps(content([an_object(1, 1)], ("2.jpg",), [(1, "cup")])),
    }
    root = tree(files | {"1.jpg": 9, "2.jpg": 9})
    one, other = (Coco(names, dir=str(root)) for names in (("a.json", "b.json"), ("b.json", "a.json")))
    assert one.spec() == other.spec()
    assert records_of(one) == records_of(other)


def test_a_description_says_the_values(coco, tmp_path):
    """Above 255 too, and of what is no object; those of a derived one would have another meaning here."""
    crowd = an_object(1, 7, [[5, 0, 8, 0, 8, 6, 5, 6]], 18, iscrowd=1)
    source = coco([an_object(), crowd, an_object(2, 7)])
    kept = described(source, tmp_path, "classes: {plate: [1, 5], cup: [300]}, background: [255], ignored: [0]")
    first, second = map(values, records_of(kept).values())
    assert first[:3, :6].tolist() == [[255] * 5 + [0], [255] + [300] * 4 + [0], [255] + [300] * 4 + [0]]
    assert np.unique(second).tolist() == [1, 255]
    unsaid = described(source, tmp_path, "classes: {plate: [1], cup: [255]}")
    assert [record.fault for record in records_of(unsaid).values()] == [
        "its crowds and boxes are unknown pixels, but mask.ignored names no value: write [255] there", "",
    ]  # fmt: skip


@pytest.mark.parametrize("classes", ["cup: [1], saucer: [2]", "thing: [1, 2]", "cup: [1], plate: []"])
def test_a_category_that_the_mask_does_not_name_is_refused(coco, tmp_path, classes):
    source = described(coco([an_object(), an_object(2, 7)]), tmp_path, f"classes: {{{classes}}}, ignored: [255]")
    with pytest.raises(
        ValueError, match=r"set.json, image [12]: the category '\w+' is not among mask.classes of the"
    ) as e:
        records_of(source)
    assert "to rename or to merge categories, give them another name in the file" in str(e.value)


def test_the_key_follows_photos_and_objects_and_nothing_else(tree):
    def key(annotations, more=None, folder="a"):
        made = content(annotations) | (more or {})
        root = tree({"1.jpg": 9, "2.jpg": 9, "set.json": json.dumps(made)}, folder=folder)
        return Coco((str(root / "set.json"),)).key()

    before = key([an_object(), an_object(2, 7)])
    assert key([an_object(), an_object(2, 7)], {"info": {"date": "today"}}, folder="b") == before
    assert key([an_object(), an_object(2, 3)]) != before
    assert key([an_object(segmentation=[[1, 1, 5, 1, 5, 4]]), an_object(2, 7)]) != before
    assert key([an_object()]) != before
