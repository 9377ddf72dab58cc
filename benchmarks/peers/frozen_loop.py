"""A frozen backbone as people write it: evaluation mode, no gradient, and a new head that learns."""

import torch
from torch import nn

from common import Stopwatch, Work, accuracy, build_net, contend, loader


def run(work: Work, watch: Stopwatch) -> dict[str, float]:
    train, val, test = (loader(work, split) for split in ("train", "val", "test"))
    net = build_net(work).to(work.device).requires_grad_(False)
    head = net.get_classifier().requires_grad_(True)
    optimizer = torch.optim.SGD(head.parameters(), lr=work.lr, momentum=work.momentum)
    loss_of = nn.CrossEntropyLoss()
    for epoch in range(work.epochs):
        with watch.epoch():
            net.eval()
            total = 0.0
            for images, labels in train:
                images, labels = images.to(work.device), labels.to(work.device)
                with torch.no_grad():
                    embedding = net.forward_head(net.forward_features(images), pre_logits=True)
                optimizer.zero_grad()
                loss = loss_of(head(embedding), labels)
                loss.backward()
                optimizer.step()
                total += loss.item() * len(labels)
        print(f"epoch {epoch + 1}: loss {total / len(train.dataset):.4f}, val {accuracy(net, val, work.device):.4f}")
    return {"accuracy": accuracy(net, test, work.device)}


if __name__ == "__main__":
    contend(run)
