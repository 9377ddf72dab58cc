"""A run that was broken off, at any step, goes on as if it never was: equal to the last bit."""

import json
import math
import shutil
import sys
from importlib.metadata import version
from itertools import product
from pathlib import Path
from time import perf_counter
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from support import EveryStep, StopAt, install, tiny_spec, write_spec

from ftrun.contracts.errors import Interrupted
from ftrun.plugins.catalogue import Catalogue, installed
from ftrun.runs.folder import RunFolder
from ftrun.spec.check import check_spec
from ftrun.train import begin
from ftrun.train.assemble import assemble
from ftrun.train.signals import Signals

# Each pair of settings once, and with workers all that can be at once; the rest of the matrix is slow.
QUICK = [(0, "fp32", 1, "all"), (0, "fp32", 2, "frozen"), (0, "bf16", 1, "frozen"), (0, "bf16", 2, "all")]
QUICK += [(2, "bf16", 2, "frozen")]
MATRIX = [
    pytest.param(*each, id="-".join(map(str, each)), marks=[pytest.mark.slow] * (each not in QUICK))
    for each in product((0, 2), ("fp32", "bf16"), (1, 2), ("frozen", "all"))
]
PHASES = [{"epochs": 1, "freeze": "features"}, {"epochs": 1, "lr_scale": 0.5, "layer_decay": 0.5}]


class KilledAt(StopAt):
    """As StopAt, but the process ends at once."""

    @property
    def waiting(self) -> bool:
        if super().waiting:
            raise SystemExit(143)
        return False


def full_spec(
    workers: int = 0, precision: str = "fp32", accumulate: int = 1, frozen: str = "all", **changes: Any
) -> dict[str, Any]:
    """A spec with everything that has a state or draws at random, of 3 batches an epoch."""
    return (
        tiny_spec(
            dataset={"name": "tiny", "samples": 20, "val": True, "workers": True},
            backbone={"name": "tiny", "dropout": 0.3},
            augment=["horizontal-flip", {"name": "random-crop", "padding": 2}, "color-jitter"],
            optimizer={"name": "sgd", "lr": 0.1, "momentum": 0.9, "nesterov": True},
            scheduler={"name": "cosine", "warmup": 0.2},
            metrics=["accuracy", "f1"],
            train={
                "epochs": 2,
                "batch_size": 8,
                "accumulate": accumulate,
                "precision": precision,
                "workers": workers,
                "average": "ema",
                "clip": 1.0,
                **({"phases": PHASES} if frozen == "frozen" else {}),
            },
        )
        | changes
    )


def start(
    spec: dict[str, Any], out: Path, catalogue: Catalogue, signals: Signals | None = None, **options: Any
) -> Path:
    checked = check_spec(spec, catalogue)
    request = begin.Request(checked, "spec", json.dumps(spec), (), catalogue, out, "cpu", **options)
    begin.run(request, signals)
    return out


def go_on(folder: Path, catalogue: Catalogue, epochs: int | None = None, signals: Signals | None = None) -> Path:
    begin.resume(RunFolder.existing(folder), catalogue, epochs, None, signals)
    return folder


def at_every_step(spec: dict[str, Any], place: Path, catalogue: Catalogue) -> tuple[Path, list[Path]]:
    """A straight run, and its folder as it was after each checkpoint."""
    copies = place / "copies"
    copies.mkdir(parents=True)
    folder = start(spec, place / "straight", catalogue, EveryStep(place / "straight", copies))
    return folder, sorted(copies.iterdir(), key=lambda each: int(each.name))


def without_seconds(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_seconds(each) for key, each in value.items() if not key.startswith("seconds")}
    return [without_seconds(each) for each in value] if isinstance(value, list) else value


def outcome(folder: Path) -> dict[str, Any]:
    """All that a run leaves behind but the time that it took."""
    checkpoints = folder / "checkpoints"
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    return {
        "best": (checkpoints / "best" / "model.safetensors").read_bytes(),
        "last": (checkpoints / "last" / "model.safetensors").read_bytes(),
        "tensors": (checkpoints / "last" / "state.safetensors").read_bytes(),
        "nets": [(checkpoints / each / "net.json").read_text() for each in ("best", "last")],
        "state": without_seconds(json.loads((checkpoints / "last" / "state.json").read_text())),
        "metrics": [without_seconds(json.loads(line)) for line in lines],
        "results": without_seconds(json.loads((folder / "results.json").read_text())),
    }


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def step_of(folder: Path) -> int:
    return json.loads((folder / "status.json").read_text())["step"]


