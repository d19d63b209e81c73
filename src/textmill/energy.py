"""What a stage costs: wall time, processor time, peak memory, energy.

Energy comes from the machine's own counters where they can be read (RAPL for processors, NVML for
GPUs); that of processors is otherwise estimated as processor seconds times a stated power per core.
"""

from __future__ import annotations

import resource
import sys
import time
from pathlib import Path

from textmill.params import Energy

_RAPL = Path("/sys/class/powercap")
WATTS = 400.0  # what a processor package takes at most: a counter may begin again after its range by this


class Meter:
    """Measures from its creation to ``read``."""

    def __init__(self, assumed: Energy) -> None:
        self._assumed = assumed
        self._wall = time.monotonic()
        self._cpu = _cpu_seconds()
        self._rapl = _rapl()
        self._gpu = _gpu_joules()

    def read(self) -> dict[str, float]:
        """Seconds, processor seconds, peak memory (GB), energy (Wh) and CO2 (g) so far."""
        cpu, seconds = _cpu_seconds() - self._cpu, time.monotonic() - self._wall
        joules = self._counted(seconds)
        if joules is None:
            joules = cpu * self._assumed.watts_per_core
        joules += sum(
            now - before for before, now in zip(self._gpu, _gpu_joules(), strict=False) if now >= before
        )
        watt_hours = joules / 3600
        return {
            "seconds": round(seconds, 2),
            "cpu_seconds": round(cpu, 2),
            "peak_memory_gb": round(_peak_bytes() / 1e9, 3),
            "energy_wh": round(watt_hours, 4),
            "co2_g": round(watt_hours / 1000 * self._assumed.grams_co2_per_kwh, 4),
        }

    def _counted(self, seconds: float) -> float | None:
        """The joules of all packages; None where they are not counted, or may have begun again twice."""
        now = _rapl()
        if not self._rapl or now.keys() != self._rapl.keys():
            return None
        if any(seconds * WATTS >= most for _, most in now.values()):
            return None
        return sum((now[name][0] - before) % most for name, (before, most) in self._rapl.items())


def _cpu_seconds() -> float:
    own = resource.getrusage(resource.RUSAGE_SELF)
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def _peak_bytes() -> int:
    """The largest resident set of this process; Linux counts in KiB, macOS in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _rapl() -> dict[str, tuple[float, float]]:
    """Joules on the counter of each processor package, and at how many it begins again."""
    try:
        return {
            package.name: (
                int((package / "energy_uj").read_text()) / 1e6,
                int((package / "max_energy_range_uj").read_text()) / 1e6,
            )
            for package in _RAPL.glob("intel-rapl:*")
            if package.name.count(":") == 1  # further ones are parts of a package
        }
    except (OSError, ValueError):
        return {}


def _gpu_joules() -> list[float]:
    """Energy of each NVIDIA GPU since the driver was loaded; none where NVML or its counter is missing."""
    import pynvml

    try:
        pynvml.nvmlInit()
        handles = [pynvml.nvmlDeviceGetHandleByIndex(i) for i in range(pynvml.nvmlDeviceGetCount())]
        return [pynvml.nvmlDeviceGetTotalEnergyConsumption(handle) / 1000 for handle in handles]
    except pynvml.NVMLError:
        return []
