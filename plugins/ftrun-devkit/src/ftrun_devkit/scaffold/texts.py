"""The files of a new plugin beside its module, to be filled in with `str.format`."""

PYPROJECT = """\
[project]
name = "{distribution}"
version = "0.1.0"
description = "{summary}"
readme = "README.md"
requires-python = ">=3.11"
dependencies = [
{dependencies}
]

[project.entry-points.ftrun]
{name} = "{module}"

[dependency-groups]
dev = ["ftrun-devkit"]

[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[tool.hatch.build.targets.wheel]
only-include = ["{module}.py"]
"""

TEST = '''\
"""The plugin keeps ftrun's contract: one test for each property and part."""

from ftrun_devkit import check_plugin

test_contract = check_plugin("{module}")
'''

COMMAND_TEST = '''\
"""The command does what it says, on a run of a tiny net."""

import json

from ftrun_devkit import run_command, tiny_run

NAME = "{name}"


def test_it_lists_each_epoch_the_lowest_loss_first(tmp_path):
    run = tiny_run(tmp_path)
    result = run_command(NAME, run.folder, "--json")
    assert result.exit_code == 0, result.output
    losses = [each["val/loss"] for each in json.loads(result.stdout)]
    assert losses == sorted(each["val/loss"] for each in run.metrics)


def test_a_metric_that_the_run_does_not_have(tmp_path):
    run = tiny_run(tmp_path)
    result = run_command(NAME, run.folder, "--metric", "val/los")
    assert result.exit_code == 2
    assert "Did you mean 'val/loss'" in result.output
'''

README = """\
# {distribution}

{summary}

## Install

```sh
pip install -e .
```

From this folder; changes to `{module}.py` hold from the next run on.

## Use

{use}:

```{language}
{fragment}
```

`{shows}` shows its options.

## Test

```sh
pip install ftrun-devkit
pytest
```

`tests/test_contract.py` checks what ftrun relies on; `ftrun check-plugin {distribution}` is the same without pytest.
What is particular to this plugin needs tests of its own.

## Publish

Put your description, licence and authors into `pyproject.toml`, then:

```sh
pip install build twine
python -m build
twine upload dist/*
```

After that, `pip install {distribution}` is all that anyone needs.
"""