@pytest.mark.parametrize(("workers", "precision", "accumulate", "frozen"), MATRIX)
def test_resumed_at_any_step_a_run_is_equal_to_the_bit(workers, precision, accumulate, frozen, tmp_path, catalogue):
    folder, copies = at_every_step(full_spec(workers, precision, accumulate, frozen), tmp_path, catalogue)
    expected = outcome(folder)
    if workers:
        alone = start(full_spec(0, precision, accumulate, frozen), tmp_path / "alone", catalogue)
        assert outcome(alone) == expected
    steps = 3 if accumulate == 1 else 2
    assert [step_of(copy) for copy in copies] == [*range(1, steps + 1), *range(steps, 2 * steps + 1), 2 * steps]
    for copy in copies[:: steps + 1 if workers else 1]:  # with workers, in the middle of either epoch: processes begin
        step = step_of(copy)
        assert outcome(go_on(copy, catalogue)) == expected, f"resumed at step {step}"


@pytest.mark.parametrize(
    "optimizer",
    [  # Muon has what AdamW has and more, as AdamW has of Adam; one without a state can forget none
        {"name": "muon", "lr": 0.01, "decay_to": "start"},
        pytest.param({"name": "lamb", "lr": 0.01, "decay_to": "start"}, marks=pytest.mark.slow),
        pytest.param({"name": "sgd", "lr": 0.01, "weight_decay": 0.1, "decay_to": "start"}, marks=pytest.mark.slow),
        pytest.param({"name": "adamw", "lr": 0.01}, marks=pytest.mark.slow),
        pytest.param({"name": "adam", "lr": 0.01}, marks=pytest.mark.slow),
        pytest.param("tiny-sgd", marks=pytest.mark.slow),
    ],
)
def test_every_optimizer_goes_on_as_it_was(optimizer, tmp_path, catalogue):
    spec = full_spec(accumulate=2, frozen="frozen", optimizer=optimizer, scheduler="one-cycle")
    first, second = PHASES
    spec["train"] |= {"phases": [first, {**second, "restart": True}], "average": {"name": "swa", "last": 0.6}}
    folder, copies = at_every_step(spec, tmp_path, catalogue)
    for copy in copies:
        assert outcome(go_on(copy, catalogue)) == outcome(folder)


@pytest.fixture(scope="module")
def expected(tmp_path_factory, catalogue) -> dict[str, Any]:
    """What `full_spec` comes to where nothing breaks it off."""
    return outcome(start(full_spec(), tmp_path_factory.mktemp("run") / "straight", catalogue))


def test_checkpoints_within_an_epoch_change_nothing(tmp_path, catalogue, expected):
    folder, _ = at_every_step(full_spec(), tmp_path, catalogue)
    assert outcome(folder) == expected


def test_a_run_may_be_broken_off_as_often_as_it_has_steps(tmp_path, catalogue, expected):
    with pytest.raises(Interrupted):
        start(full_spec(), tmp_path / "often", catalogue, StopAt(1))
    for step in range(2, 7):
        with pytest.raises(Interrupted):
            go_on(tmp_path / "often", catalogue, signals=StopAt(1))
        assert step_of(tmp_path / "often") == step
    assert outcome(go_on(tmp_path / "often", catalogue)) == expected


def test_a_run_that_patience_ends_goes_on_to_the_same_end(tmp_path, catalogue):
    spec = full_spec(optimizer={"name": "sgd", "lr": 1e-12}, scheduler=None)
    spec["train"] |= {"epochs": 9, "patience": 1, "monitor": "val/accuracy", "average": None}
    folder, copies = at_every_step(spec, tmp_path, catalogue)
    assert len(outcome(folder)["metrics"]) == 2, "accuracy cannot improve"
    for copy in copies:
        assert outcome(go_on(copy, catalogue)) == outcome(folder)


