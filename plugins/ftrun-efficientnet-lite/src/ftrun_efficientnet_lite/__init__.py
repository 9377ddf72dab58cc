"""Backbones `efficientnet-lite0` to `-lite2` with ImageNet weights from Python packages."""
