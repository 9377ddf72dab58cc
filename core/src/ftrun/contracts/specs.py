"""The roles. A part is one pydantic class of a role: its fields are its options, its `build()` makes the real thing.

Parts are imported to answer `ftrun plugins` and to check a spec, so a part's module imports torch and the like inside
`build()` only.
"""

from abc import abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal, Self, TypeAlias

from pydantic import Field, ValidationError

from ftrun.contracts.data import Batch, Splits
from ftrun.contracts.errors import SpecError
from ftrun.contracts.geometry import Size, Warp
from ftrun.contracts.nested import PartOf
from ftrun.contracts.netroles import Backbone as Backbone
from ftrun.contracts.netroles import Head as Head
from ftrun.contracts.netroles import LinearHead as LinearHead
from ftrun.contracts.netroles import Modifier as Modifier
from ftrun.contracts.part import Part as Part
from ftrun.contracts.randomness import SampleRandom
from ftrun.contracts.recipe import Recipe as Recipe
from ftrun.contracts.targets import Target as Target
from ftrun.contracts.training import Loss as Loss
from ftrun.contracts.training import Metric as Metric
from ftrun.contracts.training import Objective as Objective
from ftrun.contracts.training import Optimizer as Optimizer
from ftrun.contracts.training import ParameterInfo as ParameterInfo
from ftrun.contracts.training import Sampler as Sampler
from ftrun.contracts.training import Scheduler as Scheduler


class Dataset(Part):
    """Raw samples to learn from and to be evaluated on.

    input_kind: what its raw inputs are, by the word of `InputSpec.raw_kind`, so that a spec that has them go through a
        net for others is refused before anything is loaded; None where that is known once it is built
    """

    role = "dataset"
    input_kind: ClassVar[str | None] = None

    @property
    def target_kinds(self) -> Mapping[str, str] | None:
        """The kind of each target, as these options have it, so that a loss or a metric for others is refused before
        anything is loaded; None where that is known once it is built."""
        return None

    @abstractmethod
    def build(self) -> Splits:
        """Read or fetch the data. Raises DataError where it is missing or wrong."""

    def evaluation(self) -> Splits:
        """Read or fetch data that a trained net is evaluated on, every sample of it once; nothing is cut.

        Data that comes in splits has these, and need not have `train`; other data is the one split `all`. Its classes
        may be fewer than a net knows, or others. A dataset that cuts splits itself overrides this; the data of any
        other one is what `build` gives. Raises DataError where it is missing or wrong.
        """
        return self.build()

    def at(self, path: Path) -> Self:
        """Return the dataset of the same kind, with what of its options tells how to read it, in another place.

        By default, that is all of them but `path`. Raises SpecError where it has no such option, or does not fit.
        """
        return self.changed(path=path)

    def changed(self, **options: Any) -> Self:
        """Return the dataset with other options. Raises SpecError where it has no such ones, or they do not fit."""
        unknown = [each for each in options if each not in type(self).model_fields]
        if unknown:
            raise SpecError(f"the dataset {self.name!r} has no option {unknown[0]!r}: name other data with --dataset.")
        try:
            return type(self).model_validate({**dict(self), **options})
        except ValidationError as error:
            raise SpecError(f"the dataset {self.name!r} cannot be had so: {error.errors()[0]['msg']}.") from None


Change: TypeAlias = Callable[[Batch, SampleRandom], Batch]
Draw: TypeAlias = Callable[[SampleRandom, Size], Warp]