@pytest.mark.parametrize("norm", [True, False])
def test_what_is_frozen_does_not_change(norm, tmp_path, catalogue):
    spec = full_spec(frozen="frozen", backbone={"name": "tiny", "dropout": 0.3, "norm": norm})
    _, copies = at_every_step(spec, tmp_path, catalogue)
    first = assemble(check_spec(spec, catalogue), torch.device("cpu")).learner.net.model.state_dict()
    for copy in copies[:4]:  # the steps of the first epoch, and its end
        now = load_file(copy / "checkpoints" / "last" / "model.safetensors")
        assert [name for name in first if not torch.equal(now[name], first[name])] == ["6.weight", "6.bias"]
    best = load_file(copies[3] / "checkpoints" / "best" / "model.safetensors")
    assert [name for name in first if not torch.equal(best[name], first[name])] == ["6.weight", "6.bias"]
    now = load_file(copies[4] / "checkpoints" / "last" / "model.safetensors")
    same = {name for name in first if torch.equal(now[name], first[name])}
    # A bias before batch normalisation has no gradient but for rounding, which may or may not move it.
    assert not same - ({"0.bias"} if norm else set()), "everything learns in the second phase"


def test_a_run_that_ended_before_its_first_checkpoint_starts_anew(tmp_path, catalogue, expected):
    with pytest.raises(SystemExit):
        start(full_spec(), tmp_path / "killed", catalogue, KilledAt(2))
    assert not any((tmp_path / "killed" / "checkpoints").iterdir())
    assert outcome(go_on(tmp_path / "killed", catalogue)) == expected
    assert "resumed at step 0, epoch 1" in (tmp_path / "killed" / "log.txt").read_text()


def test_what_came_after_the_last_checkpoint_is_done_again(tmp_path, catalogue):
    """A kill in the third epoch, whose steps no checkpoint has: the second epoch's end is where it goes on."""
    spec = full_spec()
    spec["train"] |= {"epochs": 3}
    expected = outcome(start(spec, tmp_path / "straight", catalogue))
    with pytest.raises(SystemExit):
        start(spec, tmp_path / "killed", catalogue, KilledAt(8))
    assert outcome(go_on(tmp_path / "killed", catalogue)) == expected
    assert "resumed at step 6, epoch 3" in (tmp_path / "killed" / "log.txt").read_text()


def test_the_time_of_a_resumed_run_is_that_of_all_its_processes(tmp_path, catalogue):
    with pytest.raises(Interrupted):  # as if it had begun a thousand seconds ago
        start(full_spec(), tmp_path / "run", catalogue, StopAt(4), started=perf_counter() - 1000)
    seconds = json.loads((go_on(tmp_path / "run", catalogue) / "results.json").read_text())["seconds"]
    assert 1000 < seconds["total"] < 1900
    assert sum(seconds[each] for each in ("train", "eval")) < seconds["total"]


def rates(folder: Path) -> list[float]:
    return [json.loads(line)["lr"] for line in (folder / "metrics.jsonl").read_text().splitlines()]


def cosine_rates(epochs: int, of: int) -> list[float]:
    """The learning rate of each epoch's last step, of three, in a run of `of` epochs."""
    return [0.1 * (1 + math.cos(math.pi * (3 * epoch - 1) / (3 * of))) / 2 for epoch in range(1, epochs + 1)]


def test_a_finished_run_can_be_extended(tmp_path, catalogue):
    folder = start(full_spec(scheduler="cosine"), tmp_path / "run", catalogue)
    assert rates(folder) == pytest.approx(cosine_rates(2, of=2))
    done = outcome(folder)["metrics"]
    go_on(folder, catalogue, 4)
    assert rates(folder) == pytest.approx(cosine_rates(2, of=2) + cosine_rates(4, of=4)[2:])
    assert outcome(folder)["metrics"][:2] == done
    assert RunFolder(folder).epochs == 4
    assert RunFolder(folder).read_status()["epoch"] == 4


