"""metadata.csv and metadata.jsonl beside photos."""

import json

import pytest

from components.datasets.folder import Folder
from schema import spec_file
from tests.components.datasets.conftest import mask, mask_of, picture, records_of, square

PHOTOS = {f"p/{number}.jpg": number for number in range(1, 7)}


def test_columns_are_labels_masks_splits_and_groups(tree):
    lines = [
        "file_name,class,Leaf state,mask,split,group,remark",
        "p/1.jpg,ash,dry,m/1.png,train,a,first",
        '"p/2.jpg",ash,,,validation,b,"second, wet"',
        "p/3.jpg,oak,dry,,TEST,c,third",
        "p/4.jpg,oak,wet,,,d,fourth",
        "p/5.jpg,,wet,m/5.png,,d,fifth",
        "p/6.jpg,oak,wet,,,d,sixth",
    ]
    source = Folder(str(tree(PHOTOS | {"m/1.png": square(), "m/5.png": square(), "metadata.csv": "\r\n".join(lines)})))
    spec = source.spec()
    assert {label.name: label.classes for label in spec.labels} == {
        "kind": ("ash", "oak"),
        "Leaf_state": ("dry", "wet"),
    }
    assert [label.optional for label in spec.labels] == [True, True]
    assert mask_of(source).optional
    found = records_of(source)
    assert [record.split for record in found.values()] == ["train", "eval", "test", "", "", ""]
    assert [record.group for record in found.values()] == ["a", "b", "c", "d", "d", "d"]
    assert found["p/2.jpg"].labels == {"kind": 0}
    assert found["p/5.jpg"].labels == {"Leaf_state": 1}
    assert (found["p/1.jpg"].mask, found["p/2.jpg"].mask) == (mask(square()), None)
    assert not any(record.fault for record in found.values())


def test_jsonl_says_the_same_as_csv(tree):
    rows = [("p/1.jpg", "ash", 3), ("p/2.jpg", "oak", 3), ("p/3.jpg", "ash", 4), ("p/4.jpg", None, 4)]
    csv = "file_name;kind;age\n" + "".join(f"{name};{kind or ''};{age}\n" for name, kind, age in rows)
    jsonl = "".join(
        json.dumps({"file_name": name, "kind": kind, "age": age, "boxes": [1]}) + "\n" for name, kind, age in rows
    )
    one = Folder(str(tree(PHOTOS | {"metadata.csv": csv}, folder="set")))
    other = Folder(str(tree(PHOTOS | {"metadata.jsonl": jsonl}, folder="other/set")))
    assert one.spec() == other.spec()
    assert [label.classes for label in one.spec().labels] == [("ash", "oak"), ("3", "4")]
    assert records_of(one) == records_of(other)
    assert one.key() == other.key()


def test_a_metadata_file_in_each_split_gives_the_split(tree):
    files = {f"{split}/{number}.jpg": number for split in ("train", "test") for number in (1, 2, 3, 4)}
    table = "file_name,kind\n1.jpg,ash\n2.jpg,oak\n3.jpg,ash\n4.jpg,oak\n"
    source = Folder(str(tree(files | {"train/metadata.csv": table, "test/metadata.csv": table})))
    assert {name: record.split for name, record in records_of(source).items()} == {
        name: name.split("/")[0] for name in files
    }


def test_groups_alone_leave_the_classes_to_the_folders_and_the_masks_to_their_places(tree):
    files = {"ash/1.jpg": 1, "ash/1.png": square(), "oak/2.jpg": 2, "oak/2.png": square()}
    source = Folder(str(tree(files | {"metadata.csv": "file_name,group\nash/1.jpg,tree 7\noak/2.jpg,tree 8\n"})))
    found = records_of(source)
    assert source.spec().labels[0].classes == ("ash", "oak")
    assert {record.group for record in found.values()} == {"tree 7", "tree 8"}
    assert all(record.mask for record in found.values())


