from __future__ import annotations

import concurrent.futures
import csv
import io
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence

import numpy as np
import pytest
from PIL import Image

from serving import models, predict, reading, results
from tests import interrupts
from tests.colours import Write, export, png

ROOT = pathlib.Path(__file__).parents[2]
RED, GREEN, BLUE = (250, 0, 0), (0, 250, 0), (0, 0, 250)


@pytest.fixture
def out(tmp_path: pathlib.Path) -> pathlib.Path:
    return tmp_path / "out"


def _predict(out: pathlib.Path, model: pathlib.Path, *arguments: str) -> int:
    return predict.main([*arguments, "--model", str(model), "--out", str(out)])


def _rows(out: pathlib.Path) -> list[dict[str, str]]:
    with (out / results.CSV_FILE).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _lines(out: pathlib.Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (out / results.JSON_FILE).read_text(encoding="utf-8").splitlines()]


def test_each_photo_has_a_row_with_its_class_the_coarser_label_and_known(
    out: pathlib.Path, version: pathlib.Path, photo: Write
) -> None:
    paths = [str(photo("first.png", RED)), str(photo("second.png", BLUE))]
    assert _predict(out, version, *paths) == 0
    rows = _rows(out)
    assert [row["file"] for row in rows] == paths
    assert [row["colour"] for row in rows] == ["red", "blue"]
    assert [row["kind"] for row in rows] == ["warm", "cold"]
    mean = 250 / 255 / 2
    probability = np.exp(8 * mean) / (np.exp(8 * mean) + 2)
    assert float(rows[0]["colour_score"]) == pytest.approx(probability, abs=1e-4)
    assert float(rows[0]["kind_score"]) == pytest.approx(probability, abs=1e-4)
    assert float(rows[0]["known"]) == pytest.approx(mean, abs=1e-4)
    assert [row["error"] for row in rows] == ["", ""]


def test_json_lines_hold_the_best_classes_in_order(out: pathlib.Path, version: pathlib.Path, photo: Write) -> None:
    _predict(out, version, str(photo("one.png", (100, 250, 40))))
    [line] = _lines(out)
    colours = line["colour"]
    assert isinstance(colours, dict)
    assert list(colours) == ["green", "red", "blue"]
    assert sum(colours.values()) == pytest.approx(1, abs=1e-5)
    assert line["kind"] == {"cold": pytest.approx(colours["green"] + colours["blue"], abs=1e-5)}


@pytest.mark.parametrize("model", [".", "edge/model.tflite"])
def test_the_mask_is_a_png_of_the_photos_size(
    out: pathlib.Path, version: pathlib.Path, photo: Write, model: str
) -> None:
    path = photo("one.png", (200, 0, 0))
    assert _predict(out, version / model, str(path)) == 0
    with Image.open(out / _rows(out)[0]["mask"]) as mask:
        assert mask.mode == "L"
        assert mask.size == (40, 24)
        assert np.asarray(mask)[12, 5] == pytest.approx(200, abs=1)
        assert np.asarray(mask)[12, 35] == 0


def test_of_several_mask_classes_the_mask_holds_the_index(
    out: pathlib.Path, several: pathlib.Path, photo: Write
) -> None:
    for model in (several, several / "edge" / "model.tflite"):
        assert _predict(out, model, str(photo("a.png", RED)), str(photo("b.png", GREEN)), "--overlays") == 0
        masks = [np.asarray(Image.open(out / row["mask"])) for row in _rows(out)]
        assert [mask[12, 5] for mask in masks] == [1, 2]
        assert list(_rows(out)[0]) == ["file", "known", "mask", "overlay", "error"], "and there is no class head"