def test_an_extended_run_is_the_longer_run_where_the_rate_does_not_depend_on_its_length(tmp_path, catalogue):
    longer = full_spec(frozen="frozen", scheduler="constant")
    longer["train"] |= {"epochs": 4, "phases": [PHASES[0], PHASES[1] | {"epochs": 3}]}
    expected = outcome(start(longer, tmp_path / "longer", catalogue))
    _, copies = at_every_step(full_spec(frozen="frozen", scheduler="constant"), tmp_path / "short", catalogue)
    for copy in (copies[1], copies[3], copies[-1]):
        assert outcome(go_on(copy, catalogue, 4)) == expected


def test_an_extended_run_that_is_broken_off_goes_on_to_its_new_end(tmp_path, catalogue):
    folder = start(full_spec(), tmp_path / "run", catalogue)
    shutil.copytree(folder, tmp_path / "twin")
    expected = outcome(go_on(folder, catalogue, 4))
    with pytest.raises(Interrupted):
        go_on(tmp_path / "twin", catalogue, 4, StopAt(2))
    assert outcome(go_on(tmp_path / "twin", catalogue)) == expected


@pytest.fixture
def finished(site, ftrun) -> Path:
    """A run of the tiny parts, started by the command line."""
    assert ftrun(write_spec(tiny_spec())).exit_code == 0
    return Path("runs/spec-1")


@pytest.fixture
def stopped(site) -> Path:
    """A run of the tiny parts that was stopped after its second step."""
    with pytest.raises(Interrupted):
        start(tiny_spec(), Path("stopped"), installed(), StopAt(2))
    return Path("stopped")


def edit(folder: Path, **changes: Any) -> None:
    path = folder / "resolved.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_a_finished_run_is_left_as_it_is(finished, ftrun):
    before = files(finished)
    for arguments in ([], ["--epochs", "2"]):
        result = ftrun("resume", finished, *arguments)
        assert (result.exit_code, "already finished" in result.output) == (0, True)
    assert files(finished) == before


def test_a_run_cannot_be_made_shorter(finished, stopped, ftrun):
    for folder in (finished, stopped):
        before = files(folder)
        result = ftrun("resume", folder, "--epochs", "1")
        assert result.exit_code == 2
        assert "--epochs 1: this run is for 2 epochs; it can only be extended." in result.output
        assert files(folder) == before


def test_a_run_that_patience_ended_is_finished(site, ftrun):
    train = {"epochs": 9, "batch_size": 16, "patience": 1, "monitor": "val/accuracy"}
    slow = {"name": "tiny-sgd", "lr": 1e-12}
    assert ftrun(write_spec(tiny_spec(train=train, optimizer=slow, metrics=["accuracy"]))).exit_code == 0
    before = files(Path("runs/spec-1"))
    assert "already finished" in ftrun("resume", "runs/spec-1").output
    longer = ftrun("resume", "runs/spec-1", "--epochs", "12")
    assert longer.exit_code == 2
    assert "this run was stopped by train.patience, and would be again" in longer.output
    assert files(Path("runs/spec-1")) == before


@pytest.mark.parametrize("state", ["stopped", "finished"])
def test_the_command_line_resumes_what_it_said_it_would(state, site, ftrun, request):
    straight = start(tiny_spec(), Path("straight"), installed())
    folder = request.getfixturevalue(state)
    assert ftrun("resume", folder).exit_code == 0
    assert outcome(folder) == outcome(straight)


def test_a_missing_plugin_is_named(stopped, site, ftrun):
    shutil.rmtree(site / "ftrun_tiny-1.0.dist-info")
    result = ftrun("resume", stopped)
    assert result.exit_code == 3
    assert "comes from ftrun-tiny 1.0, which is not installed. Run: pip install ftrun-tiny" in result.output


def test_a_broken_plugin_is_named_with_what_is_wrong(stopped, site, ftrun):
    (site / "ftrun_tiny.py").write_text("import nothing_of_that_name\n")
    del sys.modules["ftrun_tiny"]
    result = ftrun("resume", stopped)
    assert result.exit_code == 3
    assert "ftrun-tiny 1.0, which is broken" in result.output
    assert "nothing_of_that_name" in result.output


def test_another_major_version_of_torch_is_refused(stopped, ftrun):
    resolved = json.loads((stopped / "resolved.json").read_text())
    edit(stopped, versions=resolved["versions"] | {"torch": "1.13.1"})
    before = files(stopped)
    result = ftrun("resume", stopped)
    assert result.exit_code == 1
    assert "made with torch 1.13.1" in result.output
    assert files(stopped) == before


