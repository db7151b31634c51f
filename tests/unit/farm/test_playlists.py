"""The text of playlists, and the rates in them."""

from __future__ import annotations

from fractions import Fraction

from farm.playlists import Presentation, Track, ceilings, media, multivariant

SOUND = Track("audio-0", "mp4a.40.2", 48000, (188 * 1024, 187 * 1024, 94 * 1024), (64_000, 64_000, 32_000))


def track(name: str, width: int, size: int) -> Track:
    return Track(
        name, "avc1.64001f", 24000, (96096, 96096, 1001), (size, size // 2, 9_000), width=width, height=int(name)
    )


SHOWN = Presentation(
    "abc", (track("1080", 1920, 2_000_000), track("720", 1280, 1_000_000)), SOUND, Fraction(24000, 1001)
)


def test_a_media_playlist_is_vod_with_exact_lengths() -> None:
    assert media(track("720", 1280, 1_000_000)) == (
        "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:4\n#EXT-X-MEDIA-SEQUENCE:0\n#EXT-X-PLAYLIST-TYPE:VOD\n"
        '#EXT-X-INDEPENDENT-SEGMENTS\n#EXT-X-MAP:URI="init.mp4"\n#EXTINF:4.004000,\n0/0.m4s\n#EXTINF:4.004000,\n'
        "0/1.m4s\n#EXTINF:0.041708,\n0/2.m4s\n#EXT-X-ENDLIST\n"
    )


def test_a_multivariant_playlist_names_what_a_player_chooses_by() -> None:
    assert multivariant(SHOWN, SHOWN.pictures[1:]) == (
        "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-INDEPENDENT-SEGMENTS\n"
        '#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="sound",NAME="Original",DEFAULT=YES,AUTOSELECT=YES,CHANNELS="2",'
        'URI="../../abc/audio-0/index.m3u8"\n'
        "#EXT-X-STREAM-INF:BANDWIDTH=2126345,AVERAGE-BANDWIDTH=1627614,"
        'CODECS="avc1.64001f,mp4a.40.2",RESOLUTION=1280x720,FRAME-RATE=23.976,AUDIO="sound"\n'
        "../../abc/720/index.m3u8\n"
    )


def test_each_ceiling_lists_nothing_above_it_and_starts_modestly() -> None:
    texts = ceilings(SHOWN)

    assert list(texts) == ["1080", "720"]
    assert "/1080/" not in texts["720"]
    assert texts["1080"].index("/720/") < texts["1080"].index("/1080/")


def test_sound_alone_is_its_own_variant() -> None:
    assert ceilings(Presentation("abc", (), SOUND)) == {
        "audio": "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-INDEPENDENT-SEGMENTS\n"
        '#EXT-X-STREAM-INF:BANDWIDTH=128343,AVERAGE-BANDWIDTH=127932,CODECS="mp4a.40.2"\n'
        "../../abc/audio-0/index.m3u8\n"
    }


def test_a_short_last_segment_counts_only_with_the_one_before() -> None:
    burst = Track("720", "avc1", 1000, (4000, 4000, 100), (1000, 1000, 50_000))

    assert burst.peak_bps == -(-8 * 51_000 * 1000 // 4100)
    assert burst.average_bps == -(-8 * 52_000 * 1000 // 8100)


def test_one_short_segment_is_its_own_peak() -> None:
    only = Track("720", "avc1", 1000, (200,), (1000,))

    assert (only.peak_bps, only.target_s) == (40_000, 1)
