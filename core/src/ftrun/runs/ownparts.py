"""Which parts of a run come from its own copy of local parts: what needs none of them runs none of their code."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from ftrun.plugins.catalogue import Catalogue, installed
from ftrun.runs.folder import RunFolder
from ftrun.spec.specfile import spec_name

NET = ("backbone", "modifiers")
"""The keys of a spec whose parts a net is built from."""


def catalogue_of(
    folder: RunFolder,
    keys: Collection[str] | None = None,
    *,
    named: Iterable[tuple[str, str | None]] = (),
    trust: bool = False,
) -> Catalogue:
    """Return what is installed, and the run's local parts where one of the parts that are needed comes from them.

    keys: those of the spec whose parts are needed; all if not given
    named: role and part, as the command line names it, of those that are needed and are not in the run's spec
    trust: see `RunFolder.local_parts`
    """
    resolved = folder.read_json("resolved.json")
    local = local_keys(resolved)
    if not (local if keys is None else local & set(keys)):
        catalogue = installed()
        if not _has_parts(resolved) or all(
            part is None or spec_name(part) in (None, *catalogue.parts(role)) for role, part in named
        ):
            return catalogue
    return installed(folder.local_parts(trust=trust))


def local_keys(resolved: Mapping[str, Any]) -> set[str]:
    """Return the keys of the spec at which a part comes from the run's copy of local parts."""
    if not _has_parts(resolved):
        return set()
    plugins = resolved.get("plugins")
    listed = [each for each in plugins if isinstance(each, Mapping)] if isinstance(plugins, list) else []
    return {key_of(each) for each in listed if "sha256" in each}  # others have versions


def key_of(plugin: Mapping[str, Any]) -> str:
    """Return the key of the spec that a part in resolved.json's `plugins` stands at."""
    return str(plugin.get("part", "")).partition(".")[0]


def _has_parts(resolved: Mapping[str, Any]) -> bool:
    spec = resolved.get("spec")
    return isinstance(spec, Mapping) and spec.get("parts") is not None
