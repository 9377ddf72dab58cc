"""What the figures were taken on."""

import os
import platform
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = ("ftrun", "torch", "torchvision", "timm", "lightning", "transformers", "accelerate", "fastai")


def describe(threads: int, device: str = "cpu") -> dict[str, Any]:
    """Machine, threads, versions and date, as JSON values."""
    return {
        "processor": _processor() if device == "cpu" else f"{_gpu(device)} with {_processor()}",
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gb": round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9),
        "system": f"{platform.system()} {platform.machine()}",
        "threads": threads,
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in PACKAGES},
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
    }


def _gpu(device: str) -> str:
    import torch

    return torch.cuda.get_device_name(device)


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
