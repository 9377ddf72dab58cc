"""Recipes `probe`, `quick` and `full`: how to train, for a spec that leaves it out."""

from typing import Literal

import ftrun

FTRUN_API = "2.0"


class _OfCourse(ftrun.Recipe):
    """What the three have in common; `knowledge` tells them apart."""

    def build(self, facts: ftrun.Facts) -> ftrun.Filled:
        """Return loss, metrics, optimizer, scheduler, augmentations, phases and batch size for the data and the net.

        With minutes, the size of images too. Raises SpecError for a kind of target that has no loss of its own.
        """
        from ftrun_recipes.fill import filled

        return filled(self.name, facts)

    def plan(self, facts: ftrun.Facts, pace: ftrun.Pace) -> ftrun.Filled:
        """Return phases that fit into the time."""
        from ftrun_recipes.plan import planned

        return planned(self.name, facts, pace)


class Probe(_OfCourse):
    """The head alone, on embeddings of the frozen net: what the pretrained features can tell, in the least time."""

    name: Literal["probe"]


class Quick(_OfCourse):
    """The head alone, then a few epochs of everything, without augmentation."""

    name: Literal["quick"]


class Full(_OfCourse):
    """The head alone, then everything with augmentation, at rates for the backbone: what a spec without one gets."""

    name: Literal["full"]
    default = True


@ftrun.hookimpl
def ftrun_recipes() -> list[type[ftrun.Recipe]]:
    return [Probe, Quick, Full]
