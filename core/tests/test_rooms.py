"""The core's packages import in one direction."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import ftrun

ROOT = Path(ftrun.__file__).parent
ORDER = ("contracts", "plugins", "spec", "data", "runs", "train", "inference", "cli")
"""Each may import those before it; `plugins` and `spec` are one level of the design, and spec needs the catalogue."""


def test_no_package_imports_one_that_stands_on_it() -> None:
    upwards = [
        f"{path.relative_to(ROOT)} imports {module}"
        for room in ORDER
        for path in (ROOT / room).rglob("*.py")
        for module in imported(path)
        if module.startswith("ftrun.")
        and module.split(".")[1] in ORDER
        and ORDER.index(module.split(".")[1]) > ORDER.index(room)
    ]
    assert not upwards


def test_modules_are_short() -> None:
    lengths = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in ROOT.rglob("*.py")}
    assert not {name: length for name, length in lengths.items() if length > 300}


def test_modules_import_each_other_in_no_circle() -> None:
    names = {name_of(path): path for path in ROOT.rglob("*.py")}
    imports = {name: {each for each in at_the_top(path, names) if each != name} for name, path in names.items()}
    done: set[str] = set()

    def follow(name: str, way: tuple[str, ...]) -> None:
        assert name not in way, " -> ".join([*way[way.index(name) :], name])
        if name not in done:
            for each in imports[name]:
                follow(each, (*way, name))
            done.add(name)

    for name in names:
        follow(name, ())


def test_the_core_names_nothing_that_plugins_bring() -> None:
    """No kind of input, file format, page, statistic, hub or exporter: a new one is a plugin, not a change here."""
    inputs = r"ImageInput|TextInput|ftrun_inputs|tokenizers?|PIL|Pillow"
    formats = r"PNG|JPE?G|GIF|BMP|TIFF?|WebP|GGUF|PDF|SVG|ONNX|TorchScript|TFLite"
    pages = r"(?:an?|the|its) report|ftrun-report|charts?|model cards?|matplotlib|jinja2?|TensorBoard"
    hubs = r"Hugging ?Face|huggingface_hub"
    naming = {
        f"{path.relative_to(ROOT)}: {found[0]}"
        for path in ROOT.rglob("*.py")
        if (found := re.search(rf"\b({inputs}|{formats}|{pages}|{hubs})\b", path.read_text(), re.IGNORECASE))
    }
    assert naming == {
        "contracts/commands.py: ftrun-report",  # what to install for it
        "plugins/heavy.py: PIL",  # what no plugin is to load at its top
    }


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(path: Path) -> Iterator[str]:
    """Yield the modules that a file names in imports, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        yield from named(node)


def at_the_top(path: Path, names: dict[str, Path]) -> Iterator[str]:
    """Yield the core's modules that a file imports as it is imported itself."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        for module in named(node):
            package, _, _ = module.rpartition(".")
            yield from (each for each in (module if module in names else package,) if each in names)


def named(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.ImportFrom) and node.module and not node.level:
        yield from (f"{node.module}.{alias.name}" for alias in node.names)
    elif isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