def test_smaller_differences_are_said_and_do_no_harm(stopped, ftrun):
    resolved = json.loads((stopped / "resolved.json").read_text())
    older = [
        each | {"version": "0.9"} if each["distribution"] == "ftrun-tiny" else each for each in resolved["plugins"]
    ]
    versions = resolved["versions"] | {"torch": "2.0.0", "python": "3.11.0rc1"}
    edit(stopped, versions=versions, plugins=older, threads=77)
    assert ftrun("resume", stopped).exit_code == 0
    log = (stopped / "log.txt").read_text()
    assert f"not as it was: torch was 2.0.0, is {version('torch')}" in log
    assert "not as it was: python was 3.11.0rc1" in log
    assert log.count("not as it was: ftrun-tiny was 0.9, is 1.0") == 1
    assert f"not as it was: threads was 77, is {torch.get_num_threads()}" in log


def test_a_device_that_is_not_here_is_replaced_and_said(stopped, ftrun):
    edit(stopped, device="cuda:55")
    assert ftrun("resume", stopped).exit_code == 0
    assert "not as it was: device was cuda:55, is " in (stopped / "log.txt").read_text()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda place: None, "no such run folder. Did you mean 'stopped'?"),
        (Path.mkdir, "not the folder of a run"),
        (Path.touch, "no such run folder"),
    ],
    ids=["nothing", "a folder", "a file"],
)
def test_what_is_no_run_folder_is_said(make, message, stopped, ftrun):
    make(Path("stoped"))
    result = ftrun("resume", "stoped")
    assert result.exit_code == 2
    assert message in result.output


FILED = """
import json
from pathlib import Path
from typing import Literal

import ftrun
from ftrun_tiny import TinyBackbone, TinyDataset


class Filed(ftrun.Dataset):
    name: Literal["filed"]

    def build(self):
        told = json.loads(Path("data.json").read_text())
        names = told.pop("names", None)
        splits = TinyDataset(name="tiny", **told).build()
        if names is None:
            return splits
        return ftrun.Splits(
            train=splits.train, val=splits.val, test=splits.test, targets={"label": ftrun.Classes(names=names)}
        )


class Fetching(TinyBackbone):
    name: Literal["fetching"]
    weights: str | None = "weights.txt"

    def build(self, overrides):
        import torch

        net = super().build({**overrides, "mean": (0.5, 0.4, 0.3)} if self.weights else overrides)
        if self.weights:
            torch.nn.init.constant_(net.model[0].weight, float(Path(self.weights).read_text()))
        return net

    def without_weights(self):
        return self.model_copy(update={"weights": None})


@ftrun.hookimpl
def ftrun_datasets():
    return [Filed]


@ftrun.hookimpl
def ftrun_backbones():
    return [Fetching]
"""


@pytest.fixture
def filed(site):
    """A dataset that is what data.json says, and a backbone whose weights are in weights.txt."""
    install(site, "ftrun-filed", FILED)

    def write(**told: Any) -> None:
        Path("data.json").write_text(json.dumps({"samples": 40, "val": True, **told}))

    write()
    Path("weights.txt").write_text("0.25")
    return write


@pytest.mark.parametrize(
    ("change", "what"),
    [({"samples": 41}, "samples"), ({"test": False}, "samples"), ({"names": ["c", "b", "a"]}, "targets")],
)
def test_changed_data_is_refused(change, what, filed, ftrun):
    with pytest.raises(Interrupted):
        start(tiny_spec(dataset="filed"), Path("run"), installed(), StopAt(2))
    before = files(Path("run"))
    filed(**change)
    result = ftrun("resume", "run")
    assert result.exit_code == 4
    assert f"the data is not what this run began with: its {what} were" in result.output
    assert "--init-from" in result.output
    assert files(Path("run")) == before
    filed()
    assert ftrun("resume", "run").exit_code == 0, "the data is back"


