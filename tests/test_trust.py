"""Code that came with a run folder: it runs where this user has run it, or says so. It is kept whole."""

import builtins
import hashlib
import json
import shutil
import sys
from pathlib import Path

import pytest
from support import TINY, tiny_spec, write_spec

import ftrun as api
from ftrun.plugins.localparts import PartsFile
from ftrun_inputs import ImageInput

RAN = "\nimport builtins\nbuiltins.ftrun_code_ran = True\n"
HOOKS = "\n@ftrun.hookimpl\ndef ftrun_{role}s():\n    return [{name}]\n"


def ran() -> bool:
    return vars(builtins).pop("ftrun_code_ran", False)


def parts_of(role: str, name: str) -> str:
    """The tiny plugin's part of one role, called `mine`, in a file that tells when it runs."""
    code = TINY.partition("class Recorder")[0].partition("@ftrun.hookimpl")[0]
    code = code.replace(f'Literal["tiny-{role}"]', 'Literal["mine"]').replace('Literal["tiny"]', 'Literal["mine"]')
    return code + HOOKS.format(role=role, name=name) + RAN


@pytest.fixture
def made(site, ftrun, monkeypatch, tmp_path):
    """Make a run with one part of its own, and become a user who has never run anything."""
    monkeypatch.setenv("FTRUN_PLUGINS", "ftrun-tiny,ftrun-report,ftrun-export")

    def make(role: str, name: str, **spec: object) -> Path:
        Path("own_parts.py").write_text(parts_of(role, name))
        result = ftrun(write_spec(tiny_spec(parts="own_parts.py", **spec)), "--out", "run")
        assert result.exit_code == 0, result.output
        monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "stranger"))
        ran()
        return Path("run")

    return make


NEEDING = {
    "evaluate": ["evaluate", "run"],
    "predict": ["predict", "run", "x.png"],
    "resume": ["resume", "run", "--epochs", "3"],
    "export": ["export", "run", "--format", "safetensors"],
}


def refused(result) -> None:
    digest = hashlib.sha256(Path("run/parts/own_parts.py").read_bytes()).hexdigest()
    assert result.exit_code == 3, result.output
    assert f"{digest}  run/parts/own_parts.py" in result.output
    assert "--trust" in result.output
    assert not ran()


def test_a_strangers_net_is_not_built_until_it_is_trusted(made, ftrun):
    made("backbone", "TinyBackbone", backbone="mine")
    for command in NEEDING.values():
        refused(ftrun(*command))
    with pytest.raises(api.PluginError, match="trust=True"):
        api.load("run")
    assert not ran()
    for command in (["runs", "."], ["compare", "run", "run"], ["report", "run"]):
        assert ftrun(*command).exit_code == 0
        assert not ran(), command
    assert ftrun("evaluate", "run", "--trust").exit_code == 0
    assert ran()
    assert ftrun("evaluate", "run").exit_code == 0, "by now this user has run it"
    Path("run/parts/helper.py").write_text("")
    assert ftrun("evaluate", "run").exit_code == 3, "a file more is other code"


def test_what_needs_no_code_of_the_runs_own_runs_none(made, ftrun):
    """Its dataset alone is the run's own: the net predicts without it, and the report has no pictures."""
    made("dataset", "TinyDataset", dataset="mine")
    refused(ftrun(*NEEDING["evaluate"]))
    assert api.load("run").predict(ImageInput(size=(8, 8)).example(2))
    assert not ran()
    result = ftrun("report", "run")
    assert (result.exit_code, "left out is what needs its dataset: run/parts/own_parts.py" in result.output) == (
        0,
        True,
    )
    assert ftrun("evaluate", "run", "--dataset", "tiny").exit_code == 0
    assert not ran()
    refused(ftrun("evaluate", "run", "--dataset", "mine"))


def test_ones_own_runs_need_no_word(alone, ftrun):
    Path("own_parts.py").write_text(parts_of("backbone", "TinyBackbone"))
    assert ftrun(write_spec(tiny_spec(parts="own_parts.py", backbone="mine")), "--out", "run").exit_code == 0
    shutil.move("run", "elsewhere")
    assert ftrun("evaluate", "elsewhere").exit_code == 0


def test_without_a_folder_to_know_it_by_it_is_asked_for_each_time(made, ftrun, monkeypatch):
    made("backbone", "TinyBackbone", backbone="mine")
    monkeypatch.setattr("ftrun.plugins.localparts.known_parts", lambda: None)
    for _ in range(2):
        assert ftrun("evaluate", "run", "--trust").exit_code == 0
        assert "no home folder" in ftrun("evaluate", "run").output


# Neighbours


LIBRARY = {
    "helper.py": "from lib import width\nimport json\n",
    "late.py": "LATE = True\n",
    "named.py": "NAMED = True\n",
    "lib/__init__.py": "from .inner.deep import width\n",
    "lib/inner/deep.py": "width = 8\n",
    "json.py": "1 / 0\n",
    "unused.py": "1 / 0\n",
}
IMPORTS = "import helper, importlib\nimportlib.import_module('named')\n"


