import signal
import threading
from threading import Event

import pytest
import torch
from safetensors.torch import load_file, save_model
from torch import nn

from ftrun.runs import background
from ftrun.runs.background import Background, snapshot, worth_backgrounding

GPU = torch.device("cuda")


def test_one_thing_is_done_after_the_other():
    done, go_on = [], Event()
    thread = Background()
    thread.begin(lambda: done.append(go_on.wait(10)))
    assert done == []
    go_on.set()
    thread.begin(lambda: done.append("second"))
    assert done[0] is True
    thread.wait()
    assert done == [True, "second"]


def test_an_error_is_raised_once():
    def fail():
        raise OSError("no space")

    thread = Background()
    thread.wait()
    thread.begin(fail)
    with pytest.raises(OSError, match="no space"):
        thread.begin(list)
    thread.wait()


def test_a_signal_ends_the_waiting_but_not_the_work():
    def stop(number, frame):
        raise SystemExit(130)

    go_on, thread = Event(), Background()
    thread.begin(lambda: go_on.wait(10) and None)
    before = signal.signal(signal.SIGALRM, stop)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        with pytest.raises(SystemExit):
            thread.wait()
    finally:
        signal.signal(signal.SIGALRM, before)
    done = []
    threading.Timer(0.1, go_on.set).start()
    thread.begin(lambda: done.append(go_on.is_set()))
    thread.wait()
    assert done == [True]


def test_a_copy_stays_as_it_is():
    weights = torch.arange(24.0).reshape(1, 2, 3, 4).to(memory_format=torch.channels_last)
    step = torch.tensor(3)
    given = [{"folder": "best", "state": {"momentum": weights, "betas": (0.9, None), "steps": [step]}}]
    copy = snapshot(given)
    before = weights.clone()
    weights += 1
    step += 1
    assert torch.equal(copy[0]["state"].pop("momentum"), before)
    assert copy == [{"folder": "best", "state": {"betas": [0.9, None], "steps": [torch.tensor(3)]}}]


def test_a_net_is_copied_as_it_would_be_saved(tmp_path):
    tied = nn.ModuleDict({"embed": nn.Embedding(5, 3), "norm": nn.BatchNorm1d(3), "head": nn.Linear(3, 5, bias=False)})
    tied["head"].weight = tied["embed"].weight
    save_model(tied, tmp_path / "net")
    copy = snapshot({"model": tied})["model"]
    with torch.no_grad():
        tied["head"].weight += 1
    save_model(copy, tmp_path / "copy")
    before, after = load_file(tmp_path / "net"), load_file(tmp_path / "copy")
    assert (tmp_path / "net").read_bytes() == (tmp_path / "copy").read_bytes()
    assert before.keys() == after.keys() == set(tied.state_dict()) - {"head.weight"}


def test_what_is_large_is_not_copied(monkeypatch):
    net = nn.Linear(10, 10, bias=False)
    monkeypatch.setattr(background, "_MOST", 400)
    assert worth_backgrounding(GPU, [{"model": net}, {"model": net}])  # the same tensors are copied once
    assert not worth_backgrounding(GPU, [{"model": net, "state": {"momentum": [torch.zeros(1)]}}])
    assert not worth_backgrounding(torch.device("cpu"), [])
