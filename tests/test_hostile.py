"""Whatever is made of a run folder's files: the run goes on as it was, or ends with one message; nothing is trusted."""

import json
import os
import pickle
import random
import re
import shutil
import signal
import time
from hashlib import sha256
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from support import tiny_spec, write_spec

from ftrun import load
from ftrun.contracts.errors import FtrunError, Interrupted
from ftrun.plugins.catalogue import installed
from ftrun.runs.folder import RunFolder
from ftrun.spec.check import check_spec
from ftrun.train import begin, saver
from ftrun.train.assemble import assemble
from ftrun.train.signals import Signals
from ftrun.train.tuning import ComputeFormat

SPEC = tiny_spec(
    dataset={"name": "tiny", "samples": 48, "val": True},
    backbone={"name": "tiny", "dropout": 0.2},
    train={"epochs": 2, "batch_size": 16, "average": "ema", "checkpoint_minutes": 1e-9},
)
FILES = ("manifest.json", "model.safetensors", "net.json", "state.json", "state.safetensors")
WHOLE, PREPARED, CASE, MARKER = Path("whole"), Path("prepared"), Path("case"), Path("marker")
LAST, PREVIOUS, BEST = (CASE / "checkpoints" / name for name in ("last", "previous", "best"))


class StopAfter(Signals):
    """A signal comes after some steps."""

    def __init__(self, steps):
        super().__init__()
        self.left = steps

    @property
    def waiting(self):
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGINT)
        return super().waiting


class Touch:
    """Unpickling it makes a file."""

    def __reduce__(self):
        return Path.touch, (MARKER.absolute(),)


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """Return where the prepared runs are kept for the next test."""
    return tmp_path_factory.mktemp("prepared")


@pytest.fixture
def prepared(site, ftrun, kept):
    """A whole run, and the same one broken off after five of its six steps."""
    if any(kept.iterdir()):
        shutil.copytree(kept, ".", dirs_exist_ok=True)
        return outcome(WHOLE)
    assert ftrun(write_spec(SPEC), "--out", WHOLE).exit_code == 0
    catalogue = installed()
    request = begin.Request(check_spec(SPEC, catalogue), "spec", json.dumps(SPEC), (), catalogue, PREPARED, "cpu")
    with pytest.raises(Interrupted):
        begin.run(request, StopAfter(5))
    for each in (WHOLE, PREPARED):
        shutil.copytree(each, kept / each)
    return outcome(WHOLE)


def outcome(folder):
    files = [folder / "checkpoints" / name / "model.safetensors" for name in ("best", "last")]
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    metrics = [{name: value for name, value in line.items() if not name.startswith("seconds/")} for line in lines]
    return metrics, [sha256(file.read_bytes()).hexdigest() for file in files]


def fresh(original=PREPARED):
    shutil.rmtree(CASE, ignore_errors=True)
    shutil.copytree(original, CASE)


def tree(folder):
    return {str(each): each.read_bytes() for each in folder.rglob("*") if each.is_file()}


def resume(ftrun, whole, case):
    """What `ftrun resume` says: it ends as the whole run, or with one message and all checkpoints as they were."""
    before = tree(CASE / "checkpoints")
    result = ftrun("resume", CASE)
    assert not MARKER.exists(), case
    assert "Traceback" not in result.output, (case, result.output)
    if result.exit_code == 0:
        assert outcome(CASE) == whole, (case, result.output)
        return result.output
    assert result.exit_code in (1, 2), (case, result.output)
    assert f"\n{result.output}".count("\nError: ") == 1, (case, result.output)
    message = result.output[f"\n{result.output}".index("\nError: ") :]
    assert str(CASE) in message, (case, message)
    if not message.startswith(f"Error: {BEST}"):
        assert tree(CASE / "checkpoints") == before, case
    return message


def goes_on_from_previous(ftrun, whole, case):
    names_last_and_takes_previous(resume(ftrun, whole, case), case)


