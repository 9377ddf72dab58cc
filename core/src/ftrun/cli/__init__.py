"""The command line: `ftrun SPEC`, and a command for all else. Loads torch only where a command needs it."""

import os
import sys
from typing import Any

import click

from ftrun.cli import afterwards, installed, training
from ftrun.cli.leaving import leave
from ftrun.errors import FtrunError, exit_code


class _RunByDefault(click.Group):
    """`ftrun SPEC` is `ftrun run SPEC`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and args[0] not in (*self.commands, "--help", "-h", "--version"):
            args = ["run", *args]
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        if "OMP_WAIT_POLICY" not in os.environ:
            # OpenMP's threads spin for milliseconds while they wait. On a machine that others use too, they spin on
            # cores that somebody needs, and training slows down ten times and more. This is what libgomp itself takes
            # where it knows that it has more threads than cores. It has to be told before torch loads.
            os.environ.setdefault("GOMP_SPINCOUNT", "1000")
        # A tensor of more than 32 MB is taken from the system anew in each step, in pages of 4 KB, each of which has to
        # be faulted in: up to a third of the time of a large batch. With this, torch asks for pages of 2 MB (Linux).
        os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
        try:
            return super().invoke(ctx)
        except FtrunError as error:
            click.echo(f"Error: {error}", err=True)
            ctx.exit(exit_code(error))
        except KeyboardInterrupt:  # before training starts; from then on, it waits for the end of a step
            ctx.exit(130)


@click.group(cls=_RunByDefault, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="ftrun")
def main() -> None:
    """Fine-tune a pretrained model from a spec. `ftrun SPEC` is `ftrun run SPEC`."""


for _command in (
    training.run,
    training.resume,
    training.verify_resume,
    training.check,
    afterwards.evaluate,
    afterwards.predict,
    afterwards.compare,
    afterwards.report,
    afterwards.export,
    afterwards.push,
    afterwards.runs,
    installed.plugins,
    installed.cache,
    installed.new_plugin,
    installed.check_plugin,
    installed.schema,
):
    main.add_command(_command)


def process() -> None:
    """What a process of its own does: `main`, and a quick end."""
    try:
        main()
    except SystemExit as end:
        if "torch" in sys.modules:
            leave(end.code or 0)
        raise
