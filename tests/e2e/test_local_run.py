from __future__ import annotations

import io
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from conftest import ROOT, TEMPORARY, Run, run_locally, start_locally
from PIL import Image

from schema import record
from serving import models
from tests.drawn import MODELS

COMPONENTS = (
    "ExampleGen",
    "StatisticsGen",
    "DatasetSchema",
    "ExampleValidator",
    "AnomalyGate",
    "Transform",
    *(f"Trainer_{model}" for model in MODELS),
    *(f"Evaluator_{model}" for model in MODELS),
    "ModelComparison",
    "Edge",
    "Pusher",
)


def _states(run: Run) -> dict[str, str]:
    return dict(re.findall(r"^(\w+) +(done|cached|failed) ", run.console, re.MULTILINE))


def test_every_component_is_shown_as_done(first_run: Run) -> None:
    states = _states(first_run)
    assert {component: states.get(component) for component in COMPONENTS} == dict.fromkeys(COMPONENTS, "done")


def test_training_progress_is_shown(first_run: Run) -> None:
    for model in MODELS:
        assert re.search(
            rf"{model}  epoch 1/\d  \d+ images/s  loss \d.*ETA \d", " ".join(first_run.console.split("\n"))
        )


def test_the_console_shows_nothing_of_the_libraries(first_run: Run) -> None:
    assert not re.search(r"warning|deprecat|[EWI]0000|absl|tensorflow", first_run.console, re.IGNORECASE)


@pytest.mark.parametrize(
    "pattern",
    [
        *(f"pipeline/ExampleGen/examples/*/Split-{split}/*" for split in record.SPLITS),
        "pipeline/StatisticsGen/statistics/*/Split-train/FeatureStats.pb",
        "pipeline/ExampleValidator/anomalies/*/Split-test/SchemaDiff.pb",
        "pipeline/Transform/transform_graph/*/transform_fn/saved_model.pb",
        *(f"pipeline/Trainer_{model}/model/*/Format-Serving/saved_model.pb" for model in MODELS),
        *(f"pipeline/Trainer_{model}/model_run/*/history.json" for model in MODELS),
        *(f"pipeline/Evaluator_{model}/blessing/*/BLESSED" for model in MODELS),
        "serving/*/saved_model.pb",
        "report/index.html",
        "report/metrics.json",
        "report/suspects.csv",
        "metadata.db",
        "log.txt",
    ],
)
def test_each_step_leaves_its_output(first_run: Run, pattern: str) -> None:
    assert list(first_run.directory.glob(pattern))


def test_transform_writes_no_images(first_run: Run) -> None:
    assert not list(first_run.directory.glob("pipeline/Transform/transformed_examples/**/*"))


def test_the_console_ends_with_both_models_and_where_things_are(first_run: Run) -> None:
    figures = json.loads((first_run.directory / "report" / "metrics.json").read_text())["models"]
    for model in MODELS:
        overall = figures[model]["metrics"]["overall"]
        row = next(line for line in first_run.console.splitlines() if model in line and "│" in line)
        assert f"{overall['classification']['accuracy']['value']:.3f}" in row
        assert f"{overall['segmentation']['f1']['value']:.3f}" in row
    text = first_run.console.replace("\n", "")
    assert str(next(first_run.directory.glob("serving/*"))) in text
    assert str(first_run.directory / "log.txt") in text


_SERVE = """
import json, sys
import numpy as np, tensorflow as tf
from sklearn.metrics import accuracy_score, f1_score

model = tf.saved_model.load(sys.argv[1])
serialized = list(tf.data.TFRecordDataset(tf.io.gfile.glob(sys.argv[2])).as_numpy_iterator())
only_images, breeds, masks = [], [], []
for record in serialized:
    feature = tf.train.Example.FromString(record).features.feature
    only_image = tf.train.Features(feature={"image": feature["image"]})
    only_images.append(tf.train.Example(features=only_image).SerializeToString())
    breeds.append(feature["breed"].int64_list.value[0])
    mask = tf.io.decode_png(feature["mask"].bytes_list.value[0], channels=1)
    masks.append(mask)
answer = model.signatures["serving_examples"](examples=tf.constant(only_images))
height, width = answer["mask"].shape[1:3]
truth = np.stack([tf.image.resize(mask, [height, width], method="nearest").numpy() for mask in masks])
known = truth != 2
print(json.dumps({
    "accuracy": accuracy_score(breeds, np.argmax(answer["breed"], axis=1)),
    "mask_f1": f1_score(truth[known] == 1, answer["mask"].numpy()[known] > 0.5),
}))
"""