def names_last_and_takes_previous(said, case):
    assert f"Going on from {PREVIOUS}, step " in said, (case, said)
    assert said.startswith(f"{LAST}/"), (case, said)  # names the damaged file first


class Restored:
    """What a resume puts into its parts before it trains: for many cases, of which some are resumed to their end."""

    def __init__(self):
        folder = RunFolder.existing(PREPARED)
        resolved = folder.read_json("resolved.json")
        self.job = assemble(
            check_spec(SPEC, installed()),
            torch.device("cpu"),
            states=saver.saved_states(folder, resolved),
            setting=ComputeFormat(resolved["precision"], resolved["memory_format"]),
            norms=resolved["norms"],
        )
        fresh()
        shutil.rmtree(LAST)
        saver.restore(self.job, RunFolder.existing(CASE), str)
        self.previous = self.state()

    def state(self):
        learner = self.job.learner
        return plain([learner.net.model.state_dict(), learner.optimizer.state_dict(), learner.average.state()])

    def is_previous(self, case):
        """Restore CASE, whose last checkpoint is of no use: what a resume goes on with is all of the one before."""
        saver.restore(self.job, RunFolder.existing(PREPARED), str)
        assert self.state() != self.previous
        said = []
        progress = saver.restore(self.job, RunFolder.existing(CASE), said.append)
        assert not MARKER.exists(), case
        names_last_and_takes_previous("\n".join(said), case)
        assert (progress.step, self.state()) == (4, self.previous), case


def plain(state):
    """Return nested tensors as what can be compared: each as its type, shape and bytes."""
    if isinstance(state, torch.Tensor):
        return str(state.dtype), tuple(state.shape), state.detach().numpy().tobytes()
    if isinstance(state, dict):
        return {name: plain(each) for name, each in state.items()}
    return [plain(each) for each in state] if isinstance(state, list | tuple) else state


@pytest.fixture
def restored(prepared):
    return Restored()


# Damage


def cut(draw, file):
    os.truncate(file, draw.randrange(file.stat().st_size))


def flip(draw, file):
    content = bytearray(file.read_bytes())
    content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
    file.write_bytes(content)


def scribble(draw, file):
    content = bytearray(file.read_bytes())
    start = draw.randrange(len(content))
    content[start : start + 16] = draw.randbytes(16)
    file.write_bytes(content)


def lengthen(draw, file):
    file.write_bytes(file.read_bytes() + draw.randbytes(draw.randint(1, 100)))


def replace_by_pickle(draw, file):
    file.write_bytes(pickle.dumps(Touch()))


def remove(draw, file):
    file.unlink()


def replace_by_folder(draw, file):
    file.unlink()
    file.mkdir()


def replace_by_dangling_link(draw, file):
    file.unlink()
    file.symlink_to("nowhere")


def swap_with_another(draw, file):
    swap(file, file.with_name(draw.choice([name for name in os.listdir(file.parent) if name != file.name])))


def swap(one, other):
    aside = one.with_name("aside")
    one.rename(aside)
    other.rename(one)
    aside.rename(other)


DAMAGE = (
    cut, flip, flip, scribble, lengthen, replace_by_pickle, remove, replace_by_folder, replace_by_dangling_link,
    swap_with_another,
)  # fmt: skip


def damage(draw, place):
    """Damage a file of a checkpoint so that it matters, and say how."""
    before = content(place)
    while content(place) == before:  # a cut of the last line's end is none
        file = place / draw.choice(sorted(os.listdir(place)))
        how = draw.choice(DAMAGE)
        how(draw, file)
    return f"{how.__name__} {file}"


def content(place):
    files = tree(place)
    manifest = str(place / "manifest.json")
    try:
        files[manifest] = json.loads(files[manifest])
    except (KeyError, ValueError):
        files[manifest] = None
    return files


def seeded():
    seed = time.time_ns()
    print("seed", seed)
    return random.Random(seed)