def test_tflite_answers_as_the_saved_model_does(out: pathlib.Path, version: pathlib.Path, photo: Write) -> None:
    photos = [str(photo(f"{number}.png", colour)) for number, colour in enumerate((RED, GREEN, (90, 80, 70)))]
    noise = Image.effect_noise((101, 67), 200)
    Image.merge("RGB", (noise, noise.rotate(90), noise.rotate(180))).save(out.with_name("noise.jpg"))
    photos.append(str(out.with_name("noise.jpg")))
    answers = []
    for model in (version, version / "edge" / "model.tflite"):
        assert _predict(out, model, *photos) == 0
        answers.append(_rows(out))
    for one, other in zip(*answers, strict=True):
        assert one["colour"] == other["colour"]
        assert one["kind"] == other["kind"]
        for figure in ("colour_score", "kind_score", "known"):
            assert float(one[figure]) == pytest.approx(float(other[figure]), abs=1e-4)


def test_a_models_libraries_print_nothing(out: pathlib.Path, version: pathlib.Path, photo: Write) -> None:
    command = [sys.executable, "-m", "serving.predict", str(photo("one.png", RED)), "--out", str(out), "--model"]
    model = str(version / "edge" / "model.tflite")
    told = subprocess.run([*command, model], cwd=ROOT, capture_output=True, text=True, check=True)
    assert told.stdout == ""
    assert told.stderr.splitlines() == [f"Model    {model}", f"Answered 1 of 1 photos in {out}"]


