"""A model card: YAML metadata and Markdown, in the form of the Hugging Face Hub."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ftrun import Target
from ftrun.commands import part_name, shown_bytes
from ftrun_report.card.escape import code, markdown, yaml
from ftrun_report.card.facts import Facts
from ftrun_report.card.limits import limits
from ftrun_report.card.loading import with_ftrun, without
from ftrun_report.card.metadata import metadata
from ftrun_report.compare import words
from ftrun_report.kinds import card_text
from ftrun_report.weightfile import parameters

_MOST = 20
_OPTIONS = ("sampler", "backbone", "modifiers", "head", "augment", "loss", "objective", "optimizer", "scheduler")


def text(facts: Facts) -> str:
    """Return the whole card."""
    sections = [
        [f"---\n{yaml(metadata(facts))}\n---"],
        [f"# {markdown(facts.title)}", *_lead(facts)],
        ["## Figures", *_metrics(facts)],
        ["## Data", *_data(facts)],
        ["## How it was trained", *_training(facts)],
        ["## Limits", "\n".join(f"- {line}" for line in limits(facts))],
        ["## How to load it", *_loading(facts)],
    ]
    return "\n\n".join(block for section in sections for block in section) + "\n"


def _lead(facts: Facts) -> Iterator[str]:
    backbone, dataset = (markdown(part_name(facts.spec.get(key)) or "?") for key in ("backbone", "dataset"))
    count, weights = parameters(facts.run.weights), facts.run.weights.stat().st_size
    version = (facts.resolved.get("versions") or {}).get("ftrun", "?")
    yield (
        f"{backbone}, fine-tuned on {dataset} with ftrun {markdown(version)}: {words.count(count)} parameters, "
        f"{shown_bytes(weights)}."
    )
    yield "\n".join(f"- {_target(name, target)}" for name, target in facts.targets.items())


def _target(name: str, target: Target) -> str:
    (what, _), every = card_text(target), target.names_in_use()
    names = ", ".join(map(markdown, every[:_MOST]))
    more = f" and {len(every) - _MOST:,} more, see net.json" if len(every) > _MOST else ""
    return f"{markdown(name)}: {what}{f': {names}{more}' if every else ''}"


def _metrics(facts: Facts) -> Iterator[str]:
    splits = [split for split in ("val", "test") if facts.metrics(split)]
    names = dict.fromkeys(name for split in splits for name in facts.metrics(split))
    heads = [f"{split}, {facts.samples.get(split, 0):,} samples" for split in splits]
    rows = [(markdown(name), *(words.number(facts.metrics(split).get(name)) for split in splits)) for name in names]
    yield _table(("", *heads), rows)
    monitor, best, epochs = (
        facts.resolved.get("monitor"),
        facts.best.get("epoch"),
        facts.train.get("epochs"),
    )
    tested = "; test was used to choose nothing" if "test" in splits else ""
    yield f"Of epoch {best} of {epochs}, the best one by {markdown(monitor)}{tested}. Fractions are 0 to 1."


def _data(facts: Facts) -> Iterator[str]:
    dataset = {key: value for key, value in (facts.spec.get("dataset") or {}).items() if key != "path"}
    counts = ", ".join(f"{count:,} {markdown(split)}" for split, count in facts.samples.items())
    yield f"{code(dataset)}: {counts}."
    notes = facts.resolved.get("notes") or []
    if notes:
        yield "\n".join(f"- {markdown(note, longest=400)}" for note in notes[:_MOST])
    for name, target in facts.targets.items():
        by_class = (facts.resolved.get("class_counts") or {}).get(name)
        if isinstance(by_class, Mapping):
            names = target.names_in_use()
            shown = [(markdown(each), f"{by_class.get(each, 0):,}") for each in names[:_MOST]]
            yield _table((markdown(name), "training samples"), shown)
            if len(names) > _MOST:
                yield f"and {len(names) - _MOST:,} more classes: see resolved.json."


def _training(facts: Facts) -> Iterator[str]:
    spec, resolved = facts.spec, facts.resolved
    rows = [(key, code(_set_options(spec[key]))) for key in _OPTIONS if spec.get(key)]
    rows += [
        (f"train.{key}", code(facts.train[key])) for key in ("epochs", "phases", "batch_size") if facts.train.get(key)
    ]
    rows += [("input", code(facts.input.model_dump(mode="json"))), ("seed", code(spec.get("seed")))]
    rows += [(key, code(resolved[key])) for key in ("precision", "device") if key in resolved]
    rows += [("time", words.duration(facts.seconds))]
    yield _table(("", ""), [(key, value.replace("|", "\\|")) for key, value in rows], numbers=False)
    if recipe := resolved.get("recipe"):
        time = f", fitted to {recipe['minutes']:g} minutes" if recipe.get("minutes") else ""
        name, summary = markdown(recipe["part"]["name"]), markdown(recipe["summary"], longest=1000)
        yield f"The recipe {name} chose what the spec left out{time}: {summary}."
    yield "resolved.json has all of it, with the versions of what made it; metrics.jsonl has every epoch's figures."


def _loading(facts: Facts) -> Iterator[str]:
    yield "With ftrun, which reads and prepares inputs as it did when the figures were taken:"
    yield f"```python\n{with_ftrun(facts, 'RUN')}```"
    plain = without(facts)
    if plain:
        yield "Without it, from the run folder; where the files lie together, leave `checkpoints/best/` out:"
        yield f"```python\n{plain}```"
    else:
        yield "The weights are in model.safetensors; net.json says what they are of."


def _set_options(part: Any) -> Any:
    """Return a part without the options that are left open."""
    if isinstance(part, list):
        return [_set_options(each) for each in part]
    return {key: value for key, value in part.items() if value is not None} if isinstance(part, Mapping) else part


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]], *, numbers: bool = True) -> str:
    lines = [head, ("---", *["---:" if numbers else "---"] * (len(head) - 1)), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
