"""Random valid specs over all parts and kinds of data, with tiny nets. Options are drawn from `ftrun schema`."""

import csv
import json
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tinyencoder
from PIL import Image

WORDS = ("rain", "wind", "snow", "bread", "soup", "salt", "train", "road")
NAMES = {"classes": ["kind", "type", "name", "a.b", "\u79cd\u7c7b"], "values": ["price", "train"], "labels": ["tags"]}
"""Names of targets, some of which mean something else elsewhere."""

IMAGE_BACKBONES = [
    *(
        {"name": "timm", "model": f"test_{net}", "pretrained": False}
        for net in ("resnet", "vit", "convnext", "byobnet")
    ),
    {"name": "timm", "model": "test_efficientnet", "pretrained": False},
    {"name": "torchvision", "model": "shufflenet_v2_x0_5", "weights": None},
    {"name": "torchvision", "model": "mobilenet_v3_small", "weights": None},
    {"name": "efficientnet-lite0"},
]
_BOTH = ["auroc", "average-precision", "balanced-accuracy", "matthews", "expected-calibration-error"]
METRICS = {
    "classes": ["accuracy", "top-k", "precision", "recall", "f1", "confusion-matrix", "quadratic-kappa", *_BOTH],
    "labels": ["f1", "precision", "recall", *_BOTH],
    "values": ["mse", "mae", "r2"],
}
LOSSES = {
    "classes": ["cross-entropy", "cross-entropy", "focal", "arcface", "bce"],
    "labels": ["bce", "focal"],
    "values": ["mse", "huber"],
}
ROWS = 48


