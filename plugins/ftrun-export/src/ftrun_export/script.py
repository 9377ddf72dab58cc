"""The Python file next to an exported one, which predicts without ftrun."""

import json
from typing import Any

from ftrun_export.exportable import Exportable
from ftrun_export.kinds import answers_of

_TEXT = '''\
"""Predicts with {file}, without ftrun: python {file}.py FILE..."""

{imports}

FILE = Path(__file__).with_name({file!r})
INPUT = {input}
TARGETS = {targets}


{prepare}

{code}

if __name__ == "__main__":
    for file in sys.argv[1:]:
        outputs = compute({batch})
        for target, about in TARGETS.items():
            values = outputs[target][0].tolist()
            if "mean" in about:
                values = [value * std + mean for value, std, mean in zip(values, about["std"], about["mean"])]
            scores = dict(zip(about["names"], values))
            if about["kind"] == "classes":
                best = max(scores, key=scores.get)
                scores = {{best: scores[best]}}
            print(file, target, scores)
            if "thresholds" in about:
                least = dict(zip(about["names"], about["thresholds"]))
                print(file, target, "holds:", [name for name in scores if scores[name] >= least[name]])
'''


def text(model: Exportable, writer: Any, file: str) -> str | None:
    """Return the text of the Python file for the exported `file`; None where a few lines cannot tell.

    writer: what the exporter built; its `code(model)`, if it has one, gives import statements, and code that defines
        `compute(batch)`, an array -> {target: array [1, outputs]}, with `FILE`, the exported file's path, at hand
    """
    plain = model.net.input.plain_code
    shown = all(answers_of(target).in_script for target in model.net.targets.values())
    if plain is None or not shown or not hasattr(writer, "code"):
        return None
    made = writer.code(model)
    if made is None:
        return None
    imports, code = made
    described = {name: target.model_dump(mode="json") for name, target in model.net.targets.items()}
    keys = ("kind", "names", *(("mean", "std") if model.raw else ("thresholds",)))  # a bare net gives no probabilities
    targets = {name: {key: target[key] for key in keys if target.get(key)} for name, target in described.items()}
    return _TEXT.format(
        file=file,
        imports=plain.imports_with("import sys", "from pathlib import Path", *imports.splitlines()),
        input=_literal(model.net.input.model_dump(mode="json")),
        targets=_literal(targets),
        prepare=plain.prepare,
        code=code,
        batch="normalise(prepare(file, INPUT), INPUT)" if model.raw else "prepare(file, INPUT)",
    )


def _literal(value: Any) -> str:
    """Return JSON values as Python, a line for each of the outermost."""
    return "{\n" + "".join(f"    {json.dumps(key)}: {entry!r},\n" for key, entry in value.items()) + "}"
