from __future__ import annotations

import contextlib
import itertools
import os
import pathlib
from collections.abc import Iterator

import pytest

from components.datasets import storage
from serving import listing, reading
from tests.colours import Write


@pytest.fixture
def folder(photo: Write, tmp_path: pathlib.Path) -> pathlib.Path:
    for name in ("b/two.PNG", "b/one.jpg", "a/one.jpg", "top.webp", "b/notes.txt", "b/.DS_Store"):
        photo(f"photos/{name}")
    return tmp_path / "photos"


def _names(folder: pathlib.Path, *arguments: str, outside: str = "out") -> list[str]:
    given = [str(folder / argument) for argument in arguments]
    return [os.path.relpath(path, folder) for path in listing.photos(given, outside)]


@contextlib.contextmanager
def _nobody() -> Iterator[None]:
    """Takes the rights of root away, who may look into every folder."""
    before = os.geteuid()
    os.seteuid(65534 if before == 0 else before)
    try:
        yield
    finally:
        os.seteuid(before)


def test_a_folder_stands_for_the_photos_below_it_by_name(folder: pathlib.Path) -> None:
    assert _names(folder, ".") == ["top.webp", "a/one.jpg", "b/one.jpg", "b/two.PNG"]


def test_other_files_of_a_folder_are_counted(folder: pathlib.Path) -> None:
    assert listing.count([str(folder)], "out") == (4, 2)


def test_hidden_photos_are_none_but_those_that_are_named(folder: pathlib.Path, photo: Write) -> None:
    before = _names(folder, ".")
    for name in ("b/._one.jpg", ".thumbnails/large/top.png"):
        photo(f"photos/{name}")
    assert _names(folder, ".") == before
    assert listing.count([str(folder)]) == (4, 4)
    assert _names(folder, ".thumbnails", "b/._one.jpg") == [".thumbnails/large/top.png", "b/._one.jpg"]


@pytest.mark.parametrize("suffix", [*sorted(storage._PICTURES), ".mpo", ".heic", ".HEIF"])
def test_what_training_takes_for_a_photo_by_its_name_and_what_phones_write_is_one(
    photo: Write, tmp_path: pathlib.Path, suffix: str
) -> None:
    path = photo(f"photos/one{suffix}")
    assert list(listing.photos([str(path.parent)])) == [str(path)]


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("*/one.jpg", ["a/one.jpg", "b/one.jpg"]),
        ("**/*.jpg", ["a/one.jpg", "b/one.jpg"]),
        ("*", ["a/one.jpg", "b/one.jpg", "b/two.PNG", "top.webp"]),
        ("[ab]", ["a/one.jpg", "b/one.jpg", "b/two.PNG"]),
        ("**/b", ["b/one.jpg", "b/two.PNG"]),
        ("**/[bo]*", ["a/one.jpg", "b/one.jpg", "b/two.PNG"]),
        ("**", ["top.webp", "a/one.jpg", "b/one.jpg", "b/two.PNG"]),
        ("**/*", ["a/one.jpg", "b/one.jpg", "b/two.PNG", "top.webp"]),
    ],
)
def test_a_pattern_stands_for_what_it_matches(folder: pathlib.Path, pattern: str, found: list[str]) -> None:
    assert _names(folder, pattern) == found


def test_a_file_with_the_name_of_a_pattern_is_that_file(folder: pathlib.Path, photo: Write) -> None:
    photo("photos/[ab]")
    assert _names(folder, "[ab]") == ["[ab]"]


def test_what_is_named_itself_counts_whatever_it_is_called_and_whether_it_is_there(folder: pathlib.Path) -> None:
    assert _names(folder, "b/notes.txt", "nowhere.jpg", "*.heic") == ["b/notes.txt", "nowhere.jpg", "*.heic"]


@pytest.mark.parametrize("out", [".", "a", "out"])
@pytest.mark.parametrize("argument", [".", "*", "*/*", "**/*.jpg", "**/*", "{out}/*", "{out}/masks", "{out}/masks/*"])
def test_results_among_the_photos_are_none(folder: pathlib.Path, photo: Write, out: str, argument: str) -> None:
    given = str(folder / argument.format(out=out))
    before = [*listing.photos([given])]
    for name in ("masks/one.jpg.png", "overlays/b/one.jpg.jpg", "predictions.csv", "predictions.jsonl"):
        photo(f"photos/{out}/{name}")
    results = (folder / out / "masks", folder / out / "overlays", folder / out / "predictions")
    found = [*listing.photos([given], outside=str(folder / out))]
    assert not [path for path in found if os.path.normpath(path).startswith(tuple(map(str, results)))]
    assert set(found) >= {path for path in before if os.path.isfile(path)}