def test_a_damaged_last_checkpoint_is_named_and_the_one_before_is_used(restored, prepared, ftrun):
    draw = seeded()
    for number in range(80):
        fresh()
        case = f"{number}: {damage(draw, LAST)}"
        restored.is_previous(case)
        if number % 10 == 0:
            goes_on_from_previous(ftrun, prepared, case)


@pytest.mark.parametrize("count", [6, pytest.param(40, marks=pytest.mark.slow)])
def test_a_damaged_checkpoint_that_is_not_needed_changes_nothing(count, prepared, ftrun):
    draw = seeded()
    for number in range(count):
        fresh()
        place = draw.choice((PREVIOUS, BEST))
        case = f"{number}: {damage(draw, place)}"
        assert "Error" not in resume(ftrun, prepared, case), case


def test_where_no_checkpoint_is_good_both_are_named_and_stay(prepared, ftrun):
    draw = seeded()
    for number in range(30):
        fresh()
        case = f"{number}: {damage(draw, LAST)}, {damage(draw, PREVIOUS)}"
        message = resume(ftrun, prepared, case)
        assert message.startswith(f"Error: {LAST}/"), (case, message)
        assert f"\n{PREVIOUS}/" in message, (case, message)
        assert message.endswith(f"\nA new run can start from the weights in {BEST}: --init-from.\n")


def test_files_that_change_places_between_checkpoints_are_found_out(prepared, ftrun):
    for name in FILES:
        fresh()
        swap(LAST / name, PREVIOUS / name)
        message = resume(ftrun, prepared, name)
        assert message.startswith(f"Error: {LAST}/"), (name, message)
    fresh()
    swap(LAST, PREVIOUS)  # two good ones, the older one first
    assert "Error" not in resume(ftrun, prepared, "both whole")


@pytest.mark.parametrize("count", [8, pytest.param(40, marks=pytest.mark.slow)])
def test_a_damaged_best_checkpoint_is_not_judged(count, prepared, ftrun):
    draw = seeded()
    for number in range(count):
        at_the_end()
        case = f"{number}: {damage(draw, BEST)}"
        assert resume(ftrun, prepared, case).startswith(f"Error: {BEST}/"), case


def at_the_end():
    """All epochs are done, and nothing is judged yet."""
    fresh(WHOLE)
    (CASE / "results.json").unlink()
    status = (CASE / "status.json").read_text()
    (CASE / "status.json").write_text(status.replace("finished", "running"))


# Forgery: the manifest fits


def fit(place):
    """Make the manifest fit what is there."""
    names = json.loads((place / "manifest.json").read_text())["sha256"]
    digests = {name: sha256((place / name).read_bytes()).hexdigest() for name in names}
    (place / "manifest.json").write_text(json.dumps({"sha256": digests}))


DELETED = object()
NO_JSON = (b"", b"{", b"\xff\xfe\x00", b"[" * 100_000, b'{"a":' * 100_000, b"nul", pickle.dumps(Touch()))
NO_STATE = (None, -1, 10**30, "x", [], {}, True, [[1]], {"$tensor": "nowhere"}, {"$tensor": []}, {"$float": "x"})
NO_NUMBER = (None, "x", [], {}, {"$tensor": "nowhere"}, {"$float": "x"}, {"$float": []})
WRONG = {
    "": NO_STATE,
    "progress": (*NO_STATE[:5], *NO_STATE[6:], DELETED, {"unknown": 1}),
    "progress.epoch": (*NO_NUMBER, -1, 1.5),
    "progress.step": (*NO_NUMBER, -1, 1.5),
    "progress.samples": (*NO_NUMBER, -1, 1.5),
    "progress.sums": (*NO_NUMBER[:3], -1, {"loss": "x"}, *NO_NUMBER[4:]),
    "progress.rate_scale": (*NO_NUMBER, 0, -1, 1.5, {"$float": "nan"}, {"$float": "inf"}),
    "progress.micro_batch": (0, -1, "x", [], {}, 1.5),
    "progress.history": ("x", {}, -1, [1], [[]], [{"loss": "x"}]),
    "progress.skipped": ("x", {}, -1, ["x"], [{}]),
    "progress.corrupt": ("x", {}, -1, ["x"], [{}], [{"split": "train", "sample": "x", "reason": ""}]),
    "optimizer": (*NO_STATE, DELETED),
    "optimizer.state": (None, -1, "x", [], {"x": {}}, DELETED),
    "optimizer.state.0.momentum_buffer": ({"$tensor": "nowhere"}, {"$tensor": {}}, {"$float": "x"}),
    "optimizer.param_groups": (*NO_STATE, DELETED),
    "optimizer.param_groups.0.params": (None, [], [0], "x", DELETED),
    "average": (*NO_STATE, DELETED),
    "average.count": ("x", -1, None, {}, 1.5, DELETED),
    "average.weights": (*NO_STATE, DELETED),
    "average.weights.model.0.weight": (None, "x", [], {}, {"$tensor": "nowhere"}, DELETED),
}


