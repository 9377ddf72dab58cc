"""The command line: `ftrun SPEC`, and a command for all else. Loads torch only where a command needs it."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ftrun.cli import output, plugins, results, training
from ftrun.cli.lifecycle import configure_process, fast_exit
from ftrun.contracts.errors import FtrunError, SpecError, did_you_mean
from ftrun.contracts.failures import shortage
from ftrun.contracts.printable import printable_lines
from ftrun.spec import othernames

if TYPE_CHECKING:
    from ftrun.plugins.commands import Commands

_HELP_COLUMNS = 500  # more than any first sentence has: click cuts at 45
_PLUGINS = f"{__name__}.plugins"


class _RunByDefault(click.Group):
    """`ftrun SPEC` is `ftrun run SPEC`. Beside the core's commands are those of the installed plugins."""

    def main(self, *args: Any, **options: Any) -> Any:
        try:
            return super().main(*args, **options)
        except FtrunError as error:
            click.echo(printable_lines(f"Error: {error}"), err=True)
            sys.exit(error.exit_code)
        except Exception as error:
            reason = shortage(error)
            if reason is None:
                raise
            click.echo(f"Error: {reason}", err=True)
            sys.exit(1)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and args[0] not in (*self.commands, "--help", "-h", "--version"):
            name = args[0]
            if not (_is_word(name) and name in _plugins(ctx).offers):
                self._check_spec(ctx, name)
                args = ["run", *args]
        return super().parse_args(ctx, args)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted([*self.commands, *_plugins(ctx).names()])

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        return self.commands.get(name) or (_plugins(ctx).load(name) if name in _plugins(ctx).offers else None)

    def _check_spec(self, ctx: click.Context, name: str) -> None:
        """Raise PluginError where a name is a command that is not installed, SpecError where it is a mistyped one."""
        if not _is_word(name) or _exists(name):
            return
        if missing := _plugins(ctx).missing(name):
            raise missing
        known = self.list_commands(ctx)
        ours = othernames.command(name)
        hint = f" Did you mean {ours!r}?" if ours in known else did_you_mean(name, known)
        if hint:
            raise SpecError(f"{name}: no such file or command.{hint}")

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        rows = [(name, self.commands[name].get_short_help_str(_HELP_COLUMNS)) for name in sorted(self.commands)]
        with formatter.section("Commands"):
            formatter.write_dl(rows)
        rows = [(name, f"{text} ({distribution})") for name, text, distribution in _plugins(ctx).listed()]
        rows += [(plugin.distribution, f"is broken: {plugin.error}") for plugin in _plugins(ctx).broken]
        if rows:
            with formatter.section("Commands of plugins"):
                formatter.write_dl(rows)

    def invoke(self, ctx: click.Context) -> Any:
        configure_process()
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:  # before training starts; from then on, it waits for the end of a step
            click.echo("\ninterrupted", err=True)
            ctx.exit(130)


def _plugins(ctx: click.Context) -> "Commands":
    """Return the commands of the installed plugins, found once for a context."""
    if _PLUGINS not in ctx.meta:
        from ftrun.plugins.commands import installed_commands

        ctx.meta[_PLUGINS] = installed_commands()
    commands: Commands = ctx.meta[_PLUGINS]
    return commands


def _is_word(name: str) -> bool:
    """Return whether an argument might be a command's name: it is no option, and no file's name."""
    return not name.startswith("-") and not Path(name).suffix


def _exists(name: str) -> bool:
    try:
        return Path(name).exists()
    except (OSError, ValueError):
        return False


@click.group(cls=_RunByDefault, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="ftrun")
def main() -> None:
    """Fine-tune a pretrained model from a spec. `ftrun SPEC` is `ftrun run SPEC`."""


for _command in (
    training.run,
    training.resume,
    training.check,
    results.evaluate,
    results.predict,
    results.runs,
    plugins.plugins,
    plugins.cache,
    plugins.schema,
):
    main.add_command(_command)


def process() -> None:
    """Do what a process of its own does: `main`, and a quick end."""
    output.wrap()
    code = _code()
    try:
        output.finish()
    except FtrunError as error:
        if not code:
            click.echo(printable_lines(f"Error: {error}"), err=True)
            code = error.exit_code
    except OSError:  # nobody reads any more
        pass
    fast_exit(code)
    sys.exit(code)


def _code() -> Any:
    try:
        main()
    except SystemExit as end:
        return end.code or 0
    except KeyboardInterrupt:
        return 130
    return 0
