"""What `ftrun check` shows of train.phases, and how it says what is wrong with them."""

import json

from support import tiny_spec, write_spec

PHASES = {"train": {"phases": [{"epochs": 2, "freeze": "features"}, {"epochs": 1, "layer_decay": 0.5}]}}


def test_check_shows_what_learns_when(site, ftrun):
    result = ftrun("check", write_spec(tiny_spec(**PHASES)))
    assert result.output == (
        "spec.json: valid\n"
        "stage       parameters      epochs 1-2  epoch 3\n"
        "stem        240             frozen      0.05\n"
        "head        by the dataset  0.1         0.1\n"
        "batch norm                  frozen      auto\n"
        "warm-up                     none        half an epoch\n"
    )
    listed = json.loads(ftrun("check", "spec.json", "--json").output)
    assert listed["plan"][1] == ["stem", "240", "frozen", "0.05"]
    assert listed["spec"]["train"]["epochs"] == 3


def test_a_stage_that_there_is_not(site, ftrun):
    spec = write_spec(tiny_spec(train={"phases": [{"epochs": 1, "freeze": "steam"}]}))
    message = (
        "'steam' is no stage that can be frozen. Did you mean 'stem'? "
        "Stages of this backbone: stem; features is all of them."
    )
    result = ftrun("check", spec)
    assert result.output == f"Error: train.phases.0.freeze: {message}\n"
    assert result.exit_code == 2
    listed = json.loads(ftrun("check", spec, "--json").output)
    assert listed == {"valid": False, "errors": [{"where": "train.phases.0.freeze", "message": message}]}
