"""CMCD: what the standard's examples and real players say, and what nobody may make the edge believe."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.edge import cmcd
from gateway.edge.cmcd import Cmcd, Report, parse
from shared.flags import Flags
from shared.metrics import REGISTRY

SID = 'sid="6e2fb550-c457-11e9-bb97-0800200c9a66"'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (SID, Report()),
        (f"br=3200,bs,d=4004,mtp=25400,ot=v,rtp=15000,{SID},tb=6000",
         Report(object="video", starved=True, bitrate_kbps=3200, throughput_kbps=25400)),
        (f"bs,rtp=15000,{SID}", Report(starved=True)),
        ("bs,su", Report(starved=True, wants_start=True)),
        ("d=4004,com.example-myNumericKey=500", Report()),
        (f'd=4004,com.example-myStringKey="myStringValue",{SID}', Report()),
        (r'nor="..%2F300kbps%2Fsegment35.m4v",sid="a \"quoted\" sid",pr=1.08', Report(rate=1.08)),
        (f'nrr="12323-48763",{SID}', Report()),
        ("bl=21300,br=3200,com.example-hello=\"world\",ot=av,sf=h,st=v",
         Report(object="muxed", buffer_ms=21300, bitrate_kbps=3200)),
        ("pr=0,ot=i", Report(object="init", rate=0.0)),
        ("su=?0,bs=?1,v=2", Report(version=2, starved=True)),
        ("br=(5000;v 128;a),bl=(4000;v 6100;a),ot=a,v=2",
         Report(version=2, object="audio", bitrate_kbps=128, buffer_ms=6100)),
        ("br=(5000),bl=(4000),msd=1250,ot=v,sta=p,v=2",
         Report(version=2, object="video", bitrate_kbps=5000, buffer_ms=4000, startup_ms=1250)),
        ("bs,bsa=(2),bsd=(700;v 20;a),bsda=(900),ot=v,v=2",
         Report(version=2, object="video", starved=True, stall_ms=700)),
        ('nor=("1.m4s";r="0-99" "2.m4s"),ot=m,v=2', Report(version=2, object="manifest")),
        ("br=(5000;ot=v 128;ot=a),ot=a,v=2", Report(version=2, object="audio", bitrate_kbps=128)),
        ("bl=() , ot=tt,v=2", Report(version=2, object="timed-text")),
        ("bl=1000,bl=2000", Report(buffer_ms=2000)),
    ],
)  # fmt: skip
def test_report_is_read_as_the_standard_writes_it(text: str, said: Report) -> None:
    assert parse(text) == said


@pytest.mark.parametrize(
    "text",
    ["", ",", "=1", "bl=", "bl=1,", "bl=1;;", "bl=1 br=2", 'sid="open', 'sid="\\x"', "bl=(1 2", "bl=?2", "9a=1",
     "bl=1\n", "bl=99999999999999999", "sid=\"é\"", "su,,bs", "(1)", "bl==1"],
)  # fmt: skip
def test_what_is_not_of_the_form_is_no_report(text: str) -> None:
    assert parse(text) is None


@pytest.mark.parametrize("text", ["bl=-5", 'bl="5"', "bl=fast", "bl", "bl=?1", "bl=(a b)", 'bl=("7")'])
def test_impossible_number_is_left_out(text: str) -> None:
    assert parse(text) == Report()


@pytest.mark.parametrize("word", ["xx", "video", "V", "?1", "7", '"v"'])
def test_unknown_object_makes_no_label(word: str) -> None:
    report = parse(f"ot={word}")
    assert report is not None and report.object == "unknown"


def test_report_is_bounded_in_length_and_keys() -> None:
    assert parse("bl=1," + ",".join(f"k{n}" for n in range(60))) is not None
    assert parse("bl=1," + ",".join(f"k{n}" for n in range(90))) is None
    assert parse(f'sid="{"x" * 4000}"') is not None
    assert parse(f'sid="{"x" * 5000}"') is None


@given(st.text(max_size=300) | st.text('abl=(),;?1"\\ .-v', max_size=300))
def test_no_text_breaks_the_parser(text: str) -> None:
    report = parse(text)
    assert report is None or report.object in {*cmcd.OBJECTS.values(), "unknown"}


NUMBERS = st.integers(0, 10**9)


@given(bl=NUMBERS, br=NUMBERS, mtp=NUMBERS, kind=st.sampled_from(sorted(cmcd.OBJECTS)), su=st.booleans())
def test_what_a_player_writes_comes_back(bl: int, br: int, mtp: int, *, kind: str, su: bool) -> None:
    one = f"bl={bl},br={br},mtp={mtp},ot={kind},{SID}" + (",su" if su else "")
    two = f"bl=({bl}),br=(1;x {br};{kind}),mtp=({mtp}),ot={kind},{SID},su=?{su:d},v=2"
    first, second = parse(one), parse(two)
    assert first is not None and second is not None
    assert first.buffer_ms == second.buffer_ms == bl
    assert first.bitrate_kbps == second.bitrate_kbps == br
    assert first.throughput_kbps == second.throughput_kbps == mtp
    assert first.object == second.object == cmcd.OBJECTS[kind]
    assert (first.wants_start, second.wants_start, first.version, second.version) == (su, su, 1, 2)


@given(st.text(max_size=200))
def test_argument_comes_back_from_any_query(text: str) -> None:
    text = text.encode(errors="replace").decode()
    assert cmcd.from_query(f"a=b&CMCD={quote(text, safe='')}&c") == text


@pytest.mark.parametrize("query", ["", "CMCD", "xCMCD=bl%3D1", "cmcd=bl%3D1", "a=CMCD=1"])
def test_no_argument_is_no_report(query: str) -> None:
    assert cmcd.from_query(query) is None


def noted(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


@pytest.fixture
def noting() -> Cmcd:
    made = Cmcd(Flags(None, None), edge="edge")  # type: ignore[arg-type]
    made.is_on = True
    return made


OF_VIDEO = {"object": "video"}


@pytest.mark.parametrize(
    ("name", "labels", "gained"),
    [
        ("usher_qoe_buffer_seconds_sum", OF_VIDEO, 2.5),
        ("usher_qoe_bitrate_bps_sum", OF_VIDEO, 4e6),
        ("usher_qoe_stalls_total", OF_VIDEO, 1),
        ("usher_qoe_starting_total", OF_VIDEO, 1),
        ("usher_qoe_startup_seconds_sum", {}, 1.5),
        ("usher_qoe_stall_seconds_sum", {}, 0.25),
        ("usher_qoe_throughput_bps_sum", {}, 9e6),
        ("usher_qoe_rate_sum", {}, 2),
    ],
)
def test_reports_become_metrics(noting: Cmcd, name: str, labels: dict[str, str], gained: float) -> None:
    before = noted(name, **labels)
    noting.note("CMCD=" + quote("bl=2000,br=3000,bs,ot=v,pr=2,su,mtp=9000", safe=""))
    noting.note("", "ot=v,br=(1000),bl=(500),msd=1500,bsd=(250),v=2")
    assert noted(name, **labels) - before == pytest.approx(gained)


@pytest.mark.parametrize("query", ["CMCD=%", "CMCD=%ff%fe", "CMCD=" + "a" * 20000, "CMCD=bl%3D1%2C"])
def test_garbage_is_counted_and_nothing_else(noting: Cmcd, query: str) -> None:
    before = noted("usher_qoe_reports_total", version="malformed")
    noting.note(query)
    assert noted("usher_qoe_reports_total", version="malformed") == before + 1


def test_nothing_is_noted_while_the_flag_is_off(noting: Cmcd) -> None:
    noting.is_on = False
    before = noted("usher_qoe_reports_total", version="v1")
    noting.note("CMCD=bl%3D1")
    assert noted("usher_qoe_reports_total", version="v1") == before
