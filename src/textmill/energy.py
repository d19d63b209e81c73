"""What a stage costs: wall time, processor time, peak memory, energy.

Energy comes from the machine's own counters where they can be read (RAPL for processors, NVML for
GPUs) and is otherwise estimated as processor seconds times a stated power per core.
"""

from __future__ import annotations

import resource
import sys
import time
from pathlib import Path

from textmill.params import Energy

_RAPL = Path("/sys/class/powercap/intel-rapl:0")


class Meter:
    """Measures from its creation to ``read``."""

    def __init__(self, assumed: Energy) -> None:
        self._assumed = assumed
        self._wall = time.monotonic()
        self._cpu = _cpu_seconds()
        self._rapl = _rapl_joules()
        self._gpu = _gpu_joules()

    def read(self) -> dict[str, float]:
        """Seconds, processor seconds, peak memory (GB), energy (Wh) and CO2 (g) so far."""
        cpu = _cpu_seconds() - self._cpu
        rapl = _rapl_joules()
        if self._rapl is not None and rapl is not None and rapl >= self._rapl:
            joules = rapl - self._rapl
        else:
            joules = cpu * self._assumed.watts_per_core
        joules += _gpu_joules() - self._gpu
        watt_hours = joules / 3600
        return {
            "seconds": round(time.monotonic() - self._wall, 2),
            "cpu_seconds": round(cpu, 2),
            "peak_memory_gb": round(_peak_bytes() / 1e9, 3),
            "energy_wh": round(watt_hours, 4),
            "co2_g": round(watt_hours / 1000 * self._assumed.grams_co2_per_kwh, 4),
        }


def _cpu_seconds() -> float:
    own = resource.getrusage(resource.RUSAGE_SELF)
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def _peak_bytes() -> int:
    """The largest resident set of this process; Linux counts in KiB, macOS in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _rapl_joules() -> float | None:
    try:
        return int((_RAPL / "energy_uj").read_text()) / 1e6
    except (OSError, ValueError):
        return None


def _gpu_joules() -> float:
    """Energy of all NVIDIA GPUs since the driver was loaded; 0 where torch has not touched one."""
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_available():
        return 0.0
    import pynvml

    pynvml.nvmlInit()
    handles = [pynvml.nvmlDeviceGetHandleByIndex(i) for i in range(pynvml.nvmlDeviceGetCount())]
    return sum(pynvml.nvmlDeviceGetTotalEnergyConsumption(handle) for handle in handles) / 1000
