"""The report in a browser: headless Chromium, driven through Selenium, without a network."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from components.comparison.results import Comparison
from components.edge.results import Edge, EdgeModel, Figures
from components.report import page, tables
from components.report.wording import DASH
from tests.browser import chromium, set_width
from tests.drawn import MODELS

SECTIONS = (
    "summary",
    "training",
    "confusion",
    "classes",
    "pixels",
    "known",
    "robustness",
    "gallery",
    "slices",
    "data",
    "suspects",
    "card",
    "run",
)


@pytest.fixture(scope="module")
def browser() -> Iterator:
    with chromium() as window:
        yield window


@pytest.fixture
def show(browser) -> Callable[[Path, int], None]:
    """Opens a file in a window of some width, in pixels."""

    def _show(page: Path, width: int) -> None:
        set_width(browser, width)
        browser.get_log("performance")
        browser.get_log("browser")
        browser.get(page.as_uri())

    return _show


def requested(browser) -> set[str]:
    """Addresses that the page has asked for, the data it holds itself left out."""
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    addresses = {
        event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"
    }
    return {address for address in addresses if not address.startswith("data:")}


@pytest.mark.parametrize("width", [1280, 390])
def test_every_section_stands_without_errors_or_requests(browser, show, report_dir, width):
    page = report_dir / "index.html"
    show(page, width)
    found = [section.get_attribute("id") for section in browser.find_elements("tag name", "section")]
    assert tuple(found) == SECTIONS
    broken = "return [...document.images].filter((image) => image.complete && !image.naturalWidth).length"
    assert browser.execute_script(broken) == 0
    assert browser.get_log("browser") == []
    assert requested(browser) == {page.as_uri()}


def test_a_phone_scrolls_the_page_in_one_direction_only(browser, show, report_dir):
    show(report_dir / "index.html", 390)
    assert browser.execute_script("return document.documentElement.scrollWidth") == 390


def test_on_a_phone_the_summarys_tables_need_no_scrolling(browser, show, report_dir):
    show(report_dir / "index.html", 390)
    assert browser.execute_script("""
        const boxes = [...document.querySelectorAll('#summary .scroll')];
        return boxes.map(box => box.scrollWidth - box.clientWidth)""") == [0, 0]


def test_on_a_desk_no_table_needs_scrolling(browser, show, report_dir):
    show(report_dir / "index.html", 1280)
    assert (
        browser.execute_script("""
        const wide = [...document.querySelectorAll('.scroll')].filter(box => box.scrollWidth > box.clientWidth);
        return wide.map(box => box.closest('section').id)""")
        == []
    )


def test_a_heading_begins_where_the_text_below_it_does(browser, show, report_dir):
    show(report_dir / "index.html", 1280)
    aligned = browser.execute_script("""
        return [...document.querySelectorAll('td.text')].map(cell => {
            const table = cell.closest('table');
            const heading = table.querySelector(`thead tr:last-child th:nth-child(${cell.cellIndex + 1})`);
            return heading ? getComputedStyle(heading).textAlign : '';
        })""")
    assert set(aligned) - {""} == {"left"}


def test_on_a_phone_a_models_name_breaks_between_its_words(browser, show, report_dir):
    show(report_dir / "index.html", 390)
    browser.execute_script("document.querySelector('#summary thead th:last-child').style.width = '7rem'")
    assert browser.execute_script("""
        const words = document.querySelector('#summary thead th:last-child').childNodes;
        return [...words].filter(node => node.nodeType === Node.TEXT_NODE).map(node => {
            const range = document.createRange();
            range.selectNode(node);
            return range.getClientRects().length;
        })""") == [1, 1, 1]


def test_the_class_table_sorts_by_a_column_and_back(browser, show, report_dir, metrics):
    show(report_dir / "index.html", 1280)
    recall = metrics["models"][MODELS[0]]["metrics"]["overall"]["classification"]["class_recall"]
    support = metrics["models"][MODELS[0]]["metrics"]["overall"]["classification"]["class_support"]

    def shown() -> list[str]:
        return browser.execute_script(
            "return [...document.querySelectorAll('#class-table tbody tr')].map((row) => row.cells[3].textContent)"
        )

    heading = browser.find_element("css selector", "#class-table thead tr:last-child th:nth-child(4)")
    known = sorted((value for value, count in zip(recall, support, strict=True) if count), reverse=True)
    unknown = [DASH] * support.count(0)
    heading.find_element("tag name", "button").click()
    assert heading.get_attribute("aria-sort") == "descending"
    assert shown() == [f"{100 * value:.1f}" for value in known] + unknown
    heading.find_element("tag name", "button").click()
    assert heading.get_attribute("aria-sort") == "ascending"
    assert shown() == [f"{100 * value:.1f}" for value in reversed(known)] + unknown


def test_tfmas_own_view_needs_no_network_either(browser, show, report_dir):
    page = report_dir / "tfma-dcnn.html"
    show(page, 1280)
    rows = """
      const rows = [];
      (function walk(node) {
        for (const child of node.children) {
          if (child.tagName === "TR") rows.push(child.cells[0].textContent.trim());
          if (child.shadowRoot) walk(child.shadowRoot);
          walk(child);
        }
      })(document.getElementById("mask-by-species").shadowRoot);
      return rows;
    """
    wait = pytest.importorskip("selenium.webdriver.support.wait").WebDriverWait(browser, 20)
    wait.until(lambda window: {"Cat", "Dog"} <= set(window.execute_script(rows)))
    assert browser.get_log("browser") == []
    assert requested(browser) == {page.as_uri()}


@pytest.mark.parametrize("width", [1280, 390])
def test_what_was_made_for_phones_has_a_section_once_it_is_known(browser, show, report_dir, tmp_path, width):
    shutil.copytree(report_dir, tmp_path / "report")
    figures = Figures(0.75, 0.5)
    models = (
        EdgeModel("float32", "model.tflite", True, "", 1_234_567, figures, 12.34, 56.0),
        EdgeModel("int8", "model_int8.tflite", False, "its engine crashed (SIGABRT)", 345_678),
        EdgeModel("onnx", "model.onnx", False, "it cannot be converted: no"),
    )
    page.complete(str(tmp_path / "report"), {}, Edge(MODELS[0], figures, 20.0, "here", models))
    show(tmp_path / "report" / "index.html", width)
    rows = [row.text.replace("\n", " ") for row in browser.find_elements("css selector", "#phones tbody tr")]
    assert rows[1] == "model.tflite 1.2 12.3 75.00 50.00 yes"
    assert rows[2].endswith("no: its engine crashed (SIGABRT)")
    assert rows[3].endswith("no: it cannot be converted: no")
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width


def test_classes_have_a_mask_figure_where_masks_are_judged_by_class(report_dir):
    compared = Comparison.from_json((report_dir / page.METRICS_FILE).read_bytes())
    assert compared.heads.label
    of_each, models = len(tables.class_rows(compared)[0].cells), len(compared.models)
    assert tables.has_mask_by_class(compared)
    otherwise = dataclasses.replace(compared, spec=dataclasses.replace(compared.spec, slices=()))
    assert not tables.has_mask_by_class(otherwise)
    assert len(tables.class_rows(otherwise)[0].cells) == of_each - models


def test_the_page_is_one_file_under_five_megabytes(report_dir):
    page = report_dir / "index.html"
    assert page.stat().st_size < 5e6
    assert 'src="http' not in page.read_text()
