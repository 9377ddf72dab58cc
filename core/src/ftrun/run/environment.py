"""What a run was made with, and whether it can go on here."""

import platform
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from typing import Any

from ftrun import selection
from ftrun.catalogue import Catalogue
from ftrun.errors import FtrunError, PluginError
from ftrun.runspec import RunSpec


def plugins_of(spec: RunSpec, catalogue: Catalogue) -> list[dict[str, str]]:
    """Each part of the spec, with the distribution that offers it and its version."""
    owners = [(where, part, catalogue.owner(part.role, part.name)) for where, part in spec.parts()]
    return [
        {
            "part": where,
            "role": part.role,
            "name": part.name,
            "distribution": owner.distribution,
            "version": owner.version,
            **({"sha256": owner.local.sha256} if owner.local else {}),
        }
        for where, part, owner in owners
    ]


def versions() -> dict[str, str]:
    """Of what decides how numbers come out."""
    return {"ftrun": version("ftrun"), "python": platform.python_version(), "torch": version("torch")}


def check_plugins(recorded: Iterable[Mapping[str, str]], catalogue: Catalogue) -> None:
    """Raise PluginError where a plugin of the run is not installed, or does not load."""
    for each in recorded:
        if each["name"] in catalogue.parts(each["role"]):
            continue
        catalogue.check_clash(each["role"], each["name"])
        distribution = each["distribution"]
        if catalogue.local and distribution == catalogue.local.name:
            raise PluginError(
                f"this run's {each['role']} {each['name']!r} comes from {distribution}, and {catalogue.local.path} "
                "does not offer it any more."
            )
        if any(plugin.distribution == distribution for plugin in catalogue.left_out):
            raise PluginError(
                f"this run's {each['role']} {each['name']!r} comes from {distribution} {each['version']}, which "
                f"{selection.ONLY} leaves out. Add it there: {selection.ONLY}=...,{distribution}"
            )
        reasons = [plugin.error for plugin in catalogue.broken if plugin.distribution == distribution]
        raise PluginError(
            f"this run's {each['role']} {each['name']!r} comes from {distribution} {each['version']}, which "
            + (f"is broken: {reasons[0]}" if reasons else f"is not installed. Run: pip install {distribution}")
        )


def check_torch(recorded: str) -> None:
    """Raise FtrunError where torch's major version is another one."""
    here = version("torch")
    if recorded.partition(".")[0] != here.partition(".")[0]:
        raise FtrunError(
            f"this run was made with torch {recorded}, and here is torch {here}: it would not go on as it was. "
            f"Install torch {recorded}, or start a new run from its weights: ftrun run SPEC --init-from RUN."
        )


def differences(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What is not as it was: versions, plugins, device, threads. None of it matters enough to refuse."""
    found = [
        f"{name} was {then['versions'].get(name)}, is {version}"
        for name, version in now["versions"].items()
        if then["versions"].get(name) != version
    ]
    before = {each["distribution"]: _state(each) for each in then["plugins"]}
    after = {each["distribution"]: _state(each) for each in now["plugins"]}
    found += [
        f"{name} was {before[name]}, is {after[name]}" for name in after if before.get(name, after[name]) != after[name]
    ]
    return found + [
        f"{what} was {then.get(what)}, is {now[what]}" for what in ("device", "threads") if then.get(what) != now[what]
    ]


def _state(plugin: Mapping[str, str]) -> str:
    """A plugin's version, or what tells one state of local parts from another."""
    return f"the file of SHA-256 {plugin['sha256'][:12]}..." if "sha256" in plugin else plugin["version"]
