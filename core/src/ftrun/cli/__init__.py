"""The command line: `ftrun SPEC`, and a command for all else. Loads torch only where a command needs it."""

import sys
from typing import Any

import click

from ftrun.cli import afterwards, installed, training
from ftrun.cli.leaving import leave
from ftrun.cli.settings import settle
from ftrun.errors import FtrunError, exit_code


class _RunByDefault(click.Group):
    """`ftrun SPEC` is `ftrun run SPEC`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and args[0] not in (*self.commands, "--help", "-h", "--version"):
            args = ["run", *args]
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        settle()
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
