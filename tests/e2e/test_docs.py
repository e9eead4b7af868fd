"""Every command and every Python snippet of README.md and docs/*.md: run, or checked as far as it can be here."""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import json
import os
import pathlib
import re
import runpy
import shlex
import shutil
import subprocess
import sys
from typing import NamedTuple, NoReturn

import cv2
import model_server
import numpy as np
import pytest
import yaml
from conftest import ROOT, Run

import describe
from pipeline import flags
from pipeline.kubeflow import cluster, commands

COMMANDS, SNIPPETS, DATA = ("", "sh", "bash"), ("python",), ("json", "yaml")
NEITHER = ("text", "mermaid", "dockerfile")
"""Languages of blocks that nobody types."""

NOT_RUN = {
    "kubectl": "needs a cluster",
    "docker": "needs a container engine and a registry",
    "buildah": "needs a container engine",
    "container=$(buildah": "needs a container engine",
    "echo": "asks a server that the line before starts in a container",
    "apt-get": "changes the machine",
    "tools/stand_in_base.sh": "makes a whole base image; needs root",
    "export": "sets a variable for the commands below it",
}
"""First words of commands of which only the shell's syntax is checked, and why."""

PARSED = {
    "local_runner.py": "trains for minutes to hours; the other tests of this folder run the debug config",
    "kubeflow_runner.py": "needs a server, or compiles for seconds; tests/pipeline/kubeflow does both",
    "tools/evaluate_model.py": "needs the real data and a model of it",
    "tools/replay_package.py": "takes minutes; tests/e2e/test_kubeflow_replay.py runs it",
    "describe.py": "tests/components/datasets/test_describe.py runs it",
    "benchmarks/mutated_photos.py": "takes minutes; tests/trainer_module/test_photos.py has some hundred of them",
    "serving.predict": "tests/serving runs it",
    "serving.watch": "tests/serving runs it",
    "benchmarks/parity.py": "is run below",
    "benchmarks/promotion.py": "is run below",
    "benchmarks/planted_faults.py": "needs a run that has learned something; tests/components/comparison has its parts",
    "benchmarks/ideas.py": "trains for half an hour; tests/benchmarks/test_ideas.py has its parts",
    "benchmarks/multi_task.py": "trains for an hour; tests/benchmarks/test_multi_task.py has its tables",
    "benchmarks/pushed_model.py": "takes minutes; tests/serving has what it times",
    "benchmarks/second_look.py": "takes minutes; tests/trainer_module/test_looks.py has what it times",
    "benchmarks/known.py": "needs a trained network; tests/trainer_module/test_likeness.py has its parts",
    "benchmarks/beam_engines.py": "takes an hour; tests/e2e/test_engines.py has what it runs and compares",
    "benchmarks/kills.py": "takes an hour; tests/e2e runs it at the hard moments",
    "engines": "serves until it is stopped; tests/e2e/test_engines.py runs what it starts",
    "pipeline.redraw": "opens a browser; without that it is run below",
    "pipeline.worker_pool": "serves until it is stopped",
}
"""Programs whose arguments are read by their own parsers and no more, and why."""


class Block(NamedTuple):
    place: str
    language: str
    text: str


def _blocks() -> list[Block]:
    blocks = []
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        text = path.read_text()
        for match in re.finditer(r"^( *)```(\w*)\n(.*?)^\1```$", text, re.MULTILINE | re.DOTALL):
            line = text.count("\n", 0, match.start()) + 1
            code = re.sub(rf"^{match[1]}", "", match[3], flags=re.MULTILINE)
            blocks.append(Block(f"{path.relative_to(ROOT)}:{line}", match[2], code))
    return blocks


BLOCKS = _blocks()


def _of(languages: tuple[str, ...]) -> list[object]:
    return [pytest.param(block, id=block.place) for block in BLOCKS if block.language in languages]


def _commands() -> list[object]:
    """Each command of the blocks, and those inside sentences, as words."""
    found = []
    for block in BLOCKS:
        if block.language in COMMANDS:
            text = re.sub(r"<<EOF\n.*?\nEOF", "", block.text, flags=re.DOTALL).replace("\\\n", " ")
            found += [(block.place, line) for line in text.splitlines()]
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        prose = re.sub(r"^ *```.*?^ *```$", "", path.read_text(), flags=re.MULTILINE | re.DOTALL)
        inline = re.findall(r"`((?:\.venv/bin/)?(?:python3?|make) [^`]+)`", prose)
        found += [(str(path.relative_to(ROOT)), command) for command in inline]
    words = [(place, shlex.split(line, comments=True)) for place, line in found]
    return [pytest.param(of, id=f"{place} {' '.join(of)[:60]}") for place, of in words if of]


def test_blocks_are_found_and_each_has_a_known_language() -> None:
    assert len(BLOCKS) > 20
    assert [block for block in BLOCKS if block.language not in (*COMMANDS, *SNIPPETS, *DATA, *NEITHER)] == []


@pytest.mark.parametrize("block", _of(DATA))
def test_every_text_of_data_is_well_formed(block: Block) -> None:
    assert json.loads(block.text) if block.language == "json" else [*yaml.safe_load_all(block.text)]


