from __future__ import annotations

import json
import pathlib
from typing import Any

import pytest

from components.report import page, publishing


@pytest.fixture
def source(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    """A report as `ModelComparison` leaves it, but for its figures, which the page would need: it is one sentence."""
    monkeypatch.setattr(
        page, "complete", lambda folder, seconds, edge: pathlib.Path(folder, page.PAGE_FILE).write_text("the page")
    )
    folder = tmp_path / "source"
    (folder / "plots").mkdir(parents=True)
    (folder / "plots" / "curve.png").write_bytes(b"png")
    (folder / "metrics.json").write_text(json.dumps({"run": {}}))
    return folder


@pytest.fixture
def report(tmp_path: pathlib.Path) -> pathlib.Path:
    return tmp_path / "run" / "report"


@pytest.fixture(autouse=True)
def run_dir(report: pathlib.Path) -> None:
    report.parent.mkdir()


def _publish(source: pathlib.Path, report: pathlib.Path) -> None:
    publishing.publish(str(source), str(report), {"Trainer": 1.0})


def _files(folder: pathlib.Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_a_report_is_replaced_by_the_next_and_nothing_of_it_stays(source: pathlib.Path, report: pathlib.Path) -> None:
    _publish(source, report)
    (source / "plots" / "curve.png").rename(source / "plots" / "other.png")
    _publish(source, report)
    assert _files(report) == {"index.html", "metrics.json", "plots/other.png", publishing.MARKER}
    assert [path.name for path in report.parent.iterdir()] == ["report"]


def test_files_that_a_person_put_into_a_report_are_kept(source: pathlib.Path, report: pathlib.Path) -> None:
    _publish(source, report)
    (report / "notes.txt").write_text("mine")
    (report / "mine").mkdir()
    (report / "mine" / "plot.png").write_bytes(b"png")
    _publish(source, report)
    assert (report / "notes.txt").read_text() == "mine"
    assert (report / "mine" / "plot.png").exists()


def test_a_folder_of_that_name_that_is_no_report_is_kept(source: pathlib.Path, report: pathlib.Path) -> None:
    for text in ("first", "second"):
        report.mkdir()
        (report / "index.html").write_text(text)
        _publish(source, report)
        assert (report / "index.html").read_text() == "the page"
        (report / publishing.MARKER).unlink()
        for path in report.rglob("*"):
            if path.is_file():
                path.unlink()
        (report / "plots").rmdir()
        report.rmdir()
    kept = sorted(report.parent.iterdir())
    assert [(path.name, (path / "index.html").read_text()) for path in kept] == [
        ("report.kept", "first"),
        ("report.kept-2", "second"),
    ]


def test_a_report_that_cannot_be_made_leaves_the_last_one(
    source: pathlib.Path, report: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _publish(source, report)

    def fail(*_: Any) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(page, "complete", fail)
    with pytest.raises(OSError, match="No space left"):
        _publish(source, report)
    assert (report / "index.html").read_text() == "the page"


def test_a_kill_between_the_two_names_loses_nothing(source: pathlib.Path, report: pathlib.Path) -> None:
    _publish(source, report)
    (report / "notes.txt").write_text("mine")
    report.rename(report.with_name(".report.old"))
    report.with_name(".report.new").mkdir()
    _publish(source, report)
    assert (report / "notes.txt").read_text() == "mine"
    assert [path.name for path in report.parent.iterdir()] == ["report"]
