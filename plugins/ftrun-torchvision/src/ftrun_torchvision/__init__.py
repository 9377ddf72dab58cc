"""Backbone `torchvision`: the classification models of torchvision."""
