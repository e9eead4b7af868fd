"""Redraws a local run's report without training: `python -m pipeline.redraw --run-dir RUN_DIR [--open]`."""

from __future__ import annotations

import argparse
import pathlib
import sys
import tempfile
import webbrowser

from pipeline import console


def main() -> None:
    """Compares the run's models anew and writes RUN_DIR/report; nothing else of the run changes."""
    parser = argparse.ArgumentParser(prog="python -m pipeline.redraw", description=__doc__.split(":")[0])
    parser.add_argument("--run-dir", type=pathlib.Path, required=True, help="a run of local_runner.py: runs/NAME")
    parser.add_argument("--open", action="store_true", help="open the report in the browser")
    arguments = parser.parse_args()

    # After the flags: --help should not wait for TensorFlow.
    with console.quiet():
        from components.comparison import comparison, lineage
        from components.report.publishing import publish
        from pipeline import history, run_dir

    folder = arguments.run_dir.absolute()
    if not (folder / history.METADATA_FILE).exists():
        sys.exit(f"there is no {folder / history.METADATA_FILE}: give the folder of a run of local_runner.py")
    try:
        with run_dir.occupied(folder):
            for line in history.put_right(folder):
                print(line)
            with console.quiet(), lineage.open_store(str(folder / history.METADATA_FILE)) as handle:
                inputs, seconds = lineage.last_inputs(handle), lineage.component_seconds(handle)
                edge = lineage.edge_of_last_comparison(handle)
            with console.quiet(), tempfile.TemporaryDirectory() as made:
                compared = comparison.compare(inputs, made)
                path = publish(made, str(folder / "report"), seconds, edge)
    except (LookupError, run_dir.Unusable) as error:
        sys.exit(str(error))
    print(f"{compared.decision.sentence}\n{path}")
    if arguments.open:
        webbrowser.open(pathlib.Path(path).as_uri())


if __name__ == "__main__":
    main()