def change(file, place, value):
    """Set the value at a place of a JSON file, such as progress.epoch."""
    whole = json.loads(file.read_text())
    *parents, name = place.split(".") if "." in place else [place]
    if place.startswith("average.weights."):
        parents, name = ["average", "weights"], place.removeprefix("average.weights.")
    inner = whole
    for each in parents:
        inner = inner[int(each) if isinstance(inner, list) else each]
    if not place:
        whole = value
    elif value is DELETED:
        del inner[name]
    else:
        inner[name] = value
    file.write_text(json.dumps(whole))


def test_a_forged_state_is_refused(restored, prepared, ftrun):
    for place, values in WRONG.items():
        for value in values:
            fresh()
            change(LAST / "state.json", place, value)
            fit(LAST)
            restored.is_previous((place, value))
        if "." not in place:
            goes_on_from_previous(ftrun, prepared, (place, value))


@pytest.mark.parametrize("name", ["model.safetensors", "state.json", "state.safetensors"])
def test_a_forged_file_is_refused(name, restored, prepared, ftrun):
    header = json.dumps({"x": {"dtype": "F32", "shape": [10**9], "data_offsets": [0, 4 * 10**9]}}).encode()
    for forged in (*NO_JSON, b"\xff" * 8, (10**12).to_bytes(8, "little"), len(header).to_bytes(8, "little") + header):
        fresh()
        (LAST / name).write_bytes(forged)
        fit(LAST)
        restored.is_previous((name, forged[:50]))
    goes_on_from_previous(ftrun, prepared, (name, forged[:50]))


def shapes(tensor):
    """Tensors of other shapes."""
    yield torch.cat([tensor.reshape(-1), tensor.reshape(-1)])
    yield tensor.new_zeros(0)
    if tensor.dim() > 1:
        yield tensor.reshape(-1)
        yield tensor.reshape(tensor.shape[::-1])
    if tensor.dim() > 0:
        yield tensor.new_zeros(())
        yield tensor.new_zeros(1)


def forge_tensor(name, key, tensor):
    fresh()
    tensors = load_file(LAST / name)
    tensors[key] = tensor
    save_file({each: value for each, value in tensors.items() if value is not None}, LAST / name)
    fit(LAST)


@pytest.mark.parametrize("name", ["model.safetensors", "state.safetensors"])
def test_a_forged_tensor_is_refused(name, restored, prepared, ftrun):
    ours = load_file(PREPARED / "checkpoints" / "last" / name)
    ours.pop("1.num_batches_tracked", None)  # torch itself lets batch normalisation do without it, as it once did
    for key, tensor in ours.items():
        others = [None]
        if not key.startswith("optimizer."):
            others += shapes(tensor)
        if key.startswith("average."):
            others += [tensor.to(torch.float16), tensor.to(torch.int32)]
        for other in others:
            forge_tensor(name, key, other)
            restored.is_previous((name, key, other))
    goes_on_from_previous(ftrun, prepared, (name, key, other))


