"""A pipeline of two components, run in earnest."""

# No `from __future__ import annotations`: TFX reads the annotations of a component as types.

import io
import pathlib
import re
import shutil

import ml_metadata as mlmd
import pytest
from ml_metadata.proto import metadata_store_pb2
from rich.console import Console
from tfx import v1 as tfx
from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types import standard_artifacts

from pipeline import configs, history, local, pipeline, run_dir
from pipeline.console import RunDisplay


@component  # type: ignore[call-overload]
def Maker(text: Parameter[str], made: OutputArtifact[standard_artifacts.Examples]) -> None:  # type: ignore[type-arg]
    pathlib.Path(made.uri, "text").write_text(text)  # type: ignore[attr-defined, arg-type]
    made.set_string_custom_property("place", made.uri)  # type: ignore[attr-defined]


@component  # type: ignore[call-overload]
def Copier(
    source: InputArtifact[standard_artifacts.Examples],  # type: ignore[type-arg]
    copy: OutputArtifact[standard_artifacts.Model],  # type: ignore[type-arg]
) -> None:
    if "killed" in pathlib.Path(source.uri, "text").read_text():  # type: ignore[attr-defined]
        raise KeyboardInterrupt
    shutil.copytree(source.uri, f"{copy.uri}/copy")  # type: ignore[attr-defined]


def _run(folder: pathlib.Path, text: str = "text", uncached: tuple[str, ...] = ()) -> dict[str, str]:
    """The state of each component, as the console shows it."""
    maker = Maker(text=text)
    copier = Copier(source=maker.outputs["made"])
    connection = tfx.orchestration.metadata.sqlite_metadata_connection_config(str(folder / history.METADATA_FILE))
    dag = tfx.dsl.Pipeline(
        pipeline_name="two",
        pipeline_root=str(folder / history.PIPELINE_DIR),
        components=[maker, copier],
        enable_cache=True,
        metadata_connection_config=connection,
    )
    screen = Console(file=io.StringIO(), width=120)
    local.run(dag, RunDisplay(screen), uncached)
    assert isinstance(screen.file, io.StringIO)
    return dict(re.findall(r"^(\w+) +(done|cached) ", screen.file.getvalue(), re.MULTILINE))


def _outputs(folder: pathlib.Path) -> set[str]:
    return {str(path.relative_to(folder / history.PIPELINE_DIR)) for path in folder.glob("pipeline/*/[a-z]*/*")}


@pytest.fixture
def folder(tmp_path: pathlib.Path) -> pathlib.Path:
    folder = tmp_path / "run"
    folder.mkdir()
    assert _run(folder) == {"Maker": "done", "Copier": "done"}
    return folder


def test_what_did_not_change_is_cached_unless_it_is_told_to_run(folder: pathlib.Path) -> None:
    assert history.put_right(folder) == []
    assert _run(folder) == {"Maker": "cached", "Copier": "cached"}
    assert _run(folder, uncached=("Copier",)) == {"Maker": "cached", "Copier": "done"}


def test_a_component_that_is_none_cannot_run_uncached() -> None:
    nodes = [Maker(text=""), Copier(source=Maker(text="").outputs["made"])]
    config = configs.debug()
    assert pipeline.uncached(config, nodes) == {"Pusher"}
    config = config.__class__(**{**vars(config), "uncached": ("all",)})
    assert pipeline.uncached(config, nodes) == {"Maker", "Copier"}
    config = config.__class__(**{**vars(config), "uncached": ("Trainer",)})
    with pytest.raises(ValueError, match="uncached names 'Trainer': give some of Maker, Copier, or all"):
        pipeline.uncached(config, nodes)


@pytest.mark.parametrize("copied", [False, True])
def test_a_moved_or_copied_run_directory_is_the_same_run(folder: pathlib.Path, copied: bool) -> None:
    moved = folder.with_name("moved [here]")
    (shutil.copytree if copied else shutil.move)(folder, moved)
    assert history.put_right(moved) == [f"moved: what was made in {folder} is taken from here"]
    assert _run(moved) == {"Maker": "cached", "Copier": "cached"}
    assert history.put_right(moved) == []


@pytest.mark.parametrize(
    ("gone", "states"),
    [
        ("pipeline/Maker/made/1", {"Maker": "done", "Copier": "done"}),
        ("pipeline/Maker/made/1/text", {"Maker": "done", "Copier": "done"}),
        ("pipeline/Copier/copy/2/copy", {"Maker": "cached", "Copier": "done"}),
    ],
)
def test_an_artifact_that_is_gone_is_said_to_be_and_made_anew(
    folder: pathlib.Path, gone: str, states: dict[str, str]
) -> None:
    path = folder / gone
    path.unlink() if path.is_file() else shutil.rmtree(path)
    [line] = history.put_right(folder)
    assert line.startswith(f"gone: {path}")
    assert _run(folder) == states
    assert history.put_right(folder) == []


def test_an_artifact_that_was_cut_short_is_made_anew(folder: pathlib.Path) -> None:
    (folder / "pipeline/Maker/made/1/text").write_text("t")
    [line] = history.put_right(folder)
    assert line.startswith(f"gone: {folder}/pipeline/Maker/made/1/text")
    assert _run(folder)["Maker"] == "done"


def test_what_a_killed_component_left_is_gone_after_the_next_whole_run(folder: pathlib.Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        _run(folder, text="killed")
    assert "Copier/copy/4" in _outputs(folder)
    assert _run(folder, text="again") == {"Maker": "done", "Copier": "done"}
    assert _outputs(folder) == {"Maker/made/1", "Copier/copy/2", "Maker/made/3", "Maker/made/5", "Copier/copy/6"}
    assert not list(folder.glob("pipeline/*/.system/stateful_working_dir/*"))
    config = tfx.orchestration.metadata.sqlite_metadata_connection_config(str(folder / history.METADATA_FILE))
    states = [execution.last_known_state for execution in mlmd.MetadataStore(config).get_executions()]
    assert states.count(metadata_store_pb2.Execution.CANCELED) == 1


def test_damaged_metadata_are_named_with_what_to_do(tmp_path: pathlib.Path) -> None:
    (tmp_path / "metadata.db").write_bytes(bytes(range(256)) * 8)
    with pytest.raises(run_dir.Unusable, match=r"metadata\.db is damaged \(file is not a database\): move it away"):
        history.put_right(tmp_path)


def test_a_run_directory_without_runs_has_nothing_to_put_right(tmp_path: pathlib.Path) -> None:
    with run_dir.occupied(tmp_path):
        assert history.put_right(tmp_path) == []


def test_states_of_finished_trainings_go_when_a_run_is_done(folder: pathlib.Path) -> None:
    states = folder / history.PIPELINE_DIR / "Maker" / "checkpoints"
    states.mkdir()
    for name in ("done.finished", "under way.npz"):
        (states / name).touch()
    with pytest.raises(KeyboardInterrupt):
        _run(folder, "killed")
    assert len(list(states.iterdir())) == 2
    _run(folder)
    assert [path.name for path in states.iterdir()] == ["under way.npz"]