class World:
    """A folder with data of every kind: pictures in folders, tables of pictures, tables of texts, an encoder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        draw, choose = np.random.default_rng(0), random.Random(0)
        for number in range(ROWS):
            pixels = draw.integers(0, 100, (20 + number % 9, 24, 3), dtype=np.uint8)
            pixels[..., number % 3] += 120
            path = folder / "pictures" / "abc"[number % 3] / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(path)
        self.rows = [self._row(number, choose) for number in range(ROWS)]
        tinyencoder.write(folder / "encoder")

    def _row(self, number: int, choose: random.Random) -> dict[str, str]:
        words = [WORDS[number % 3], *choose.sample(WORDS, 3)]
        row = {"image": f"{'abc'[number % 3]}/{number}.png", "text": " ".join(words)}
        for name in NAMES["classes"]:
            row[name] = "abc"[number % 3]
        row["tags"] = "|".join(sorted({"red", "blue"} & {("red", "blue", "green")[number % 3], "blue"}))
        row["price"], row["train"] = f"{number % 3 + choose.random():.3f}", f"{1e6 + number}"
        return row

    def table(self, kind: str, gaps: Mapping[str, float], choose: random.Random) -> Path:
        """Write a table whose cells of some columns are empty in part, and return its path."""
        rows = [
            {key: "" if choose.random() < gaps.get(key, 0) else cell for key, cell in row.items()} for row in self.rows
        ]
        path = self.folder / f"{choose.getrandbits(48):x}.{kind}"
        if kind == "jsonl":
            path.write_text("".join(json.dumps({k: v or None for k, v in row.items()}) + "\n" for row in rows))
            return path
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
        return path


class Specs:
    """Draws specs. schema: what `ftrun schema` prints"""

    def __init__(self, world: World, schema: Mapping[str, Any], seed: int) -> None:
        self.world, self.choose = world, random.Random(seed)
        self.options = {
            each["properties"]["name"]["const"]: each["properties"]
            for each in schema["$defs"].values()
            if "const" in each.get("properties", {}).get("name", {})
        }
        self.train = schema["$defs"]["Train"]["properties"]

    def spec(self) -> dict[str, Any]:
        """Return a spec; a few of them are not valid, which `ftrun check` tells."""
        choose = self.choose
        images = choose.random() < 0.6
        dataset, kinds = self._images() if images else self._texts()
        spec = {
            "dataset": dataset,
            "backbone": self._image_backbone() if images else self._text_backbone(),
            "loss": self._loss(kinds),
            "optimizer": self._part(choose.choice(["sgd", "adam", "adamw"])),
            "metrics": self._metrics(set(kinds.values())),
            "train": self._train(kinds),
            "seed": choose.randrange(99),
        }
        if images:
            spec["input"] = {"size": choose.choice([32, [32, 40], 48])} | choose.choice([{}, {"crop": 0.9}])
            spec["augment"] = [self._part(each) for each in choose.sample(AUGMENTATIONS, choose.randrange(3))]
        spec["modifiers"] = self._modifiers(images, len(kinds))
        if choose.random() < 0.5:
            spec["scheduler"] = self._part(
                choose.choice(["constant", "cosine", "linear", "one-cycle", "polynomial", "step"])
            )
        if choose.random() < 0.1:
            spec["observers"] = ["tensorboard"]
        if "classes" in kinds.values() and choose.random() < 0.2:
            spec["sampler"] = choose.choice(["balanced", {"name": "few", "k": choose.randint(2, 9)}])
        return spec

    def _images(self) -> tuple[dict[str, Any], dict[str, str]]:
        choose = self.choose
        name = choose.choice(["image-folder", "table-images", "table-images", "digits"])
        if name == "image-folder":
            return {"name": name, "path": str(self.world.folder / "pictures")}, {"label": "classes"}
        if name == "digits":
            kinds = {"digit": "classes", "parity": "classes", "ink": "values"}
            chosen = choose.sample(sorted(kinds), choose.randint(1, 2))
            return {"name": name, "targets": chosen}, {each: kinds[each] for each in chosen}
        dataset, kinds = self._table(name, "csv")
        return {**dataset, "image": "image", "images": str(self.world.folder / "pictures")}, kinds

    def _texts(self) -> tuple[dict[str, Any], dict[str, str]]:
        name = self.choose.choice(["csv", "jsonl"])
        dataset, kinds = self._table(name, name)
        return {**dataset, "text": "text"}, kinds

    def _table(self, name: str, suffix: str) -> tuple[dict[str, Any], dict[str, str]]:
        choose, kinds = self.choose, {}
        for kind in choose.sample(["classes", "classes", "values", "labels"], choose.choice([1, 1, 2])):
            kinds[choose.choice(NAMES[kind])] = kind
        several = len(kinds) > 1 or choose.random() < 0.3 or "values" in kinds.values() or "labels" in kinds.values()
        gaps = {each: 0.2 for each in kinds if several and choose.random() < 0.4}
        path = str(self.world.table(suffix, gaps, choose))
        if not several:
            return {"name": name, "path": path, "target": next(iter(kinds))}, {"label": "classes"}
        targets = {}
        for target, kind in kinds.items():
            described = {"kind": kind} | ({"separator": "|"} if kind == "labels" else {})
            targets[target] = described if kind == "labels" else kind
        return {"name": name, "path": path, "targets": targets}, kinds

    def _image_backbone(self) -> dict[str, Any]:
        return dict(self.choose.choice(IMAGE_BACKBONES))

    def _text_backbone(self) -> dict[str, Any]:
        if self.choose.random() < 0.6:
            return {**self._part("lstm", chance=0.2), "width": 8, "embedding": 8, "min_count": 1, "vocabulary": 60}
        pooling = self.choose.choice(["mean", "cls"])
        encoder = str(self.world.folder / "encoder")
        return {"name": "transformers", "model": encoder, "pretrained": False, "pooling": pooling}

    def _loss(self, kinds: Mapping[str, str]) -> Any:
        chosen = {target: self.choose.choice(LOSSES[kind]) for target, kind in kinds.items()}
        losses = {target: self._part(name, chance=0.5) for target, name in chosen.items()}
        return losses if len(losses) > 1 else next(iter(losses.values()))

    def _metrics(self, kinds: set[str]) -> list[Any]:
        known = list(dict.fromkeys(metric for kind in sorted(kinds) for metric in METRICS[kind]))
        chosen = self.choose.sample(known, self.choose.randrange(len(known)))
        return [{"name": "top-k", "k": 2} if each == "top-k" else self._part(each) for each in chosen]

    def _modifiers(self, images: bool, targets: int) -> list[Any]:
        choose, modifiers = self.choose, []
        if choose.random() < 0.25:
            modifiers.append({**self._part("add-layers"), "sizes": [choose.randint(4, 9)]})
        elif choose.random() < 0.15:
            modifiers.append(self._part("replace-head"))
        if choose.random() < 0.15:
            modifiers.append({"name": "lora", "rank": choose.randint(1, 3)})
        if images and targets == 1 and choose.random() < 0.15:
            modifiers.append("fc-to-conv")
        return modifiers

    def _train(self, kinds: Mapping[str, str]) -> dict[str, Any]:
        choose = self.choose
        train: dict[str, Any] = {"batch_size": choose.choice([1, 7, 16]), "workers": 0}
        train["precision"] = choose.choice(["fp32", "fp32", "bf16"])
        for key, chance in (("accumulate", 0.2), ("clip", 0.3), ("memory_format", 0.5), ("on_nonfinite", 0.3)):
            if choose.random() < chance:
                train[key] = self._value(self.train[key])
        if choose.random() < 0.2:
            train["average"] = choose.choice([{"name": "ema", "decay": 0.5}, "swa"])
        if len(kinds) > 1 and choose.random() < 0.4:
            train["loss_weights"] = choose.choice(["uncertainty", dict.fromkeys(kinds, 0.5)])
        if choose.random() < 0.4:
            views = {"views": 2} if choose.random() < 0.4 else {}
            train["phases"] = [
                {"epochs": 1, "freeze": "features", **views},
                {"epochs": 1, "lr_scale": 0.1, "layer_decay": choose.choice([1.0, 0.7])},
            ]
        else:
            train["epochs"] = choose.choice([1, 2])
        if choose.random() < 0.2:
            train["patience"] = 1
        return train

    def _part(self, name: str, chance: float = 0.3) -> dict[str, Any]:
        """Return a part with some of its options drawn."""
        part: dict[str, Any] = {"name": name}
        for option, schema in self.options[name].items():
            if option != "name" and ("default" in schema) and self.choose.random() < chance:
                part[option] = self._value(schema)
        return part

    def _value(self, schema: Mapping[str, Any]) -> Any:
        """Return a value that a JSON Schema allows, near its default."""
        choose = self.choose
        if "const" in schema or "enum" in schema:
            return choose.choice(schema.get("enum", [schema.get("const")]))
        if "anyOf" in schema:
            simple = [each for each in schema["anyOf"] if each.get("type") not in ("object", "array")]
            return self._value(choose.choice(simple))
        kind = schema.get("type")
        if kind == "boolean":
            return choose.random() < 0.5
        if kind == "integer":
            low = schema.get("minimum", schema.get("exclusiveMinimum", 0) + 1)
            return choose.randint(low, min(low + 3, schema.get("maximum", low + 3)))
        if kind == "number":
            low = schema.get("minimum", schema.get("exclusiveMinimum", 0))
            high = schema.get("maximum", schema.get("exclusiveMaximum", None))
            default = schema.get("default") or (0.5 if high else 1.0)
            value = default * 10 ** choose.uniform(-1, 0.3)
            return max(low, value) if high is None else max(low, min(value, low + 0.95 * (high - low)))
        return schema.get("default")


AUGMENTATIONS = ["horizontal-flip", "random-crop", "random-resized-crop", "color-jitter"]
