"""What a net takes: the one object that training, evaluation, prediction and export prepare inputs with."""

from ftrun.inputs.base import InputSpec
from ftrun.inputs.image import ImageInput
from ftrun.inputs.text import TextInput

__all__ = ["ImageInput", "InputSpec", "TextInput"]
