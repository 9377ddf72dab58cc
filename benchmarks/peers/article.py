"""The article's script: a loop written by hand, torchvision's transforms image by image, the loss read every step.

Options: `samples`, whether to say of each test image if it is predicted right.
"""

import torch
from torch import nn

from common import Stopwatch, Work, accuracy, build_net, contend, correct, loader


def run(work: Work, watch: Stopwatch) -> dict[str, object]:
    train, val, test = (loader(work, split) for split in ("train", "val", "test"))
    net = build_net(work).to(work.device)
    optimizer = torch.optim.SGD(net.parameters(), lr=work.lr, momentum=work.momentum)
    loss_of = nn.CrossEntropyLoss()
    for epoch in range(work.epochs):
        with watch.epoch():
            net.train()
            total = 0.0
            for images, labels in train:
                images, labels = images.to(work.device), labels.to(work.device)
                optimizer.zero_grad()
                loss = loss_of(net(images), labels)
                loss.backward()
                optimizer.step()
                total += loss.item() * len(labels)
        print(f"epoch {epoch + 1}: loss {total / len(train.dataset):.4f}, val {accuracy(net, val, work.device):.4f}")
    right = correct(net, test, work.device)
    return {"accuracy": sum(right) / len(right), **({"correct": right} if work.options.get("samples") else {})}


if __name__ == "__main__":
    contend(run)