@pytest.mark.parametrize("argument", [".", "*", "*/*", "**/*.jpg", "**/*", "**"])
def test_masks_and_overlays_of_an_earlier_run_are_no_photos(folder: pathlib.Path, photo: Write, argument: str) -> None:
    for name in ("masks/one.jpg", "overlays/b/one.jpg"):
        photo(f"photos/a/{name}")
    before = _names(folder, argument)
    assert {"a/masks/one.jpg", "a/overlays/b/one.jpg"} <= set(before), "folders of that name may hold photos"
    for name in ("predictions.csv", "predictions.jsonl"):
        photo(f"photos/a/{name}")
    found = [name for name in _names(folder, argument) if "predictions" not in name]
    assert found == [name for name in before if "masks" not in name and "overlays" not in name]
    assert _names(folder, "a/masks/one.jpg") == ["a/masks/one.jpg"]


def test_links_to_folders_are_followed_and_no_photo_is_given_twice(
    folder: pathlib.Path, photo: Write, tmp_path: pathlib.Path
) -> None:
    photo("elsewhere/far.jpg")
    (folder / "a" / "link").symlink_to(tmp_path / "elsewhere")
    (folder / "a" / "round").symlink_to(folder)
    (folder / "b" / "again").symlink_to(tmp_path / "elsewhere")
    assert _names(folder, ".") == ["top.webp", "a/one.jpg", "a/link/far.jpg", "b/one.jpg", "b/two.PNG"]


def test_a_pattern_gives_no_photo_twice_though_links_lead_in_a_circle(folder: pathlib.Path) -> None:
    (folder / "b" / "round").symlink_to(folder)
    assert _names(folder, "**/*.jpg") == ["a/one.jpg", "b/one.jpg"]


def test_a_folder_that_may_not_be_looked_into_is_told_as_a_photo_is(
    folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "a").chmod(0)
    monkeypatch.chdir(folder)
    with _nobody():
        assert list(listing.photos(["."])) == ["./top.webp", "./b/one.jpg", "./b/two.PNG", "./a"]
        assert listing.count(["."]) == (4, 2)
        assert list(listing.photos(["a"])) == ["a"]
        with pytest.raises(ValueError, match="the folder cannot be read: Permission denied"):
            reading.read("a")


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("**/*.jpg", ["b/one.jpg", "a"]),
        ("*/*.jpg", ["b/one.jpg", "a"]),
        ("**/b/*.jpg", ["b/one.jpg", "a"]),
        ("*/one.jpg", ["b/one.jpg", "a"]),
        ("a/*.jpg", ["a"]),
        ("**", ["a", "b/one.jpg", "b/two.PNG", "top.webp"]),
        ("*", ["a", "b/one.jpg", "b/two.PNG", "top.webp"]),
        ("b/*.jpg", ["b/one.jpg"]),
        ("**/[b]/*.jpg", ["b/one.jpg", "a"]),
    ],
)
def test_a_folder_on_a_patterns_way_that_may_not_be_looked_into_is_told_once(
    folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch, pattern: str, found: list[str]
) -> None:
    (folder / "a").chmod(0)
    monkeypatch.chdir(folder)
    with _nobody():
        assert list(listing.photos([pattern])) == found
        assert listing.count([pattern]).photos == len(found)


def test_a_folder_that_only_lets_through_is_no_obstacle_to_a_name(
    folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "a").chmod(0o711)
    monkeypatch.chdir(folder)
    with _nobody():
        assert list(listing.photos(["*/one.jpg"])) == ["a/one.jpg", "b/one.jpg"]


def test_photos_are_listed_as_they_are_drawn(photo: Write, tmp_path: pathlib.Path) -> None:
    for name in ("a/1.png", "b/1.png"):
        photo(name)
    paths = listing.photos([str(tmp_path)], "out")
    first = next(paths)
    photo("b/0.png")
    assert [os.path.relpath(path, tmp_path) for path in itertools.chain([first], paths)] == [
        *("a/1.png", "b/0.png", "b/1.png"),
    ]


@pytest.mark.parametrize(
    ("arguments", "root"),
    [
        (["."], "."),
        (["a", "b"], "."),
        (["b"], "b"),
        (["b/one.jpg"], "b"),
        (["b/*.jpg"], "b"),
        (["*/one.jpg"], "."),
        (["a/one.jpg", "b/one.jpg"], "."),
    ],
)
def test_the_root_lies_above_all_photos(folder: pathlib.Path, arguments: list[str], root: str) -> None:
    found = listing.root([str(folder / argument) for argument in arguments])
    assert os.path.relpath(found, folder) == root
