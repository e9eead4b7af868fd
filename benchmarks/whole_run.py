"""The whole run of `local_runner.py` against a plain script with the same data, networks and epochs, plain_run.py.

    python benchmarks/whole_run.py [--epochs 2] [flags of local_runner.py, such as --config pets --data-dir DIR]

Both are whole processes, one after the other, on data that are prepared already. --epochs cuts every phase of both to
so many epochs (0: as the config says). A cut run also prints the ratio that follows for the whole config: to each
side's seconds come its missing epochs, each as long as the last that it ran of that phase. That ratio is derived, not
measured.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile
import time

from pipeline import flags, pipeline
from pipeline.configs import Config
from schema import record

ROOT = pathlib.Path(__file__).parents[1]

Epochs = dict[str, list[dict]]
"""Of each model: `phase` and `seconds` of every epoch."""


def shortened(config: Config, epochs: int) -> list[str]:
    """Flags that cut every longer phase to so many epochs."""
    return [
        f"--{name}.phases.{number}.epochs={epochs}"
        for name, recipe in config.contestants.items()
        for number, phase in enumerate(recipe.phases)
        if 0 < epochs < phase.epochs
    ]


def seconds(script: pathlib.Path, arguments: list[str], run_dir: pathlib.Path) -> float:
    start = time.perf_counter()
    subprocess.run(
        [sys.executable, str(script), *arguments, "--run-dir", str(run_dir)], check=True, capture_output=True
    )
    return time.perf_counter() - start


def pipeline_epochs(run_dir: pathlib.Path, config: Config) -> Epochs:
    pattern = f"model_run/*/{record.HISTORY_FILE}"
    histories = {name: run_dir.glob(f"pipeline/Trainer_{name}/{pattern}") for name in config.contestants}
    return {name: json.loads(next(paths).read_text())["epochs"] for name, paths in histories.items()}


def missing_seconds(epochs: Epochs, config: Config) -> float:
    """What the epochs of the config that were left out would have taken."""
    total = 0.0
    for name, ran in epochs.items():
        for number, phase in enumerate(config.contestants[name].trained_phases):
            times = [epoch["seconds"] for epoch in ran if epoch["phase"] == number]
            total += (phase.epochs - len(times)) * times[-1]
    return total


def training_seconds(epochs: Epochs) -> float:
    return sum(epoch["seconds"] for ran in epochs.values() for epoch in ran)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--epochs", type=int, default=2, help="at most so many epochs a phase; 0: all of the config's")
    own, rest = parser.parse_known_args()
    config = flags.parse(rest, "whole_run.py", "Compares a run of the pipeline with a plain script.")
    arguments = [*rest, *shortened(config, own.epochs)]
    pipeline.data_source(config.data, config.data_path()).prepare()
    with tempfile.TemporaryDirectory() as folder:
        ours, plain = pathlib.Path(folder) / "ours", pathlib.Path(folder) / "plain"
        plain_seconds = seconds(ROOT / "benchmarks" / "plain_run.py", arguments, plain)
        our_seconds = seconds(ROOT / "local_runner.py", arguments, ours)
        plain_results = json.loads((plain / "plain.json").read_text())
        plain_epochs: Epochs = {name: result["epochs"] for name, result in plain_results.items()}
        our_epochs = pipeline_epochs(ours, config)
        our_results = json.loads((ours / "report" / "metrics.json").read_text())["models"]
    for name in config.contestants:
        overall = our_results[name]["metrics"]["overall"]
        for head, metric, theirs in (("classification", "accuracy", "accuracy"), ("segmentation", "f1", "mask_f1")):
            if overall[head]:
                value = overall[head][metric]["value"]
                print(f"{name} {theirs}: pipeline {value:.3f}, plain script {plain_results[name][theirs]:.3f}")
    print(
        f"outside the epochs: pipeline {our_seconds - training_seconds(our_epochs):.1f} s, "
        f"plain script {plain_seconds - training_seconds(plain_epochs):.1f} s"
    )
    print(f"pipeline {our_seconds:.1f} s, plain script {plain_seconds:.1f} s: ratio {our_seconds / plain_seconds:.2f}")
    our_missing, plain_missing = missing_seconds(our_epochs, config), missing_seconds(plain_epochs, config)
    if our_missing or plain_missing:
        our_whole, plain_whole = our_seconds + our_missing, plain_seconds + plain_missing
        print(
            f"derived, not measured, for all epochs of {config.name!r}: pipeline {our_whole:.0f} s, "
            f"plain script {plain_whole:.0f} s: ratio {our_whole / plain_whole:.2f}"
        )


if __name__ == "__main__":
    main()