def test_without_label_columns_the_folders_give_split_class_and_mask_where_the_row_does_not(tree):
    files = {f"{split}/{kind}/1.jpg": 1 for split in ("train", "val") for kind in ("cat", "dog")}
    table = "file_name,split,group\n" + "".join(f"{name},,{name[:7]}\n" for name in files)
    source = Folder(str(tree(files | {"metadata.csv": table.replace("val/dog/1.jpg,,", "val/dog/1.jpg,test,")})))
    assert source.spec().labels[0].classes == ("cat", "dog")
    found = records_of(source)
    assert [record.split for record in found.values()] == ["train", "train", "eval", "test"]
    assert [record.labels["kind"] for record in found.values()] == [0, 1, 0, 1]
    assert [record.group for record in found.values()] == ["train/c", "train/d", "val/cat", "val/dog"]


@pytest.mark.parametrize("masks", ["masks", "truth"])
def test_a_table_of_groups_finds_masks_in_a_parallel_tree(tree, masks):
    files = {"images/ash/1.jpg": 1, "images/oak/1.jpg": 2, "images/oak/2.jpg": 3}
    files |= {f"{masks}/ash/1.png": square(), f"{masks}/oak/1_mask.png": square(0)}
    table = "file_name,group\n" + "".join(f"{name},a\n" for name in files if name.startswith("images"))
    root = str(tree(files | {"metadata.csv": table}))
    source = Folder(root, masks="truth") if masks == "truth" else Folder(root)
    assert source.spec().labels[0].classes == ("ash", "oak")
    found = records_of(source)
    assert {name: record.mask for name, record in found.items()} == {
        "images/ash/1.jpg": mask(square()), "images/oak/1.jpg": mask(square(0)), "images/oak/2.jpg": None
    }  # fmt: skip
    assert [record.labels["kind"] for record in found.values()] == [0, 1, 1]


def test_a_table_of_labels_leaves_splits_and_masks_to_the_folders(tree):
    files = {"train/images/1.jpg": 1, "train/images/2.jpg": 2, "test/images/3.jpg": 3, "test/images/4.jpg": 4}
    files |= {"train/masks/1.png": square(), "other/2.png": square(0), "test/masks/3.png": square()}
    rows = ["1.jpg,a,", "2.jpg,b,other/2.png", "3.jpg,a,", "4.jpg,b,"]
    places = ["train/images/", "train/images/", "test/images/", "test/images/"]
    table = "\n".join(["file_name,kind,mask", *(place + row for place, row in zip(places, rows, strict=True))])
    found = records_of(Folder(str(tree(files | {"metadata.csv": table}))))
    assert [record.split for record in found.values()] == ["train", "train", "test", "test"]
    assert [record.mask for record in found.values()] == [mask(square()), mask(square(0)), mask(square()), None]
    assert [record.labels["kind"] for record in found.values()] == [0, 1, 0, 1]


def test_photos_that_a_table_names_beside_splits_or_elsewhere_are_as_it_says(tree, tmp_path):
    files = {"train/1.jpg": 1, "test/1.jpg": 2, "extra/1.jpg": 3, ".hidden/1.jpg": 4}
    elsewhere = tree({"x/5.jpg": 5, "x/5.png": square()}, folder="elsewhere")
    names = [*files, "../elsewhere/x/5.jpg", f"{elsewhere}/x/5.jpg"]
    table = "file_name,kind,split\n" + "".join(f"{name},{'ab'[n % 2]},\n" for n, name in enumerate(names))
    found = records_of(Folder(str(tree(files | {"metadata.csv": table}))))
    assert [record.split for record in found.values()] == ["train", "test", "", "", "", ""]
    assert [record.mask for record in found.values()] == [None] * 4 + [mask(square())] * 2
    assert not any(record.fault for record in found.values())


def test_class_folders_count_in_a_folder_whose_name_begins_with_two_dots(tree):
    files = {"..old/ash/1.jpg": 1, "..old/oak/2.jpg": 2}
    root = tree(files | {"metadata.csv": "file_name\n" + "\n".join(files)})
    assert [example.classes for example in Folder(str(root)).examples()] == [(("kind", "ash"),), (("kind", "oak"),)]


def test_the_labels_can_be_chosen(tree):
    table = "file_name,who,kind\n" + "".join(f"p/{n}.jpg,{'ab'[n % 2]},{'xy'[n // 4]}\n" for n in range(1, 7))
    root = tree(PHOTOS | {"metadata.csv": table})
    assert [label.name for label in Folder(str(root)).spec().labels] == ["who", "kind"]
    assert [label.name for label in Folder(str(root), labels=("kind",)).spec().labels] == ["kind"]
    with pytest.raises(ValueError, match=r"the label 'sort' is no column of .*metadata.csv, which has who, kind"):
        Folder(str(root), labels=("sort",)).spec()


