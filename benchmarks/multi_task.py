"""The multi-task ledger: the same networks, recipes and steps with classes alone, masks alone, and both.

    python benchmarks/multi_task.py --ledger DIR [--seeds 20 21 22] [flags of local_runner.py, such as --config pets]

Each run is one of local_runner.py in DIR/run, whose cache keeps what the tasks share, the data above all; its report is
kept as DIR/TASK-SEED, and a run whose report is there is not made again. No threshold can be reached, so that nothing
is pushed and no seed is held against another. After every run the ledger of all that is there is printed in Markdown:
means over the seeds of split test, and from the smallest to the largest; then the cosine between the gradients of both
tasks on the layers that they share, over the epochs. Seconds of training are those without measuring that.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from pipeline import flags

ROOT = pathlib.Path(__file__).parents[1]
TASKS = {"classification": "classes", "segmentation": "masks", "both": "both"}
"""What a task is called in the ledger."""

Results = Mapping[tuple[str, int], Mapping[str, Any]]
"""`metrics.json` of each task and seed."""


def run(ledger: pathlib.Path, task: str, seed: int, arguments: Sequence[str]) -> None:
    """Makes one run and keeps its report; does nothing where it is kept already."""
    kept = ledger / f"{task}-{seed}"
    if kept.exists():
        return
    config = flags.parse(arguments, "multi_task.py", "")
    unreachable = {"accuracy": int(task != "segmentation"), "mask-f1": int(task != "classification")}
    command = [
        *(sys.executable, str(ROOT / "local_runner.py"), *arguments),
        *("--run-dir", str(ledger / "run"), "--task", task, "--seed", str(seed), "--edge"),
        *(f"--thresholds.{figure}={lowest}" for figure, lowest in unreachable.items()),
        *(f"--{name}.gradient-conflict" for name in config.contestants),
    ]
    subprocess.run(command, check=True)
    part = ledger / f"{kept.name}.part"
    shutil.rmtree(part, ignore_errors=True)  # of a copy that was killed
    shutil.copytree(ledger / "run" / "report", part)
    part.rename(kept)


def kept_results(ledger: pathlib.Path) -> Results:
    """All that is there, in the order of `TASKS`."""
    found = {}
    for task in TASKS:
        for path in sorted(ledger.glob(f"{task}-*/metrics.json")):
            seed = path.parent.name.removeprefix(f"{task}-")
            if seed.isdigit():  # else a copy that was killed
                found[task, int(seed)] = json.loads(path.read_text())
    return found


def train_seconds(history: Mapping[str, Any]) -> float:
    """Without those of measuring the gradients, which one task alone does not need."""
    return history["train_seconds"] - sum(epoch.get("gradient_seconds", 0.0) for epoch in history["epochs"])


def _of_head(head: str, figure: str) -> Callable[[Mapping[str, Any]], float | None]:
    def read(model: Mapping[str, Any]) -> float | None:
        of_head = model["metrics"]["overall"][head]
        return of_head[figure]["value"] if of_head else None

    return read


COLUMNS: dict[str, tuple[Callable[[Mapping[str, Any]], float | None], str]] = {
    "accuracy": (_of_head("classification", "accuracy"), "{:.1%}"),
    "macro F1": (_of_head("classification", "macro_f1"), "{:.3f}"),
    "mask F1": (_of_head("segmentation", "f1"), "{:.4f}"),
    "training, s": (lambda model: train_seconds(model["history"]), "{:.0f}"),
    "parameters": (lambda model: model["history"]["parameters"], "{:,.0f}"),
    "photos/s": (lambda model: model["inference_images_per_second"], "{:.0f}"),
}


def over_seeds(values: Sequence[float], pattern: str) -> str:
    """The mean and, where they differ, from the smallest to the largest."""
    mean, least, most = (pattern.format(value) for value in (sum(values) / len(values), min(values), max(values)))
    return mean if least == most else f"{mean} ({least} to {most})"


def table(results: Results) -> str:
    """Markdown: a row a network and task."""
    lines = [f"| network | trained on | seeds | {' | '.join(COLUMNS)} |", "|---" * (3 + len(COLUMNS)) + "|"]
    for network in _networks(results):
        for task, title in TASKS.items():
            models = [result["models"][network] for (of, _), result in results.items() if of == task]
            if not models:
                continue
            cells = []
            for read, pattern in COLUMNS.values():
                values = [value for value in map(read, models) if value is not None]
                cells.append(over_seeds(values, pattern) if values else "")
            lines.append(f"| {network} | {title} | {len(models)} | {' | '.join(cells)} |")
    return "\n".join(lines)


def conflict_table(results: Results) -> str:
    """Markdown: after each epoch the cosine, and the mask's pull beside the class's, of the runs with both."""
    networks = _networks(results)
    titles = [f"{network}: cosine | mask's gradient / class's" for network in networks]
    lines = [f"| after epoch | {' | '.join(titles)} |", "|---" * (1 + 2 * len(networks)) + "|"]
    of_epoch = {network: dict(_measured(results, network)) for network in networks}
    for number in sorted({number for measured in of_epoch.values() for number in measured}):
        cells = []
        for network in networks:
            epochs = of_epoch[network].get(number, [])
            ratios = [epoch["mask_gradient"] / epoch["class_gradient"] for epoch in epochs if epoch["class_gradient"]]
            cells.append(over_seeds([epoch["gradient_cosine"] for epoch in epochs], "{:.2f}") if epochs else "")
            cells.append(over_seeds(ratios, "{:.2f}") if ratios else "")
        lines.append(f"| {number + 1} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _networks(results: Results) -> list[str]:
    return list(dict.fromkeys(name for result in results.values() for name in result["models"]))


def _measured(results: Results, network: str) -> Iterator[tuple[int, list[Mapping[str, float]]]]:
    """Each epoch's number and records, one a seed, of those in which the gradients were measured."""
    histories = [result["models"][network]["history"] for (task, _), result in results.items() if task == "both"]
    for number in range(max((len(history["epochs"]) for history in histories), default=0)):
        records = [history["epochs"][number] for history in histories if number < len(history["epochs"])]
        if measured := [epoch for epoch in records if "gradient_cosine" in epoch]:
            yield number, measured


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--ledger", type=pathlib.Path, required=True, help="folder of the runs")
    parser.add_argument("--seeds", type=int, nargs="+", default=[20, 21, 22])
    own, rest = parser.parse_known_args()
    for seed in own.seeds:
        for task in TASKS:
            run(own.ledger.absolute(), task, seed, rest)
            results = kept_results(own.ledger)
            parts = [table(results), *([conflict_table(results)] if ("both", own.seeds[0]) in results else [])]
            print("", *parts, sep="\n\n", flush=True)


if __name__ == "__main__":
    main()
