"""What a run was made with, and whether it can go on here."""

import os
import platform
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from ftrun.contracts.data import Splits, columns_of
from ftrun.contracts.errors import FtrunError, PluginError
from ftrun.contracts.specs import Part
from ftrun.contracts.targets import CORE_KINDS, Target
from ftrun.plugins.building import inside, misbuilt
from ftrun.plugins.catalogue import Catalogue
from ftrun.plugins.installed import unusable
from ftrun.runs import identity, recorded
from ftrun.runs.folder import TARGETS, RunFolder, key_of
from ftrun.spec.check import check_spec
from ftrun.spec.runspec import RunSpec


def plugins_of(spec: RunSpec, catalogue: Catalogue, targets: Mapping[str, Target]) -> list[dict[str, str]]:
    """Return each part of the spec, with the distribution that offers it and its version.

    targets: the net's, whose kinds are listed too, where they are not the core's

    Raises PluginError where nothing offers a target's kind: such a run could not be opened again.
    """
    parts = [(where, part.role, part.name) for where, part in spec.every_part()]
    for name, target in targets.items():
        if type(target) not in CORE_KINDS:
            with inside(spec.dataset, "dataset"):
                _check_offered(spec.dataset, name, target, catalogue)
            parts.append((f"{TARGETS}.{name}", target.role, target.kind))
    return [
        {"part": where, "role": role, "name": name, **_origin(role, name, catalogue)} for where, role, name in parts
    ]


def _check_offered(dataset: Part, name: str, target: Target, catalogue: Catalogue) -> None:
    """Raise PluginError where no hook offers a target's kind."""
    catalogue.check_clash(target.role, target.kind)
    if catalogue.parts(target.role).get(target.kind) is not type(target):
        raise misbuilt(
            dataset,
            f"target {name!r} is of the kind {target.kind!r}, a {type(target).__name__}, which no plugin offers: a run "
            "could not be opened again. Let the plugin's hook ftrun_targets return that class.",
        )


def plugins_now(recorded: Iterable[Mapping[str, str]], catalogue: Catalogue) -> list[dict[str, str]]:
    """Return the parts that resolved.json lists as they are installed now; those that are not are left out."""
    return [
        {**each, **_origin(each["role"], each["name"], catalogue)}
        for each in recorded
        if catalogue.part(each["role"], each["name"]) is not None
    ]


def _origin(role: str, name: str, catalogue: Catalogue) -> dict[str, str]:
    owner = catalogue.owner(role, name)
    digest = {"sha256": owner.local.sha256} if owner.local else {}
    return {"distribution": owner.distribution, "version": owner.version, **digest}


def class_counts(splits: Splits) -> dict[str, dict[str, int]]:
    """Return the training samples of each class, by target and name: what a loss may weigh classes by."""
    counts = {}
    for name, target in splits.targets.items():
        column = columns_of(splits.training).get(name)
        by_class = None if column is None else target.class_counts(column)
        if by_class is not None:
            counts[name] = by_class
    return counts


def machine(device: torch.device) -> dict[str, str | int | None]:
    """Return what the run computes on; `versions` has what it computes with."""
    gpu = {"gpu": torch.cuda.get_device_name(device)} if device.type == "cuda" else {}
    return {"processor": processor(), "cores": os.cpu_count(), **gpu, "system": platform.platform()}


def processor() -> str:
    """Return the processor's name, as far as the system knows it."""
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def arithmetic(device: torch.device) -> list[str | int]:
    """Return what decides the last bits of what a net computes, whatever the net is."""
    return [
        device.type,
        torch.cuda.get_device_name(device) if device.type == "cuda" else processor(),
        torch.backends.cpu.get_cpu_capability(),
        torch.get_num_threads(),
        torch.__version__,
        torch.get_float32_matmul_precision(),
    ]


_version = cache(version)  # which reads all of a distribution's description, as a mail


def versions() -> dict[str, str]:
    """Return the versions of what decides how numbers come out."""
    return {"ftrun": _version("ftrun"), "python": platform.python_version(), "torch": _version("torch")}


def recorded_spec(
    folder: RunFolder, resolved: Mapping[str, Any], catalogue: Catalogue, keys: Collection[str] | None = None
) -> RunSpec:
    """Return the spec of a run, checked against what is installed now, its paths where they were then.

    keys: those of the parts that are wanted; others are left as they are, plain JSON; all if not given

    Raises FtrunError where resolved.json is damaged.
    """
    path = folder.path / "resolved.json"
    recorded.checked(recorded.Resolved, resolved, path, lambda: catalogue)
    needed = None if keys is None else {*keys, TARGETS}
    check_plugins([each for each in resolved["plugins"] if needed is None or key_of(each) in needed], catalogue)
    return identity.with_recorded_paths(check_spec(resolved["spec"], catalogue, name=str(path), keys=keys), resolved)


def check_plugins(recorded: Iterable[Mapping[str, str]], catalogue: Catalogue) -> None:
    """Raise PluginError where a plugin of the run is not installed, or does not load."""
    for each in recorded:
        if catalogue.part(each["role"], each["name"]) is not None:
            continue
        catalogue.check_clash(each["role"], each["name"])
        distribution = each["distribution"]
        if catalogue.local and distribution == catalogue.local.name:
            raise PluginError(
                f"this run's {each['role']} {each['name']!r} comes from {distribution}, and {catalogue.local.path} "
                "does not offer it any more."
            )
        what = f"this run's {each['role']} {each['name']!r} comes from {distribution} {each['version']}"
        raise unusable(what, distribution, catalogue.broken, catalogue.left_out)


def check_torch(recorded: str) -> None:
    """Raise FtrunError where torch's major version is another one."""
    here = version("torch")
    if recorded.partition(".")[0] != here.partition(".")[0]:
        raise FtrunError(
            f"this run was made with torch {recorded}, and here is torch {here}: it would not go on as it was. "
            f"Install torch {recorded}, or start a new run from its weights: ftrun run SPEC --init-from RUN."
        )


def differences(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return what is not as it was: versions, plugins, device, threads. None of it matters enough to refuse."""
    changed = changed_plugins(then["plugins"], now["plugins"])
    changed += [
        f"{name} was {then['versions'].get(name)}, is {version}"
        for name, version in now["versions"].items()
        if then["versions"].get(name) != version
    ]
    return changed + [
        f"{what} was {then.get(what)}, is {now[what]}" for what in ("device", "threads") if then.get(what) != now[what]
    ]


def changed_plugins(then: Iterable[Mapping[str, str]], now: Iterable[Mapping[str, str]]) -> list[str]:
    """Return `ftrun-x was 1.0, is 2.0` for each plugin that is of another version than it was."""
    before = {each["distribution"]: _state(each) for each in then}
    after = {each["distribution"]: _state(each) for each in now}
    return [
        f"{name} was {before[name]}, is {after[name]}" for name in after if before.get(name, after[name]) != after[name]
    ]


def _state(plugin: Mapping[str, str]) -> str:
    """Return a plugin's version, or the digest of local parts."""
    return f"the file of SHA-256 {plugin['sha256'][:12]}..." if "sha256" in plugin else plugin["version"]
