"""Which builds of ffmpeg are new enough, which encoders exist, and a machine without a GPU."""

from __future__ import annotations

import pytest

from farm import gpu
from farm.encoders import ENCODERS, encoder
from farm.engine import new_enough
from shared.errors import Misconfigured


@pytest.mark.parametrize("build", ["5.1.9-0+deb12u1", "n9.0.2-17-g2a571b6068", "6.0", "10.0", "N-112233-gabcdef"])
def test_builds_from_5_1_on_are_taken(build: str) -> None:
    assert new_enough(build)


@pytest.mark.parametrize("build", ["4.4.1", "5.0.3", "n4.4", "2.8"])
def test_older_builds_are_not(build: str) -> None:
    assert not new_enough(build)


def test_an_unknown_encoder_stops_the_start() -> None:
    assert [encoder(name).name for name in ENCODERS] == ["x264", "nvenc", "hybrid"]
    with pytest.raises(Misconfigured, match="av1"):
        encoder("av1")


def test_a_machine_without_nvml_has_no_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> None:
        raise gpu.pynvml.NVMLError(gpu.pynvml.NVML_ERROR_LIBRARY_NOT_FOUND)

    monkeypatch.setattr(gpu.pynvml, "nvmlInit", missing)

    assert gpu.gpus() == []
