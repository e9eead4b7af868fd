"""The pipeline on Kubeflow Pipelines v2: `python kubeflow_runner.py compile|submit|wait|schedule|watch [--help]`."""

from __future__ import annotations

import datetime
import sys

from pipeline import console, flags
from pipeline.kubeflow import cluster, commands, cron

HELP = "usage: kubeflow_runner.py COMMAND [--help]\n\n" + "\n".join(
    f"  {name:<10} {command.__doc__}" for name, command in commands.COMMANDS.items()
)


def main() -> int:
    """Runs one command; returns 0 only if it, and a run that it followed, succeeded."""
    name, arguments = (sys.argv[1], sys.argv[2:]) if len(sys.argv) > 1 else ("", [])
    if name not in commands.COMMANDS:
        print(HELP, file=sys.stdout if name in ("-h", "--help") else sys.stderr)
        return 0 if name in ("-h", "--help") else 2
    if name == "compile":
        return _compile(arguments)
    command: commands.Submit | commands.Wait | commands.Watch = flags.command_of(
        arguments, f"kubeflow_runner.py {name}", commands.COMMANDS[name]
    )
    if isinstance(command, commands.Watch):
        return _watch(command)
    from pipeline.kubeflow import client

    try:
        return _on_server(command)
    except client.CommandError as error:
        print(error, file=sys.stderr)
        return 2
    except client.KubeflowError as error:
        print(error, file=sys.stderr)
        return 1


def _compile(arguments: list[str]) -> int:
    command = flags.parse_with(
        arguments, "kubeflow_runner.py compile", str(commands.Compile.__doc__), commands.Compile, commands.Compile
    )
    try:
        cluster.check(command.run, command.deployment)
    except ValueError as error:
        print(f"kubeflow_runner.py compile: {error}", file=sys.stderr)
        return 2
    with console.quiet():
        from pipeline.kubeflow import package

    package.write(command.output, command.run, command.deployment)
    print(f"Package  {command.output}")
    return 0


def _watch(command: commands.Watch) -> int:
    with console.quiet():
        from pipeline.kubeflow import watch

    try:
        watch.write(command.output, command)
    except ValueError as error:
        print(f"kubeflow_runner.py watch: {error}", file=sys.stderr)
        return 2
    print(f"Package  {command.output}")
    return 0


def _on_server(command: commands.Submit | commands.Wait) -> int:
    from pipeline.kubeflow import client

    if isinstance(command, commands.Submit):
        client.job(command)
    screen = console.plain(sys.stdout)
    connection = client.connect(command.server)
    if isinstance(command, commands.Wait):
        return 0 if client.follow(connection, command.server, command.run_id, screen, command.poll_seconds) else 1
    if isinstance(command, commands.Schedule):
        recurring_run_id = client.schedule(connection, command)
        screen.print(f"Schedule {recurring_run_id}  {client.schedule_url(command.server, recurring_run_id)}")
        if command.cron:
            for time in cron.next_times(command.cron, datetime.datetime.now(datetime.UTC)):
                screen.print(f"Next run {time:%a %Y-%m-%d %H:%M:%S} UTC, KFP's default time zone")
        return 0
    run_id = client.submit(connection, command)
    screen.print(f"Run {run_id}  {client.run_url(command.server, run_id)}")
    return 0 if not command.wait or client.follow(connection, command.server, run_id, screen) else 1


if __name__ == "__main__":
    sys.exit(main())