class Augmentation(Part):
    """A random change of training batches, on the device.

    input_kinds: the kinds of input that it changes, as a dataset's `input_kind`; None where it may be any
    moves: whether it moves pixels. What it builds then draws where they go, and the core moves them: it composes the
        maps of augmentations in a row, resamples once, and has targets follow that lie in the image. One that changes
        images besides builds two functions, the first of which draws where pixels go
    reach: what it draws for: each "sample" on its own, or a "batch", whose samples it may mix, their targets too. Those
        of batches come after those of samples, and after `InputSpec.prepare`
    """

    role = "augmentation"
    input_kinds: ClassVar[tuple[str, ...] | None] = None
    moves: ClassVar[bool] = False
    reach: ClassVar[Literal["sample", "batch"]] = "sample"

    until: float = Field(
        1.0,
        gt=0,
        le=1,
        description="Part of the run's epochs, from the first, in which it is on; 0.9: not in the last tenth.",
    )

    @classmethod
    def __pydantic_init_subclass__(cls, **options: Any) -> None:
        """Have a part's own options come first, wherever they are listed."""
        super().__pydantic_init_subclass__(**options)
        cls.__pydantic_fields__["until"] = cls.__pydantic_fields__.pop("until")

    @property
    def source_scale(self) -> float:
        """How many times the net's size images are best kept at, 1 to 2, for what it enlarges of them: 1 by default."""
        return 1.0

    @abstractmethod
    def build(
        self,
    ) -> Change | Draw | tuple[Draw, Change]:
        """Return a function that returns a changed batch and leaves its argument alone.

        The inputs are what `InputSpec.collate` gave, and stay of its type. All randomness comes from the SampleRandom.
        `build` may name `input`, the InputSpec of the net.
        If it `moves` pixels, it is instead a function of a SampleRandom and the images' size, height and width, that
        returns a Warp to images of the same size, with a map for each sample. Or both, as a tuple: where pixels go, and
        what is changed of the moved images; both draw from the same numbers, each from the first on.

        With reach "batch" the inputs are what `InputSpec.prepare` gave, of `train.batch_size` samples, whatever becomes
        of the batch where memory is short; and the SampleRandom has one row, of the batch, which is a function of
        (seed, epoch, step). `build` may name `targets`, {name: Target}: see `Target.mixed`.
        """


class AugmentationSet(Augmentation):
    """Several augmentations under one name, which are applied in its place. A subclass gives `of` a default."""

    of: tuple[PartOf[Augmentation], ...] = Field(min_length=1, description="What it stands for, in order.")

    def build(self) -> Change | Draw | tuple[Draw, Change]:
        """Nothing calls it: the augmentations in `of` are built in its place."""
        raise TypeError(f"{self.name!r} is a set: build each of its augmentations, `of`")


class Observer(Part):
    """Something that follows a run and changes nothing: a logger, a notifier."""

    role = "observer"

    @abstractmethod
    def build(self) -> object:
        """Return an object whose methods marked `@ftrun.hookimpl` are called as the run goes on."""


class Exporter(Part):
    """A format in which a trained net leaves a run: a file that needs no ftrun.

    It is no key of a spec: `ftrun export RUN --format NAME` names it, `--set OPTION=VALUE` its options.

    suffix: how its files end, such as ".bin"
    quantizes: whether it can write a net in 8-bit integers too
    """

    role = "exporter"
    suffix: ClassVar[str]
    quantizes: ClassVar[bool] = False

    @abstractmethod
    def build(self) -> Any:
        """Return an object with these methods; `model` is an `ftrun_export.Exportable`.

        write(model, file) -> dict or None: write the model to `file`, and what else belongs to it beside, in the same
            empty folder, under names that begin as the file's does; the dict is what is to be known of it
        open(model, file): open that file from disk, as somebody without the run would, and give a function: a batch as
            `model.module` takes it, on the CPU, any number of samples -> {target: output}, float32 on the CPU. `model`
            says what the file is of; all that is computed with comes from the file
        quantize(model, file, into, samples), if it `quantizes`: make of `file` the file `into` in 8-bit integers.
            `samples(count)` gives so many training inputs, in batches as `model.module` takes them

        code(model) -> (imports, code), if a few lines of Python can compute with the file: import statements, and code
            that defines `compute(batch)`, an array as `model.module` takes it -> {target: array [1, outputs]}; `FILE`
            is the file's path and `TARGETS` a dict by target. Where the net's input has `plain_code`, that is added

        Raises PluginError where a package is missing.
        """


class Hub(Part):
    """A place that trained nets are pushed to: a model hub, a registry, a shared folder.

    It is no key of a spec: `ftrun push RUN REPOSITORY --to NAME` names it, `--set OPTION=VALUE` its options.
    """

    role = "hub"

    @abstractmethod
    def build(self) -> Any:
        """Return an object with this method, which is called once.

        push(files, repository, *, message, private) -> str: bring the files, {their name there, "/" between folders:
            their path here}, into `repository`, which is made if it is not there, all of them or none; give the
            address where they are. With `private`, nobody else may see them: where that cannot be, push nothing.

        Raises SpecError for a name that no repository can have, FtrunError for what the hub or the network refuses:
        one message that holds no secret.
        """


ROLES: tuple[type[Part], ...] = (
    Dataset,
    Target,
    Sampler,
    Backbone,
    Modifier,
    Head,
    Augmentation,
    Loss,
    Objective,
    Optimizer,
    Scheduler,
    Metric,
    Recipe,
    Observer,
    Exporter,
    Hub,
)
