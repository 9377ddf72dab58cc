"""Names inside a graph: a target may be called anything, also what the exporter calls a value of its own."""

from collections.abc import Collection, Iterator
from typing import Any


def keep_apart(model: Any, reserved: Collection[str]) -> None:
    """Rename what is inside the graph of `model` (an onnx_ir.Model) where it has the name of its input or outputs."""
    graph = model.graph
    outside = {id(value) for value in (*graph.inputs, *graph.outputs)}
    taken = {value.name for value in _values(graph)}
    for value in list(_values(graph)):
        if id(value) not in outside and value.name in reserved:
            number = 1
            while f"{value.name}_{number}" in taken:
                number += 1
            taken.add(f"{value.name}_{number}")
            value.name = f"{value.name}_{number}"


def _values(graph: Any) -> Iterator[Any]:
    yield from graph.inputs
    yield from list(graph.initializers.values())
    for node in graph.all_nodes():
        yield from node.outputs
