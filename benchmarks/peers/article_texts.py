"""The article's loop on texts: the same encoder and a linear layer, SGD 0.001 with momentum, batches of 100."""

from typing import Any

import torch
from torch import nn

from common import Stopwatch, Work, contend
from hf_defaults import texts


def run(work: Work, watch: Stopwatch) -> dict[str, Any]:
    torch.manual_seed(work.seed)
    net, splits, collate = texts(work)
    train = torch.utils.data.DataLoader(splits["train"], work.batch, shuffle=True, collate_fn=collate)
    optimizer = torch.optim.SGD(net.parameters(), lr=work.lr, momentum=work.momentum)
    loss_of = nn.CrossEntropyLoss()
    for _ in range(work.epochs):
        net.train()
        for batch in train:
            labels = batch.pop("labels")
            optimizer.zero_grad()
            loss_of(net(**batch).logits, labels).backward()
            optimizer.step()
        predictions(net, splits["val"], collate, work)
    return {"correct": predictions(net, splits["test"], collate, work)}


@torch.no_grad()
def predictions(net: nn.Module, split: list[Any], collate: Any, work: Work) -> list[int]:
    """Return for each sample whether its class is predicted right."""
    net.eval()
    right: list[int] = []
    for batch in torch.utils.data.DataLoader(split, work.batch, collate_fn=collate):
        labels = batch.pop("labels")
        right += (net(**batch).logits.argmax(1) == labels).int().tolist()
    return right


if __name__ == "__main__":
    contend(run)
