"""Pages of the reference: each plugin's README, with links that hold in the site."""

import re
from pathlib import Path

FOLDER = "reference/plugins"
_LINK = re.compile(r"\[([^\]]+)\]\((?!https?://|#)([^)]+)\)")


def pages(plugins: Path) -> dict[str, str]:
    """Return {path: Markdown} of the README of each folder of `plugins`, and an overview."""
    texts = {readme.parent.name: readme.read_text(encoding="utf-8") for readme in sorted(plugins.glob("*/README.md"))}
    overview = "# Plugins\n\nEach is a distribution of its own.\n\n" + "\n".join(
        f"- [{name}]({name}.md)" for name in texts
    )
    return {f"{FOLDER}/index.md": overview} | {
        f"{FOLDER}/{name}.md": _LINK.sub(lambda link: _moved(link, texts), text) for name, text in texts.items()
    }


def _moved(link: re.Match[str], plugins: dict[str, str]) -> str:
    """Return a link to another plugin's page; of a file of the repository, the text alone."""
    text, plugin = link[1], Path(link[2]).name
    return f"[{text}]({plugin}.md)" if link[2].startswith("../") and plugin in plugins else text
