"""transformers' Trainer around the same net and the same ImageFolder."""

import torch
from torch import nn
from torch.nn import functional as F
from transformers import Trainer, TrainerCallback, TrainingArguments

from common import Stopwatch, Work, build_net, contend, folder


class Classifier(nn.Module):
    """Takes and gives what the Trainer expects."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, pixel_values, labels):
        logits = self.net(pixel_values)
        return {"loss": F.cross_entropy(logits, labels), "logits": logits}


class Timing(TrainerCallback):
    def __init__(self, watch: Stopwatch) -> None:
        self.on_epoch_begin = lambda *_, **__: watch.begin()
        self.on_epoch_end = lambda *_, **__: watch.end()


def collate(samples):
    images, labels = zip(*samples, strict=True)
    return {"pixel_values": torch.stack(images), "labels": torch.tensor(labels)}


def compute_metrics(predicted):
    return {"accuracy": float((predicted.predictions.argmax(1) == predicted.label_ids).mean())}


def run(work: Work, watch: Stopwatch) -> dict[str, float]:
    model = Classifier(build_net(work))
    arguments = TrainingArguments(
        output_dir="hf-trainer",
        num_train_epochs=work.epochs,
        per_device_train_batch_size=work.batch,
        per_device_eval_batch_size=work.batch,
        learning_rate=work.lr,
        lr_scheduler_type="constant",
        max_grad_norm=0.0,  # the others do not clip
        dataloader_num_workers=work.workers,
        dataloader_pin_memory=work.device != "cpu",
        eval_strategy="epoch",
        save_strategy="no",
        report_to="none",
        use_cpu=work.device == "cpu",
        seed=work.seed,
    )
    optimizer = torch.optim.SGD(model.parameters(), lr=work.lr, momentum=work.momentum)
    trainer = Trainer(
        model,
        arguments,
        data_collator=collate,
        train_dataset=folder(work, "train"),
        eval_dataset=folder(work, "val"),
        compute_metrics=compute_metrics,
        optimizers=(optimizer, None),
        callbacks=[Timing(watch)],
    )
    trainer.train()
    return {"accuracy": trainer.evaluate(folder(work, "test"))["eval_accuracy"]}


if __name__ == "__main__":
    contend(run)