@pytest.fixture
def project(alone):
    """Parts that import their neighbours: a module, a package, one inside a function, and one by a call."""
    for name, code in LIBRARY.items():
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(code)
    code = parts_of("backbone", "TinyBackbone")
    built = 'def build(self, overrides: Mapping[str, Any]) -> "ftrun.Net":\n'
    code = code.replace(built, f"{built}        import late\n", 1)
    Path("own_parts.py").write_text(IMPORTS + code)
    return write_spec(tiny_spec(parts="own_parts.py", backbone="mine"))


def test_neighbours_are_kept_with_the_run_and_run_from_there(project, ftrun, tmp_path, monkeypatch):
    assert ftrun(project, "--out", "run").exit_code == 0
    kept = {path.relative_to("run/parts").as_posix() for path in Path("run/parts").rglob("*.py")}
    assert kept == {"own_parts.py", *LIBRARY} - {"json.py", "unused.py"}
    for name in LIBRARY:
        Path(name).write_text("1 / 0\n")  # what the project has by now is of no matter
    Path("own_parts.py").unlink()
    shutil.move("run", tmp_path / "run")
    for command in ("evaluate", "resume --epochs 3"):
        name, *options = command.split()
        result = ftrun(name, tmp_path / "run", *options)
        assert result.exit_code == 0, result.output
    assert not list((tmp_path / "run").rglob("__pycache__"))


def test_a_neighbour_that_was_changed_is_other_code(project, ftrun):
    assert ftrun(project, "--out", "run").exit_code == 0
    Path("run/parts/lib/inner/deep.py").write_text(RAN + "width = 8\n")
    ran()
    result = ftrun("evaluate", "run")
    digest = hashlib.sha256(Path("run/parts/lib/inner/deep.py").read_bytes()).hexdigest()
    assert (result.exit_code, f"{digest}  run/parts/lib/inner/deep.py" in result.output) == (3, True)
    assert not ran()


def test_compiled_code_beside_a_neighbour_does_not_run(project, ftrun):
    """What is digested is what runs: a .pyc with the right time and size would run in its place."""
    import importlib.util
    import py_compile

    assert ftrun(project, "--out", "run").exit_code == 0
    source = Path("run/parts/late.py")
    other = Path("other.py")
    other.write_text(RAN)
    status = source.stat()
    compiled = bytearray(Path(py_compile.compile(str(other), cfile="other.pyc")).read_bytes())
    compiled[8:16] = int(status.st_mtime).to_bytes(4, "little") + status.st_size.to_bytes(4, "little")
    cache = Path(importlib.util.cache_from_source(str(source)))
    cache.parent.mkdir()
    cache.write_bytes(compiled)
    ran()
    assert ftrun("evaluate", "run").exit_code == 0
    assert "late" in sys.modules
    code = Path("run/parts/own_parts.py").read_text()
    assert ran() == ("ftrun_code_ran" in code), "the file itself tells when it runs; late.py does not"
    assert sys.modules["late"].LATE


def test_two_projects_with_a_neighbour_of_one_name(alone, ftrun):
    for folder in ("one", "two"):
        Path(folder).mkdir()
        Path(folder, "helper.py").write_text(f"NAME = {folder!r}\n")
        Path(folder, "own_parts.py").write_text("import helper\n" + parts_of("backbone", "TinyBackbone"))
        spec = write_spec(tiny_spec(parts=f"{folder}/own_parts.py", backbone="mine"), f"{folder}.json")
        assert ftrun(spec, "--out", f"run-{folder}").exit_code == 0
        assert folder == sys.modules["helper"].NAME
    assert Path("run-two/parts/helper.py").read_text() == "NAME = 'two'\n"
    api.load("run-one")
    assert sys.modules["helper"].NAME == "one"


def test_the_digest_of_one_file_is_its_own_and_of_several_that_of_their_list(project):
    Path("single.py").write_text("x = 1\n")
    assert PartsFile.read(Path("single.py")).sha256 == hashlib.sha256(b"x = 1\n").hexdigest()
    file = PartsFile.read(Path("own_parts.py"))
    listed = "".join(f"{hashlib.sha256(Path(name).read_bytes()).hexdigest()}  {name}\n" for name in sorted(file.files))
    assert file.sha256 == hashlib.sha256(listed.encode()).hexdigest()
    assert json.dumps(sorted(file.beside)) == json.dumps(sorted(set(LIBRARY) - {"json.py", "unused.py"}))


def test_a_parts_file_of_before_may_still_import_what_is_made_up_as_it_runs(alone, ftrun):
    """In the project itself, whatever lies beside the file is found; the copy has what the code names."""
    Path("helper.py").write_text("WIDTH = 8\n")
    Path("own_parts.py").write_text(
        "import importlib\nassert importlib.import_module('hel' + 'per').WIDTH == 8\n"
        + parts_of("backbone", "TinyBackbone")
    )
    assert ftrun("check", write_spec(tiny_spec(parts="own_parts.py", backbone="mine"))).exit_code == 0
    Path("own_parts.py").write_text(parts_of("backbone", "TinyBackbone"))
    assert ftrun("check", write_spec(tiny_spec(parts="own_parts.py", backbone="mine"))).exit_code == 0
    assert "helper" not in sys.modules, "it would be in the way of the next project's"
