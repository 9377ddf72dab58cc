"""The version of what plugins are written against, and what a plugin states of it, read before it is imported."""

import ast
import re
import sys
from functools import lru_cache
from importlib.machinery import ModuleSpec
from importlib.util import find_spec

API_VERSION = "2.0"
# Of the contracts between ftrun and its plugins: the roles, the hooks, and the names that `ftrun` exports.
#   major: a contract changed, so that plugins written for the one before must change
#   minor: something was added; a plugin for an earlier minor works as it is, one for a later minor may miss something

STATED = "FTRUN_API"


def module_spec(module: str) -> ModuleSpec | None:
    """Return where a module is. Unlike importlib's find_spec, it does not import the packages that the module is in."""
    name, *inner = module.split(".")
    try:
        spec = find_spec(name)
        for step in inner:
            name = f"{name}.{step}"
            spec = _inside(spec, name) if spec else None
    except (ImportError, ValueError, AttributeError):  # what a broken module or a strange finder may raise
        return None
    return spec


def _inside(package: ModuleSpec, name: str) -> ModuleSpec | None:
    if package.submodule_search_locations is None:
        return None
    specs = (finder.find_spec(name, package.submodule_search_locations) for finder in sys.meta_path)
    return next((spec for spec in specs if spec), None)


def source_of(spec: ModuleSpec | None) -> str:
    """Return a module's source text; none where it has none, or none that can be read."""
    get_source = getattr(spec.loader, "get_source", None) if spec else None
    try:
        return (get_source(spec.name) if spec and get_source else None) or ""
    except (ImportError, SyntaxError, OSError):
        return ""


@lru_cache(256)
def stated_in(source: str) -> object:
    """Return what FTRUN_API is in a module's source; None where it says nothing, or not in so many words."""
    if STATED not in source:
        return None
    stated = None
    try:
        for statement in _start(source):
            if isinstance(statement, ast.Assign | ast.AnnAssign) and STATED in _assigned(statement):
                stated = ast.literal_eval(statement.value)  # type: ignore[arg-type]  # None is refused as any other
    except (SyntaxError, ValueError, TypeError, MemoryError, RecursionError):
        return None  # the import will say what is wrong, or what it is
    return stated


def _start(source: str) -> list[ast.stmt]:
    """Return a module's statements up to the line that names it last; all of them where these are no whole ones."""
    before, last = source[: source.rindex(STATED)], source[source.rindex(STATED) :]
    try:
        return ast.parse(before + last.partition("\n")[0]).body
    except SyntaxError:
        return ast.parse(source).body


def _assigned(statement: ast.Assign | ast.AnnAssign) -> list[str]:
    targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
    return [target.id for target in targets if isinstance(target, ast.Name)]


def mismatch(stated: object, older: str) -> str:
    """Return why a plugin that states this API cannot be used here; nothing where it can.

    older: what to do about a plugin for an older API
    """
    if stated is None:
        return ""
    if not (isinstance(stated, str) and re.fullmatch(r"[0-9]{1,6}\.[0-9]{1,6}", stated)):
        return f'{STATED} must be a version such as "{API_VERSION}", but it is {stated!r}'
    ours, theirs = _numbers(API_VERSION), _numbers(stated)
    if theirs[0] == ours[0] and theirs[1] <= ours[1]:
        return ""
    what_to_do = "Upgrade ftrun: pip install --upgrade ftrun" if theirs > ours else older
    return f"is written for ftrun's API {stated}, and this ftrun has {API_VERSION}. {what_to_do}"


def _numbers(api: str) -> tuple[int, int]:
    major, minor = api.split(".")
    return int(major), int(minor)