def test_a_forged_description_of_the_best_net_is_refused(prepared, ftrun):
    wrong = [("", value) for value in NO_STATE] + [("val", DELETED), ("epoch", DELETED)]
    for place, value in [*wrong, *(("val", value) for value in NO_STATE[:4]), ("epoch", "x"), ("epoch", None)]:
        at_the_end()
        change(BEST / "net.json", place, value)
        fit(BEST)
        assert resume(ftrun, prepared, (place, value)).startswith(f"Error: {BEST / 'net.json'}: "), (place, value)


MANIFESTS = (
    *NO_JSON, b"null", b"[]", b"{}", b'"x"', b'{"sha256": null}', b'{"sha256": []}', b'{"sha256": "x"}',
    b'{"sha256": {}}', b'{"sha256": {"model.safetensors": 1}}', b'{"sha256": {"../../resolved.json": "x"}}',
)  # fmt: skip


def test_a_manifest_that_is_none_is_named(restored, prepared, ftrun):
    for manifest in MANIFESTS:
        fresh()
        (LAST / "manifest.json").write_bytes(manifest)
        restored.is_previous(manifest[:50])
    goes_on_from_previous(ftrun, prepared, manifest[:50])


def test_a_manifest_that_names_a_file_more_opens_none(prepared, ftrun):
    for name in ("../best/model.safetensors", "../evil.pkl"):  # in its own folder, a file of any name is kept, unopened
        fresh()
        (LAST / "evil.pkl").write_bytes(pickle.dumps(Touch()))
        manifest = json.loads((LAST / "manifest.json").read_text())
        manifest["sha256"][name] = sha256(pickle.dumps(Touch())).hexdigest()
        (LAST / "manifest.json").write_text(json.dumps(manifest))
        goes_on_from_previous(ftrun, prepared, name)


# The run's own files


def test_a_status_that_is_garbage_is_of_no_account(prepared, ftrun):
    wrong = (b'{"state": []}', b'{"state": {}, "pid": -1}', b'{"state": "running", "pid": "x"}')
    for status in (b"", b"[" * 100_000, b"\xff\xfe\x00", b"[]", b"{}", *wrong):
        fresh()
        (CASE / "status.json").write_bytes(status)
        assert "Error" not in resume(ftrun, prepared, status[:50]), status[:50]


def test_a_record_of_the_run_that_is_garbage_is_named(prepared, ftrun):
    draw = seeded()
    record = (PREPARED / "resolved.json").read_bytes()
    cuts = [record[: draw.randrange(len(record) - 2)] for _ in range(10)]
    for resolved in (*MANIFESTS, *cuts, b'{"spec": 1}', b'{"spec": {}, "plugins": []}', b'{"spec": {}, "plugins": 1}'):
        fresh()
        (CASE / "resolved.json").write_bytes(resolved)
        message = resume(ftrun, prepared, resolved[-50:])
        assert message.startswith(f"Error: {CASE / 'resolved.json'}"), (resolved[-50:], message)


# What opens a finished run: evaluate, predict, ftrun.load, export


