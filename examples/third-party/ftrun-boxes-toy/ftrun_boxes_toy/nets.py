"""What the parts compute with."""

from typing import Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.ops import batched_nms, box_iou, generalized_box_iou_loss, sigmoid_focal_loss

import ftrun


class AnchorFree(nn.Module):
    """Maps -> {"scores": [B, N, K] logits, "boxes": [B, N, 4] in pixels, "centres": [B, N, 2]}, N cells of a level."""

    def __init__(self, at: int, level: ftrun.Level, width: int, classes: int) -> None:
        super().__init__()
        self.at, self.stride = at, level.stride
        self.hidden = nn.Sequential(nn.Conv2d(level.channels, width, 3, padding=1), nn.ReLU())
        self.scores = nn.Conv2d(width, classes, 3, padding=1)
        self.sides = nn.Conv2d(width, 4, 3, padding=1)
        nn.init.constant_(self.scores.bias, -4.6)  # a probability of 0.01: most cells have no box

    def forward(self, levels: tuple[Tensor, ...]) -> dict[str, Tensor]:
        x = self.hidden(levels[self.at])
        rows, columns = ((torch.arange(side, device=x.device) + 0.5) * self.stride for side in x.shape[2:])
        centres = torch.stack(torch.meshgrid(columns, rows, indexing="xy"), dim=-1).reshape(1, -1, 2)
        sides = F.softplus(self.sides(x).float()).flatten(2).mT * self.stride
        boxes = torch.cat([centres - sides[..., :2], centres + sides[..., 2:]], dim=-1)
        scores = self.scores(x).flatten(2).mT
        return {"scores": scores, "boxes": boxes, "centres": centres.expand(x.shape[0], -1, -1)}


def decoded(boxes: Tensor, scores: Tensor) -> ftrun.Ragged:
    """Boxes [B, N, 4] and scores [B, N, K] of cells -> those that are left of boxes that overlap, at most 100 each."""
    found = []
    for box, (score, label) in zip(boxes, (each.max(1) for each in scores), strict=True):
        likely = score.topk(min(100, len(score))).indices
        likely = likely[score[likely] > 0.05]
        kept = likely[batched_nms(box[likely], score[likely], label[likely], 0.5)]
        found.append(torch.cat([box[kept], label[kept, None], score[kept, None]], dim=1))
    return ftrun.Ragged.of(found)


class BoxLoss(nn.Module):
    """A head's output and true boxes -> the mean of the images' losses."""

    def forward(self, output: dict[str, Tensor], values: ftrun.Ragged) -> Tensor:
        outputs = zip(output["scores"], output["boxes"], output["centres"], strict=True)
        pairs = zip(outputs, values.unbind(), strict=True)
        return torch.stack([self.of_image(*each, truth) for each, truth in pairs]).mean()

    def of_image(self, scores: Tensor, boxes: Tensor, centres: Tensor, truth: Tensor) -> Tensor:
        sides = torch.cat([centres[:, None] - truth[:, :2], truth[:, 2:4] - centres[:, None]], dim=2)  # [N, n, 4]
        area = (truth[:, 2:4] - truth[:, :2]).prod(1).expand(len(centres), -1)
        area = F.pad(area.where(sides.amin(2) > 0, torch.inf), (0, 1), value=torch.inf)
        smallest, chosen = area.min(1)  # of the boxes that a cell lies in
        inside = smallest.isfinite()
        truth = truth[chosen[inside]]
        right = torch.zeros_like(scores)
        right[inside, truth[:, 4].long()] = 1
        total = sigmoid_focal_loss(scores, right, reduction="sum")
        total = total + generalized_box_iou_loss(boxes[inside], truth[:, :4], reduction="sum")
        return total / inside.sum().clamp(min=1)


class AveragePrecision:
    """A metric; it keeps class, score and whether it is right of each box that was found."""

    def __init__(self, classes: int, overlap: float) -> None:
        self.classes, self.overlap = classes, overlap
        self.reset()

    def reset(self) -> None:
        self.found, self.boxes = torch.zeros(0, 3), torch.zeros(self.classes)

    def to(self, device: torch.device | str) -> Self:
        self.found, self.boxes = self.found.to(device), self.boxes.to(device)
        return self

    def update(self, output: ftrun.Ragged, values: ftrun.Ragged) -> None:
        rows = [self.found]
        for found, truth in zip(output.unbind(), values.unbind(), strict=True):
            overlaps = box_iou(found[:, :4], truth[:, :4]) * (found[:, 4:5] == truth[:, 4])
            right = torch.zeros(len(found), 1, device=found.device)
            for row in range(len(found) if len(truth) else 0):  # the surest takes its box first
                best = overlaps[row].argmax()
                right[row] = overlaps[row, best] >= self.overlap
                overlaps[:, best] *= 1 - right[row]
            rows.append(torch.cat([found[:, 4:], right], dim=1))
        self.found = torch.cat(rows)
        self.boxes += values.values[:, 4].long().bincount(minlength=self.classes)

    def merge_state(self, other: Self) -> None:
        self.found, self.boxes = torch.cat([self.found, other.found]), self.boxes + other.boxes

    def compute(self) -> Tensor:
        found = self.found[self.found[:, 1].argsort(descending=True, stable=True)]
        areas = []
        for label in self.boxes.nonzero().flatten():
            right = found[found[:, 0] == label, 2]
            precision = right.cumsum(0) / (torch.arange(len(right), device=right.device) + 1)
            best = precision.flip(0).cummax(0).values.flip(0)  # at this recall or a higher one
            areas.append((best * right).sum() / self.boxes[label])
        return torch.stack(areas).mean() if areas else torch.tensor(torch.nan)
