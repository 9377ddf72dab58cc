"""What a net takes: the one object that training, evaluation, prediction and export prepare inputs with."""

from ftrun.contracts.inputs.base import InputSpec
from ftrun.contracts.inputs.image import ImageInput
from ftrun.contracts.inputs.text import TextInput

__all__ = ["ImageInput", "InputSpec", "TextInput"]
