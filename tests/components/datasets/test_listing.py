"""Cache keys: what changes them, and what does not."""

import os
import shutil
import sqlite3
import time

import pytest

from components.datasets.folder import Folder
from tests.components.datasets.conftest import square


@pytest.fixture
def root(tree):
    return tree({"ash/1.jpg": 1, "ash/1.png": square(), "oak/1.jpg": 2, "oak/1.png": square(0)})


def _settle(root):
    """Gives all files an age at which their digests are remembered."""
    for path in root.rglob("*.*"):
        os.utime(path, (time.time() - 60,) * 2)


def _change_in_the_middle(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    "change",
    [
        lambda root: _change_in_the_middle(root / "ash" / "1.jpg"),
        lambda root: _change_in_the_middle(root / "ash" / "1.png"),
        lambda root: shutil.copy(root / "ash" / "1.jpg", root / "ash" / "2.jpg"),
        lambda root: (root / "ash" / "1.jpg").unlink(),
        lambda root: (root / "ash" / "1.png").unlink(),
        lambda root: (root / "ash").rename(root / "elm"),
        lambda root: shutil.move(root / "ash" / "1.jpg", root / "oak" / "2.jpg"),
        lambda root: (root / "metadata.csv").write_text("file_name,group\nash/1.jpg,a\noak/1.jpg,b\n"),
    ],
)
def test_a_change_of_the_data_changes_the_key(root, change):
    before = Folder(str(root)).key()
    change(root)
    assert Folder(str(root)).key() != before


@pytest.mark.parametrize(
    "change",
    [
        lambda root: os.utime(root / "ash" / "1.jpg"),
        lambda root: (root / "README.md").write_text("leaves"),
        lambda root: (root / "ash" / ".DS_Store").write_text("x"),
        lambda root: (root / "ash" / "1.jpg").write_bytes((root / "ash" / "1.jpg").read_bytes()),
    ],
)
def test_what_changes_no_record_keeps_the_key(root, change):
    before = Folder(str(root)).key()
    change(root)
    assert Folder(str(root)).key() == before


def test_the_key_is_the_content_not_the_place(root, tmp_path):
    shutil.copytree(root, tmp_path / "elsewhere")
    assert Folder(str(tmp_path / "elsewhere")).key() == Folder(str(root)).key()


def test_digests_are_remembered_and_a_change_that_keeps_size_and_time_is_seen(root, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    _settle(root)
    # The time of change, which nobody can set, is still that of a moment ago: wait until it is settled too.
    time.sleep(2.2)
    before = Folder(str(root)).key()
    with sqlite3.connect(tmp_path / "cache" / "pets-pipeline" / "digests.db") as known:
        assert known.execute("SELECT count(*) FROM digests").fetchone() == (4,)
        known.execute("UPDATE digests SET digest = x'00' WHERE path LIKE '%oak/1.jpg'")
    assert Folder(str(root)).key() != before, "the remembered digest is used"
    (tmp_path / "cache" / "pets-pipeline" / "digests.db").unlink()
    assert Folder(str(root)).key() == before
    photo = root / "ash" / "1.jpg"
    times = photo.stat().st_atime_ns, photo.stat().st_mtime_ns
    _change_in_the_middle(photo)
    os.utime(photo, ns=times)
    assert Folder(str(root)).key() != before


@pytest.mark.parametrize("broken", ["no database", None])
def test_without_a_usable_cache_folder_keys_are_the_same(root, tmp_path, broken, monkeypatch):
    before = Folder(str(root)).key()
    elsewhere = tmp_path / "broken"
    if broken:
        (elsewhere / "pets-pipeline").mkdir(parents=True)
        (elsewhere / "pets-pipeline" / "digests.db").write_text(broken * 100)
    else:
        elsewhere.write_text("a file where the cache folder would be")
    monkeypatch.setenv("XDG_CACHE_HOME", str(elsewhere))
    assert Folder(str(root)).key() == before


def test_a_shard_is_called_by_its_ends(root):
    (shard,) = Folder(str(root)).shards()
    assert str(shard) == "ash/1.jpg to oak/1.jpg"
