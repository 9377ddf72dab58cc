"""Modifier `cosine-head`: a head whose outputs are cosines between the embedding and each class's weights."""

from typing import TYPE_CHECKING, Literal

from pydantic import Field

import ftrun

if TYPE_CHECKING:
    from torch import Tensor, nn

FTRUN_API = "2.0"


class CosineHeadModifier(ftrun.Modifier):
    """Cosine similarity of the embedding to each class's weights, times a scale, in place of a linear head."""

    name: Literal["cosine-head"]
    scale: float = Field(
        10.0, gt=0, description="What the cosines, -1 to 1, are multiplied by; where it starts, if it is learnt."
    )
    learn_scale: bool = Field(True, description="Whether the scale is learnt too.")

    def build(self, net: "ftrun.Net") -> "ftrun.Net":
        """`net` with another head: embedding [B, num_features] -> logits [B, outputs], or {target: logits}.

        Logit k is scale * cos(embedding, weights of class k): Gidaris and Komodakis, "Dynamic few-shot visual learning
        without forgetting", 2018, where the scale is learnt and starts at 10; fixed, as in Wang et al., "NormFace",
        2017. There is no bias. A head that an earlier modifier made is replaced. Real numbers are predicted between
        -scale and scale: let it be learnt, or as large as they get. Raises SpecError where the net has no embedding.
        """
        if not net.embeds:
            raise ftrun.SpecError(
                f"{self.name!r} makes a head that takes an embedding, but this net's head takes a map. "
                f"Leave {self.name!r} out, or put it before the modifier that made the head so."
            )
        heads: dict[str, nn.Module] = {
            target: _cosine_layer(net.num_features, what.outputs, self.scale, self.learn_scale)
            for target, what in net.targets.items()
        }
        net.replace_head(ftrun.Heads(heads) if len(heads) > 1 else next(iter(heads.values())))
        return net


def _cosine_layer(inputs: int, outputs: int, scale: float, learn_scale: bool) -> "nn.Module":
    """A layer: float [B, inputs] -> [B, outputs], between -scale and scale."""
    import torch
    from torch import nn
    from torch.nn import functional as F

    class CosineLayer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.randn(outputs, inputs))  # directions; their length does not count
            first = torch.tensor(scale)
            if learn_scale:
                self.scale = nn.Parameter(first)
            else:
                self.register_buffer("scale", first)  # saved with the weights, so that these suffice

        def forward(self, x: "Tensor") -> "Tensor":
            # Normalised in float32: in mixed precision the embedding may be bfloat16.
            return self.scale * F.linear(F.normalize(x.float(), dim=1), F.normalize(self.weight, dim=1))

    return CosineLayer()


@ftrun.hookimpl
def ftrun_modifiers() -> list[type[ftrun.Modifier]]:
    return [CosineHeadModifier]
