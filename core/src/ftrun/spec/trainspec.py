"""The key `train` of a spec: how long, in what portions, and in which phases to train."""

import math
from collections.abc import Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from ftrun.spec.course import Course, knots_of

_ROUNDING = 1e-6  # steps: what a fraction of an epoch may be off by
_STRICT = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False, defer_build=True)


class Phase(BaseModel):
    """Some epochs in which the same stages learn, at the same rates."""

    model_config = _STRICT

    epochs: Annotated[int, Field(ge=1)] | Annotated[float, Field(gt=0)] = Field(
        description="Passes over the training samples; 1.5 ends in the middle of the second one."
    )
    freeze: str | None = Field(
        None,
        description="The last stage that does not learn: it and all stages before it are frozen; "
        "features freezes everything but the head.",
    )
    views: int | None = Field(
        None,
        ge=1,
        description="Augmented views of each sample that the epochs use in turn; each epoch draws its own if not "
        "given. Where all but the head is frozen, the backbone then runs only once on each view.",
    )
    lr_scale: float = Field(1.0, gt=0, description="Factor on the learning rate.")
    layer_decay: float = Field(
        1.0, gt=0, le=1, description="Factor on the learning rate from each stage to the one before it; the head has 1."
    )
    restart: bool = Field(
        False,
        description="Whether the schedule begins anew here, as if a run began; it ends where the next one begins.",
    )
    input: dict[str, Any] | None = Field(
        None,
        description="Overrides of how training inputs are prepared, such as a smaller size for fast first epochs; val "
        "and test stay as they are.",
    )
    norm: Literal["auto", "train", "frozen"] = Field(
        "auto",
        description="Whether batch normalisation goes by each batch's statistics (train) or keeps the pretrained ones "
        "(frozen), while its scale and shift learn. auto keeps them after a phase of the head alone, where steps are "
        "few or batches small.",
    )


class EMA(BaseModel):
    """Exponential moving average of the weights (Polyak and Juditsky, 1992)."""

    model_config = _STRICT

    name: Literal["ema"]
    decay: float = Field(0.999, gt=0, lt=1, description="Part of the average that a step keeps.")


class SWA(BaseModel):
    """Equal mean of the weights after each step of the last part of the run (Izmailov et al., 2018)."""

    model_config = _STRICT

    name: Literal["swa"]
    last: float = Field(0.25, gt=0, le=1, description="Part of the run, at its end, whose weights are averaged.")


def _named(value: Any) -> Any:
    """ "ema" means {"name": "ema"}."""
    return {"name": value} if isinstance(value, str) else value


_AnyAverage = Annotated[EMA | SWA, Field(discriminator="name")]
AverageSpec = Annotated[
    _AnyAverage, BeforeValidator(_named, json_schema_input_type=Literal["ema", "swa"] | _AnyAverage)
]


class Evaluation(BaseModel):
    """How the net is evaluated: on val and test, and where it predicts."""

    model_config = _STRICT

    flips: bool = Field(False, description="Whether outputs are the mean over each image and its mirror image.")


