"""How to use a run's weights, with ftrun and without."""

from ftrun.run.card.facts import Facts

PREPARE = '''\
def prepare(image, input):
    """uint8 [C, H, W] -> what the net takes, float32 [1, C, height, width], by the numbers in net.json."""
    height, width = input["size"]
    tall, wide = (math.floor(side / input["crop"]) for side in input["size"])
    h, w = image.shape[1:]
    tall, wide = (tall, tall * w // h) if tall * w >= wide * h else (wide * h // w, wide)
    smooth = input["interpolation"] != "nearest"
    mode = input["interpolation"] if smooth else "nearest-exact"
    image = torch.nn.functional.interpolate(image[None], (tall, wide), mode=mode, antialias=smooth)
    top, left = (tall - height) // 2, (wide - width) // 2
    image = image[:, :, top : top + height, left : left + width].float() / 255
    mean, std = (torch.tensor(input[key])[:, None, None] for key in ("mean", "std"))
    return (image - mean) / std
'''
"""As ImageInput does it, with nothing but torch."""

_WITHOUT = """\
import json
import math

import numpy
{library}
from PIL import Image, ImageOps
from safetensors.torch import load_model

net = {call}
load_model(net, "{place}model.safetensors")
net.eval()
about = json.load(open("{place}net.json"))


{prepare}

image = ImageOps.exif_transpose(Image.open("an.jpg")).convert("RGB")
image = torch.from_numpy(numpy.array(image)).permute(2, 0, 1)
with torch.no_grad():
    output = net(prepare(image, about["input"]))
"""


def with_ftrun(folder: str) -> str:
    """Python that predicts with ftrun; folder: what the run is called there."""
    return f'import ftrun\n\nmodel = ftrun.load("{folder}")\nprint(model.predict("an.jpg", top=3))\n'


def without(facts: Facts, place: str = "checkpoints/best/") -> str | None:
    """Python that computes outputs with the net's own library; None where the net is not just that library's.

    place: where the files are, from where the code runs
    """
    if facts.code is None or facts.input.get("kind") != "image":
        return None
    *imports, call = facts.code.splitlines()
    library = "\n".join(sorted({*imports, "import torch"}))
    return _WITHOUT.format(library=library, call=call, place=place, prepare=PREPARE)
