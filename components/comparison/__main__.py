"""Redraws a local run's report without training: `python -m components.comparison --run-dir RUN_DIR [--open]`."""

from __future__ import annotations

import argparse
import pathlib
import tempfile
import webbrowser


def main() -> None:
    """Compares the run's models anew and writes RUN_DIR/report; nothing else of the run changes."""
    parser = argparse.ArgumentParser(prog="python -m components.comparison", description=__doc__.split(":")[0])
    parser.add_argument("--run-dir", type=pathlib.Path, required=True, help="a run of local_runner.py: runs/NAME")
    parser.add_argument("--open", action="store_true", help="open the report in the browser")
    arguments = parser.parse_args()

    # After the flags: --help should not wait for TensorFlow.
    from components.comparison import comparison, lineage
    from components.report import page

    run_dir = arguments.run_dir.absolute()
    with lineage.open_store(str(run_dir / "metadata.db")) as handle:
        inputs, seconds = lineage.last_inputs(handle), lineage.component_seconds(handle)
    with tempfile.TemporaryDirectory() as folder:
        winner = comparison.compare(inputs, folder)
        path = page.publish(folder, str(run_dir / "report"), seconds)
    print(f"{winner.sentence}\n{path}")
    if arguments.open:
        webbrowser.open(pathlib.Path(path).as_uri())


if __name__ == "__main__":
    main()