def test_the_pushed_model_in_a_new_process_has_the_figures_of_tfma(first_run: Run) -> None:
    metrics = json.loads((first_run.directory / "report" / "metrics.json").read_text())
    [serving] = first_run.directory.glob("serving/*")
    [records] = first_run.directory.glob("pipeline/ExampleGen/examples/*/Split-test")
    result = subprocess.run(
        [sys.executable, "-c", _SERVE, str(serving), f"{records}/*"],
        capture_output=True,
        text=True,
        check=True,
        cwd="/",
    )
    served = json.loads(result.stdout.splitlines()[-1])
    overall = metrics["models"][metrics["champion"]]["metrics"]["overall"]
    assert served["accuracy"] == pytest.approx(overall["classification"]["accuracy"]["value"], abs=1e-4)
    assert served["mask_f1"] == pytest.approx(overall["segmentation"]["f1"]["value"], abs=1e-4)


def test_the_pushed_tflite_file_answers_photos_as_the_pushed_saved_model_does(
    first_run: Run, tmp_path: pathlib.Path
) -> None:
    [serving] = first_run.directory.glob("serving/*")
    photos = []
    for number, size in enumerate([(64, 64), (200, 150), (37, 90)]):
        noise = [Image.effect_noise((8, 8), 200).resize(size, Image.Resampling.BICUBIC) for _ in range(3)]
        photos.append(tmp_path / f"{number}.jpg")
        Image.merge("RGB", noise).save(photos[-1])
    answers = []
    for path in (serving, serving / "assets.extra" / "edge" / "model.tflite"):
        model = models.open_model(str(path))
        answers.append(model.answer([model.prepare(photo.read_bytes()) for photo in photos]))
    for one, other in zip(*answers, strict=True):
        assert one.classes[0] == other.classes[0]
        np.testing.assert_allclose(one.scores, other.scores, atol=1e-4)
        assert one.known == pytest.approx(other.known, abs=1e-4)
        masks = [np.asarray(Image.open(io.BytesIO(answer.mask_png))).astype(int) for answer in (one, other)]
        np.testing.assert_allclose(masks[0], masks[1], atol=1)


def test_a_second_run_takes_every_component_from_the_cache(first_run: Run) -> None:
    second = run_locally(first_run.directory.parents[1])
    assert second.status == 0
    states = _states(second)
    cached = {component: states.get(component) for component in COMPONENTS if component != "Pusher"}
    assert cached == dict.fromkeys(cached, "cached")
    assert [component for component, state in states.items() if state == "done"] == ["Pusher"], "it only looks"
    assert len(list(first_run.directory.glob("serving/*"))) == 1


@pytest.fixture(scope="module")
def copied_run(first_run: Run) -> Run:
    """The first run's directory copied, and then treated as people and kills treat one; the same command again."""
    run_dir = first_run.directory.with_name("copy")
    shutil.copytree(first_run.directory, run_dir)
    [version] = run_dir.glob("serving/*")
    shutil.copytree(version, version.with_name("8888888888"))
    (version.with_name("8888888888") / "variables" / "variables.index").write_text("of another run's model")
    (version.with_name("9999999999")).mkdir()
    (run_dir / "serving" / f".incoming-1-{'0' * 32}").mkdir()
    (run_dir / ".temporary-files" / "beam-temp").mkdir(parents=True)
    (run_dir / "report" / "notes.txt").write_text("mine")
    shutil.rmtree(next(run_dir.glob("pipeline/ModelComparison/report/*")))
    run = run_locally(first_run.directory.parents[1], "--run-dir", str(run_dir))
    assert run.status == 0, run.console
    return Run(run_dir, run.console, run.status)


