"""Dataset `digits`: the 1,797 handwritten digits that scikit-learn ships."""
