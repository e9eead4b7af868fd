"""Runs the pipeline on this machine: `python local_runner.py [--config sample|pets|debug] [flags]`, see `--help`."""

from __future__ import annotations

import json
import logging
import os
import pathlib
import sys
import traceback

from pipeline import cause, console, flags, preflight


def main() -> int:
    """Runs the pipeline; returns 0 only if every component succeeded, 2 if a flag is wrong and nothing ran."""
    config = flags.parse(sys.argv[1:], "local_runner.py", "Runs the pipeline on this machine.")
    run_dir = pathlib.Path(config.run_dir or f"runs/{config.name}").absolute()
    log_file = run_dir / "log.txt"
    try:
        preflight.check(config, run_dir)
    except ValueError as error:
        print(f"local_runner.py: {error}", file=sys.stderr)
        return 2
    screen = console.open_console(log_file)
    screen.print(f"Config {config.name} in {run_dir}")
    if config.data.dataset == "synthetic_pets":
        screen.print("Data: drawings, not photos. --config pets runs on the real ones.")
    try:
        return _run(config, run_dir, screen)
    except KeyboardInterrupt:
        screen.print("Interrupted. The same command goes on with the components that are not done.")
    except Exception as error:
        traceback.print_exc()
        of_component = isinstance(error.__cause__, Exception)
        screen.print(f"\n{error}: " if of_component else "\n", style="red", end="")
        screen.print(f"{cause.sentence(error.__cause__ or error)}\nThe log has more: {log_file}")
    return 1


def _run(config: flags.Config, run_dir: pathlib.Path, screen: console.Console) -> int:
    with screen.status("starting (TensorFlow and TFX take some seconds to import) …"):
        logging.basicConfig(level=logging.INFO)
        from tfx import v1 as tfx

        from components.comparison import lineage
        from components.report.page import publish
        from pipeline import baseline, beam, local, pipeline

    beam.check_folder(config.beam, "run_dir", str(run_dir))
    dag = pipeline.create_pipeline(
        config,
        pipeline_root=str(run_dir / "pipeline"),
        serving_dir=str(run_dir / "serving"),
        data_dir=config.data_path(),
        baseline=baseline.earlier_blessed_model,
        metadata_connection_config=tfx.orchestration.metadata.sqlite_metadata_connection_config(
            str(run_dir / "metadata.db")
        ),
    )
    executions = local.run(dag, console.RunDisplay(screen))
    report = local.output_uri(dag.metadata_connection_config, executions["ModelComparison"], "report")
    with lineage.open_store(str(run_dir / "metadata.db")) as handle:
        publish(report, str(run_dir / "report"), lineage.component_seconds(handle))
    metrics = json.loads((run_dir / "report" / "metrics.json").read_text())
    console.print_results(screen, metrics)
    versions = sorted(os.listdir(run_dir / "serving")) if (run_dir / "serving").is_dir() else []
    pushed = metrics["models"][metrics["champion"]]["blessed"]
    screen.print(f"Pushed model  {run_dir / 'serving' / versions[-1] if pushed else 'none: no model is blessed'}")
    screen.print(f"Report        {run_dir / 'report' / 'index.html'}\nLog           {run_dir / 'log.txt'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
