"""Runs the pipeline on this machine: `python local_runner.py [--config NAME] [flags]`, see `--help`."""

from __future__ import annotations

import contextlib
import logging
import pathlib
import sys
import traceback

from pipeline import console, flags, interrupts, preflight, run_dir


def main() -> int:
    """Runs the pipeline; returns 0 only if every component succeeded, 2 if a flag is wrong and nothing ran."""
    config = flags.parse(sys.argv[1:], "local_runner.py", "Runs the pipeline on this machine.")
    folder = pathlib.Path(config.run_dir or f"runs/{config.name}").absolute()
    interrupts.watch()
    with contextlib.ExitStack() as held:
        try:
            preflight.check(config, folder)
            held.enter_context(run_dir.occupied(folder))
            screen = console.open_console(folder / "log.txt")
        except (ValueError, OSError) as error:
            print(f"local_runner.py: {error}", file=sys.stderr)
            return 2
        screen.print(f"Config {config.name} in {folder}")
        try:
            return _run(config, folder, screen)
        except interrupts.Interrupted as interrupt:
            screen.print(f"Interrupted ({interrupt}). The same command goes on with what is not done.")
            return interrupt.status
        except Exception as error:
            console.print_failure(screen, error, folder / "log.txt")
            with contextlib.suppress(OSError):  # a full disk is one of the errors, and the log lies on it
                traceback.print_exc()
    return 1


def _run(config: flags.Config, folder: pathlib.Path, screen: console.Console) -> int:
    with screen.status("starting (TensorFlow and TFX take some seconds to import) …"):
        logging.basicConfig(level=logging.INFO)

        from components import pusher, serving_folder
        from components.comparison import lineage
        from components.comparison.results import Comparison
        from components.report import page, publishing
        from pipeline import beam, history, local, pipeline, serving_model

    try:
        beam.check_folder(config.beam, "run_dir", str(folder))
        dag = local.create(config, folder, serving_model.last_blessed)
        uncached = pipeline.uncached(config, dag.components)
        former = history.put_right(folder)
    except (ValueError, OSError) as error:
        traceback.print_exc()  # to the log
        screen.print(f"local_runner.py: {error}")
        return 2
    for line in former:
        screen.print(line)
    serving = str(folder / "serving")
    serving_folder.remove_leftovers(serving)
    executions = local.run(dag, console.RunDisplay(screen), uncached)
    report = local.output_uri(dag.metadata_connection_config, executions["ModelComparison"], "report")
    with lineage.open_store(str(folder / history.METADATA_FILE)) as handle:
        seconds, edge = lineage.component_seconds(handle), lineage.edge_of_last_comparison(handle)
        published = publishing.publish(report, str(folder / "report"), seconds, edge)
    console.print_results(screen, Comparison.from_json((folder / "report" / page.METRICS_FILE).read_bytes()))
    pushed = local.output_uri(dag.metadata_connection_config, executions["Pusher"], "pushed_model")
    screen.print(f"Pushed model  {pusher.told(pushed, serving)}")
    screen.print(f"Report        {published}\nLog           {folder / 'log.txt'}")
    return 0


if __name__ == "__main__":
    interrupts.end_with(main)
