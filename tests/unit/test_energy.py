"""What a stage is said to have cost, by counters made here."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from textmill import energy
from textmill.params import Energy

ASSUMED = Energy(watts_per_core=10.0, grams_co2_per_kwh=400.0)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Seconds of the wall and of the processor, which a test sets."""
    now = SimpleNamespace(wall=0.0, cpu=0.0)
    monkeypatch.setattr(energy.time, "monotonic", lambda: now.wall)
    monkeypatch.setattr(energy, "_cpu_seconds", lambda: now.cpu)
    return now


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The millijoules on the counters of GPUs; none: there is no NVML."""
    counters: list[int] = []

    class NVMLError(Exception):
        pass

    def init() -> None:
        if not counters:
            raise NVMLError

    nvml: Any = SimpleNamespace(
        NVMLError=NVMLError,
        nvmlInit=init,
        nvmlDeviceGetCount=lambda: len(counters),
        nvmlDeviceGetHandleByIndex=lambda i: i,
        nvmlDeviceGetTotalEnergyConsumption=lambda i: counters[i],
    )
    monkeypatch.setitem(sys.modules, "pynvml", nvml)
    return counters


def packages(monkeypatch: pytest.MonkeyPatch, folder: Path, *microjoules: int) -> None:
    """Set the counters of as many packages, which begin again at 262 kJ, and of a part of the first."""
    monkeypatch.setattr(energy, "_RAPL", folder)
    for name, value in [*((f"intel-rapl:{i}", v) for i, v in enumerate(microjoules)), ("intel-rapl:0:0", 7)]:
        (folder / name).mkdir(exist_ok=True)
        (folder / name / "energy_uj").write_text(f"{value}\n")
        (folder / name / "max_energy_range_uj").write_text("262000000000\n")


def test_what_was_on_the_counters_of_gpus_before_does_not_count(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, clock: SimpleNamespace, gpus: list[int]
) -> None:
    monkeypatch.setattr(energy, "_RAPL", tmp_path)
    gpus += [500_000_000, 1_000]
    meter = energy.Meter(ASSUMED)
    gpus[:] = [500_000_000 + 3_600_000, 1_000 + 7_200_000]
    clock.wall, clock.cpu = 60.0, 360.0
    cost = meter.read()
    assert cost["energy_wh"] == pytest.approx(1.0 + 3.0)  # 360 s at 10 W, and the GPUs
    assert cost["co2_g"] == pytest.approx(4.0 / 1000 * 400)


def test_without_a_gpu_or_a_counter_the_processor_is_estimated(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, clock: SimpleNamespace, gpus: list[int]
) -> None:
    monkeypatch.setattr(energy, "_RAPL", tmp_path)
    meter = energy.Meter(ASSUMED)
    clock.cpu = 360.0
    assert meter.read()["energy_wh"] == pytest.approx(1.0)


def test_all_packages_count_and_a_counter_may_begin_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, clock: SimpleNamespace, gpus: list[int]
) -> None:
    packages(monkeypatch, tmp_path, 261_990_000_000, 5_000_000)
    meter = energy.Meter(ASSUMED)
    packages(monkeypatch, tmp_path, 3_590_000_000, 3_605_000_000)
    clock.wall, clock.cpu = 60.0, 999.0
    assert meter.read()["energy_wh"] == pytest.approx(2.0)


def test_a_counter_that_may_have_begun_again_twice_is_not_believed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, clock: SimpleNamespace, gpus: list[int]
) -> None:
    packages(monkeypatch, tmp_path, 1_000_000)
    meter = energy.Meter(ASSUMED)
    packages(monkeypatch, tmp_path, 2_000_000)
    clock.wall, clock.cpu = 7200.0, 3600.0
    assert meter.read()["energy_wh"] == pytest.approx(10.0)