class Train(BaseModel):
    """How long and in what portions to train."""

    model_config = _STRICT

    epochs: int = Field(10, ge=1, description="Passes over the training samples; with phases, their sum.")
    phases: tuple[Phase, ...] | None = Field(
        None, min_length=1, description="What learns when, and how fast; everything does throughout if not given."
    )
    minutes: float | None = Field(
        None,
        gt=0,
        description="Time that the run may take in all, from its start to its results; the recipe then chooses epochs "
        "and phases.",
    )
    batch_size: int = Field(64, ge=1, description="Samples that go through the net at once.")
    accumulate: int = Field(1, ge=1, description="Batches whose gradients make one optimizer step.")
    monitor: str | Annotated[tuple[str, ...], Field(min_length=1)] | None = Field(
        None,
        description="Figure that decides which epoch is best, such as val/accuracy, or several, whose mean does; "
        "if not given, the first metric, or with several targets the loss.",
    )
    loss_weights: Literal["uncertainty"] | dict[str, Annotated[float, Field(gt=0)]] | None = Field(
        None,
        description="Weight of each target's loss by its name, 1 if not given; uncertainty learns them.",
    )
    patience: int | None = Field(
        None, ge=1, description="Stop after this many epochs in which monitor gets no better; never if not given."
    )
    clip: float | None = Field(
        None, gt=0, description="Largest norm of the gradient; longer ones are scaled down to it."
    )
    average: AverageSpec | None = Field(
        None,
        description="Average of the weights, which is then what is evaluated and kept as best: ema, whose decay is "
        "0.999 if not given, or swa, whose last part of the run is 0.25.",
    )
    precision: Literal["auto", "fp32", "bf16"] = Field(
        "auto",
        description="Number format of the forward pass; weights and optimizer stay in fp32. "
        "auto takes what is fastest here.",
    )
    memory_format: Literal["auto", "channels_last", "contiguous"] = Field(
        "auto", description="Order of a feature map's values in memory. auto takes what is fastest here."
    )
    compile: bool = Field(
        False, description="Compile the net (torch.compile): a minute before the first step, faster steps after it."
    )
    cuda_graphs: bool = Field(
        True,
        description="On a GPU, record a training step once and replay it; false where a net or a loss does in Python "
        "what differs from step to step.",
    )
    on_nonfinite: Literal["stop", "skip", "back"] = Field(
        "stop",
        description="What a loss or gradient that is not finite does: stop the run, skip the step, "
        "or go back to the last checkpoint with half the learning rate.",
    )
    on_corrupt: Literal["error"] | Annotated[int, Field(ge=1)] = Field(
        "error", description="What a sample that cannot be read is: an error, or skipped, up to so many samples."
    )
    checkpoint_minutes: float = Field(
        10.0, gt=0, description="Longest time between two checkpoints; the end of each epoch makes one too."
    )
    workers: int | None = Field(
        None,
        ge=0,
        le=256,
        description="Processes that read samples; chosen by the data and the processor if not given.",
    )
    val_fraction: float = Field(
        0.1,
        gt=0,
        lt=1,
        description="Part of the training samples that becomes val where the dataset has no val.",
    )

    @model_validator(mode="after")
    def _one_length(self) -> Self:
        lengths = {"epochs", "phases"} & self.model_fields_set
        stated = sorted(key for key in lengths if getattr(self, key) is not None)
        if self.minutes is not None and stated:
            raise ValueError(f"minutes says how long to train, and so does {stated[0]}; leave one of them out")
        return self

    @model_validator(mode="after")
    def _add_up_phases(self) -> Self:
        if self.phases is not None:
            total = sum(math.ceil(phase.epochs) for phase in self.phases)
            if "epochs" not in self.model_fields_set:
                self.__dict__["epochs"] = total  # the model is frozen for everyone else
            elif self.epochs != total:
                raise ValueError(f"epochs is {self.epochs}, but the phases make {total}; leave epochs out")
        return self

    @property
    def each_phase(self) -> tuple[Phase, ...]:
        """The phases, of which there is always one at the least."""
        return self.phases or (Phase(epochs=self.epochs),)

    def course(self, steps_per_epoch: int, knots: Sequence[Sequence[float]] = ()) -> Course:
        """Return the phases as steps. knots: where they were planned anew, as resolved.json has it of a recipe"""
        phases = self.each_phase
        steps = tuple(max(1, math.ceil(phase.epochs * steps_per_epoch - _ROUNDING)) for phase in phases)
        return Course(steps_per_epoch, steps, tuple(phase.restart for phase in phases), knots_of(knots))

    def following(self, course: Course) -> Self:
        """Return the same with the lengths of phases that a course has."""
        whole = course.steps_per_epoch
        epochs = [steps // whole if steps % whole == 0 else steps / whole for steps in course.phases]
        phases = [each.model_copy(update={"epochs": so}) for each, so in zip(self.each_phase, epochs, strict=True)]
        return self.model_copy(update={"epochs": course.epochs, "phases": tuple(phases)})

    def extended(self, epochs: int) -> Self:
        """Return the same for `epochs` in all, at least as many; the last phase grows.

        One that ends within an epoch is over, and another one like it follows.
        """
        phases = self.phases
        if phases and epochs > self.epochs:
            last, more = phases[-1], epochs - self.epochs
            whole = isinstance(last.epochs, int)
            others = phases[:-1] if whole else phases
            longer = {"epochs": last.epochs + more} if whole else {"epochs": more, "restart": False}
            phases = (*others, last.model_copy(update=longer))
        return self.model_copy(update={"epochs": epochs, "phases": phases})
