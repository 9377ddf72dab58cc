"""How an image file is prepared without ftrun: as ImageInput does it, with NumPy and Pillow alone."""

from ftrun.inputs.base import PlainCode

CODE = PlainCode(
    imports="import math\nimport numpy as np\nfrom PIL import Image, ImageOps",
    prepare='''\
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
    box = left * w / wide, top * h / tall, (left + width) * w / wide, (top + height) * h / tall
    image = image.resize((width, height), Image.Resampling[input["interpolation"].upper()], box)
    return np.atleast_3d(image).transpose(2, 0, 1)[None].copy()


def normalise(pixels, input):
    """What the bare net takes, float32, from such pixels."""
    mean, std = (np.float32(input[key])[:, None, None] for key in ("mean", "std"))
    return (pixels / np.float32(255) - mean) / std
''',
    file="an.jpg",
)
