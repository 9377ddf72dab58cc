"""Hook of mkdocs: the reference is made from the code of what is installed, whenever the site is built."""

import re
import sys
from functools import cache
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

sys.path.insert(0, str(Path(__file__).parent))

import commandpages
import namepages
import partpages
import readmes

_PROPERTIES = re.compile(r"^<!-- properties: (\w+) -->$", re.MULTILINE)
_PLUGINS = Path(__file__).parents[2] / "plugins"


@cache
def _pages() -> dict[str, dict[str, str]]:
    """Return {section: {path: Markdown}}: pages of the roles, the commands, the plugins' READMEs and public names."""
    return {
        "Parts": partpages.pages(),
        "Commands": commandpages.pages(),
        "Plugins": readmes.pages(_PLUGINS),
        "Python": namepages.pages(),
    }


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Add the pages to the end of the menu's section Reference."""
    sections = [{title: list(pages)} for title, pages in _pages().items()]
    for entry in config.nav or []:
        if isinstance(entry, dict) and "Reference" in entry:
            entry["Reference"] = [*entry["Reference"], *sections]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages themselves."""
    for pages in _pages().values():
        for path, text in pages.items():
            files.append(File.generated(config, path, content=text))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Replace each comment `<!-- properties: ROLE -->` by the properties that `ftrun check-plugin` tests."""
    return _PROPERTIES.sub(lambda match: _properties(match[1], page), markdown)


def _properties(role: str, page: Page) -> str:
    try:
        return partpages.properties(role)
    except KeyError:
        raise PluginError(f"{page.file.src_path}: no role is named {role!r}") from None