def test_engines_side_by_side_give_each_photo_its_own_answer(
    version: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    model = models.open_model(str(version / "edge" / "model.tflite"))
    photos = [model.prepare(png((red, 250 - red, 0))) for red in range(250)]
    assert model.answer(photos) == [model.answer([one])[0] for one in photos]


def test_the_overlay_colours_the_photo_where_the_mask_is(
    out: pathlib.Path, version: pathlib.Path, photo: Write
) -> None:
    assert _predict(out, version, str(photo("one.png", RED)), "--overlays") == 0
    with Image.open(out / _rows(out)[0]["overlay"]) as drawn:
        pixels = np.asarray(drawn).astype(int)
    assert pixels.shape == (24, 40, 3)
    assert pixels[12, 5, 1] > 50, "green over the red"
    assert pixels[12, 35].max() < 20, "black stays black"


def test_bad_files_are_told_and_counted_and_the_rest_is_answered(
    out: pathlib.Path, version: pathlib.Path, photo: Write, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "text.jpg").write_text("no photo")
    (tmp_path / "photos" / "empty.jpg").touch()
    (tmp_path / "photos" / "notes.txt").touch()
    photo("photos/good.png", BLUE)
    os.mkfifo(tmp_path / "photos" / "pipe.jpg")
    for model in (version, version / "edge" / "model.tflite"):
        status = _predict(out, model, str(tmp_path / "photos"), str(tmp_path / "gone.jpg"))
        assert status == 1
        rows = {os.path.basename(row["file"]): row for row in _rows(out)}
        assert {name for name, row in rows.items() if row["error"]} == {"text.jpg", "empty.jpg", "gone.jpg", "pipe.jpg"}
        assert rows["good.png"]["colour"] == "blue"
        assert rows["gone.jpg"]["error"] == "the file cannot be read: No such file or directory"
        assert rows["gone.jpg"]["colour"] == rows["gone.jpg"]["known"] == rows["gone.jpg"]["mask"] == ""
        console = capsys.readouterr().err
        assert "Answered 1 of 5 photos" in console
        assert "photos': 1" in console
        assert f"{tmp_path / 'gone.jpg'}: the file cannot be read" in console


def test_a_huge_file_and_a_huge_picture_are_refused_unread(tmp_path: pathlib.Path) -> None:
    huge = tmp_path / "huge.jpg"
    with huge.open("wb") as file:
        file.truncate(101_000_000)
    with pytest.raises(ValueError, match="the file has 101 MB: 100 are the limit"):
        reading.read(str(huge))
    encoded = io.BytesIO()
    Image.new("1", (20_000, 20_000)).save(encoded, "PNG")
    with pytest.raises(ValueError, match="20000 x 20000 pixels: 50 million are the limit"):
        models.pictures.decode(encoded.getvalue())


@pytest.mark.parametrize("again", [(), ("--overlays",)])
def test_a_photo_that_gets_no_mask_has_no_older_one(
    out: pathlib.Path, version: pathlib.Path, photo: Write, again: tuple[str, ...]
) -> None:
    good, bad = photo("photos/good.png"), photo("photos/bad.png")
    assert _predict(out, version, str(good.parent), "--overlays") == 0
    bad.write_text("no photo")
    assert _predict(out, version, str(good.parent), *again) == 1
    assert [path.name for path in (out / "masks").iterdir()] == ["good.png.png"]
    assert [path.name for path in (out / "overlays").iterdir()] == ["good.png.jpg"] * len(again)


def test_photos_of_one_name_in_two_folders_have_masks_of_their_own(
    out: pathlib.Path, version: pathlib.Path, photo: Write
) -> None:
    one, other = photo("a/x.png", RED), photo("b/x.png", (100, 0, 0))
    twin = photo("a/x.jpg", (50, 0, 0))
    assert _predict(out, version, str(one), str(other.parent), str(twin.parent / "*.jpg"), "--overlays") == 0
    rows = _rows(out)
    assert {row["mask"] for row in rows} == {"masks/a/x.png.png", "masks/b/x.png.png", "masks/a/x.jpg.png"}
    assert [np.asarray(Image.open(out / row["mask"])).max() for row in rows] == [250, 100, 50]
    assert len({row["overlay"] for row in rows}) == 3


def test_names_that_are_no_text_or_need_quotes_come_through(
    out: pathlib.Path, version: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    names = [b'a, "b"\nc.png', b"a\rb.png", b"\xff\xfe.png", "Größe 犬.png".encode()]
    (tmp_path / "photos").mkdir()
    for name in names:
        (tmp_path / "photos" / os.fsdecode(name)).write_bytes(png(RED))
    assert _predict(out, version, str(tmp_path / "photos")) == 0
    assert {os.fsencode(os.path.basename(str(line["file"]))) for line in _lines(out)} == set(names)
    assert len(_rows(out)) == len(names)
    (tmp_path / "photos" / os.fsdecode(b"\xfd.png")).write_text("no photo")
    command = [sys.executable, "-m", "serving.predict", str(tmp_path / "photos"), "--out", str(out), "--model"]
    done = subprocess.run([*command, str(version)], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    assert "\\udcfd.png: the photo is no picture" in done.stderr


def test_photos_are_drawn_and_held_only_as_far_ahead_as_two_batches(tmp_path: pathlib.Path, photo: Write) -> None:
    path, drawn = str(photo("one.png")), []

    def endless() -> Iterator[str]:
        while True:
            drawn.append(path)
            yield path

    batches = reading.batches(endless(), bytes, 4)
    for number in range(1, 6):
        assert len(next(batches)) == 4
        assert len(drawn) <= 4 * number + 2 * 4 + 1


def test_a_batch_of_large_files_is_small(tmp_path: pathlib.Path) -> None:
    large = tmp_path / "large.jpg"
    with large.open("wb") as file:
        file.truncate(30_000_000)
    sizes = [len(batch) for batch in reading.batches([str(large)] * 5, len, 32)]
    assert sizes == [2, 2, 1]


def test_memory_does_not_grow_with_the_number_of_photos(out: pathlib.Path, version: pathlib.Path, photo: Write) -> None:
    """What is held of photos and answers at any moment is bounded, whatever their number."""
    import gc

    model = models.open_model(str(version))
    path = str(photo("one.png"))
    held = []

    def photos(count: int) -> Iterator[str]:
        for number in range(count):
            if number % 50 == 49:
                held.append(sum(isinstance(one, (models.Answer, reading.Photo)) for one in gc.get_objects()))
            yield path

    with results.Writer(str(out), model.description, os.path.dirname(path), overlays=False) as writer:
        outcome = predict.predict(model, photos(500), writer, batch_size=8)
    assert (outcome.photos, outcome.errors) == (500, 0)
    assert max(held) <= 2 * 8 * (2 + 4), "two kinds of object, batches ahead of the model, at it and behind it"


def test_photos_are_answered_in_a_thread_that_ctrl_c_does_not_interrupt(
    out: pathlib.Path, version: pathlib.Path, photo: Write
) -> None:
    model, path = models.open_model(str(version)), str(photo("one.png"))
    with (
        results.Writer(str(out), model.description, os.path.dirname(path), overlays=False) as writer,
        concurrent.futures.ThreadPoolExecutor(1) as thread,
    ):
        outcome = thread.submit(predict.predict, model, [path], writer).result()
    assert (outcome.photos, outcome.errors) == (1, 0)


@pytest.mark.parametrize(
    ("names", "reason"),
    [(("b" * 251 + ".png",), "File name too long"), (("a.jpg.png/x.jpg", "a.jpg"), "Is a directory")],
)
def test_a_mask_that_can_have_no_file_is_its_photos_error_and_the_rest_goes_on(
    out: pathlib.Path, version: pathlib.Path, photo: Write, names: tuple[str, ...], reason: str
) -> None:
    *others, bad, last = [str(photo(f"photos/{name}")) for name in (*names, "c.png")]
    assert _predict(out, version, *others, bad, last, "--overlays") == 1
    rows = {row["file"]: row for row in _rows(out)}
    assert rows[bad]["error"].startswith(f"masks/{os.path.basename(bad)}.png cannot be written: {reason}")
    assert rows[bad]["colour"] == "red"
    assert rows[bad]["known"]
    assert rows[bad]["mask"] == rows[bad]["overlay"] == ""
    assert all((out / row["mask"]).is_file() and not row["error"] for path, row in rows.items() if path != bad)
    assert {str(line["file"]): line.get("error", "") for line in _lines(out)}[bad] == rows[bad]["error"]


def test_a_photo_below_a_name_that_is_anothers_mask_is_told(
    out: pathlib.Path, version: pathlib.Path, photo: Write
) -> None:
    paths = [str(photo(f"photos/{name}")) for name in ("a.jpg", "a.jpg.png/x.jpg")]
    assert _predict(out, version, *paths) == 1
    assert [bool(row["error"]) for row in _rows(out)] == [False, True]


def test_an_output_folder_that_is_none_ends_the_run_with_a_sentence(
    version: pathlib.Path, photo: Write, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    assert _predict(tmp_path / "file", version, str(photo("one.png"))) == 2
    assert capsys.readouterr().err.strip().splitlines()[-1].startswith("predict: ")


def test_a_file_in_the_place_of_the_masks_ends_the_run_before_a_photo_is_asked_about(
    out: pathlib.Path, version: pathlib.Path, photo: Write, capsys: pytest.CaptureFixture
) -> None:
    out.mkdir()
    (out / results.MASKS).write_text("")
    assert _predict(out, version, str(photo("a.png"))) == 2
    printed = capsys.readouterr().err
    assert str(out / results.MASKS) in printed
    assert "rename the photo" not in printed


def test_a_version_that_is_not_whole_is_told(
    out: pathlib.Path, version: pathlib.Path, photo: Write, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture
) -> None:
    broken = shutil.copytree(version, tmp_path / "versions" / "2")
    [data] = (broken / "variables").glob("*.data-*")
    data.write_bytes(b"")
    assert _predict(out, broken, str(photo("a.png"))) == 2
    assert f"{broken} cannot be loaded, copy the version anew: " in capsys.readouterr().err


def _on_a_small_disk(out: pathlib.Path, version: pathlib.Path, photos: Sequence[str], size: int) -> None:
    """A limit on the size of files stands for the disk's."""
    code = (
        "import resource, signal, sys\n"
        "from serving import predict\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({size}, {size}))\n"
        "sys.exit(predict.main(sys.argv[1:]))\n"
    )
    command = [sys.executable, "-c", code, *photos, "--model", str(version), "--out", str(out)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.splitlines()[1:] == [
        f"predict: [Errno 27] File too large; what was answered before stands in {out}"
    ]


def test_a_full_disk_ends_the_run_with_a_sentence_and_the_status_of_photos_without_an_answer(
    out: pathlib.Path, version: pathlib.Path, photo: Write
) -> None:
    """The third photo's mask is too large."""
    rng = np.random.default_rng(0)
    paths = [str(photo(f"{number}.png")) for number in range(2)]
    noise = rng.integers(0, 256, (400, 400, 3), np.uint8)
    Image.fromarray(noise).save(out.with_name("large.png"))
    _on_a_small_disk(out, version, [*paths, str(out.with_name("large.png"))], 20_000)
    assert [row["file"] for row in _rows(out)] == paths
    assert not (out / "masks" / "large.png.png").exists()


def test_on_a_full_disk_whole_lines_are_left_the_same_in_both_files_and_masks_of_their_photos_alone(
    out: pathlib.Path, version: pathlib.Path, photo: Write
) -> None:
    """A line of the larger file is too long."""
    paths = [str(photo(f"{number}.png")) for number in range(40)]
    _on_a_small_disk(out, version, paths, 4_000)
    answered = [row["file"] for row in _rows(out)]
    assert answered == [line["file"] for line in _lines(out)] == paths[: len(answered)]
    assert 0 < len(answered) < len(paths)
    masks = {f"{pathlib.Path(path).name}.png" for path in answered}
    assert {mask.name for mask in (out / "masks").iterdir()} == masks


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--model", "nowhere"], "model is 'nowhere', which is no folder with a saved_model.pb and no .tflite"),
        ([], "there is no model in runs/*/serving: give one as --model"),
    ],
)
def test_a_missing_model_is_told(
    tmp_path: pathlib.Path,
    photo: Write,
    arguments: list[str],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert predict.main([str(photo("one.png")), "--out", "out", *arguments]) == 2
    assert message in capsys.readouterr().err


def test_a_folder_without_photos_is_told(
    tmp_path: pathlib.Path, version: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _predict(tmp_path / "out", version, str(tmp_path)) == 2
    assert f"there is no photo in {tmp_path}" in capsys.readouterr().err


def test_overlays_of_a_model_without_masks_are_refused(
    tmp_path: pathlib.Path, photo: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    model = export(tmp_path / "1", mask_classes=())
    assert _predict(tmp_path / "out", model, str(photo("one.png")), "--overlays") == 2
    assert capsys.readouterr().err.endswith("this model gives none: leave --overlays out\n")
    assert not (tmp_path / "out").exists()


def _described(folder: pathlib.Path, text: str) -> str:
    """A version of which nothing is there but what it says of itself."""
    (folder / "assets").mkdir()
    (folder / "saved_model.pb").touch()
    (folder / "assets" / "model.json").write_text(text)
    return str(folder)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"version of the contract": 2}, "is of version 2 of the contract, and 1 is what is understood here"),
        ({"coarser": ...}, "model.json has no 'coarser': use it as it was pushed"),
        ({"mask": 3}, "model.json is not as the pipeline writes it"),
    ],
)
def test_a_description_of_another_contract_or_that_is_not_whole_is_told(
    tmp_path: pathlib.Path, version: pathlib.Path, change: dict[str, object], sentence: str
) -> None:
    told = json.loads((version / "assets" / "model.json").read_text()) | change
    text = json.dumps({name: value for name, value in told.items() if value is not ...})
    with pytest.raises(ValueError, match=sentence):
        models.open_model(_described(tmp_path, text))


def test_a_description_that_is_nested_too_deeply_is_told(tmp_path: pathlib.Path) -> None:
    with pytest.raises(ValueError, match="which says what the model answers, cannot be read: maximum recursion depth"):
        models.open_model(_described(tmp_path, "[" * 100_000))


def test_a_tflite_beside_another_models_description_is_told(
    tmp_path: pathlib.Path, version: pathlib.Path, several: pathlib.Path
) -> None:
    for file in (version / "edge" / "model.tflite", several / "edge" / "model.json"):
        shutil.copy(file, tmp_path)
    with pytest.raises(ValueError, match=r"is of another model than the model.json beside it .*: copy both from one"):
        models.open_model(str(tmp_path / "model.tflite"))


def test_the_newest_version_of_the_run_that_pushed_last_is_the_default(
    out: pathlib.Path, version: pathlib.Path, photo: Write
) -> None:
    project = version.parents[3]
    for name in ("colours/serving/9", "older/serving/1600000000", "colours/serving/.incoming-1"):
        (project / "runs" / name).mkdir(parents=True, exist_ok=True)
        (project / "runs" / name / "saved_model.pb").touch()
    (project / "runs" / "colours" / "serving" / "1800000000").mkdir(exist_ok=True)  # no model in it
    assert pathlib.Path(models.find(runs=str(project / "runs"))) == version
    command = [sys.executable, "-m", "serving.predict", str(photo("one.png", GREEN)), "--out", str(out)]
    done = subprocess.run(
        command, cwd=project, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert _rows(out)[0]["colour"] == "green"
    assert done.stderr.splitlines() == ["Model    runs/colours/serving/1700000000", f"Answered 1 of 1 photos in {out}"]


def test_an_interrupt_keeps_what_was_answered(out: pathlib.Path, version: pathlib.Path, photo: Write) -> None:
    path = photo("photos/0.png")
    for number in range(1, 20_000):
        path.with_name(f"{number}.png").symlink_to(path)
    command = [sys.executable, "-m", "serving.predict", str(path.parent), "--model", str(version), "--out", str(out)]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as process:
        while not (out / results.JSON_FILE).exists() or not (out / results.JSON_FILE).stat().st_size:
            assert process.poll() is None
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        _, console = process.communicate()
    assert process.returncode == 130
    assert "predict: interrupted; what was answered before stands in" in console
    assert "Traceback" not in console
    assert 0 < len(_lines(out)) < 20_000


def test_an_interrupt_before_the_first_answer_points_at_no_answers(
    out: pathlib.Path, monkeypatch: pytest.MonkeyPatch, photo: Write, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(models, "find", interrupts.interrupted)
    assert interrupts.status(predict.main, [str(photo("one.png")), "--out", str(out)]) == 130
    assert capsys.readouterr().err == "predict: interrupted\n"


def test_an_interrupt_that_a_library_swallows_ends_it_at_the_next_batch(
    out: pathlib.Path, version: pathlib.Path, photo: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [str(photo(f"photos/{number}.png")) for number in range(3 * predict.BATCH)]
    interrupts.swallowed(monkeypatch)
    before = signal.getsignal(signal.SIGINT)
    assert interrupts.status(predict.main, [*paths, "--model", str(version), "--out", str(out)]) == 130
    assert len(_lines(out)) == predict.BATCH
    assert signal.getsignal(signal.SIGINT) is before


def test_help_imports_nothing_heavy_and_the_package_nothing_of_the_pipeline() -> None:
    code = (
        "import sys\n"
        "from serving import listing, models, pictures, predict, reading, results\n"
        "try:\n    predict.main(['--help'])\nexcept SystemExit:\n    pass\n"
        "heavy = {'tensorflow', 'ai_edge_litert', 'tfx', 'keras'}\n"
        "ours = {'pipeline', 'components', 'trainer_module', 'schema'}\n"
        "print(sorted((heavy | ours) & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
    assert "--overlays" in done.stdout
