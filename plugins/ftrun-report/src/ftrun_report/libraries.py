"""What a page is made with, which may be missing where ftrun-report was installed without its dependencies."""

from importlib.util import find_spec

from ftrun import FtrunError

_NAMES = {"jinja2": "Jinja2", "matplotlib": "matplotlib"}


def check_libraries(page: str) -> None:
    """Raise FtrunError where something is not installed that a page needs."""
    missing = [name for module, name in _NAMES.items() if not find_spec(module)]
    if missing:
        raise FtrunError(
            f"{page} is made with {' and '.join(_NAMES.values())}, and {' and '.join(missing)} "
            f"{'is' if len(missing) == 1 else 'are'} not here. Run: pip install {' '.join(missing).lower()}"
        )