def test_after_a_cached_run_the_newest_version_is_its_champion_and_the_console_names_it(copied_run: Run) -> None:
    served = copied_run.directory / "serving" / "10000000000"
    assert f"Pushed model  {served}\n" in copied_run.console
    champion = next(copied_run.directory.glob("pipeline/ModelComparison/champion/*/Format-Serving/saved_model.pb"))
    assert (served / "saved_model.pb").read_bytes() == champion.read_bytes()
    assert {path.name for path in served.parent.iterdir()} >= {"8888888888", "9999999999", served.name}


def test_a_copied_run_directory_trains_nothing_anew_and_what_is_gone_is_said_and_remade(copied_run: Run) -> None:
    states = _states(copied_run)
    assert {name for name, state in states.items() if state != "cached"} == {"ModelComparison", "Edge", "Pusher"}
    assert re.search(r"^gone: .*/pipeline/ModelComparison/report/\d+; ", copied_run.console, re.MULTILINE)
    assert list(copied_run.directory.glob("pipeline/ModelComparison/report/*/index.html"))


def test_a_persons_file_in_the_report_stays_and_what_kills_left_goes(copied_run: Run) -> None:
    assert (copied_run.directory / "report" / "notes.txt").read_text() == "mine"
    left = [path for path in copied_run.directory.rglob(".*") if path.name.startswith((".incoming", ".temporary"))]
    assert left == []


def test_a_run_leaves_nothing_in_the_temporary_directory(first_run: Run, copied_run: Run) -> None:
    temporary = first_run.directory.parents[1] / TEMPORARY
    assert list(temporary.iterdir()) == []