def test_weights_are_not_fetched_again(filed, ftrun):
    spec = tiny_spec(backbone="fetching")
    straight = start(spec, Path("straight"), installed())
    with pytest.raises(Interrupted):
        start(spec, Path("run"), installed(), StopAt(2))
    Path("weights.txt").unlink()
    assert ftrun("resume", "run").exit_code == 0
    assert outcome(Path("run")) == outcome(straight), "the input, which came with the weights, is kept too"


def test_weights_are_fetched_again_where_there_is_no_checkpoint_yet(filed, ftrun):
    spec = tiny_spec(backbone="fetching")
    straight = start(spec, Path("straight"), installed())
    with pytest.raises(SystemExit):
        start(spec, Path("run"), installed(), KilledAt(1))
    assert ftrun("resume", "run").exit_code == 0
    assert outcome(Path("run")) == outcome(straight)


def test_a_torchvision_net_resumes_without_its_weight_file(site, ftrun):
    from torchvision.models import squeezenet1_1

    torch.save(squeezenet1_1().state_dict(), "squeezenet.pth")
    backbone = {"name": "torchvision", "model": "squeezenet1_1", "weights": "squeezenet.pth"}
    spec = tiny_spec(backbone=backbone, input={"size": [32, 32]}, dataset={"name": "tiny", "samples": 24})
    straight = start(spec, Path("straight"), installed())
    with pytest.raises(Interrupted):
        start(spec, Path("run"), installed(), StopAt(1))
    Path("squeezenet.pth").unlink()
    assert ftrun("resume", "run").exit_code == 0
    assert outcome(Path("run")) == outcome(straight)


def test_a_line_that_is_said_before_the_log_is_open_is_logged_once(site, ftrun):
    with pytest.raises(Interrupted):
        start(tiny_spec(), Path("run"), installed(), StopAt(6))  # a checkpoint of the first epoch, and one of step 6
    (Path("run") / "checkpoints" / "last" / "net.json").write_text("{}")
    assert ftrun("resume", "run").exit_code == 0
    assert (Path("run") / "log.txt").read_text().count("is damaged: its SHA-256") == 1


def new_run(ftrun, source: str | Path, name: str = "new", **changes: Any) -> tuple[Any, list[str]]:
    """A run from another one's weights: its result, and its log's lines without the time."""
    result = ftrun(write_spec(tiny_spec(**changes)), "--init-from", source, "--out", name)
    log = Path(name) / "log.txt"
    return result, [line[20:] for line in log.read_text().splitlines()] if log.exists() else []


def at_its_start(folder: Path, which: str = "best") -> dict[str, torch.Tensor]:
    return load_file(folder / "checkpoints" / which / "model.safetensors")


STILL = {"name": "tiny-sgd", "lr": 1e-30}
"""The weights stay what they were to begin with."""


def test_a_new_run_starts_from_the_best_weights_of_another(finished, ftrun):
    result, log = new_run(ftrun, finished, optimizer=STILL)
    assert result.exit_code == 0
    assert "weights from runs/spec-1/checkpoints/best, epoch 2: 9 of 9 tensors loaded" in log
    assert not any("newly initialised" in line or "skipped" in line for line in log)
    source, new = at_its_start(finished), at_its_start(Path("new"))
    for name in ("0.weight", "0.bias", "1.weight", "1.bias", "6.weight", "6.bias"):
        assert torch.equal(source[name], new[name])
    recorded = json.loads((Path("new") / "resolved.json").read_text())["init_from"]
    assert recorded["checkpoint"] == str((finished / "checkpoints" / "best").absolute())


def test_the_averaged_weights_start_from_there_too(finished, ftrun):
    train = {"epochs": 1, "batch_size": 16, "average": "ema"}
    new_run(ftrun, finished, optimizer=STILL, train=train)
    source, new = at_its_start(finished), at_its_start(Path("new"))
    assert torch.equal(source["0.weight"], new["0.weight"])


def test_init_from_takes_a_checkpoint_or_a_run_that_has_only_a_last_one(stopped, ftrun):
    assert "weights from stopped/checkpoints/last, epoch 0: 9 of 9 tensors loaded" in new_run(ftrun, stopped)[1]
    _, log = new_run(ftrun, stopped / "checkpoints" / "last", "newer")
    assert "weights from stopped/checkpoints/last, epoch 0: 9 of 9 tensors loaded" in log


