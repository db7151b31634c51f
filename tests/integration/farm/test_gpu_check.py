"""`usher gpu-check`: driver, cards, each encoder class tried for real, and which one the farm would take."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from farm import gpu
from infra.cli.gpu import check
from shared.need import GpuState
from tests.support.fake_ffmpeg import fake_ffmpeg

L4 = gpu.Card(GpuState(0, "NVIDIA L4", 22 << 30, encoder_percent=93, decoder_percent=7, celsius=41), sessions=3)
H200 = gpu.Card(GpuState(0, "NVIDIA H200", 139 << 30, decoder_percent=0, celsius=30), sessions=0)


@pytest.mark.parametrize(
    ("how", "cards", "told"),
    [
        (
            "out-of-memory",
            [L4],
            {
                "driver": "580.1",
                "card 0": "NVIDIA L4, 22.0 GiB free, 41 °C, encoder 93 % busy, decoder 7 % busy, "
                "3 encoder sessions open",
                "x264": "encodes",
                "nvenc": "encodes",
                "hybrid": "encodes",
                "auto takes": "nvenc",
                "sessions": "5",
            },
        ),
        (
            "no-unit",
            [H200],
            {
                "card 0": "NVIDIA H200, 139.0 GiB free, 30 °C, encoder not told, decoder 0 % busy, "
                "0 encoder sessions open",
                "nvenc": "no: ffmpeg gave up (1): Error while opening encoder (",
                "hybrid": "encodes",
                "auto takes": "hybrid",
            },
        ),
        (
            "no-libcuda",
            [],
            {"driver": "none: NVML finds no NVIDIA driver", "nvenc": "no: ", "hybrid": "no: ", "auto takes": "x264"},
        ),
    ],
)
def test_what_a_machine_does_for_the_farm_is_told_line_by_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    *,
    how: str,
    cards: list[gpu.Card],
    told: dict[str, str],
) -> None:
    monkeypatch.setattr(gpu, "cards", lambda: cards)
    monkeypatch.setattr(gpu, "driver", lambda: "580.1" if cards else "")
    monkeypatch.setenv("USHER_FFMPEG", program := fake_ffmpeg(tmp_path, how, cap=5))

    assert check(argparse.Namespace()) == 0

    lines = {line[:12].strip(): line[13:] for line in capsys.readouterr().out.splitlines()}
    assert lines["ffmpeg"].startswith(program)
    assert {what: lines[what][: len(words)] for what, words in told.items()} == told
    assert ("sessions" in lines) == ("sessions" in told)


def test_a_machine_without_ffmpeg_says_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("USHER_FFMPEG", "/nowhere/ffmpeg")

    assert check(argparse.Namespace()) == 2
    assert "/nowhere/ffmpeg does not run" in capsys.readouterr().err
