"""A plugin for tests: metrics that give what is not one float."""

from typing import Any, Literal

from pydantic import Field

import ftrun


class _Metric:
    seen = 0
    wrong = 0

    def to(self, device: Any) -> Any:
        return self

    def update(self, outputs: Any, values: Any) -> None:
        self.seen += len(values)
        self.wrong += int((outputs.argmax(1) != values).sum())

    def reset(self) -> None:
        self.seen = self.wrong = 0

    def merge_state(self, other: Any) -> None:
        self.seen, self.wrong = self.seen + other.seen, self.wrong + other.wrong


class Odd(ftrun.Metric):
    """Whatever `gives` names, of the number of errors."""

    name: Literal["odd"]
    gives: str = Field(description="What compute() gives.")
    higher_is_better = False

    @property
    def key(self) -> str:
        return f"odd_{self.gives}"

    def build(self, target: ftrun.Target) -> Any:
        import torch

        ways = {
            "int": lambda metric: torch.tensor(metric.wrong),
            "python": lambda metric: metric.wrong,
            "mapping": lambda metric: {"wrong": torch.tensor(metric.wrong), "part": metric.wrong / metric.seen},
            "several": lambda metric: (torch.arange(3), torch.arange(2)),
            "array": lambda metric: torch.arange(200).reshape(100, 2),
            "large": lambda metric: torch.full((200, 100), metric.wrong),
            "nan": lambda metric: torch.tensor(float("nan")),
            "inf": lambda metric: float("inf"),
            "nothing": lambda metric: None,
            "text": lambda metric: {"is": "good"},
            "complex": lambda metric: torch.tensor(1j),
            "fault": lambda metric: metric.not_there,
        }

        class Metric(_Metric):
            def compute(self) -> Any:
                return ways[part.gives](self)

        part = self
        return Metric()


@ftrun.hookimpl
def ftrun_metrics() -> list[type[ftrun.Metric]]:
    return [Odd]
