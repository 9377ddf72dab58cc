"""What nets take: images and texts. Datasets and backbones of them build on this; it brings no parts."""

from ftrun_inputs.image import ImageInput, read_image
from ftrun_inputs.text import TextInput

__all__ = ["ImageInput", "TextInput", "read_image"]
