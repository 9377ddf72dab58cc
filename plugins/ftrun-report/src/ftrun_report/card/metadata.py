"""The YAML on top of a model card: github.com/huggingface/hub-docs, modelcard.md; and what a hub calls things."""

from typing import Any

from ftrun.commands import part_name
from ftrun_report.card.facts import Facts
from ftrun_report.kinds import kind_of

_METRICS = {
    "accuracy": "accuracy",
    "f1": "f1",
    "precision": "precision",
    "recall": "recall",
    "mse": "mse",
    "mae": "mae",
}


def metadata(facts: Facts) -> dict[str, Any]:
    """Return the fields of the card, in order; what is not known is left out, such as a licence."""
    task = _task(facts)
    values = facts.metrics(facts.split)
    metrics = list(dict.fromkeys(known for name in values if (known := _metric(name))))
    family = (part_name(facts.spec.get("backbone")) or "").partition("/")[0]
    fields: dict[str, Any] = {
        "library_name": "ftrun",
        "pipeline_tag": task,
        "tags": ["ftrun", *([family] if family else []), *([task] if task else [])],
        "base_model": facts.base_model,
        "datasets": _datasets(facts),
        "metrics": metrics,
        "model-index": [{"name": facts.title, "results": _results(facts, task)}] if values else None,
    }
    return {key: value for key, value in fields.items() if value}


def _task(facts: Facts) -> str | None:
    """Return the hub's name of what the net does, where it has one."""
    if facts.targets and all(kind_of(target).has_task for target in facts.targets.values()):
        return facts.input.task
    return None


def _datasets(facts: Facts) -> list[str]:
    """Return the dataset's name; none for data that is in somebody's folder."""
    dataset = facts.spec.get("dataset") or {}
    return [] if "path" in dataset or "name" not in dataset else [str(dataset["name"])]


def _metric(name: str) -> str | None:
    """Return the hub's name of a metric: `f1` for `color/f1_macro`."""
    return _METRICS.get(name.rpartition("/")[2].partition("_")[0])


def _results(facts: Facts, task: str | None) -> list[dict[str, Any]]:
    dataset = str(part_name(facts.spec.get("dataset")))
    return [
        {
            "task": {"type": task or "other"},
            "dataset": {"type": dataset, "name": dataset, "split": facts.split},
            "metrics": [
                {"type": _metric(name) or name.rpartition("/")[2], "name": name, "value": value}
                for name, value in facts.metrics(facts.split).items()
            ],
        }
    ]