def test_kills_at_the_hard_moments_lose_nothing_and_leave_nothing(first_run: Run, tmp_path: pathlib.Path) -> None:
    """The program says what it checks; each kill costs a second or two, since its runs are forks."""
    flags = ["--of", str(first_run.directory), "--folder", str(tmp_path), "--config", "debug"]
    kills = subprocess.run(
        [sys.executable, str(ROOT / "benchmarks" / "kills.py"), *flags],
        cwd=first_run.directory.parents[1],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert kills.returncode == 0, kills.stdout + kills.stderr[-2000:]
    assert kills.stdout.count("killed: ") == 6


@pytest.fixture(scope="module")
def interrupted_run(first_run: Run, tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, Run, float]:
    """A run ended by SIGTERM in StatisticsGen, another begun meanwhile, and the seconds that the end took."""
    run_dir = tmp_path_factory.mktemp("interrupted")
    with start_locally(first_run.directory.parents[1], "--run-dir", str(run_dir)) as process:
        assert process.stdout is not None
        lines: list[str] = []
        while not lines or not lines[-1].startswith("ExampleGen"):
            lines.append(process.stdout.readline())
            assert lines[-1], lines
        other = run_locally(first_run.directory.parents[1], "--run-dir", str(run_dir))
        assert f"process {process.pid}, started 20" in other.console
        process.send_signal(signal.SIGTERM)
        started = time.monotonic()
        rest, _ = process.communicate()
        return Run(run_dir, "".join(lines) + rest, process.returncode), other, time.monotonic() - started


def test_a_second_run_at_the_same_time_is_refused(interrupted_run: tuple[Run, Run, float]) -> None:
    run, other, _ = interrupted_run
    assert other.status == 2
    assert len(other.console.splitlines()) == 1
    assert str(run.directory) in other.console


def test_a_signal_ends_the_run_in_order(interrupted_run: tuple[Run, Run, float], first_run: Run) -> None:
    run, _, seconds = interrupted_run
    assert run.status == 128 + signal.SIGTERM
    assert "Interrupted (SIGTERM). The same command goes on" in run.console
    assert "Traceback" not in run.console
    assert seconds < 30
    assert not (run.directory / ".temporary-files").exists()
    assert list((first_run.directory.parents[1] / TEMPORARY).iterdir()) == []


def test_a_champion_is_held_against_the_serving_model_on_the_same_photos(
    first_run: Run, tmp_path: pathlib.Path
) -> None:
    shutil.copytree(first_run.directory, tmp_path / "run")
    flags = ("--contestants", "dcnn", "--seed", "21", "--run-dir", str(tmp_path / "run"))
    run = run_locally(first_run.directory.parents[1], *flags)
    assert run.status == 0, run.console
    before, after = (
        json.loads((folder / "report" / "metrics.json").read_text())
        for folder in (first_run.directory, tmp_path / "run")
    )
    accuracy, mask_f1 = (one for one in after["decision"]["against_serving"] if one["slice"] == "overall")
    served = before["models"][before["champion"]]["metrics"]["overall"]
    assert accuracy["other"] == pytest.approx(served["classification"]["accuracy"]["value"])
    assert mask_f1["other"] == pytest.approx(served["segmentation"]["f1"]["value"])
    assert accuracy["examples"] == after["data"]["examples"]["test"]


def test_nothing_is_pushed_where_no_model_reaches_the_thresholds(first_run: Run) -> None:
    versions = set(first_run.directory.glob("serving/*"))
    bars = ("--thresholds.accuracy", "0.99", "--thresholds.max-label-issues", "0")
    strict = run_locally(first_run.directory.parents[1], *bars)
    assert strict.status == 0, "the run still ends in order"
    states = _states(strict)
    assert {states[f"Trainer_{model}"] for model in MODELS} == {"cached"}
    for model in MODELS:
        assert re.search(rf"{model} is not blessed: breed accuracy is 0\.\d+: 0\.\d+ below", strict.console)
    assert re.search(r"no model is blessed: \d+ of 111 audited photos .*: look at suspects\.csv", strict.console)
    assert "none: no model is blessed" in strict.console
    assert set(first_run.directory.glob("serving/*")) == versions


def test_a_failure_names_component_cause_and_log(first_run: Run) -> None:
    failed = run_locally(first_run.directory.parents[1], "--dcnn.phases.0.learning-rate", "1e30")
    assert failed.status == 1
    assert _states(failed)["Trainer_dcnn"] == "failed"
    text = failed.console.replace("\n", " ")
    assert re.search(r"Trainer_dcnn: \w+: .*dcnn  epoch 1.*diverged", text)
    assert "log.txt" in text
    assert "Traceback" not in text
    assert "Traceback" in (first_run.directory / "log.txt").read_text()


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--weights", "nowhere.h5"], "weights is 'nowhere.h5', which is no file"),
        (["--run-dir", "a file"], "which is a file: give a folder"),
        (["--run-dir", "a file/below"], "which lies below the file"),
        (["--run-dir", "x[v2]"], "it must be a path without * ? [ ]"),
        (["--thresholds.accuracy", "80"], "--thresholds.accuracy is 80.0"),
    ],
)
def test_what_can_be_known_is_said_at_once(tmp_path: pathlib.Path, flags: list[str], message: str) -> None:
    (tmp_path / "a file").touch()
    started = time.monotonic()
    refused = run_locally(tmp_path, *flags)
    assert refused.status == 2
    [line] = refused.console.splitlines()
    assert line.startswith("local_runner.py: ")
    assert message in line
    assert time.monotonic() - started < 10, "nothing heavy was imported"


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import runpy, sys\n"
        "sys.argv = ['local_runner.py', '--help']\n"
        "try:\n"
        f"    runpy.run_path({str(ROOT / 'local_runner.py')!r}, run_name='__main__')\n"
        "except SystemExit:\n"
        "    pass\n"
        "print(sorted({'tensorflow', 'tfx', 'apache_beam', 'keras', 'numpy'} & set(sys.modules)))\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.splitlines()[-1] == "[]"
    assert "--data-dir" in result.stdout


def test_an_unknown_config_is_refused_with_the_known_ones(tmp_path: pathlib.Path) -> None:
    result = subprocess.run(
        [sys.executable, str(ROOT / "local_runner.py"), "--config", "cats"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode != 0
    assert "sample" in result.stderr
