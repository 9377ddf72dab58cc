"""TF-IDF with logistic regression on a text spec's dataset: what a pretrained net has to beat.

    python benchmarks/tfidf.py examples/text-minilm.json

It sees whole texts, words and pairs of words. How strong the regularisation is, and whether pairs help, is chosen on
val; then it learns from train and val together.
"""

import sys
from pathlib import Path
from typing import Any

from ftrun.plugins.catalogue import installed
from ftrun.plugins.localparts import PartsFile
from ftrun.spec.check import check_spec
from ftrun.spec.specfile import read_spec
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, f1_score
from sklearn.pipeline import Pipeline, make_pipeline


def main(path: Path) -> None:
    """Print the figures for a spec's dataset."""
    _, data = read_spec(path)
    parts = data.get("parts")
    local = PartsFile.read(path.parent / parts) if parts else None
    splits = check_spec(data, installed(local)).dataset.build()
    (target,) = splits.targets
    texts = {name: [split[index][0] for index in range(len(split))] for name, split in splits.items()}
    labels: dict[str, list[Any]] = {name: split.columns[target].tolist() for name, split in splits.items()}

    def learnt(words: int, strength: float, *names: str) -> Pipeline:
        vectors = TfidfVectorizer(ngram_range=(1, words), sublinear_tf=True)
        model = make_pipeline(vectors, LogisticRegression(C=strength, max_iter=1000))
        return model.fit(*([row for name in names for row in each[name]] for each in (texts, labels)))

    tried = {
        (words, strength): learnt(words, strength, "train").score(texts["val"], labels["val"])
        for words in (1, 2)
        for strength in (1.0, 3.0, 10.0, 30.0, 100.0, 300.0)
    }
    best = max(tried, key=tried.__getitem__)
    print({name: len(each) for name, each in texts.items()}, f"best on val: words {best[0]}, C {best[1]}")
    print(f"val accuracy {tried[best]:.4f}")
    for name, model in (("train", learnt(*best, "train")), ("train and val", learnt(*best, "train", "val"))):
        predicted = model.predict(texts["test"])
        macro = f1_score(labels["test"], predicted, average="macro")
        accuracy = accuracy_score(labels["test"], predicted)
        print(f"test accuracy {accuracy:.4f}, f1_macro {macro:.4f} (learnt from {name})")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
