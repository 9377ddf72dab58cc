"""The plugin keeps ftrun's contract: one test for each property and part; and what is its own."""

from pathlib import Path

import torch
from ftrun_cosine_head import CosineHeadModifier, _cosine_layer
from safetensors.torch import load_file

from ftrun_devkit import check_plugin, tiny_run

test_contract = check_plugin("ftrun_cosine_head")


def test_outputs_are_cosines_times_the_scale() -> None:
    layer = _cosine_layer(inputs=5, outputs=3, scale=4.0, learn_scale=False)
    x = torch.randn(7, 5)
    expected = 4 * torch.nn.functional.cosine_similarity(x[:, None], layer.weight[None], dim=2)
    torch.testing.assert_close(layer(x), expected)
    torch.testing.assert_close(layer(100 * x), expected)
    assert layer(torch.zeros(1, 5, dtype=torch.bfloat16)).tolist() == [[0, 0, 0]]


def test_the_scale_is_learnt_or_fixed_and_saved_with_the_weights(tmp_path: Path) -> None:
    scales = {}
    for learn_scale in (True, False):
        part = CosineHeadModifier(name="cosine-head", scale=5.0, learn_scale=learn_scale)
        place = tmp_path / str(learn_scale)
        place.mkdir()
        run = tiny_run(place, modifiers=[part.model_dump()])
        weights = load_file(run.folder / "checkpoints" / "best" / "model.safetensors")
        (scales[learn_scale],) = (value.item() for name, value in weights.items() if name.endswith(".scale"))
    assert scales[True] != 5
    assert scales[False] == 5
