"""Datasets `cifar10` and `cifar100`."""
