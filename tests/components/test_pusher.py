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
from tests.components.answering import export_answering


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


def test_a_check_sees_the_whole_copy_before_a_server_can(first: str, serving: pathlib.Path) -> None:
    seen = []

    def check(folder: str) -> None:
        seen.append(_text(folder))
        assert serving_folder.newest(str(serving)) is None

    serving_folder.push(first, str(serving), check)
    assert seen == ["1st"]


def _push(
    model_folder: pathlib.Path, serving: pathlib.Path, *, blessed: bool = True, allow_contract_change: bool = False
) -> tuple[standard_artifacts.PushedModel, dict[str, Any]]:
    """Runs the component on the SavedModel in `model_folder/Format-Serving`: its output, and what it says in it."""
    model, blessing, pushed = (
        standard_artifacts.Model(),
        standard_artifacts.ModelBlessing(),
        standard_artifacts.PushedModel(),
    )
    model.uri, blessing.uri, pushed.uri = (str(model_folder / name) for name in (".", "blessing", "pushed"))
    blessing.set_int_custom_property("blessed", int(blessed))
    destination = tfx.proto.PushDestination(
        filesystem=tfx.proto.PushDestination.Filesystem(base_directory=str(serving))
    )
    pusher.Executor().Do(
        {"model": [model], "model_blessing": [blessing]},
        {"pushed_model": [pushed]},
        {
            "push_destination": proto_utils.proto_to_json(destination),
            "custom_config": json.dumps({pusher.ALLOW_CONTRACT_CHANGE: allow_contract_change}),
        },
    )
    return pushed, json.loads(pathlib.Path(pushed.uri, pusher.DESTINATION_FILE).read_text())


def test_the_component_pushes_a_blessed_model_and_says_where(tmp_path: pathlib.Path, serving: pathlib.Path) -> None:
    export_answering(tmp_path / "model" / "Format-Serving")
    pushed, said = _push(tmp_path / "model", serving)
    version = serving_folder.newest(str(serving))
    assert version is not None
    assert said == {"version": version, "refused": ""}
    assert pusher.told(pushed.uri, str(serving)) == version
    assert pushed.get_int_custom_property("pushed") == 1
    assert pushed.get_string_custom_property("pushed_destination") == version


def test_a_model_that_is_not_blessed_is_not_pushed(tmp_path: pathlib.Path, serving: pathlib.Path) -> None:
    export_answering(tmp_path / "model" / "Format-Serving")
    pushed, said = _push(tmp_path / "model", serving, blessed=False)
    assert serving_folder.newest(str(serving)) is None
    assert said == {"version": None, "refused": "no model is blessed"}
    assert pusher.told(pushed.uri, str(serving)) == "none: no model is blessed. Nothing is served"
    assert pushed.get_int_custom_property("pushed") == 0


@pytest.fixture
def unasked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Models are pushed without a process that asks them, which takes its seconds."""
    monkeypatch.setattr(pusher.served_model, "check", lambda _: None)


@pytest.mark.usefixtures("unasked")
def test_a_model_of_another_contract_is_pushed_only_where_that_is_allowed(
    tmp_path: pathlib.Path, serving: pathlib.Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    export_answering(tmp_path / "cats" / "Format-Serving", classes=("tabby", "lion"))
    export_answering(tmp_path / "dogs" / "Format-Serving", classes=("pug", "lion"))
    _, first = _push(tmp_path / "cats", serving)
    _, refused = _push(tmp_path / "dogs", serving)
    assert refused["version"] is None
    assert refused["refused"] == (
        f"the model answers otherwise than version {os.path.basename(first['version'])}: classes lost tabby and gained "
        "pug. Applications may rely on it; --allow-contract-change pushes it all the same"
    )
    assert f"not pushed: {refused['refused']}" in caplog.messages, "all that Kubeflow's pages show of it"
    assert serving_folder.newest(str(serving)) == first["version"]
    _, allowed = _push(tmp_path / "dogs", serving, allow_contract_change=True)
    assert serving_folder.newest(str(serving)) == allowed["version"] != first["version"]


@pytest.mark.usefixtures("unasked")
def test_a_version_of_before_there_was_a_contract_is_of_another_one(
    tmp_path: pathlib.Path, serving: pathlib.Path, first: str
) -> None:
    old, _ = serving_folder.push(first, str(serving))
    export_answering(tmp_path / "model" / "Format-Serving")
    _, refused = _push(tmp_path / "model", serving)
    assert f"version {os.path.basename(old)} has no assets/model.json, as models had before" in refused["refused"]
    assert _push(tmp_path / "model", serving, allow_contract_change=True)[1]["version"]


@pytest.mark.parametrize(
    ("refuses", "said"),
    [
        (0, r"photo 8 of a warm-up request, b'no p' .*: it is none, and there is no `error`"),
        (100_000, r"photo \d of a warm-up request, .*: the photo cannot be decoded"),
    ],
)
def test_a_model_that_does_not_answer_as_it_should_never_appears(
    refuses: int, said: str, tmp_path: pathlib.Path, serving: pathlib.Path
) -> None:
    export_answering(tmp_path / "model" / "Format-Serving", refuses=refuses)
    with pytest.raises(ValueError, match=f"is not pushed, since it does not answer as it should: {said}"):
        _push(tmp_path / "model", serving)
    assert list(serving.iterdir()) == []


def test_a_model_that_does_not_load_never_appears(tmp_path: pathlib.Path, serving: pathlib.Path) -> None:
    export_answering(tmp_path / "model" / "Format-Serving")
    (tmp_path / "model" / "Format-Serving" / "variables" / "variables.index").unlink()
    with pytest.raises(ValueError, match="is not pushed, since it does not answer as it should"):
        _push(tmp_path / "model", serving)
    assert list(serving.iterdir()) == []
