"""Kinds of target: what a dataset asks a net to predict.

base     the role: what every kind is and does; `prediction`, what is predicted for one input
vector   what kinds share that are one number or row of numbers a sample
classes, labels, values   the core's own kinds
"""

from ftrun.contracts.targets.base import Target as Target
from ftrun.contracts.targets.classes import Classes as Classes
from ftrun.contracts.targets.labels import Labels as Labels
from ftrun.contracts.targets.prediction import Prediction as Prediction
from ftrun.contracts.targets.values import Values as Values
from ftrun.contracts.targets.vector import VectorTarget as VectorTarget

CORE_KINDS: tuple[type[Target], ...] = (Classes, Labels, Values)
"""Those that need no plugin."""
