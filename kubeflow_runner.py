"""The pipeline on Kubeflow Pipelines v2: `python kubeflow_runner.py compile|submit|wait|schedule|watch [--help]`."""

from __future__ import annotations

import sys

from pipeline import console, flags
from pipeline.kubeflow import cluster, commands

HELP = "usage: kubeflow_runner.py COMMAND [--help]\n\n" + "\n".join(
    f"  {name:<10} {command.__doc__}" for name, command in commands.COMMANDS.items()
)


def main() -> int:
    """Runs one command; returns 0 only if it, and a run that it followed, succeeded."""
    name, arguments = (sys.argv[1], sys.argv[2:]) if len(sys.argv) > 1 else ("", [])
    if name not in commands.COMMANDS:
        print(HELP, file=sys.stdout if name in ("-h", "--help") else sys.stderr)
        return 0 if name in ("-h", "--help") else 2
    program, kind = f"kubeflow_runner.py {name}", commands.COMMANDS[name]
    command: commands.Compile | commands.Watch | commands.Submit | commands.Schedule | commands.Wait = (
        flags.parse_with(arguments, program, str(kind.__doc__), kind, kind)
        if kind is commands.Compile
        else flags.command_of(arguments, program, kind)
    )
    if isinstance(command, commands.Compile | commands.Watch):
        try:
            _write(command)
        except (ValueError, OSError) as error:
            print(f"{program}: {error}", file=sys.stderr)
            return 2
        print(f"Package  {command.output}")
        return 0
    from pipeline.kubeflow import client, submission

    try:
        return 0 if client.run(command, console.plain(sys.stdout)) else 1
    except KeyboardInterrupt:
        return 130
    except submission.CommandError as error:
        print(error, file=sys.stderr)
        return 2
    except client.KubeflowError as error:
        print(error, file=sys.stderr)
        return 1


def _write(command: commands.Compile | commands.Watch) -> None:
    if isinstance(command, commands.Compile):
        cluster.check(command.run, command.deployment)  # before the seconds that the imports take
    with console.quiet():
        from pipeline.kubeflow import package, watch
    if isinstance(command, commands.Compile):
        package.write(command.output, command.run, command.deployment)
    else:
        watch.write(command.output, command)


if __name__ == "__main__":
    sys.exit(main())
