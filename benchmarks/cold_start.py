"""From each container's command on Kubeflow to its executor's first line, against the imports that it must make.

    python benchmarks/cold_start.py [--rounds 3] [--steps ExampleGen ModelComparison]

Every process stops where TFX's entry point says "Starting executor", and its processor seconds count: imports are work
of one thread, and other work on the machine changes these less than the time on the wall. A step is compared with
`python -c "import tensorflow"`, and with TFX's own entry point that starts the same executor without a line of ours. In
the place of an executor of ours that is TFX's empty one, with the import statements of our modules that name no other
module of ours. Processes take turns; the least of each counts, since everything else only adds to it. The last column
is what `-X importtime` says of our modules alone, without what they import, as a share of all imports: it is measured
within one process, so it knows no other noise than its own.
"""

from __future__ import annotations

import argparse
import ast
import importlib.util
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
from typing import Any

import psutil

from pipeline.configs import debug
from pipeline.kubeflow import entrypoint, package
from pipeline.kubeflow.deployment import Deployment
from pipeline.kubeflow.step import Step

OURS = ("components", "pipeline", "schema", "trainer_module")
EMPTY_EXECUTOR = "tfx.dsl.components.base.base_executor.EmptyExecutor"
MARKER = "Starting executor"
OUTPUTS = "task"
IMPORT_TENSORFLOW = f"import sys, tensorflow; print('{MARKER}', file=sys.stderr, flush=True); input()"
START_TFX = f"import runpy\nrunpy.run_module('{entrypoint.TFX_ENTRY_POINT}', run_name='__main__', alter_sys=True)"


def processor_seconds(command: list[str], folder: str) -> float:
    """User and system time of a process up to the line of its log that holds `MARKER`."""
    _forget_outputs(folder)
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=folder, stdin=pipe, stdout=pipe, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        log = []
        for line in process.stdout:
            log.append(line)
            if MARKER in line:
                times = psutil.Process(process.pid).cpu_times()
                process.kill()
                return times.user + times.system
    raise RuntimeError(f"{command[:4]} ended before its executor's first line:\n" + "".join(log[-20:]))


def _forget_outputs(folder: str) -> None:
    """A process that was stopped while it wrote its output leaves half a file, which the next one would read."""
    shutil.rmtree(pathlib.Path(folder) / OUTPUTS, ignore_errors=True)


