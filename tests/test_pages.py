"""What the first steps and the guides show works when it is pasted, from top to bottom."""

import json
import os
import re
import shutil
import sys
from pathlib import Path

import pytest
from pasting import blocks, paste, specs

from ftrun.spec.check import check_spec

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
GUIDES = sorted((DOCS / "guide").glob("*.md"))
PAGES = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]
READMES = sorted((ROOT / "plugins").glob("*/README.md"))
# What a block that shows some keys of a spec leaves out.
IMAGES = {"backbone": "efficientnet-lite0", "loss": "cross-entropy", "optimizer": "sgd"}
TEXTS = {"backbone": "lstm", "dataset": {"name": "csv", "path": "a.csv", "text": "text", "target": "label"}}


def name(page):
    return page.relative_to(ROOT).as_posix()


@pytest.fixture
def work(tmp_path, monkeypatch):
    """A working folder, and this environment's commands on the path."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    return tmp_path


@pytest.fixture
def photos(work):
    """Make what the guides start from: the folder and the spec of the first page, with a smaller net."""
    (make,) = [block for block in blocks(DOCS / "start" / "images.md") if block.title == "make_photos.py"]
    exec(compile(make.code, make.title, "exec"), {})
    spec = {
        **next(keys for keys in specs(DOCS / "start" / "images.md")),
        "backbone": {"name": "timm", "model": "test_resnet", "pretrained": False},
        "input": {"size": 32},
        # What int8 costs a net of two epochs is chance; of six, nothing: measured over seeds, threads and processors.
        "train": {"epochs": 6, "batch_size": 16, "precision": "fp32", "workers": 0},
    }
    Path("photos.json").write_text(json.dumps(spec))


# The first one trains the net that it names, at its size; the guides go on from there with a small one.
@pytest.mark.slow
@pytest.mark.parametrize("page", ["images", "texts"])
def test_the_first_steps(page, work, ftrun):
    paste(DOCS / "start" / f"{page}.md", ftrun)


def test_the_first_steps_with_texts_for_an_epoch(work, ftrun):
    paste(DOCS / "start" / "texts.md", ftrun, {'"epochs": 4': '"epochs": 1', '"length": 64': '"length": 16'})


def test_the_first_steps_with_a_table_of_fewer_images(photos, ftrun):
    for folder in Path("photos").iterdir():
        for path in [path for index, path in enumerate(sorted(folder.iterdir())) if index % 4]:
            path.unlink()
    paste(DOCS / "start" / "tables.md", ftrun, {'"epochs": 6': '"epochs": 1'})


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """Return where the run of the first page is kept for the next guide."""
    return tmp_path_factory.mktemp("trained") / "runs"


@pytest.mark.parametrize("page", [page for page in GUIDES if any(block.pasted for block in blocks(page))], ids=name)
def test_the_guides(page, photos, kept, ftrun):
    if any("runs/photos-1" in block.code for block in blocks(page) if block.pasted):
        if not kept.exists():
            assert ftrun("photos.json", "--device", "cpu").exit_code == 0
            shutil.copytree("runs", kept)
        shutil.copytree(kept, "runs", dirs_exist_ok=True)
    paste(page, ftrun)


@pytest.mark.parametrize("page", [page for page in [*PAGES, *READMES] if any(specs(page))], ids=name)
def test_specs_are_valid(page, catalogue, work, monkeypatch):
    for keys in specs(page):
        if not {"dataset", "loss"} <= keys.keys():  # what it leaves out is of other targets
            for dataset in catalogue.parts("dataset").values():
                monkeypatch.setattr(dataset, "target_kinds", None)
        if "parts" not in keys:  # the guide's own part: test_guide.py runs it
            check_spec({**IMAGES, **(TEXTS if _of_texts(keys, catalogue) else {}), **keys}, catalogue)


def _of_texts(keys, catalogue):
    """Whether a backbone, a dataset or a modifier is for texts."""
    modifiers = [each if isinstance(each, str) else each["name"] for each in keys.get("modifiers", [])]
    if any("text" in (catalogue.parts("modifier")[each].input_kinds or ()) for each in modifiers):
        return True
    part = {slot: keys[slot]["name"] if isinstance(keys[slot], dict) else keys[slot].partition("/")[0]
            for slot in ("backbone", "dataset") if slot in keys}  # fmt: skip
    backbone, dataset = (catalogue.parts(slot).get(part.get(slot)) for slot in ("backbone", "dataset"))
    return (backbone and backbone.input_type.raw_kind == "text") or (dataset and dataset.input_kind == "text")


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_no_page_is_longer_than_a_person_reads(page):
    assert len(page.read_text()) < 9_000


@pytest.mark.parametrize("page", [ROOT / "README.md"], ids=name)
def test_links_of_the_readme_lead_somewhere(page):
    for link in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text()):
        assert (ROOT / link).exists(), link
