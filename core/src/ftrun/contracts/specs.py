"""The roles. A part is one pydantic class of a role: its fields are its options, its `build()` makes the real thing.

Parts are imported to answer `ftrun plugins` and to check a spec, so a part's module imports torch and the like inside
`build()` only.
"""

from abc import abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from pydantic import ValidationError

from ftrun.contracts.data import Batch, Splits
from ftrun.contracts.errors import SpecError
from ftrun.contracts.geometry import Size, Warp
from ftrun.contracts.inputs import InputSpec
from ftrun.contracts.part import Fittable
from ftrun.contracts.part import Part as Part
from ftrun.contracts.randomness import SampleRandom
from ftrun.contracts.targets import Target as Target
from ftrun.contracts.training import Loss as Loss
from ftrun.contracts.training import Metric as Metric
from ftrun.contracts.training import Objective as Objective
from ftrun.contracts.training import Optimizer as Optimizer
from ftrun.contracts.training import Scheduler as Scheduler

if TYPE_CHECKING:
    from ftrun.contracts.net import Net


class Dataset(Part):
    """Raw samples to learn from and to be evaluated on.

    input_kind: what its raw inputs are, by the word of `InputSpec.raw_kind`, so that a spec that has them go through a
        net for others is refused before anything is loaded; None where that is known once it is built
    """

    role = "dataset"
    input_kind: ClassVar[str | None] = None

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


class Backbone(Fittable):
    """A pretrained network.

    input_type: the class of its nets' `input`: whose fields a spec's `input` may change, and which reads a saved one
    any_size: whether all its nets take inputs of any size, such as maps that are not square
    """

    role = "backbone"
    input_type: ClassVar[type[InputSpec]]
    any_size: ClassVar[bool] = False

    @abstractmethod
    def build(self, overrides: Mapping[str, Any]) -> "Net":
        """Return the pretrained net with the head that it came with; the core gives it the one that the targets need.

        overrides: the fields of its input that the spec changes, to be applied with `InputSpec.changed`
        """

    def without_weights(self) -> Self:
        """Return the same backbone, whose net has any weights: a resumed run has its own.

        A part that fetches weights gives itself with the option that fetches none.
        """
        return self

    @property
    def base_model(self) -> str | None:
        """What a model hub calls the pretrained weights, "timm/resnet18.a1_in1k"; None where it has none."""
        return None

    def library_code(self, net: "Net") -> str | None:
        """Return Python that makes `net.model` anew, with random weights and no ftrun; None where there is none.

        The last line is an expression, its value; imports come before it: "import timm\\ntimm.create_model(...)".
        An exporter runs it, and takes it only where the net's weights fit into what it makes.

        net: with the head that its targets need, and perhaps changed by modifiers
        """
        return None

    def rebuild(self, overrides: Mapping[str, Any], saved_input: Mapping[str, Any]) -> "Net":
        """Return the net of a run that is resumed or opened again, with any weights.

        A part whose architecture is in the saved input builds it from it, and fetches nothing.

        saved_input: the net's input as its checkpoint has it, with the fields that are kept in files

        Raises FtrunError where it is not one of this backbone's.
        """
        net = self.without_weights().build(overrides)
        net.set_input(type(net.input).restored(saved_input))
        return net


class Modifier(Fittable):
    """A change to the net: another head, layers, convolutions instead of fully connected layers.

    keeps_features: whether the net's features stay those of the pretrained weights
    """

    role = "modifier"
    keeps_features: ClassVar[bool] = True

    @abstractmethod
    def build(self, net: "Net") -> "Net":
        """Return the changed net, the same object or another, with its `targets`. Raises SpecError if it cannot be."""


class Augmentation(Part):
    """A random change of the training inputs, on whole batches on the device, drawn for each sample on its own.

    input_kinds: the kinds of input that it changes, as a dataset's `input_kind`; None where it may be any
    moves: whether it moves pixels. What it builds then draws where they go, and the core moves them: it composes the
        maps of augmentations in a row, resamples once, and has targets follow that lie in the image
    """

    role = "augmentation"
    input_kinds: ClassVar[tuple[str, ...] | None] = None
    moves: ClassVar[bool] = False

    @property
    def source_scale(self) -> float:
        """How many times the net's size images are best kept at, 1 to 2, for what it enlarges of them: 1 by default."""
        return 1.0

    @abstractmethod
    def build(self) -> Callable[[Batch, SampleRandom], Batch] | Callable[[SampleRandom, Size], Warp]:
        """Return a function that returns a changed batch and leaves its argument alone.

        The inputs are what `InputSpec.collate` gave, and stay of its type. All randomness comes from the SampleRandom.
        If it `moves` pixels, it is instead a function of a SampleRandom and the images' size, height and width, that
        returns a Warp to images of the same size, with a map for each sample.
        """


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
    Backbone,
    Modifier,
    Augmentation,
    Loss,
    Objective,
    Optimizer,
    Scheduler,
    Metric,
    Observer,
    Exporter,
    Hub,
)
