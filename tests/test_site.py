"""The site in docs/ is built with warnings as errors and fetches nothing; its reference has every part and command."""

import os
import re
import subprocess
import sys
from pathlib import Path

import click

import ftrun.commands
import ftrun_devkit
from ftrun.cli import main
from ftrun.contracts.hooks import ROLE_OF_HOOK
from ftrun.plugins.catalogue import installed
from ftrun_devkit.suite import properties_of

ROOT = Path(__file__).parents[1]
PAGES = sorted((ROOT / "docs").rglob("*.md"))
ROLES = [role.role for role in ROLE_OF_HOOK.values()]


def test_the_site_is_built_with_warnings_as_errors_and_is_whole(tmp_path):
    site = tmp_path / "site"
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(site)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    _fetches_nothing(site)
    _holds_every_part(site / "reference")
    _holds_every_command(site / "reference" / "commands")
    _lists_every_property(site / "plugins" / "roles")
    _lists_every_public_name((site / "reference" / "names.html").read_text())


def _lists_every_public_name(page):
    for name in (*ftrun.__all__, *ftrun.commands.__all__, *ftrun_devkit.__all__):
        assert f"<code>{name}" in page, name


def _fetches_nothing(site):
    pages = list(site.rglob("*.html"))
    assert len(pages) > len(PAGES)
    for page in pages:
        fetched = re.findall(r"<(?:script|link|img|iframe)[^>]*?(?:src|href)=\"?(https?:[^\"\s>]+)", page.read_text())
        assert not fetched, page
    assert (site / "search" / "search_index.json").exists()


def _holds_every_part(folder):
    catalogue = installed()
    for role in ROLES:
        page = (folder / f"{role}.html").read_text()
        for name, part in catalogue.parts(role).items():
            assert f'<h2 id="{name}"' in page
            for option in set(part.model_fields) - {part.tag}:
                assert f"<code>{option}</code>" in page, (name, option)


def _holds_every_command(folder):
    context = click.Context(main, info_name="ftrun")
    for name in main.list_commands(context):
        page = (folder / f"{name}.html").read_text()
        for option in (option for each in main.get_command(context, name).params for option in each.opts):
            assert option in page or not option.startswith("-"), (name, option)


def _lists_every_property(folder):
    pages = {role: re.sub(r"<[^>]+>", "", (folder / f"{role}.html").read_text()) for role in ("index", *ROLES)}
    for role in ROLES:
        for each in properties_of(role):
            assert f"{each.name}: " in pages["index"] + pages[role], (role, each.name)
