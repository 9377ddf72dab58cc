"""How a model card tells to prepare an image: as ImageInput does it, with torch, NumPy and Pillow alone."""

from ftrun.inputs.base import PlainCode

CODE = PlainCode(
    imports="import math\nimport numpy\nfrom PIL import Image, ImageOps",
    prepare='''\
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
''',
    read="""\
image = ImageOps.exif_transpose(Image.open("an.jpg")).convert("RGB")
image = torch.from_numpy(numpy.array(image)).permute(2, 0, 1)
""",
    value='prepare(image, about["input"])',
)
