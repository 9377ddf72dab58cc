"""Adapters put into a net's layers, and folded into them again."""

import re

import torch
from peft import LoraConfig, inject_adapter_in_model
from peft.tuners.tuners_utils import BaseTunerLayer
from torch import nn

import ftrun
from ftrun_peft import Lora


def add_adapters(net: ftrun.Net, options: Lora) -> ftrun.Net:
    """Put adapters into the linear layers that match; the head and they learn, nothing else does."""
    if any(isinstance(module, BaseTunerLayer) for module in net.model.modules()):
        raise ftrun.SpecError(f"{options.name!r} is in the net already.")
    paths = _chosen(net, options.layers)
    training = net.training
    learning = [parameter for parameter in net.head.parameters() if parameter.requires_grad]
    config = LoraConfig(
        r=options.rank,
        lora_alpha=options.alpha,  # type: ignore[arg-type]
        lora_dropout=options.dropout,
        target_modules="|".join(map(re.escape, paths)),  # a str has to match a layer's whole path
    )
    inject_adapter_in_model(config, net.model)
    for parameter in learning:  # peft took the gradient from all but its own
        parameter.requires_grad_(True)
    net.fold_hooks.append(fold)
    return net.train(training)


@torch.no_grad()
def fold(net: ftrun.Net) -> None:
    """W + alpha / rank * B A in place of a layer and its adapter, under the layer's own name."""
    for path, module in list(net.model.named_modules()):
        if isinstance(module, BaseTunerLayer):
            module.merge(safe_merge=True)
            net.model.set_submodule(path, module.get_base_layer())


def _chosen(net: ftrun.Net, pattern: str) -> list[str]:
    """The linear layers before the head whose paths match."""
    head = f"{net.head_path}."
    linear = [
        path
        for path, module in net.model.named_modules()
        if type(module) is nn.Linear and not f"{path}.".startswith(head)  # a subclass may be read by other means
    ]
    chosen = [path for path in linear if re.search(pattern, path)]
    if not chosen:
        known = ", ".join(linear[:8]) + (f" and {len(linear) - 8} more" if len(linear) > 8 else "")
        raise ftrun.SpecError(
            f"layers: no linear layer before the head matches {pattern!r}. This net has {known or 'none'}."
        )
    return chosen
