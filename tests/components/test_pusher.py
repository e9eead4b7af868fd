from __future__ import annotations

import json
import os
import pathlib
import time
from typing import Any

import pytest
from tfx import v1 as tfx
from tfx.types import standard_artifacts
from tfx.utils import io_utils, proto_utils

from components import pusher, serving_folder


def _model(folder: pathlib.Path, text: str) -> str:
    (folder / "variables").mkdir(parents=True)
    (folder / "saved_model.pb").write_text(f"graph of {text}")
    (folder / "variables" / "variables.index").write_text(text)
    return str(folder)


@pytest.fixture
def first(tmp_path: pathlib.Path) -> str:
    return _model(tmp_path / "first", "1st")


@pytest.fixture
def second(tmp_path: pathlib.Path) -> str:
    return _model(tmp_path / "second", "2nd")


@pytest.fixture
def serving(tmp_path: pathlib.Path) -> pathlib.Path:
    return tmp_path / "serving"


def _text(version: str) -> str:
    return pathlib.Path(version, "variables", "variables.index").read_text()


def test_a_pushed_version_is_a_number_and_holds_the_model(first: str, serving: pathlib.Path) -> None:
    version, new = serving_folder.push(first, str(serving))
    assert new
    assert [path.name for path in serving.iterdir()] == [os.path.basename(version)]
    assert os.path.basename(version).isdecimal()
    assert serving_folder.newest(str(serving)) == version
    assert _text(version) == "1st"


def test_the_newest_version_is_not_pushed_again(first: str, serving: pathlib.Path) -> None:
    version, _ = serving_folder.push(first, str(serving))
    assert serving_folder.push(first, str(serving)) == (version, False)
    assert len(list(serving.iterdir())) == 1


def test_rolling_back_pushes_the_older_model_as_the_newest_version(
    first: str, second: str, serving: pathlib.Path
) -> None:
    numbers = [int(os.path.basename(serving_folder.push(model, str(serving))[0])) for model in (first, second, first)]
    assert numbers == sorted(set(numbers))
    assert _text(str(serving_folder.newest(str(serving)))) == "1st"


def test_a_version_that_was_deleted_or_damaged_is_pushed_again(first: str, serving: pathlib.Path) -> None:
    for damage in ("saved_model.pb", "variables/variables.index"):
        version, _ = serving_folder.push(first, str(serving))
        pathlib.Path(version, damage).write_text("")
        again, new = serving_folder.push(first, str(serving))
        assert new
        assert int(os.path.basename(again)) > int(os.path.basename(version))
        assert _text(again) == "1st"


def test_a_version_is_above_the_newest_with_the_clock_set_back(
    first: str, second: str, serving: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    serving_folder.push(first, str(serving))
    monkeypatch.setattr(time, "time", lambda: 86400.0)
    version, _ = serving_folder.push(second, str(serving))
    assert serving_folder.newest(str(serving)) == version
    assert _text(version) == "2nd"


def test_a_folder_that_is_no_version_is_no_model(first: str, serving: pathlib.Path) -> None:
    version, _ = serving_folder.push(first, str(serving))
    (serving / "99999999999").mkdir()
    (serving / "notes").mkdir()
    (serving / "notes" / "saved_model.pb").write_text("")
    assert serving_folder.newest(str(serving)) == version
    again, new = serving_folder.push(first, str(serving))
    assert new, "a server may stop at the last number, and there is no model in it"
    assert os.path.basename(again) == "100000000000"


def test_nothing_is_served_of_a_version_that_could_not_be_copied(
    first: str, serving: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy_dir = io_utils.copy_dir

    def copy_half(source: str, target: str, **more: Any) -> None:
        copy_dir(source, target, **more)
        assert not [path for path in serving.iterdir() if not path.name.startswith(".")]
        raise OSError("No space left on device")

    monkeypatch.setattr(io_utils, "copy_dir", copy_half)
    with pytest.raises(OSError, match="No space left"):
        serving_folder.push(first, str(serving))
    assert list(serving.iterdir()) == []


def test_what_a_killed_push_left_is_removed_and_nothing_else(
    first: str, serving: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    version, _ = serving_folder.push(first, str(serving))
    (serving / ".incoming-notes").mkdir()
    left = serving / f".incoming-{int(time.time())}-{'0' * 32}"
    left.mkdir()
    serving_folder.remove_leftovers(str(serving), older_than=3600)
    assert left.exists(), "another process may be at work on it"
    serving_folder.remove_leftovers(str(serving))
    assert {path.name for path in serving.iterdir()} == {os.path.basename(version), ".incoming-notes"}


def test_in_a_bucket_the_model_itself_comes_last(first: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """`copy_dir` of all else, then one `copy_file`: the calls are recorded, for there is no bucket to write to."""
    calls: list[tuple[str, str]] = []
    monkeypatch.setattr(serving_folder.fileio, "isdir", lambda path: False)
    monkeypatch.setattr(io_utils, "copy_dir", lambda source, target, **more: calls.append(("all but", str(more))))
    monkeypatch.setattr(io_utils, "copy_file", lambda source, target: calls.append(("one", target)))
    version, _ = serving_folder.push(first, "gs://bucket/serving")
    assert [kind for kind, _ in calls] == ["all but", "one"]
    assert "saved_model.pb" in calls[0][1]
    assert calls[1][1] == f"{version}/saved_model.pb"


@pytest.mark.parametrize("blessed", [True, False])
def test_the_component_pushes_a_blessed_model_and_says_where(
    blessed: bool, tmp_path: pathlib.Path, serving: pathlib.Path
) -> None:
    _model(tmp_path / "model" / "Format-Serving", "1st")
    model, blessing, pushed = (
        standard_artifacts.Model(),
        standard_artifacts.ModelBlessing(),
        standard_artifacts.PushedModel(),
    )
    model.uri, blessing.uri, pushed.uri = (str(tmp_path / name) for name in ("model", "blessing", "pushed"))
    blessing.set_int_custom_property("blessed", int(blessed))
    destination = tfx.proto.PushDestination(
        filesystem=tfx.proto.PushDestination.Filesystem(base_directory=str(serving))
    )
    pusher.Executor().Do(
        {"model": [model], "model_blessing": [blessing]},
        {"pushed_model": [pushed]},
        {"push_destination": proto_utils.proto_to_json(destination)},
    )
    version = serving_folder.newest(str(serving))
    assert json.loads(pathlib.Path(pushed.uri, pusher.DESTINATION_FILE).read_text()) == {"version": version}
    assert pushed.get_int_custom_property("pushed") == int(blessed)
    assert (version is not None) == blessed
    assert pushed.get_string_custom_property("pushed_destination") == (version or "")
