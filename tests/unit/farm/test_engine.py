"""Which builds of ffmpeg are new enough, which encoders exist, and a machine without a GPU."""

from __future__ import annotations

from types import SimpleNamespace

import pynvml
import pytest

from farm import gpu
from farm.encoders import ENCODERS, encoder
from farm.engine import new_enough
from shared.errors import Misconfigured
from shared.metrics import FARM_SESSIONS, GPU_CELSIUS, GPU_DECODER, GPU_ENCODER, GPU_MEMORY
from shared.need import GpuState


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


def missing(*_: object) -> None:
    raise pynvml.NVMLError(pynvml.NVML_ERROR_LIBRARY_NOT_FOUND)


def not_supported(*_: object) -> None:
    raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)


def test_a_machine_without_nvml_has_no_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pynvml, "nvmlInit", missing)

    assert (gpu.cards(), gpu.gpus(), gpu.driver()) == ([], [], "")


@pytest.fixture
def two_cards(monkeypatch: pytest.MonkeyPatch) -> None:
    """A card that encodes and one that does not, as NVML tells of them."""
    answers: dict[str, object] = {
        "nvmlInit": lambda: None,
        "nvmlShutdown": lambda: None,
        "nvmlSystemGetDriverVersion": lambda: "580.1",
        "nvmlDeviceGetCount": lambda: 2,
        "nvmlDeviceGetHandleByIndex": lambda index: index,
        "nvmlDeviceGetName": lambda card: ("NVIDIA L4", b"NVIDIA H200")[card],
        "nvmlDeviceGetMemoryInfo": lambda card: SimpleNamespace(free=(1 + card) << 30),
        "nvmlDeviceGetTemperature": lambda card, _: 40 + card,
        "nvmlDeviceGetDecoderUtilization": lambda card: [7 + card, 100_000],
        "nvmlDeviceGetEncoderUtilization": lambda card: not_supported() if card else [93, 100_000],
        "nvmlDeviceGetEncoderStats": lambda card: not_supported() if card else [3, 60, 900],
    }
    for name, answer in answers.items():
        monkeypatch.setattr(pynvml, name, answer)


@pytest.mark.usefixtures("two_cards")
def test_a_driver_that_is_reset_while_it_tells_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pynvml, "nvmlShutdown", missing)

    assert (len(gpu.cards()), gpu.driver()) == (2, "580.1")


@pytest.mark.usefixtures("two_cards")
def test_cards_are_told_and_shown_as_they_are_now() -> None:
    seen = gpu.watch()

    assert (
        [card.state for card in seen]
        == gpu.gpus()
        == [
            GpuState(0, "NVIDIA L4", 1 << 30, encoder_percent=93, decoder_percent=7, celsius=40),
            GpuState(1, "NVIDIA H200", 2 << 30, encoder_percent=None, decoder_percent=8, celsius=41),
        ]
    )
    assert [card.sessions for card in seen] == [3, 0]
    assert gpu.driver() == "580.1"
    gauges = (GPU_ENCODER, GPU_DECODER, GPU_CELSIUS, GPU_MEMORY)
    assert [gauge.labels("0")._value.get() for gauge in gauges] == [93, 7, 40, 1 << 30]
    assert [gauge.labels("1")._value.get() for gauge in gauges[1:]] == [8, 41, 2 << 30]
    assert FARM_SESSIONS._value.get() == 3
