"""Encoder classes: whole command lines on a card, which codec is made where, and what ffmpeg's words mean."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Literal

import msgspec
import pytest

from farm import command
from farm.encoders import ENCODERS, HYBRID, NVENC, X264, encoder
from farm.encoders.cards import decoding
from farm.encoders.failures import gone, is_full, why_replan
from farm.grid import grid
from farm.media import MediaInfo, Picture
from farm.plan import Plan, Recipe
from farm.planning import plan
from shared.errors import EncodeFailed
from shared.ladder import Rendition, Rung

BENCH = command.Bench("/bin/ffmpeg", Path("/masters/m"), Path("/bench"))
PICTURE = Picture(0, "h264", 640, 360, 25, 1, True, 200, 0.0, 8.0)
SMALL = Rendition("240", 426, 240, 24, 400, level=21)
HEAD = (
    "/bin/ffmpeg -hide_banner -nostdin -nostats -loglevel warning -progress pipe:1 -y -f mov -copyts "
    "-extra_hw_frames 8 -hwaccel cuda -hwaccel_output_format cuda -init_hw_device cuda -protocol_whitelist file "
    "-i file:/masters/m"
)
GRID = (
    "[0:0]format=cuda|nv12|yuv420p[s0];[s0]hwupload[s1];[s1]setpts=round(PTS-0.000000/TB)[s2];"
    "[s2]fps=fps=25/1:start_time=0[s3];[s3]tpad=stop_duration=2.000:stop_mode=clone[s4];[s4]trim=end_frame=200[s5];"
)
MUX = "-movflags +frag_keyframe+empty_moov+default_base_moof"


def planned(*rungs: Rung, decode: Literal["cpu", "cuda"] = "cuda", interlaced: bool = False) -> Plan:
    """Eight seconds of 640x360 in these rungs."""
    info = MediaInfo("mov", 1000, 0, msgspec.structs.replace(PICTURE, interlaced=interlaced))
    made = plan(info, Recipe("t", "s", "nvenc", "b", ladder=rungs))
    return msgspec.structs.replace(made, video=msgspec.structs.replace(made.picture, decode=decode))


def video(made: Plan, on: command.Encoder) -> str:
    return shlex.join(command.video(made, made.pieces[0], BENCH, encoder=on))


def test_nvenc_decodes_scales_and_encodes_on_the_card() -> None:
    made = planned(Rung(360, 23, 800), Rung(240, 24, 400))

    def rendition(label: str, name: str, *, cq: int, kbps: int, level: str) -> str:
        return (
            f"-map '{label}' -f mp4 -b:v 0 -b_ref_mode middle -bf 3 -bufsize {2 * kbps}k -cq {cq} -fflags +bitexact "
            f"-flags +cgop+bitexact -force_key_frames 'expr:eq(mod(n,100),0)' -forced-idr 1 -g 100 -level:v {level} "
            f"-map_chapters -1 -map_metadata -1 -maxrate {kbps}k {MUX} -multipass qres -no-scenecut 1 -preset p5 "
            "-profile:v high -rc vbr -rc-lookahead 20 -spatial-aq 1 -strict_gop 1 -tune hq -use_editlist 0 "
            f"-vcodec h264_nvenc -video_track_timescale 12800 /bench/{name}.mp4"
        )

    assert video(made, NVENC) == (
        f"{HEAD} -filter_complex '{GRID}[s5]scale_cuda=640:360:format=nv12:interp_algo=bicubic:passthrough=0[s6];"
        "[s6]setsar=1[s7];[s7]split=2[s8][s9];"
        "[s9]scale_cuda=426:240:format=nv12:interp_algo=bicubic:passthrough=0[s10];[s10]setsar=1[s11]' "
        f"{rendition('[s8]', '360', cq=24, kbps=800, level='3.0')} "
        f"{rendition('[s11]', '240', cq=25, kbps=400, level='2.1')}"
    )


def test_hybrid_brings_pictures_back_for_x264() -> None:
    assert video(planned(Rung(240, 24, 400)), HYBRID) == (
        f"{HEAD} -filter_complex '{GRID}[s5]scale_cuda=426:240:format=nv12:interp_algo=bicubic:passthrough=0[s6];"
        "[s6]setsar=1[s7];[s7]hwdownload[s8];[s8]format=nv12[s9]' -map '[s9]' -f mp4 -bufsize 800k -crf 24 "
        "-fflags +bitexact -flags +cgop+bitexact -g 100 -keyint_min 100 -level:v 2.1 -map_chapters -1 -map_metadata -1 "
        f"-maxrate 400k {MUX} -preset veryfast -profile:v high -sc_threshold 0 -use_editlist 0 -vcodec libx264 "
        "-video_track_timescale 12800 /bench/240.mp4"
    )


def test_an_av1_rung_is_made_by_the_cpu_whatever_makes_the_others() -> None:
    argv = re.sub(r"\[s\d+\]", "", video(planned(Rung(360, 23, 800), Rung(240, 35, 300, "av1")), NVENC))

    assert "scale_cuda=426:240:format=nv12:interp_algo=bicubic:passthrough=0;setsar=1;hwdownload;format=nv12" in argv
    assert argv.count("h264_nvenc") == 1
    assert (
        "-f mp4 -bufsize 600k -crf 35 -fflags +bitexact -flags +cgop+bitexact -g 100 -map_chapters -1 "
        f"-map_metadata -1 -maxrate 300k {MUX} -preset 10 -svtav1-params scd=0 -use_editlist 0 -vcodec libsvtav1 "
        "-video_track_timescale 12800 /bench/240.mp4"
    ) in argv


def test_interlaced_pictures_are_mended_on_the_card() -> None:
    assert "hwupload[s1];[s1]yadif_cuda=mode=send_frame[s2];[s2]setpts" in video(
        planned(Rung(240, 24, 400), interlaced=True), NVENC
    )


@pytest.mark.parametrize("name", ENCODERS)
def test_no_class_makes_a_codec_it_does_not_know(name: str) -> None:
    with pytest.raises(EncodeFailed, match=f"{name} makes no vp9"):
        encoder(name).options(msgspec.structs.replace(SMALL, codec="vp9"), grid(25))  # type: ignore[arg-type]


def test_only_what_the_encoder_unit_makes_takes_a_session() -> None:
    made = (SMALL, msgspec.structs.replace(SMALL, codec="av1"), msgspec.structs.replace(SMALL, copied=True), SMALL)

    assert [one.sessions(made) for one in (X264, NVENC, HYBRID)] == [0, 2, 0]


@pytest.mark.parametrize(
    ("facts", "nvenc", "hybrid"),
    [
        ({}, "cuda", "cuda"),
        ({"codec": "hevc", "pix_fmt": "yuv420p10le"}, "cuda", "cuda"),
        ({"pix_fmt": "yuv420p10le"}, "cuda", "cpu"),
        ({"codec": "prores", "pix_fmt": "yuv422p10le"}, "cuda", "cpu"),
        ({"hdr": True, "codec": "hevc", "pix_fmt": "yuv420p10le"}, "cpu", "cpu"),
        ({"rotation": 90}, "cpu", "cpu"),
        ({"rotation": 360}, "cuda", "cuda"),
    ],
    ids=["plain", "ten bits", "no card decodes it", "not a codec of cards", "hdr", "turned", "turned all round"],
)
def test_a_card_decodes_what_it_can_and_takes_what_it_shall_encode(
    facts: dict[str, object], nvenc: str, hybrid: str
) -> None:
    picture = msgspec.structs.replace(PICTURE, **facts)

    assert [decoding(one, picture) for one in (X264, NVENC, HYBRID)] == ["cpu", nvenc, hybrid]


@pytest.mark.parametrize(
    ("line", "full", "lost"),
    [
        ("[h264_nvenc @ 0x1] OpenEncodeSessionEx failed: out of memory (10): (no details)", True, False),
        ("[h264_nvenc @ 0x1] OpenEncodeSessionEx failed: incompatible client key (21)", True, False),
        ("[h264_nvenc @ 0x1] OpenEncodeSessionEx failed: unsupported device (2): (no details)", False, True),
        ("[h264_nvenc @ 0x1] Cannot load libcuda.so.1", False, True),
        ("[h264_nvenc @ 0x1] Cannot load libnvidia-encode.so.1", False, True),
        ("cu->cuMemAlloc(..) failed -> CUDA_ERROR_OUT_OF_MEMORY: out of memory", False, False),
        ("cu->cuCtxPushCurrent(..) failed -> CUDA_ERROR_LAUNCH_FAILED: unspecified launch failure", False, True),
        ("[h264_nvenc @ 0x1] Failed locking bitstream buffer: generic error (20)", False, True),
        ("Conversion failed!", False, False),
    ],
)
def test_words_of_a_full_card_a_lost_card_and_others_are_told_apart(line: str, full: bool, lost: bool) -> None:
    error = EncodeFailed("ffmpeg gave up", lines=["frame=1", line, "Conversion failed!"])

    assert (is_full(error), gone(error)) == (full, line if lost else None)


def test_only_what_no_attempt_can_mend_is_planned_anew() -> None:
    assert why_replan(EncodeFailed("ffmpeg gave up", lines=["Cannot load libcuda.so.1"])) is None
    assert why_replan(EncodeFailed("this machine's card has no encoder unit", code="no-encoder")) is None
    for code in ("no-card", "too-few-sessions", "no-session"):
        assert why_replan(EncodeFailed("it is dead", code=code)) == "it is dead"