def test_the_primary_label_is_the_first_column_whatever_it_is_called_and_whichever_cells_are_empty(tree):
    leaves = [("abcd"[n % 4], "xy"[n % 4 // 2]) for n in range(24)]
    files = {f"p/{number}.jpg": number for number in range(24)}
    rows = [f"p/{number}.jpg,{kind},{family}" for number, (kind, family) in enumerate(leaves)]
    kind, family = (
        Folder(str(tree(files | {"metadata.csv": "\n".join(["file_name,class,family", *rows])}))).spec().labels
    )
    assert (kind.name, family.name, family.of) == ("kind", "family", "kind")
    table = "\n".join(["file_name,main class,other", "p/0.jpg,,x", *rows[1:]])
    root = str(tree(files | {"metadata.csv": table}, folder="named"))
    for source in (Folder(root), Folder(root, labels=("main class", "other"))):
        assert [label.name for label in source.spec().labels] == ["main_class", "other"]


@pytest.mark.parametrize(("one", "other", "label"), [("class", "kind", "kind"), ("类别", "颜色", "label_")])
def test_two_columns_cannot_be_one_label(tree, tmp_path, one, other, label):
    rows = [f"p/{n}.jpg,{'ab'[n % 2]},{'xy'[n // 4]}" for n in range(1, 7)]
    root = str(tree(PHOTOS | {"metadata.csv": "\n".join([f"file_name,{one},{other}", *rows])}))
    message = rf"metadata.csv: the columns '{one}' and '{other}' would both be the label {label}: name one of them"
    with pytest.raises(ValueError, match=message):
        Folder(root).spec()
    chosen = Folder(root, labels=(other,))
    assert [(one.name, one.classes) for one in chosen.spec().labels] == [(label, ("x", "y"))]
    with pytest.raises(ValueError, match=message):
        Folder(root, labels=(one, other)).key()
    with pytest.raises(ValueError, match=message):
        Folder(root, description=chosen.spec()).key()
    found = records_of(Folder(root, labels=(other,), description=chosen.spec()))
    assert [record.labels[label] for record in found.values()] == [0, 0, 0, 1, 1, 1]


def test_a_spec_picks_its_columns(tree, tmp_path):
    root = tree(
        PHOTOS | {"metadata.csv": "file_name,a,b\n" + "".join(f"p/{n}.jpg,{n % 2},{n % 3}\n" for n in range(1, 7))}
    )
    file = tmp_path / "spec.yaml"
    file.write_text("name: x\ntitle: X\nlabels: {b: ['2', '1', '0']}\n")
    found = records_of(Folder(str(root), description=spec_file.load(file)))
    assert [record.labels for record in found.values()] == [{"b": index} for index in (1, 0, 2, 1, 0, 2)]
    file.write_text("name: x\ntitle: X\nlabels: {b: ['2', '1', '0'], c: [x, y]}\n")
    with pytest.raises(ValueError, match=r"the spec's label 'c' has no column in .*metadata.csv, which has a, b"):
        Folder(str(root), description=spec_file.load(file)).key()
    file.write_text("name: x\ntitle: X\nlabels: {b: ['2', '1']}\n")
    with pytest.raises(ValueError, match=r"metadata.csv, line 4: the class '0' is not among labels.b of .*'x'"):
        list(Folder(str(root), description=spec_file.load(file)).shards())


def test_files_that_a_row_names_and_nobody_finds_are_faults(tree):
    table = "file_name,kind,mask\np/1.jpg,a,m/1.png\np/2.jpg,a,\np/3.jpg,b,m/no.png\np/no.jpg,b,\n"
    found = records_of(Folder(str(tree(PHOTOS | {"m/1.png": square(), "metadata.csv": table}))))
    assert {name: record.fault for name, record in found.items() if record.fault} == {
        "p/3.jpg": "its mask m/no.png cannot be read: No such file or directory",
        "p/no.jpg": "its photo p/no.jpg cannot be read: No such file or directory",
    }


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("metadata.csv", "photo,kind\np/1.jpg,a\n", r"metadata.csv has no column file_name; it has photo, kind"),
        ("metadata.csv", "file_name,kind\np/1.jpg,a\np/1.jpg,b\n", r"line 3: p/1.jpg stands already in line 2"),
        ("metadata.csv", "file_name,split\np/1.jpg,later\n", r"line 2: split is 'later'; write one of train"),
        ("metadata.csv", "file_name,kind\np/1.jpg,a,b\n", r"line 2: 3 cells under 2 columns"),
        ("metadata.csv", "file_name,kind,kind\n", r"has the column 'kind' twice"),
        ("metadata.csv", "file_name,kind\n,a\n", r"line 2: file_name is missing"),
        ("metadata.csv", "file_name,Split,kind\n", r"has the column 'Split': write split, or call a label otherwise"),
        (
            "metadata.jsonl",
            '{"file_name": "p/\\u0000.jpg"}\n',
            r"line 1: file_name is .*, with a character that no path",
        ),
        (
            "metadata.jsonl",
            '{"file_name": "p/\\ud800.jpg"}\n',
            r"line 1: file_name is .*, with a character that no path",
        ),
        ("metadata.csv", "file_name,kind\np/1.jpg,a\n".encode("utf-16"), r"line 1: byte 0xff is not UTF-8: save"),
        ("metadata.csv", "file_name,kind\np/1.jpg,a\np/2.jpg,caf\xe9\n".encode("latin-1"), r"line 3: byte 0xe9 is not"),
        ("metadata.csv", 'file_name,kind\np/1.jpg,"a\n', r"metadata.csv, line \d: unexpected end of data"),
        ("metadata.csv", "", r"metadata.csv is empty: its first line names the columns"),
        (
            "metadata.jsonl",
            '{"file_name": "p/1.jpg"}\n{"file_name" "p"}\n',
            r"metadata.jsonl, line 2: this is no JSON",
        ),
        ("metadata.jsonl", '{"boxes": ' + "[" * 100_000, r"metadata.jsonl, line 1: this is no JSON: maximum recursion"),
        ("metadata.jsonl", "[1" + "0" * 5_000, r"metadata.jsonl, line 1: this is no JSON: Exceeds the limit"),
        ("metadata.jsonl", "[1]\n", r"metadata.jsonl, line 1: this is no JSON object with file_name"),
    ],
)
def test_what_is_wrong_is_said_with_file_and_line(tree, name, text, message):
    with pytest.raises(ValueError, match=message):
        Folder(str(tree(PHOTOS | {name: text}))).spec()


def test_two_metadata_files_are_refused(tree):
    root = tree(PHOTOS | {"metadata.csv": "file_name\n", "metadata.jsonl": ""})
    with pytest.raises(ValueError, match=r"photos holds metadata.csv and metadata.jsonl: keep one of them"):
        Folder(str(root)).spec()


def test_a_metadata_file_in_the_folder_may_be_named_from_the_working_directory(tree, tmp_path, monkeypatch):
    table = "file_name,kind\n" + "".join(f"{n}.jpg,{'ab'[n % 2]}\n" for n in range(1, 7))
    tree(PHOTOS | {"p/table.csv": table}, folder="photos")
    monkeypatch.chdir(tmp_path)
    found = records_of(Folder("photos", metadata="photos/p/table.csv"))
    assert {name: record.labels for name, record in found.items()} == {
        f"p/{n}.jpg": {"kind": n % 2} for n in range(1, 7)
    }


def test_a_metadata_file_elsewhere_can_be_named(tree, tmp_path):
    (tmp_path / "table.csv").write_text("file_name,kind\n" + "".join(f"p/{n}.jpg,{'ab'[n % 2]}\n" for n in range(1, 7)))
    found = records_of(Folder(str(tree(PHOTOS)), metadata=str(tmp_path / "table.csv")))
    assert [record.labels for record in found.values()] == [{"kind": number % 2} for number in range(1, 7)]
    assert not any(record.fault for record in found.values())
    with pytest.raises(ValueError, match=r"no.csv cannot be read: No such file or directory"):
        Folder(str(tree(PHOTOS)), metadata="no.csv").spec()


def test_nan_in_jsonl_is_an_empty_cell(tree):
    """As pandas' records of a table with empty cells are written by Python's `json`."""
    rows = [
        {"file_name": f"p/{n}.jpg", "kind": float("nan") if n == 1 else "ab"[n % 2], "mask": float("nan")}
        for n in range(1, 7)
    ]
    source = Folder(str(tree(PHOTOS | {"metadata.jsonl": "\n".join(map(json.dumps, rows))})))
    assert source.spec().labels[0].classes == ("a", "b")
    assert records_of(source)["p/1.jpg"].fault == "it has neither a class nor a mask"


def test_whole_paths_into_the_folder_are_those_from_the_folder(tree):
    """Splits and masks then follow from the place, and the names and the key stay the same where the data moves."""
    files = {f"{split}/images/{n}.jpg": n for split in ("train", "test") for n in range(4)}
    files |= {name.replace("images", "masks").replace("jpg", "png"): square() for name in files}
    photos = [name for name in files if name.endswith("jpg")]
    root = tree(files)

    def table(names):
        (root / "metadata.csv").write_text("file_name,kind\n" + "".join(f"{n},{'ab'[i % 2]}\n" for i, n in names))
        return records_of(Folder(str(root))), Folder(str(root)).key()

    from_the_folder = table(enumerate(photos))
    assert table(enumerate(f"{root}/{name}" for name in photos)) == from_the_folder
    assert {record.split for record in from_the_folder[0].values()} == {"train", "test"}


def test_a_table_may_name_photos_of_a_bucket(tree):
    import tensorflow as tf

    names = [f"ram://photos/{folder}/{number}.jpg" for folder in ("leaves", "others") for number in range(4)]
    for name in names:
        tf.io.gfile.makedirs(name.rpartition("/")[0])
        with tf.io.gfile.GFile(name, "wb") as file:
            file.write(picture((9, 9, 9)))
    rows = "".join(f"{name},{'ab'[number % 2]}\n" for number, name in enumerate(names))
    with tf.io.gfile.GFile("ram://photos/leaves/metadata.csv", "w") as file:
        file.write(f"file_name,kind\n{rows}")
    found = records_of(Folder("ram://photos/leaves"))
    assert list(found) == ["0.jpg", "1.jpg", "2.jpg", "3.jpg", *names[4:]]
    assert not any(record.fault for record in found.values())
    elsewhere = Folder(str(tree({"metadata.csv": f"file_name,kind\n{rows}"})))
    assert list(records_of(elsewhere)) == names


def test_a_photo_of_the_web_is_a_fault(tree):
    rows = "".join(f"{'https://example.org/' if n == 1 else ''}p/{n}.jpg,{'ab'[n % 2]}\n" for n in range(1, 7))
    found = records_of(Folder(str(tree(PHOTOS | {"metadata.csv": f"file_name,kind\n{rows}"}))))
    assert [record.fault for record in found.values() if record.fault] == [
        "its photo https://example.org/p/1.jpg cannot be read: File system scheme 'https' not implemented "
        "(file: 'https://example.org/p/1.jpg')"
    ]


def test_a_label_that_follows_from_the_primary_one_is_coarser(tree):
    rows = [f"p/{number}.jpg,{kind},{group},{light}" for number, (kind, group, light) in enumerate(_LEAVES, 1)]
    files = {f"p/{number}.jpg": number for number in range(1, len(_LEAVES) + 1)}
    root = tree({**files, "metadata.csv": "\n".join(["file_name,tree,family,light", *rows])})
    fine, family, light = Folder(str(root), labels=("tree", "family", "light")).spec().labels
    assert (family.of, family.classes, family.parents) == ("tree", ("beech", "olive"), (1, 0, 0))
    assert not light.of, "ash was seen in both"
    assert not fine.of
    few = tree(
        {**files, "metadata.csv": "\n".join(["file_name,tree,family", *(rows[i][:-4] for i in (0, 2, 4))])}, "few"
    )
    assert not any(label.of for label in Folder(str(few), labels=("tree", "family")).spec().labels), "once is chance"


_LEAVES = [
    ("ash", "olive", "sun"),
    ("ash", "olive", "dim"),
    ("oak", "beech", "sun"),
    ("oak", "beech", "sun"),
    ("elm", "beech", "dim"),
    ("elm", "beech", "dim"),
]
