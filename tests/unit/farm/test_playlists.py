"""The text of media playlists, and the rates of tracks."""

from __future__ import annotations

from farm.playlists import Track, media, target_s


def test_a_media_playlist_is_vod_with_exact_lengths() -> None:
    assert media((96096, 96096, 1001), 24000) == (
        "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:4\n#EXT-X-MEDIA-SEQUENCE:0\n#EXT-X-PLAYLIST-TYPE:VOD\n"
        '#EXT-X-INDEPENDENT-SEGMENTS\n#EXT-X-MAP:URI="init.mp4"\n#EXTINF:4.004000,\n0/0.m4s\n#EXTINF:4.004000,\n'
        "0/1.m4s\n#EXTINF:0.041708,\n0/2.m4s\n#EXT-X-ENDLIST\n"
    )


def test_a_short_last_segment_counts_only_with_the_one_before() -> None:
    burst = Track("720", "avc1", 1000, (4000, 4000, 100), (1000, 1000, 50_000))

    assert burst.peak_bps == -(-8 * 51_000 * 1000 // 4100)
    assert burst.average_bps == -(-8 * 52_000 * 1000 // 8100)


def test_one_short_segment_is_its_own_peak() -> None:
    only = Track("720", "avc1", 1000, (200,), (1000,))

    assert (only.peak_bps, target_s(only.ticks, only.timescale)) == (40_000, 1)