def own_share(command: list[str], folder: str) -> float:
    """Share of our modules' own code in the time of all imports up to the executor's first line."""
    _forget_outputs(folder)
    pipe, [python, *arguments] = subprocess.PIPE, command
    ours = total = 0
    with subprocess.Popen(
        [python, "-X", "importtime", *arguments], cwd=folder, stdout=pipe, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if found := re.match(r"import time: +(\d+) \| +\d+ \| *([\w.]+)", line):
                total += int(found[1])
                ours += int(found[1]) if found[2].split(".")[0] in OURS else 0
            if MARKER in line:
                process.kill()
    return ours / total


def commands(spec: dict[str, Any], task: str, folder: pathlib.Path) -> dict[str, list[str]]:
    """Of one task of the package: the container's command, and its reference's."""
    component = spec["components"][spec["root"]["dag"]["tasks"][task]["componentRef"]["name"]]
    container = spec["deploymentSpec"]["executors"][component["executorLabel"]]["container"]
    arguments = list(container["args"])
    at = arguments.index("--json_serialized_invocation_args") + 1
    [_, *module] = container["command"]
    step_at = arguments.index("--step")
    step = Step(**json.loads(arguments[step_at + 1]))

    invocation = _invocation(spec, component, spec["root"]["dag"]["tasks"][task], folder)
    ours = arguments.copy()
    ours[at] = json.dumps(invocation)
    entrypoint.adapt(invocation, step)
    reference = arguments[:step_at] + arguments[step_at + 2 :]
    reference[at] = json.dumps(invocation)
    executor_at = reference.index("--executor_class_path") + 1
    code = START_TFX
    if reference[executor_at].split(".")[0] in OURS:
        # In the step's order, TFX before the executor: the other way round the same imports take 5 % less.
        foreign = foreign_imports(reference[executor_at].rpartition(".")[0])
        code = "\n".join([f"import {entrypoint.TFX_ENTRY_POINT}", *foreign, code])
        reference[executor_at] = EMPTY_EXECUTOR
    return {"step": [sys.executable, *module, *ours], "reference": [sys.executable, "-c", code, *reference]}


def _invocation(spec: dict[str, Any], component: dict[str, Any], task: dict[str, Any], folder: pathlib.Path) -> Any:
    """KFP's ExecutorInput of a task: its parameters' defaults, and artifacts that nobody will open."""
    defaults = spec["root"]["inputDefinitions"]["parameters"]
    values = {
        key: given["runtimeValue"]["constant"]
        if "runtimeValue" in given
        else defaults[given["componentInputParameter"]]["defaultValue"]
        for key, given in task.get("inputs", {}).get("parameters", {}).items()
    }

    def artifacts(side: str) -> dict[str, Any]:
        keys = component.get(side, {}).get("artifacts", {})
        return {key: {"artifacts": [{"uri": str(folder / key), "metadata": {}}]} for key in keys}

    return {
        "inputs": {"artifacts": artifacts("inputDefinitions"), "parameterValues": values},
        "outputs": {"artifacts": artifacts("outputDefinitions"), "outputFile": str(folder / OUTPUTS / "output.json")},
    }


def foreign_imports(module: str) -> list[str]:
    """Import statements at the top of our `module`, and of those of ours that it imports, that name none of ours."""
    statements: dict[str, None] = {}
    seen: set[str] = set()

    def visit(name: str) -> None:
        spec = importlib.util.find_spec(name)
        if name in seen or spec is None or spec.origin is None:
            return
        seen.add(name)
        for node in ast.parse(pathlib.Path(spec.origin).read_text()).body:
            if not isinstance(node, ast.Import | ast.ImportFrom):
                continue
            source = node.module if isinstance(node, ast.ImportFrom) else node.names[0].name
            if source and source.split(".")[0] in OURS:
                visit(source)
                for alias in node.names:
                    if importlib.util.find_spec(source).submodule_search_locations:  # type: ignore[union-attr]
                        visit(f"{source}.{alias.name}")
            elif source != "__future__":
                statements[ast.unparse(node)] = None

    visit(module)
    return list(statements)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", nargs="*", help="tasks of the package; default: one of each executor")
    flags = parser.parse_args()
    spec = package.build(debug(), Deployment(pipeline_root="gs://bucket/root"))
    tasks = spec["root"]["dag"]["tasks"]
    steps = flags.steps or [name for name in sorted(tasks) if not name.endswith("mobilenet-v3-small")]
    with tempfile.TemporaryDirectory() as folder:
        runs = {(name, kind): run for name in steps for kind, run in commands(spec, name, pathlib.Path(folder)).items()}
        runs["tensorflow", ""] = [sys.executable, "-c", IMPORT_TENSORFLOW]
        least = dict.fromkeys(runs, float("inf"))
        for _ in range(flags.rounds):
            for key, run in runs.items():
                least[key] = min(least[key], processor_seconds(run, folder))
        shares = {name: own_share(runs[name, "step"], folder) for name in steps}
    tensorflow = least["tensorflow", ""]
    print(f"import tensorflow: {tensorflow:.2f} s of processor time")
    print(f"{'step':<20} {'seconds':>8} {'of import tensorflow':>21} {'of the same imports':>20} {'our own code':>13}")
    for name in steps:
        step, reference = least[name, "step"], least[name, "reference"]
        ratios = f"{step / tensorflow:21.2f} {step / reference:20.3f} {shares[name]:13.2%}"
        print(f"{name:<20} {step:8.2f} {ratios}")
    step, reference = (sum(least[name, kind] for name in steps) for kind in ("step", "reference"))
    print(
        f"all steps {step:.1f} s, the same imports without ours {reference:.1f} s: ratio {step / reference:.3f}; "
        f"our own code at most {max(shares.values()):.2%} of a step's imports"
    )


if __name__ == "__main__":
    main()
