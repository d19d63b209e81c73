"""Make ``.venv`` with the locked versions; needs nothing but Python's standard library."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDER, LOCK = ".venv", "requirements.lock"


def main() -> int:
    """Install, and leave a stamp that make compares with the lock file."""
    if sys.version_info < (3, 11):  # noqa: UP036 - this script is what says so
        return _fail(
            f"Python 3.11 or newer is needed, this is {sys.version.split()[0]}; make PYTHON=python3.12 ..."
        )
    python = ROOT / FOLDER / "bin" / "python"
    if not python.exists():
        print(f"making {FOLDER} ...", flush=True)
        venv.create(ROOT / FOLDER, with_pip=True)
    pip = [str(python), "-m", "pip", "install", "-qq", "--disable-pip-version-check"]
    torch = next(line for line in (ROOT / LOCK).read_text().splitlines() if line.startswith("torch=="))
    if _would_fetch_cuda(python, torch):
        return _fail(
            f"pip would fetch the CUDA build of {torch} (gigabytes) and this machine has no NVIDIA GPU. "
            "Point pip to a CPU build, as pytorch.org's install page shows for your system: set "
            "PIP_EXTRA_INDEX_URL to its CPU index or PIP_FIND_LINKS to a folder with the wheel, and rerun; "
            "or set TEXTMILL_ALLOW_CUDA=1 to take the CUDA build all the same."
        )
    print(f"installing {LOCK} into {FOLDER} (a minute or two) ...", flush=True)
    steps = [[*pip, "-r", str(ROOT / LOCK)], [*pip, "--no-deps", "-e", str(ROOT)]]
    for step in steps:
        if subprocess.run(step, cwd=ROOT, check=False).returncode:
            return _fail("the installation failed; pip says why above")
    if not (ROOT / ".git").exists():
        # DVC asks for a git repository unless it is told that there is none.
        local = ROOT / ".dvc" / "config.local"
        local.write_text("[core]\n    no_scm = true\n", encoding="utf-8")
    (ROOT / FOLDER / "locked").touch()
    return 0


def _would_fetch_cuda(python: Path, torch: str) -> bool:
    """Whether installing ``torch`` here would bring NVIDIA's libraries to a machine without their GPU."""
    if sys.platform != "linux" or shutil.which("nvidia-smi") or os.environ.get("TEXTMILL_ALLOW_CUDA"):
        return False
    command = [str(python), "-m", "pip", "install", "--dry-run", "--quiet", "--report", "-", torch]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        return False  # the installation itself will say what is wrong
    names = [item["metadata"]["name"].lower() for item in json.loads(done.stdout)["install"]]
    return any(name.startswith("nvidia-") for name in names)


def _fail(message: str) -> int:
    print(f"setup: {message}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