RESOLVED = {
    "no spec": ("spec", None, "spec: field required"),
    "spec is text": ("spec", "x", "spec: input should be an object"),
    "no plugins": ("plugins", None, "plugins: field required"),
    "a plugin is a number": ("plugins", [3], "plugins.0: input should be an object"),
    "a plugin without a version": (
        "plugins",
        [{"role": "loss", "name": "x", "distribution": "d"}],
        "plugins.0.version: field required",
    ),
    "a plugin of no role": (
        "plugins",
        [{"role": "x", "name": "x", "distribution": "d", "version": "1"}],
        "plugins.0.role: no role is called 'x'",
    ),
    "precision": ("precision", "fp8", "precision: input should be 'fp32' or 'bf16'"),
    "memory format": ("memory_format", 3, "memory_format: input should be 'channels_last' or 'contiguous'"),
    "device": ("device", ["cpu"], "device: input should be a valid string"),
    "versions": ("versions", {"torch": 2}, "versions.torch: input should be a valid string"),
    "threads": ("threads", -3, "threads: input should be greater than or equal to 1"),
    "no targets": ("targets", {}, "class_counts: is not of the classes of 'label'"),
    "a target without names": ("targets", {"label": {"kind": "classes", "names": []}}, "targets.label"),
    "samples": ("samples", {"train": "many"}, "samples.train: input should be a valid integer"),
    "counts of other classes": ("class_counts", {"label": {"class 0": 1}}, "class_counts: is not of the classes of"),
    "counts of no target": ("class_counts", {"color": {"red": 1}}, "class_counts: is not of the classes of 'color'"),
    "negative counts": (
        "class_counts",
        {"label": {"class 0": -1, "class 1": 1, "class 2": 1}},
        "class_counts.label.class 0: input should be greater than or equal to 0",
    ),
    "counts are a list": ("class_counts", [1, 2], "class_counts: input should be an object"),
}
NET = {
    "no input": ("input", None, "input: field required"),
    "another input": ("input", {"kind": "sound"}, "its input is not one of this backbone"),
    "a size of text": ("input", {"kind": "image", "size": "large"}, "its input is not one of this backbone"),
    "no mean": ("input", {"kind": "image", "size": [8, 8], "mean": []}, "its input is not one of this backbone"),
    "a mean of one": (
        "input",
        {"kind": "image", "size": [8, 8], "mean": [0.5]},
        "its input is not one of this backbone",
    ),
    "no targets": ("targets", None, "targets: field required"),
    "other targets": (
        "targets",
        {"label": {"kind": "classes", "names": ["a", "b", "c"]}},
        "its targets are not those of resolved.json",
    ),
    "micro batch": ("micro_batch", 0, "micro_batch: input should be greater than or equal to 1"),
    "micro batch of text": ("micro_batch", "few", "micro_batch: input should be a valid integer"),
    "no epoch": ("epoch", None, "does not hold what it should: KeyError"),
    "val is a number": ("val", 3, "does not hold what it should: TypeError"),
}


@pytest.fixture
def opened(site, ftrun):
    """A finished run, and the ways to open one."""
    spec = tiny_spec(loss={"name": "cross-entropy", "class_weights": "auto"}, train={"epochs": 1, "batch_size": 32})
    assert ftrun(write_spec(spec), "--out", CASE, "--device", "cpu").exit_code == 0
    Image.new("RGB", (8, 8)).save("a.png")
    return [("evaluate", CASE), ("predict", CASE, "a.png"), ("export", CASE, "--format", "torch-export")]


def forge(path, key, value):
    """Put another value into a JSON file, or take the key out; where there is a manifest, it fits."""
    content = json.loads(path.read_text()) | {key: value}
    path.write_text(json.dumps({name: each for name, each in content.items() if name != key or value is not None}))
    manifest = path.parent / "manifest.json"
    if manifest.exists():
        digests = json.loads(manifest.read_text())
        digests["sha256"][path.name] = sha256(path.read_bytes()).hexdigest()
        manifest.write_text(json.dumps(digests))


@pytest.mark.parametrize(("name", "cases"), [("resolved.json", RESOLVED), ("checkpoints/best/net.json", NET)])
def test_a_record_that_is_forged_is_named_by_whatever_opens_the_run(name, cases, opened, ftrun):
    path = CASE / name
    originals = {each: each.read_bytes() for each in (path, path.parent / "manifest.json") if each.exists()}
    for case, (key, value, message) in cases.items():
        forge(path, key, value)
        for command in opened:
            result = ftrun(*command)
            assert result.exit_code == 1, (case, command, result.output)
            assert f"Error: {path}: " in result.output, (case, command, result.output)
            assert message in result.output, (case, command, result.output)
        with pytest.raises(FtrunError, match=re.escape(f"{path}: ")):
            load(CASE)
        for each, content in originals.items():
            each.write_bytes(content)
    assert ftrun(*opened[1]).exit_code == 0
