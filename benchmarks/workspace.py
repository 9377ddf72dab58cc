"""Make the workspace's distributions importable without installing them: print what PYTHONPATH needs.

    python benchmarks/workspace.py FOLDER

FOLDER gets what tells Python of each distribution: its name, version and entry points. Says on standard error which of
the packages that they need are not installed.
"""

import sys
import tomllib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from re import match

ROOT = Path(__file__).parents[1]


def main(site: Path) -> None:
    """Write the distributions' metadata into `site`."""
    sources, needed = [], set()
    for file in [ROOT / "core/pyproject.toml", *sorted(ROOT.glob("plugins/*/pyproject.toml"))]:
        project = tomllib.loads(file.read_text())["project"]
        info = site / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
        info.mkdir(parents=True)
        head = f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
        (info / "METADATA").write_text(head)
        groups = {**project.get("entry-points", {}), "console_scripts": project.get("scripts", {})}
        lines = [f"[{group}]\n" + "".join(f"{k} = {v}\n" for k, v in each.items()) for group, each in groups.items()]
        (info / "entry_points.txt").write_text("\n".join(lines))
        sources.append(str(file.parent / "src"))
        needed |= {found.group() for each in project.get("dependencies", []) if (found := match(r"[\w.-]+", each))}
    missing = sorted(name for name in needed if not name.startswith("ftrun") and not _installed(name))
    if missing:
        print(f"not installed: {', '.join(missing)}", file=sys.stderr)
    print(":".join([str(site), *sources]))


def _installed(name: str) -> bool:
    try:
        version(name)
    except PackageNotFoundError:
        return False
    return True


if __name__ == "__main__":
    main(Path(sys.argv[1]))
