"""Backbone `timm`: the models of timm."""
