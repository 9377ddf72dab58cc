"""Optimizers `sgd`, `adam`, `adamw`, `lamb` and `muon`; schedulers.

`constant`, `cosine`, `linear`, `one-cycle`, `polynomial` and `step`.
"""

import ftrun
from ftrun_optim.optimizers import LAMB as LAMB
from ftrun_optim.optimizers import SGD as SGD
from ftrun_optim.optimizers import Adam as Adam
from ftrun_optim.optimizers import AdamW as AdamW
from ftrun_optim.optimizers import Muon as Muon
from ftrun_optim.schedulers import Constant as Constant
from ftrun_optim.schedulers import Cosine as Cosine
from ftrun_optim.schedulers import Linear as Linear
from ftrun_optim.schedulers import OneCycle as OneCycle
from ftrun_optim.schedulers import Polynomial as Polynomial
from ftrun_optim.schedulers import Step as Step

FTRUN_API = "2.0"


@ftrun.hookimpl
def ftrun_optimizers() -> list[type[ftrun.Optimizer]]:
    return [SGD, Adam, AdamW, LAMB, Muon]


@ftrun.hookimpl
def ftrun_schedulers() -> list[type[ftrun.Scheduler]]:
    return [Constant, Cosine, Linear, OneCycle, Polynomial, Step]
