"""Pages of the reference: each command, as its own --help describes it."""

import inspect
import json

import click
from click.testing import CliRunner
from markup import cell, code, table
from partpages import linked

from ftrun.cli import main

FOLDER = "reference/commands"


def pages() -> dict[str, str]:
    """Return {path: Markdown}: an overview, and a page for each command."""
    context = click.Context(main, info_name="ftrun")
    commands = {name: main.get_command(context, name) for name in main.list_commands(context)}
    plugins = _plugins()
    rows = [
        (f"[`ftrun {name}`]({name}.md)", cell(command.get_short_help_str(500)), _origin(plugins.get(name)))
        for name, command in commands.items()
    ]
    overview = (
        "# Commands\n\n`ftrun SPEC` is `ftrun run SPEC`. `ftrun COMMAND --help` shows what the pages here show.\n\n"
        + table(("command", "what it does", "from"), rows)
    )
    return {f"{FOLDER}/index.md": overview} | {
        f"{FOLDER}/{name}.md": _page(name, command, context) for name, command in commands.items()
    }


def _plugins() -> dict[str, str]:
    """Return {command: distribution} of the commands that plugins bring."""
    listed = json.loads(CliRunner().invoke(main, ["plugins", "--json"], catch_exceptions=False).stdout)
    return {command["name"]: plugin["distribution"] for plugin in listed["plugins"] for command in plugin["commands"]}


def _origin(plugin: str | None) -> str:
    return f"[{plugin}](../plugins/{plugin}.md)" if plugin else "ftrun"


def _page(name: str, command: click.Command, parent: click.Context) -> str:
    context = click.Context(command, info_name=name, parent=parent)
    usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    text = inspect.cleandoc(command.help or "").replace("\f", "")
    options = [record for option in command.params if (record := option.get_help_record(context))]
    rows = [(code(declared), cell(text)) for declared, text in options]
    listed = f"\n\n{table(('option', ''), rows)}" if rows else ""
    return f"# ftrun {name}\n\n```sh\n{usage}\n```\n\n{linked(text)}{listed}\n"
