"""What a model card warns of: each line follows from a fact of the run."""

from collections.abc import Iterator, Mapping

from ftrun_report.card.escape import markdown
from ftrun_report.card.facts import Facts
from ftrun_report.kinds import card_text, kind_of
from ftrun_report.report.intervals import proportion

_FEW = 1000
_UNEVEN = 3


def limits(facts: Facts) -> Iterator[str]:
    """Yield a sentence or two for each limit."""
    yield from _judged(facts)
    yield from _targets(facts)
    yield from _training(facts)
    yield (
        "What the data does not show was not tested: other cameras, places, languages, times, or inputs that were made "
        "to deceive. What pretrained weights learnt from their own data, biases included, is still in there, if it "
        "started from any."
    )
    yield "No licence is stated here. Those of the data, of any pretrained weights and of their library hold."


def _judged(facts: Facts) -> Iterator[str]:
    split, count = facts.split, facts.judged
    if split == "val":
        yield (
            "There was no test split. The figures are those on val, which chose the best epoch, so they flatter the "
            "model; nothing else has been measured."
        )
    accuracy, targets = facts.metrics(split).get("accuracy"), list(facts.targets.values())
    if accuracy is not None and len(targets) == 1 and kind_of(targets[0]).decides and count:
        rate = proportion(round(accuracy * count), count)
        yield (
            f"Accuracy was measured on {count:,} samples: that of more such samples lies within {rate.low:.3f} and "
            f"{rate.high:.3f}, in 95 of 100 cases (Wilson's interval)."
        )
    elif count < _FEW:
        yield f"Its figures come from {count:,} samples; on others like them, they would be somewhat different."
    yield f"This is one training run, of seed {facts.spec.get('seed')}: another seed gives somewhat other figures."


def _targets(facts: Facts) -> Iterator[str]:
    for name, target in facts.targets.items():
        of = f"Of {markdown(name)}, it" if len(facts.targets) > 1 else "It"
        _, limits = card_text(target)
        if limits:
            yield f"{of} {limits}"
        yield from _uneven(facts, name)


def _uneven(facts: Facts, name: str) -> Iterator[str]:
    counts = (facts.resolved.get("class_counts") or {}).get(name)
    if not isinstance(counts, Mapping) or not counts:
        return
    most, least = max(counts, key=counts.__getitem__), min(counts, key=counts.__getitem__)
    if counts[most] > _UNEVEN * counts[least]:
        yield (
            f"Classes were uneven in training: {counts[most]:,} samples of {markdown(most)}, {counts[least]:,} of "
            f"{markdown(least)}. Rare classes are recognised less well than the accuracy says; see F1 by class."
        )


def _training(facts: Facts) -> Iterator[str]:
    best, epochs = facts.best.get("epoch"), facts.train.get("epochs")
    if best is not None and best == epochs:
        yield f"The best epoch is the last one, {best}: with more of them, it may well become better."
    corrupt = (facts.results or {}).get("corrupt") or []
    if corrupt:
        yield f"{len(corrupt):,} samples of the data could not be read and were left out: see results.json."
    yield from facts.input.limitations()
