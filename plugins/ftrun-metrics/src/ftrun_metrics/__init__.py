"""Metrics on torchmetrics: accuracy, top-k, precision, recall, F1, confusion matrix, MSE, MAE, R2."""
