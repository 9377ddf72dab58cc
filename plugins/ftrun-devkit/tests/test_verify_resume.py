"""`ftrun verify-resume`, with real kills: it finds an exact spec exact, and a part with a memory of its own."""

import pytest
from support import ftrun_process, install, tiny_spec, write_spec

from ftrun_devkit.resume_check import ASPECTS

FORGETFUL = """
from typing import Literal
import ftrun

class Forgetful(ftrun.Augmentation):
    '''Makes each batch darker than the one before, by a counter that no checkpoint knows of.'''
    name: Literal["forgetful"]

    def build(self):
        import dataclasses
        calls = 0
        def darker(batch, random):
            nonlocal calls
            calls += 1
            return dataclasses.replace(batch, inputs=(batch.inputs / calls).byte())
        return darker

@ftrun.hookimpl
def ftrun_augmentations():
    return [Forgetful]
"""


@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 2])
def test_an_exact_spec(site, workers):
    phases = [{"epochs": 3, "freeze": "stem"}, {"epochs": 4}]
    train = {"phases": phases, "batch_size": 8, "workers": workers, "average": "ema", "patience": 1}
    spec = tiny_spec(train=train, dataset={"name": "tiny", "workers": True}, augment=["horizontal-flip"])
    result = ftrun_process("verify-resume", write_spec(spec), "--kills", "3")
    assert result.stderr == ""
    lines = result.stdout.splitlines()
    assert [line.split() for line in lines[1:-1]] == [
        [str(killed), str(killed - 1), *["same"] * len(ASPECTS)] for killed in (3, 5, 7)
    ]
    assert lines[-1] == "a resumed run of this spec ends as an uninterrupted one, to the bit"
    assert result.returncode == 0


def test_a_part_with_a_memory_of_its_own(site, verify_resume):
    install(site, "ftrun-forgetful", FORGETFUL)
    result = verify_resume(write_spec(tiny_spec(augment=["forgetful"])), "--kills", "1")
    row = dict(zip(ASPECTS, result.stdout.splitlines()[1].split()[2:], strict=True))
    assert (row["weights"], row["objective"]) == ("DIFFERENT", "same")  # cross-entropy remembers nothing
    assert result.stderr.startswith("Error: a resumed run of this spec does not end as an uninterrupted one.")
    assert result.exit_code == 1


def test_a_run_that_fails_by_itself(site, verify_resume):
    spec = tiny_spec(dataset={"name": "tiny", "fails_at": 7})
    result = verify_resume(write_spec(spec))
    assert result.stderr == "Error: the run itself ended with 1:\nsample 7 cannot be read: it is torn.\n"
    assert result.exit_code == 1
