"""The whole command line, for x264, NVENC, sound and poster."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import ffmpeg
import msgspec
import pytest

from farm import command
from farm.encoders import NVENC, X264
from farm.media import Cover, MediaInfo, Picture, Sound
from farm.plan import ChunkPlan, Plan, Recipe
from farm.planning import plan

BENCH = command.Bench("/bin/ffmpeg", Path("/masters/m"), Path("/bench"), threads=2)
HEAD = "/bin/ffmpeg -hide_banner -nostdin -nostats -loglevel warning -progress pipe:1 -y"
SOURCE = "-f mov -copyts -protocol_whitelist file -i file:/masters/m"
PICTURE = "-f mov -copyts -filter_complex_threads 2 -protocol_whitelist file -threads 2 -i file:/masters/m"
BARE = "-map_chapters -1 -map_metadata -1"
MUX = "-movflags +frag_keyframe+empty_moov+default_base_moof"


def planned(**changes: object) -> Plan:
    picture = Picture(0, "h264", 640, 360, 30000, 1001, True, 300, 0.5, 10.51)
    sound = Sound(1, "aac", 44100, 2, 0.4, 10.5)
    info = MediaInfo("mov", 1000, 500_000, msgspec.structs.replace(picture, **changes), sound)
    return plan(info, Recipe("t", "s", "x264", "b"))


def video(made: Plan, encoder: command.Encoder = X264, bench: command.Bench = BENCH) -> str:
    return shlex.join(command.video(made, made.pieces[0], bench, encoder=encoder))


def test_x264_makes_all_renditions_from_one_decode() -> None:
    graph = (
        "[0:0]setpts=round(PTS-0.500000/TB)[s0];[s0]fps=fps=30000/1001:start_time=0[s1];"
        "[s1]tpad=stop_duration=2.000:stop_mode=clone[s2];[s2]trim=end_frame=300[s3];"
        "[s3]zscale=640:360:filter=bicubic:param_a=0:param_b=0.6[s4];[s4]setsar=1[s5];[s5]format=yuv420p[s6];[s6]split=2[s7][s8];"
        "[s8]zscale=426:240:filter=bicubic:param_a=0:param_b=0.75[s9];[s9]setsar=1[s10];[s10]format=yuv420p[s11]"
    )

    def rendition(label: str, name: str, rates: tuple[str, str, str, str]) -> str:
        bufsize, crf, maxrate, level = rates
        return (
            f"-map '{label}' -f mp4 -bufsize {bufsize} -crf {crf} -fflags +bitexact -flags +cgop+bitexact -g 120 "
            f"-keyint_min 120 -level:v {level} {BARE} -maxrate {maxrate} {MUX} -preset veryfast -profile:v high "
            f"-sc_threshold 0 -threads 2 -use_editlist 0 -vcodec libx264 -video_track_timescale 30000 /bench/{name}.mp4"
        )

    assert video(planned()) == (
        f"{HEAD} {PICTURE} -filter_complex '{graph}' "
        f"{rendition('[s7]', '360', ('1600k', '23', '800k', '3.0'))} "
        f"{rendition('[s11]', '240', ('800k', '24', '400k', '2.1'))}"
    )


@pytest.mark.parametrize("other", [{"pix_fmt": "yuv422p10le"}, {"pix_fmt": "yuvj420p"}, {"hdr": True}])
def test_pixels_that_have_to_be_converted_are_scaled_by_swscale_first(other: dict[str, object]) -> None:
    argv = video(planned(**other))
    assert "scale=640:360:flags=bicubic[" in argv
    assert "zscale=426:240:filter=bicubic:param_a=0:param_b=0.75[" in argv


def test_nvenc_forces_each_keyframe_onto_the_grid() -> None:
    made = planned(width=426, height=240)
    graph = (
        "[0:0]setpts=round(PTS-0.500000/TB)[s0];[s0]fps=fps=30000/1001:start_time=0[s1];"
        "[s1]tpad=stop_duration=2.000:stop_mode=clone[s2];[s2]trim=end_frame=300[s3];"
        "[s3]zscale=426:240:filter=bicubic:param_a=0:param_b=0.6[s4];[s4]setsar=1[s5];[s5]format=yuv420p[s6]"
    )

    assert video(made, NVENC) == (
        f"{HEAD} {PICTURE} -filter_complex '{graph}' -map '[s6]' -f mp4 -b:v 0 -b_ref_mode middle -bf 3 -bufsize 800k "
        "-cq 25 -fflags +bitexact -flags +cgop+bitexact -force_key_frames 'expr:eq(mod(n,120),0)' -forced-idr 1 "
        f"-g 120 -level:v 2.1 {BARE} -maxrate 400k {MUX} -multipass qres -no-scenecut 1 -preset p5 -profile:v high "
        "-rc vbr -rc-lookahead 20 -spatial-aq 1 -strict_gop 1 -threads 2 -tune hq -use_editlist 0 -vcodec h264_nvenc "
        "-video_track_timescale 30000 /bench/240.mp4"
    )


def test_ffmpeg_chooses_its_threads_when_none_are_set() -> None:
    assert "-threads" not in video(planned(), bench=msgspec.structs.replace(BENCH, threads=0))


def test_a_later_chunk_is_decoded_from_the_time_its_plan_names() -> None:
    made = planned(width=426, height=240)
    argv = shlex.join(command.video(made, ChunkPlan("1", 120, 60, seek_us=3_900_000), BENCH, encoder=X264))

    assert "-noaccurate_seek -protocol_whitelist file -seek_timestamp 1 -ss 3.900001 -threads 2 -i file:" in argv
    assert "setpts=round(PTS-4.504000/TB)" in argv
    assert "trim=end_frame=60" in argv


def test_a_chunk_without_a_keyframe_to_seek_is_decoded_from_the_start() -> None:
    argv = command.video(planned(), ChunkPlan("1", 120, 60), BENCH, encoder=X264)

    assert "-ss" not in argv


def test_only_the_end_of_the_picture_may_be_held() -> None:
    made = planned(width=426, height=240)
    ends = [
        shlex.join(command.video(made, piece, BENCH, encoder=X264))
        for piece in (
            ChunkPlan("0", 0, 120),
            ChunkPlan("1", 120, 180),
        )
    ]

    assert ["tpad=stop_duration=2.000" in argv for argv in ends] == [False, True]


def copied(made: Plan) -> Plan:
    """The same plan with the top rung copied."""
    video = made.picture
    top = msgspec.structs.replace(video.renditions[0], copied=True)
    return msgspec.structs.replace(made, video=msgspec.structs.replace(video, renditions=(top, *video.renditions[1:])))


def test_a_copied_rung_takes_the_packets_and_the_next_is_scaled_from_the_source() -> None:
    argv = shlex.join(command.video(copied(planned()), ChunkPlan("1", 120, 180, 3_000_000), BENCH, encoder=X264))

    assert argv.count("libx264") == 1
    assert "trim=end_frame=180[s3];[s3]zscale=426:240" in argv
    assert argv.endswith(
        f"-map 0:0 -f mp4 -fflags +bitexact {BARE} -min_frag_duration 3987316 {MUX} -use_editlist 0 "
        "-vcodec copy -vframes 180 -video_track_timescale 30000 /bench/360.mp4"
    )


def test_a_copied_rung_is_sought_at_its_first_frame_which_is_a_keyframe() -> None:
    argv = shlex.join(command.video(copied(planned()), ChunkPlan("1", 120, 180, 3_000_000), BENCH, encoder=X264))

    assert "-ss 4.504001 " in argv


def test_a_master_of_one_rung_may_be_copied_without_decoding() -> None:
    argv = command.video(copied(planned(width=426, height=240)), ChunkPlan("0", 0, 300), BENCH, encoder=X264)

    assert "-filter_complex" not in argv
    assert argv.count("-map") == 1


def test_interlaced_and_hdr_pictures_are_brought_to_what_every_player_shows() -> None:
    argv = re.sub(r"\[s\d+\]", "", video(planned(interlaced=True, hdr=True)))

    assert "[0:0]bwdif=mode=send_frame;setpts" in argv
    assert (
        ";zscale=npl=100:t=linear;format=pix_fmts=gbrpf32le;zscale=p=bt709;tonemap=hable:desat=0;"
        "zscale=m=bt709:r=tv:t=bt709;scale=640:360" in argv
    )


def test_sound_starts_where_the_picture_does_and_fills_its_length() -> None:
    graph = (
        "[0:1]asetpts=PTS-0.500000/TB[s0];[s0]aresample=48000:async=1:first_pts=0[s1];"
        "[s1]aformat=channel_layouts=stereo:sample_fmts=fltp:sample_rates=48000[s2];[s2]ebur128=metadata=1[s3];"
        "[s3]ametadata=print:file=/bench/audio-0.I.txt:key=lavfi.r128.I[s4];[s4]apad=whole_len=480480[s5];"
        "[s5]atrim=end_sample=480480:start_sample=1024[s6];[s6]asetpts=PTS-STARTPTS[s7]"
    )

    assert shlex.join(command.sound(planned(), BENCH)) == (
        f"{HEAD} {SOURCE} -filter_complex '{graph}' -map '[s7]' -f mp4 -b:a 128k -acodec aac -fflags +bitexact "
        f"-flags:a +bitexact -frag_duration 10000000 {BARE} -movflags +empty_moov+default_base_moof -use_editlist 0 "
        "/bench/audio-0.mp4"
    )


def test_silence_is_made_where_there_is_no_sound() -> None:
    info = MediaInfo("mov", 1000, 0, Picture(0, "h264", 640, 360, 25, 1, True, 100, 0.0, 4.0), None)
    argv = shlex.join(command.sound(plan(info, Recipe("t", "s", "x264", "b")), BENCH))

    assert "-f lavfi -i anullsrc=channel_layout=stereo:sample_rate=48000:duration=5.000" in argv
    assert "/masters/m" not in argv


def test_the_poster_is_one_frame_from_its_place() -> None:
    assert shlex.join(command.poster(planned(), BENCH, at_s=1.001)) == (
        f"{HEAD} -f mov -copyts -protocol_whitelist file -ss 1.001 -i file:/masters/m -filter_complex "
        "'[0:0]scale=640:360:flags=bicubic[s0];[s0]setsar=1[s1]' -map '[s1]' -f image2 -fflags +bitexact "
        "-flags:v +bitexact -pix_fmt yuvj420p -q:v 3 -update 1 -vcodec mjpeg -vframes 1 /bench/poster.jpg"
    )


def test_a_cover_is_taken_without_seeking_and_a_missing_one_is_drawn() -> None:
    sound = Sound(0, "mp3", 44100, 2, 0.0, 10.0)
    recipe = Recipe("t", "s", "x264", "b")
    covered = plan(MediaInfo("mp3", 1000, 0, None, sound, Cover(1, 600, 600)), recipe)
    bare = plan(MediaInfo("mp3", 1000, 0, None, sound), recipe)

    assert "-ss" not in command.poster(covered, BENCH, at_s=0)
    assert "[0:1]scale=600:600" in shlex.join(command.poster(covered, BENCH, at_s=0))
    assert "showwavespic" in shlex.join(command.poster(bare, BENCH, at_s=0))


def test_the_graph_compiler_is_ffmpeg_python() -> None:
    assert ffmpeg.__file__ is not None
    assert (Path(ffmpeg.__file__).parent / "_run.py").exists()