def test_what_is_not_loaded_is_listed(finished, ftrun):
    _, log = new_run(ftrun, finished, backbone={"name": "tiny", "norm": False})
    assert [log[0], *sorted(log[1:6])] == [
        "weights from runs/spec-1/checkpoints/best, epoch 2: 4 of 4 tensors loaded",
        "  skipped, not in this net: 1.bias",
        "  skipped, not in this net: 1.num_batches_tracked",
        "  skipped, not in this net: 1.running_mean",
        "  skipped, not in this net: 1.running_var",
        "  skipped, not in this net: 1.weight",
    ]
    _, log = new_run(ftrun, "new", "back")
    assert "weights from new/checkpoints/best, epoch 2: 4 of 9 tensors loaded" in log
    assert "  newly initialised: 1.running_mean (not there)" in log


def test_a_head_for_other_classes_is_not_taken(filed, ftrun):
    filed(names=["cat", "dog", "bird"])
    assert ftrun(write_spec(tiny_spec(dataset="filed"))).exit_code == 0
    filed(names=["dog", "cat", "bird"])
    result, log = new_run(ftrun, "runs/spec-1", dataset="filed", optimizer=STILL)
    assert result.exit_code == 0
    assert "  newly initialised: 6.weight (there for other classes)" in log
    assert "  newly initialised: 6.bias (there for other classes)" in log
    source, new = at_its_start(Path("runs/spec-1")), at_its_start(Path("new"))
    assert torch.equal(source["0.weight"], new["0.weight"])
    assert not torch.equal(source["6.weight"], new["6.weight"])


def test_other_shapes_are_said(finished, ftrun):
    wider = {"name": "tiny", "width": 12}
    result, log = new_run(ftrun, finished, backbone=wider, dataset={"name": "tiny", "classes": 4})
    assert result.exit_code == 2
    assert "--init-from runs/spec-1/checkpoints/best: none of its 9 tensors fits this net" in result.output
    assert "It is of the backbone 'tiny'." in result.output
    assert not Path("new").exists()
    assert log == []


def test_init_from_needs_weights(site, finished, ftrun):
    with pytest.raises(SystemExit):
        start(tiny_spec(), Path("killed"), installed(), KilledAt(1))
    for source, message in (
        ("killed", "this run has saved no weights yet"),
        ("nothing", "nothing: no such run folder"),
        ("runs", "holds runs, and is none itself"),
    ):
        result, _ = new_run(ftrun, source)
        assert (result.exit_code, message in result.output) == (2, True), result.output
    assert not Path("new").exists()


def test_a_damaged_source_is_refused(finished, ftrun):
    weights = finished / "checkpoints" / "best" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    result, _ = new_run(ftrun, finished)
    assert result.exit_code == 1
    assert f"{weights}: is damaged" in result.output


@pytest.mark.parametrize("average", [None, "ema", "swa"])
def test_a_run_from_other_weights_resumes_equal_before_its_first_checkpoint_and_after(average, finished, ftrun):
    spec = tiny_spec(train={"epochs": 2, "batch_size": 16, "average": average})
    straight = start(spec, Path("straight"), installed(), init_from=finished)
    for name, ending in (("killed", KilledAt(1)), ("interrupted", StopAt(2))):
        with pytest.raises((SystemExit, Interrupted)):
            start(spec, Path(name), installed(), ending, init_from=finished)
        assert ftrun("resume", name).exit_code == 0
        assert outcome(Path(name)) == outcome(straight)


def test_a_run_whose_source_has_changed_cannot_go_on_without_a_checkpoint(finished, ftrun):
    for name, ending in (("killed", KilledAt(1)), ("interrupted", StopAt(2))):
        with pytest.raises((SystemExit, Interrupted)):
            start(tiny_spec(), Path(name), installed(), ending, init_from=finished)
    assert ftrun("resume", finished, "--epochs", "3").exit_code == 0
    result = ftrun("resume", "killed")
    assert result.exit_code == 2
    assert "which are no longer there, and it has no checkpoint of its own yet" in result.output
    assert ftrun("resume", "interrupted").exit_code == 0
