"""Photos against what a model said of its test photos."""

from __future__ import annotations

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence

import numpy as np
import pytest
import yaml
from scipy import stats

from pipeline.kubeflow.deployment import Placement
from serving import models, predict, watch
from tests import interrupts
from tests.colours import Write

START = 1_750_000_000
ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture
def watched(version: pathlib.Path, tmp_path: pathlib.Path) -> pathlib.Path:
    """The colour model with a reference of red photos, whose red is between 120 and 250."""
    folder = tmp_path / "versions" / "1700000000"
    shutil.copytree(version, folder)
    (folder / "assets.extra").mkdir(exist_ok=True)
    reds = np.linspace(120, 250, 60)
    known = reds / 255 / 2  # the other half of such a photo is black
    confidence = np.exp(8 * known) / (np.exp(8 * known) + 2)
    reference = {"known": known, "confidence": confidence, "mask_area": np.where(reds > 127, 0.5, 0.0)}
    text = json.dumps({name: values.tolist() for name, values in reference.items()})
    (folder / watch.REFERENCE_FILE).write_text(text)
    return folder


def _photos(photo: Write, reds: Iterable[float]) -> str:
    """A folder of photos, a minute apart, whose names are in another order."""
    for number, red in enumerate(reds):
        path = photo(f"photos/{(7 * number) % 1000:03d}.png", (int(red), 0, 0))
        os.utime(path, (START + 60 * number,) * 2)
    return str(path.parent)


