"""The demo's page in headless Chromium, with a model that tells colours."""

from __future__ import annotations

import json
import os
import pathlib
import socket
import subprocess
import sys
import urllib.parse
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from serving import answer_html, demo, models
from tests import interrupts
from tests.browser import chromium, set_width
from tests.colours import Write

pytest.importorskip("gradio", reason="Gradio is not installed: pip install 'pets-pipeline[demo]'")

ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture(scope="module")
def address(version: pathlib.Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    portraits = version.parents[1] / "report" / "portraits"
    portraits.mkdir(parents=True)
    models.pictures.Image.new("RGB", (128, 128), (0, 0, 250)).save(portraits / "2.jpg")
    folder = tmp_path_factory.mktemp("demo")
    page = demo.build(models.open_model(str(version)), str(version), folder)
    yield demo.serve(page, "127.0.0.1", _free_port(), str(folder), block=False)
    page.close()


def _free_port() -> int:
    """Not Gradio's own choice: another test's page may take that one at the same moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as window:
        yield window


def _wait(browser: Any, condition: Any) -> Any:
    from selenium.common.exceptions import StaleElementReferenceException
    from selenium.webdriver.support.wait import WebDriverWait

    return WebDriverWait(browser, 60, ignored_exceptions=[StaleElementReferenceException]).until(condition)


def _find(browser: Any, selector: str) -> Any:
    return _wait(browser, lambda window: window.find_elements("css selector", selector))[0]


def _upload(browser: Any, path: pathlib.Path) -> None:
    _find(browser, "#upload input[type=file]").send_keys(str(path))


@pytest.fixture
def page(browser: Any, address: str) -> Any:
    set_width(browser, 1280)
    browser.get_log("performance")
    browser.get(address)
    _find(browser, "#upload input[type=file]")
    return browser


@pytest.mark.parametrize("width", [1280, 390])
def test_a_photo_is_answered_with_bars_and_a_mask_and_fits_the_width(page: Any, photo: Write, width: int) -> None:
    set_width(page, width)
    _upload(page, photo("one.png", (40, 254, 0)))
    best = _find(page, "#answer .bar.best")
    assert best.text.splitlines() == ["green", "94.9 %"]
    names = [bar.text.split()[0] for bar in page.find_elements("css selector", "#answer .bar")]
    assert names == ["green", "red", "blue"]
    assert "kind: cold" in page.find_element("css selector", "#answer").text
    sizes = [page.find_element("css selector", f"#answer .{kind}").size for kind in ("photo", "mask")]
    assert sizes[0] == sizes[1]
    assert sizes[0]["width"] > width / 3
    assert page.execute_script("return document.documentElement.scrollWidth") <= width


def test_the_slider_sets_the_masks_opacity(page: Any, photo: Write) -> None:
    _upload(page, photo("one.png"))
    slider = _find(page, "#answer input[type=range]")

    def opacity() -> str:
        return page.execute_script("return getComputedStyle(document.querySelector('#answer .mask')).opacity")

    assert opacity() == "0.5"
    page.execute_script("arguments[0].value = 90; arguments[0].dispatchEvent(new Event('input'))", slider)
    assert opacity() == "0.9"


def test_a_photo_unlike_the_trainings_is_marked(page: Any, photo: Write) -> None:
    _upload(page, photo("dark.png", (60, 0, 0)))
    assert _find(page, "#answer .warning").text.startswith("Not like the training data.")


def test_one_photo_after_another_can_be_dropped(page: Any, photo: Write) -> None:
    for colour, name in (((250, 0, 0), "red"), ((0, 0, 250), "blue")):
        _upload(page, photo(f"{name}.png", colour))
        _wait(page, lambda window, name=name: name in _find(window, "#answer .bar.best").text)


def test_a_file_that_is_no_photo_is_told_and_the_page_goes_on(page: Any, photo: Write, tmp_path: pathlib.Path) -> None:
    (tmp_path / "text.png").write_text("<script>no photo</script>")
    _upload(page, tmp_path / "text.png")
    assert _find(page, "#answer .error").text == "the photo is no picture"
    _upload(page, photo("good.png"))
    assert "red" in _find(page, "#answer .bar.best").text


@pytest.mark.parametrize(("name", "size"), [("notes.txt", 10), ("huge.png", 21_000_000)])
def test_what_is_not_taken_at_all_is_said_by_the_page(
    page: Any, photo: Write, tmp_path: pathlib.Path, name: str, size: int
) -> None:
    (tmp_path / name).write_bytes(bytes(size))
    _upload(page, tmp_path / name)
    assert _find(page, ".toast-body")
    page.refresh()
    _upload(page, photo("good.png"))
    assert "red" in _find(page, "#answer .bar.best").text


def test_a_sample_is_answered_by_a_click(page: Any) -> None:
    samples = _wait(page, lambda window: window.find_elements("css selector", "#samples button:has(img)"))
    assert len(samples) == 3, "the portrait of the run's report, and two drawings"
    samples[0].click()
    assert _find(page, "#answer .bar.best").text.splitlines() == ["blue", "99.9 %"]
    samples[1].click()
    _find(page, "#answer .bar.best")


@pytest.mark.parametrize("width", [1280, 390])
def test_every_sample_is_seen_whole(page: Any, width: int) -> None:
    set_width(page, width)
    _wait(page, lambda window: len(window.find_elements("css selector", "#samples button:has(img)")) == 3)
    assert (
        page.execute_script("""
        const boxes = [...document.querySelectorAll('#samples *')].filter(box => box.clientWidth);
        const cut = box => box.scrollWidth > box.clientWidth || box.scrollHeight > box.clientHeight;
        return boxes.filter(cut).map(box => box.className)""")
        == []
    )


def test_a_tall_photo_fits_the_window(page: Any, tmp_path: pathlib.Path) -> None:
    models.pictures.Image.new("RGB", (20, 400), (0, 0, 250)).save(tmp_path / "tall.png")
    _upload(page, tmp_path / "tall.png")
    sizes = [_find(page, f"#answer .{kind}").size for kind in ("photo", "mask")]
    assert sizes[0] == sizes[1]
    assert sizes[0]["height"] <= page.execute_script("return window.innerHeight")


def test_nothing_is_asked_of_another_machine(page: Any, photo: Write, address: str) -> None:
    _upload(page, photo("one.png"))
    _find(page, "#answer .bar.best")
    events = [json.loads(entry["message"])["message"] for entry in page.get_log("performance")]
    asked = {
        urllib.parse.urlsplit(event["params"]["request"]["url"]).netloc
        for event in events
        if event["method"] == "Network.requestWillBeSent" and event["params"]["request"]["url"].startswith("http")
    }
    assert asked == {urllib.parse.urlsplit(address).netloc}


def test_names_are_text_and_not_html() -> None:
    described = models.Description("t", "<q>label", ("<q>fine",), {}, (), 32, 32)
    answer = models.Answer("", ("<q>fine",), (1.0,), {"<q>coarser": ("<q>coarse", 1.0)}, 1.0)
    photo = models.pictures.mask_png(np.zeros((8, 8, 1), np.float32), (8, 8))
    page = answer_html.render(described, photo, answer)
    assert "<q>" not in page
    assert page.count("&lt;q&gt;") == 4
    assert "<q>" not in answer_html.error("<q>")


def test_a_photo_just_below_the_threshold_is_not_shown_as_at_it() -> None:
    described = models.Description("t", "label", ("fine",), {}, (), 32, 32)
    photo = models.pictures.mask_png(np.zeros((8, 8, 1), np.float32), (8, 8))
    page = answer_html.render(described, photo, models.Answer("", ("fine",), (1.0,), {}, 0.4964))
    assert "(known 0.49, below 0.5)" in page


def test_it_listens_at_this_machine_alone_unless_it_is_told() -> None:
    assert demo._flags([]).host == "127.0.0.1"


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys\nfrom serving import demo\n"
        "try:\n    demo.main(['--help'])\nexcept SystemExit:\n    pass\n"
        "print(sorted({'tensorflow', 'gradio', 'numpy'} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_without_gradio_it_says_what_to_install(version: pathlib.Path, tmp_path: pathlib.Path) -> None:
    (tmp_path / "gradio.py").write_text("raise ImportError")
    command = [sys.executable, "-m", "serving.demo", "--model", str(version)]
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == "demo: the demo needs Gradio: pip install 'pets-pipeline[demo]'"


@pytest.mark.parametrize("port", ["99999", "-1", "0", "many"])
def test_a_port_that_is_none_is_told(port: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        demo.main([f"--port={port}"])
    assert f"argument --port: {port}: give a number from 1 to 65535" in capsys.readouterr().err


def test_an_interrupt_before_the_page_is_there_is_its_status(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "find", interrupts.interrupted)
    assert interrupts.status(demo.main, []) == 130


def test_an_address_that_it_cannot_listen_at_is_told(version: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert demo.main(["--model", str(version), "--host", "nowhere.invalid"]) == 2
    assert capsys.readouterr().err.startswith("demo: it cannot listen at --host nowhere.invalid: ")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        assert demo.main(["--model", str(version), "--port", port]) == 2
    told = f"demo: it cannot listen at --host 127.0.0.1 --port {port}: Address already in use\n"
    assert capsys.readouterr().err == told
