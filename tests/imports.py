"""What a program of the project has imported by the time it ends: its help shall not wait for TensorFlow."""

from __future__ import annotations

import pathlib
import subprocess
import sys

HEAVY = {"tensorflow", "tfx", "apache_beam", "keras", "numpy", "kfp"}


def heavy_imports(program: pathlib.Path, *arguments: str) -> tuple[str, list[str]]:
    """What `program`, asked for its help or the like, prints, and the packages of `HEAVY` that it has imported."""
    code = (
        "import runpy, sys\n"
        f"sys.argv = {[program.name, *arguments]!r}\n"
        "try:\n"
        f"    runpy.run_path({str(program)!r}, run_name='__main__')\n"
        "except SystemExit:\n"
        "    pass\n"
        f"print(*sorted({HEAVY!r} & set(sys.modules)))\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    *shown, imported = result.stdout.split("\n")[:-1]
    return "\n".join(shown), imported.split()
