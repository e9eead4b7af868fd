"""Every character that a path may hold is either found again by the libraries that look for files, or refused."""

from __future__ import annotations

import pathlib
import unicodedata

import pytest
import tensorflow as tf
from apache_beam.io.filesystems import FileSystems
from tfx import v1 as tfx
from tfx.orchestration import metadata

from pipeline.configs import Config
from schema import ranges

REFUSED = "*?[]\\"
ALLOWED = [chr(code) for code in range(32, 127) if not chr(code).isalnum() and chr(code) not in REFUSED + "/"]
ALLOWED += ["é", "猫", "😀", " ", unicodedata.normalize("NFD", "é")]


def _refused(path: str) -> bool:
    try:
        ranges.check("run_dir", path, ranges.hints(Config)["run_dir"])
    except ValueError:
        return True
    return False


@pytest.mark.parametrize("character", ALLOWED)
def test_files_below_every_path_that_is_taken_are_found(tmp_path: pathlib.Path, character: str) -> None:
    for name in (f"a{character}b", f"{character}ab", f"ab{character}"):
        folder = tmp_path / name
        assert not _refused(str(folder))
        folder.mkdir()
        (folder / "data-00000").touch()
        pattern, file = f"{folder}/data-*", f"{folder}/data-00000"
        assert tf.io.gfile.glob(pattern) == [file]
        assert [found.path for found in FileSystems.match([pattern])[0].metadata_list] == [file]
        connection = tfx.orchestration.metadata.sqlite_metadata_connection_config(f"{folder}/metadata.db")
        with metadata.Metadata(connection):
            assert (folder / "metadata.db").is_file()


@pytest.mark.parametrize("character", [*REFUSED, "\n", "\t", "\r", "\0", "\x7f", "\udcff"])
def test_the_others_are_refused(tmp_path: pathlib.Path, character: str) -> None:
    assert _refused(f"{tmp_path}/a{character}b")
