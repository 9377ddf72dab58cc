"""How an image file is prepared without ftrun, with NumPy and Pillow, as ImageInput does it; to the bit with torch."""

from ftrun import PlainCode

_IMPORTS = "import math\nimport numpy as np\nfrom PIL import Image, ImageOps"
_PREPARE = '''\
def prepare(file, input):
    """Pixels as the net sees them, uint8 [1, channels, height, width]: upright, on white, resized, cropped."""
    image = ImageOps.exif_transpose(Image.open(file))
    if image.mode.startswith("I"):  # grey of 16 bits; of colour, Pillow reads the upper 8 bits
        values = np.rint(np.asarray(image) * (255 / (input.get("white") or 65535)))
        image = Image.fromarray(values.clip(0, 255).astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    image = image.convert("RGB").convert("L" if len(input["mean"]) == 1 else "RGB")
    (height, width), (w, h) = input["size"], image.size
    tall, wide = (math.floor(side / input["crop"]) for side in input["size"])
    tall, wide = (tall, tall * w // h) if tall * w >= wide * h else (wide * h // w, wide)
    top, left = (tall - height) // 2, (wide - width) // 2
%s

def normalise(pixels, input):
    """What the bare net takes, float32, from such pixels."""
    mean, std = (np.float32(input[key])[:, None, None] for key in ("mean", "std"))
    return (pixels / np.float32(255) - mean) / std
'''

_BY_PILLOW = """\
    box = left * w / wide, top * h / tall, (left + width) * w / wide, (top + height) * h / tall
    image = image.resize((width, height), Image.Resampling[input["interpolation"].upper()], box)
    return np.atleast_3d(image).transpose(2, 0, 1)[None].copy()
"""
_BY_TORCH = """\
    pixels = torch.from_numpy(np.atleast_3d(image).transpose(2, 0, 1)[None].copy())
    smooth = input["interpolation"] != "nearest"
    mode = input["interpolation"] if smooth else "nearest-exact"
    pixels = torch.nn.functional.interpolate(pixels, (tall, wide), mode=mode, antialias=smooth)
    return pixels[:, :, top : top + height, left : left + width].numpy()
"""

CODE = PlainCode(
    imports=_IMPORTS,
    prepare=_PREPARE.replace("%s", _BY_PILLOW),
    prepare_by_torch=_PREPARE.replace("%s", _BY_TORCH),
    file="an.jpg",
)
