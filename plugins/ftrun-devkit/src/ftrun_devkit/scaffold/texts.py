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

`ftrun plugins {name}` shows its options.

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
