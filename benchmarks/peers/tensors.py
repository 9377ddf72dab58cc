"""The pure compute loop: normalised float tensors in memory, no augmentation, nothing read between steps.

Options: memory_format, contiguous or channels_last.
"""

import torch
from torch import Tensor, nn

from common import Stopwatch, Work, accuracy, build_net, contend, folder


def run(work: Work, watch: Stopwatch) -> dict[str, float]:
    plain = Work(**{**vars(work), "augment": False})
    (images, labels), val, test = (tensors(plain, split) for split in ("train", "val", "test"))
    memory_format = getattr(torch, f"{work.options.get('memory_format', 'contiguous')}_format", torch.channels_last)
    net = build_net(work).to(work.device, memory_format=memory_format)
    optimizer = torch.optim.SGD(net.parameters(), lr=work.lr, momentum=work.momentum)
    loss_of = nn.CrossEntropyLoss()
    for epoch in range(work.epochs):
        with watch.epoch():
            net.train()
            for chosen in torch.randperm(len(labels)).split(work.batch):
                x, y = images[chosen].to(work.device), labels[chosen].to(work.device)
                optimizer.zero_grad()
                loss = loss_of(net(x), y)
                loss.backward()
                optimizer.step()
        print(f"epoch {epoch + 1}: loss {loss.item():.4f}, val {accuracy(net, batches(val, work), work.device):.4f}")
    return {"accuracy": accuracy(net, batches(test, work), work.device)}


def tensors(work: Work, split: str) -> tuple[Tensor, Tensor]:
    images, labels = zip(*folder(work, split), strict=True)
    return torch.stack(images), torch.tensor(labels)


def batches(split: tuple[Tensor, Tensor], work: Work) -> zip:
    return zip(*(each.split(work.batch) for each in split), strict=True)


if __name__ == "__main__":
    contend(run)