@pytest.mark.parametrize("block", _of(COMMANDS))
def test_the_shell_reads_every_block(block: Block) -> None:
    result = subprocess.run(["bash", "-n"], input=block.text, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


class _Parsed(Exception):
    """The program has read its arguments."""


def _stop(self: argparse.ArgumentParser, arguments: object = None, namespace: object = None) -> NoReturn:
    argparse.ArgumentParser.parse_known_args(self)
    raise _Parsed


def _parse(program: str, arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Reads the arguments with the program's own parser; raises SystemExit where it refuses them."""
    if program == "local_runner.py":
        flags.parse(arguments, program, "")
    elif program == "kubeflow_runner.py":
        name, *rest = arguments
        if name == "compile":
            command = flags.parse_with(rest, program, "", commands.Compile, commands.Compile)
            cluster.check(command.run, command.deployment)
        else:
            flags.command_of(rest, program, commands.COMMANDS[name])
    elif program == "describe.py":
        flags.command_of(arguments, program, describe.Arguments)
    elif program.startswith("benchmarks/"):
        assert (ROOT / program).is_file()
    elif program == "pipeline.worker_pool":
        assert importlib.util.find_spec(program)  # it has no parser, and would serve
    else:
        monkeypatch.setattr(argparse.ArgumentParser, "parse_args", _stop)
        monkeypatch.setattr(sys, "argv", [program, *arguments])
        monkeypatch.chdir(ROOT)
        monkeypatch.delitem(sys.modules, program, raising=False)  # another test may have imported it
        run = runpy.run_path if program.endswith(".py") else runpy.run_module
        with pytest.raises(_Parsed):
            run(program, run_name="__main__")


def test_make_help_says_of_every_target_what_it_is_for() -> None:
    listed = subprocess.run(
        ["make", "--no-print-directory", "help"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.splitlines()
    [targets] = re.findall(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert [line.split()[0] for line in listed] == targets.split()
    assert all(len(line.split()) > 2 for line in listed)


@pytest.mark.parametrize("words", _commands())
def test_every_command_is_one_that_its_program_takes(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    words = ["20" if word == "SEED" else word for word in words if word != "&"]
    if words[0] in NOT_RUN:
        assert "/" not in words[0] or (ROOT / words[0]).is_file()
    elif words[0] == "make":
        # Of install, which make asks for first, nothing is run either.
        subprocess.run(["make", "--dry-run", *words[1:]], cwd=ROOT, check=True, capture_output=True)
    else:
        assert re.fullmatch(r"(\.venv/bin/)?python3?", words[0]), f"say in NOT_RUN or PARSED what {words[0]} is"
        program, *arguments = words[2:] if words[1] == "-m" else words[1:]
        assert program in PARSED
        with pytest.raises(SystemExit, match=r"^0$") if "--help" in arguments else contextlib.nullcontext():
            _parse(program, arguments, monkeypatch)


@pytest.mark.parametrize("block", _of(SNIPPETS))
def test_every_python_snippet_runs_on_a_run(first_run: Run, block: Block, tmp_path: pathlib.Path) -> None:
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "pets").symlink_to(first_run.directory)
    version = max(int(folder.name) for folder in (first_run.directory / "serving").iterdir() if folder.name.isdigit())
    # An earlier run's evaluations lie beside the last one's.
    earlier = first_run.directory / "pipeline" / "Evaluator_dcnn" / "evaluation" / "0"
    earlier.mkdir(exist_ok=True)
    for name in ("cat.jpg", "photo.jpg"):
        cv2.imwrite(str(tmp_path / name), np.full((80, 100, 3), 128, np.uint8))
    code = block.text.replace("VERSION", str(version))
    with contextlib.ExitStack() as held:
        held.callback(shutil.rmtree, earlier)
        if _SERVER in code:
            port = held.enter_context(model_server.serving(first_run.directory / "serving" / str(version)))
            code = code.replace(_SERVER, f"localhost:{port}")
        subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, capture_output=True)


_SERVER = "localhost:8500"


BENCHES = {
    "parity.py": (
        ["--run-dir", "."],
        r"\nmodel\.tflite +0\.\d+ .*\npredict by SavedModel: the best class is another one for 0 photos.*"
        r"\npredict by TFLite: the best class is another one for 0 photos",
    ),
    "promotion.py": (["--predictions=report/predictions-dcnn.npz", "--trials=1"], r"another seed +0 of 1 refused"),
}


@pytest.mark.parametrize("bench", BENCHES)
def test_a_bench_of_a_finished_run_works_on_any(first_run: Run, bench: str) -> None:
    arguments, printed = BENCHES[bench]
    ended = subprocess.run(
        [sys.executable, str(ROOT / "benchmarks" / bench), *arguments],
        cwd=first_run.directory,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=True,
        capture_output=True,
        text=True,
    )
    assert re.search(printed, ended.stdout, re.DOTALL), ended.stdout


def test_the_report_can_be_drawn_again(first_run: Run) -> None:
    page = first_run.directory / "report" / "index.html"
    drawn = page.stat().st_mtime_ns
    arguments = ["-m", "pipeline.redraw", "--run-dir", str(first_run.directory)]
    told = subprocess.run([sys.executable, *arguments], cwd=ROOT, check=True, capture_output=True, text=True)
    assert page.stat().st_mtime_ns > drawn
    assert told.stderr == "", "what libraries print is for no person"