def test_photos_like_the_tests_are_no_alarm(watched: pathlib.Path, photo: Write, capsys: pytest.CaptureFixture) -> None:
    folder = _photos(photo, np.random.default_rng(0).permutation(np.linspace(121, 249, 60)))
    assert watch.main([folder, "--model", str(watched), "--window", "20"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("60 photos of 2025-06-15")
    assert "against 60 test photos" in printed
    assert printed.endswith("They are like the test photos.\n")


def test_the_very_test_photos_are_no_alarm_where_the_model_is_sure() -> None:
    sure = 1 - np.random.default_rng(0).uniform(1e-7, 4e-5, 250)
    seen = [watch.Seen(str(number), number, {"confidence": share}) for number, share in enumerate(sure)]
    [[found]] = watch.differences({"confidence": np.round(sure, 4).tolist()}, [seen])
    assert found.p == 1.0


def test_it_says_since_when_and_in_what_they_differ(
    watched: pathlib.Path, photo: Write, capsys: pytest.CaptureFixture
) -> None:
    like = np.random.default_rng(0).permutation(np.linspace(121, 249, 40))
    folder = _photos(photo, [*like, *[60] * 20])
    assert watch.main([folder, "--model", str(watched), "--window", "20"]) == 1
    last = capsys.readouterr().out.splitlines()[-1]
    first_dark = pathlib.Path(folder, f"{7 * 40 % 1000:03d}.png")
    assert last.startswith("They differ since 2025-06-")
    assert f"({first_dark})" in last
    assert "likeness to the training's photos 0.118, was 0.363" in last
    assert "share of the picture in the mask 0.000, was 0.500" in last


@pytest.mark.parametrize(("reds", "status"), [(np.linspace(121, 249, 40), 0), (np.full(40, 60), 1)])
def test_the_step_of_its_kubeflow_package_asks_the_newest_version(
    watched: pathlib.Path, photo: Write, tmp_path: pathlib.Path, reds: Iterable[float], status: int
) -> None:
    (watched.parent / "1600000000").mkdir()
    (watched.parent / "1600000000" / "saved_model.pb").touch()
    package, volume = tmp_path / "watch.yaml", ["--deployment.volume", "claim:/mnt/pets"]
    subprocess.run([sys.executable, ROOT / "kubeflow_runner.py", "watch", *volume, "--output", package], check=True)
    spec, _ = yaml.safe_load_all(package.read_text())
    assert not spec["root"]["dag"]["tasks"]["watch"]["cachingOptions"].get("enableCache")
    container = spec["deploymentSpec"]["executors"]["exec-watch"]["container"]
    given = {"photos": _photos(photo, reds), "serving_dir": str(watched.parent)}
    assert given.keys() == spec["root"]["inputDefinitions"]["parameters"].keys()
    arguments = [
        re.sub(r"{{\$.inputs.parameters\['(\w+)'\]}}", lambda m: given[m[1]], one) for one in container["args"]
    ]
    assert container["command"] == ["python3", "-m", "serving.watch"]
    command = [sys.executable, *container["command"][1:], *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == status, done.stderr
    assert f"60 test photos of {watched}" in done.stdout


def test_the_documented_cron_job_asks_the_newest_version_like_the_kubeflow_package() -> None:
    [text] = re.findall(r"```yaml\n(apiVersion: batch/v1\n.*?)```", (ROOT / "docs/serving.md").read_text(), re.DOTALL)
    [container] = yaml.safe_load(text)["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    model = container["command"][container["command"].index("--model") + 1]
    assert model == Placement(volume="pets:/mnt/pets").serving_folder, "a version's folder would be asked for ever"


@pytest.mark.parametrize(
    ("flag", "folder"),
    [
        ("photos", "s3://bucket/inbox"),
        ("photos", "/srv/inbox"),
        ("deployment.serving-dir", "gs://bucket/serving"),
        ("deployment.serving-dir", "/srv/serving"),
    ],
)
def test_a_kubeflow_package_with_a_folder_that_its_step_cannot_read_is_refused(
    tmp_path: pathlib.Path, flag: str, folder: str
) -> None:
    command = [sys.executable, str(ROOT / "kubeflow_runner.py"), "watch", f"--{flag}", folder]
    command += ["--deployment.volume", "claim:/mnt/pets"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    named = flag.replace("-", "_")
    assert f"kubeflow_runner.py watch: {named} is {folder!r}, but the step reads plain files" in done.stderr
    assert not list(tmp_path.iterdir())


def test_an_unreadable_photo_is_counted_and_the_rest_is_compared(
    watched: pathlib.Path, photo: Write, capsys: pytest.CaptureFixture
) -> None:
    folder = _photos(photo, np.linspace(121, 249, 30))
    pathlib.Path(folder, "broken.png").write_text("no photo")
    assert watch.main([folder, "--model", str(watched)]) == 0
    assert "could not be read: 1, such as" in capsys.readouterr().out


def test_a_photo_that_leaves_while_it_is_answered_counts_as_unread(
    watched: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    seeing = watch.Seeing(models.open_model(str(watched)).description)
    answer = models.Answer("", ("red",), (0.9,), {}, 0.9)
    assert "gone since it was read" in seeing.write(str(tmp_path / "gone.png"), b"", answer).error
    assert not seeing.photos


def test_many_unreadable_photos_are_not_like_the_tests(
    watched: pathlib.Path, photo: Write, capsys: pytest.CaptureFixture
) -> None:
    folder = _photos(photo, np.linspace(121, 249, 36))
    for number in range(4):
        pathlib.Path(folder, f"broken {number}.png").write_text("no photo")
    assert watch.main([folder, "--model", str(watched)]) == 0, "10 % may be"
    capsys.readouterr()
    pathlib.Path(folder, "broken 5.png").write_text("no photo")
    assert watch.main([folder, "--model", str(watched)]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith(
        "watch: 36 of 41 photos are like the test photos, but more than 10% could not be read"
    )
    assert f"5, such as {folder}/broken 0.png: the photo is no picture" in captured.err


def test_photos_that_differ_are_told_though_many_cannot_be_read(watched: pathlib.Path, photo: Write) -> None:
    folder = _photos(photo, [60] * 40)
    for number in range(40):
        pathlib.Path(folder, f"broken {number}.png").write_text("no photo")
    assert watch.main([folder, "--model", str(watched)]) == 1


def test_a_name_that_is_no_text_is_printed(watched: pathlib.Path, photo: Write) -> None:
    folder = _photos(photo, np.linspace(121, 249, 30))
    pathlib.Path(folder, os.fsdecode(b"\xff.png")).write_text("no photo")
    command = [sys.executable, "-m", "serving.watch", folder, "--model", str(watched)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "such as " + folder + "/\\udcff.png: " in done.stdout


def test_too_few_photos_are_told_with_the_reason(watched: pathlib.Path, capsys: pytest.CaptureFixture) -> None:
    assert watch.main(["/nowhere/at/all", "--model", str(watched)]) == 2
    assert capsys.readouterr().err == (
        "watch: 0 photos could be read: give 20 or more, or chance decides; could not be read: 1, "
        "such as /nowhere/at/all: the file cannot be read: No such file or directory\n"
    )


@pytest.mark.parametrize(
    ("photos", "without_reference", "message"),
    [(19, False, "19 photos could be read: give 20 or more"), (20, True, "reference.json cannot be read")],
)
def test_what_cannot_be_compared_is_said(
    watched: pathlib.Path,
    photo: Write,
    capsys: pytest.CaptureFixture,
    photos: int,
    without_reference: bool,
    message: str,
) -> None:
    if without_reference:
        (watched / watch.REFERENCE_FILE).unlink()
    assert watch.main([_photos(photo, [200] * photos), "--model", str(watched)]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "message"),
    [
        *((content, "has no lists of numbers of test photos") for content in ("{}", "[]", '{"known": null}')),
        *((content, "has no lists of numbers of test photos") for content in ('{"known": []}', '{"known": [1, "a"]}')),
        ("[" * 100_000, "cannot be read: give a version that this pipeline pushed (maximum recursion depth"),
    ],
)
def test_a_reference_without_numbers_is_told(tmp_path: pathlib.Path, content: str, message: str) -> None:
    (tmp_path / watch.REFERENCE_FILE).parent.mkdir()
    (tmp_path / watch.REFERENCE_FILE).write_text(content)
    with pytest.raises(ValueError, match=rf"reference\.json {re.escape(message)}"):
        watch.read_reference(str(tmp_path))


def test_a_folder_that_nothing_was_pushed_to_is_told(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture) -> None:
    assert watch.main([str(tmp_path), "--model", str(tmp_path)]) == 2
    assert "which is no folder with a saved_model.pb" in capsys.readouterr().err


def test_an_interrupt_is_no_difference(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    monkeypatch.setattr(watch, "watch", interrupts.interrupted)
    assert interrupts.status(watch.main, ["photos"]) == 130
    assert capsys.readouterr().err == "watch: interrupted\n"


def test_an_interrupt_that_a_library_swallows_ends_it(
    watched: pathlib.Path, photo: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupts.swallowed(monkeypatch)
    folder = _photos(photo, np.linspace(121, 249, 2 * predict.BATCH))
    assert interrupts.status(watch.main, [folder, "--model", str(watched)]) == 130


@pytest.mark.parametrize(
    ("flag", "value", "advice"),
    [
        *(("--window", value, "give 20 or more") for value in ("19", "-20", "2.5", "many")),
        *(("--alpha", value, "give a number between 0 and 1") for value in ("0", "1", "nan", "few")),
    ],
)
def test_a_number_that_is_none_is_told(flag: str, value: str, advice: str, capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit, match="2"):
        watch.main([f"{flag}={value}", "photos"])
    assert f"argument {flag}: {value}: {advice}" in capsys.readouterr().err


def test_help_imports_nothing_heavy() -> None:
    code = "import sys; from serving import watch; sys.exit(bool({'numpy', 'scipy', 'tensorflow'} & set(sys.modules)))"
    subprocess.run([sys.executable, "-c", code], cwd=pathlib.Path(__file__).parents[2], check=True)


def _seen(known: Sequence[float]) -> list[watch.Seen]:
    return [watch.Seen(str(number), number, {"known": value}) for number, value in enumerate(known)]


@pytest.mark.parametrize("time", [1e14, 1e25, -1e14])
def test_a_files_time_that_is_no_date_is_printed_as_it_is(time: float) -> None:
    assert watch._time(watch.Seen("a.png", time, {})) == f"{time:.0f} s after 1970"


def test_windows_are_in_the_order_of_time_and_the_rest_joins_the_last() -> None:
    photos = _seen(np.zeros(58).tolist())
    found = watch.windows(photos[::-1], 20)
    assert [len(window) for window in found] == [20, 38]
    assert [photo for window in found for photo in window] == photos


def test_the_test_is_scipys_corrected_for_the_number_of_tests() -> None:
    rng = np.random.default_rng(1)
    reference, found = rng.random(100).round(4).tolist(), (0.8 * rng.random(50)).round(4).tolist()
    [[one], [other]] = watch.differences({"known": reference}, [_seen(found), _seen(reference)])
    assert one.p == pytest.approx(2 * stats.ks_2samp(reference, found).pvalue)
    assert (one.reference, one.found) == (np.median(reference), np.median(found))
    assert other.p == 1.0


def test_false_alarms_are_as_rare_as_was_asked_for() -> None:
    rng = np.random.default_rng(2)
    alarms = 0
    for _ in range(200):
        reference, found = rng.random(250).tolist(), _seen(rng.random(300).tolist())
        compared = watch.differences({"known": reference}, [found, *watch.windows(found, 100)])
        alarms += any(one.p < 0.05 for group in compared for one in group)
    assert alarms <= 16, "of 10 expected at most, with a chance of 3 % for more than this"
