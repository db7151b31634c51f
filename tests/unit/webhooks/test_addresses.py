"""Where webhooks may be sent: addresses in a strict form, and no IP address that leads inside."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.control.webhooks.addresses import is_public, may_reach, read
from shared.errors import Invalid

INSIDE = [
    *("127.0.0.1", "127.9.9.9", "0.1.2.3", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1"),
    *("169.254.169.254", "169.254.0.1", "100.64.0.1", "100.100.100.200", "100.127.255.255", "192.0.0.192"),
    *("168.63.129.16", "192.88.99.1", "198.18.0.1", "192.0.2.1", "203.0.113.7", "224.0.0.1", "239.1.2.3"),
    *("240.0.0.1", "255.255.255.255", "::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254"),
    *("ff02::1", "fec0::1", "2001:db8::1", "::ffff:127.0.0.1", "::ffff:8.8.8.8", "::ffff:169.254.169.254"),
    *("::127.0.0.1", "::ffff:0:10.0.0.1", "64:ff9b::a9fe:a9fe", "64:ff9b::808:808", "64:ff9b:1::a00:1"),
    *("2002:7f00:1::", "2002:a9fe:a9fe::1", "2001:0:4136:e378:8000:63bf:3fff:fdd2", "", "shop.example", "127.1"),
]
OUTSIDE = ["8.8.8.8", "1.1.1.1", "172.15.0.1", "172.32.0.1", "100.63.0.1", "100.128.0.1", "2606:4700::1111"]


@pytest.mark.parametrize("address", INSIDE)
def test_address_inside_is_not_public(address: str) -> None:
    assert not is_public(address) and not may_reach("shop.example", address)


@pytest.mark.parametrize("address", OUTSIDE)
def test_address_of_the_internet_is_public(address: str) -> None:
    assert is_public(address) and may_reach("shop.example", address, loopback=True)


@given(st.ip_addresses(v=4))
def test_public_address_is_refused_in_all_its_other_clothes(address: object) -> None:
    for clothes in ("::ffff:{}", "::{}", "64:ff9b::{}", "::ffff:0:{}"):
        assert not is_public(clothes.format(address))


@pytest.mark.parametrize(
    "url",
    [
        "https://shop.example/hooks",
        "https://shop.example",
        "https://shop.example:8443/a/b?c=d&e=%20",
        "https://SHOP.example./x",
        "https://8.8.8.8/x",
        "https://[2606:4700::1111]/x",
        "https://xn--bcher-kva.example/x",
    ],
)
def test_public_https_address_is_read(url: str) -> None:
    assert read(url).url == url and not read(url).is_local


@pytest.mark.parametrize(
    "url",
    [
        *("http://shop.example/x", "ftp://shop.example/x", "//shop.example/x", "shop.example", "", "https://"),
        *("https://user:pass@shop.example/x", "https://shop.example@10.0.0.1/", "https://shop.example/x#y"),
        *("https://shop.example\\@10.0.0.1/", "https://shop.example/\\..", "https://shop.example/a b"),
        *("https://shop.example/x\n", "https://shop.example/x\r\nHost: y", "https://shop.example\x00/"),
        *("https://shop.example:0/", "https://shop.example:65536/", "https://shop.example:http/"),
        *("https://bücher.example/x", "https://shop_1.example/x", "https://intranet/x", "https://[fe80::1%25eth0]/"),
        *("https://127.0.0.1/x", "https://[::1]/x", "https://localhost/x", "https://a.localhost/x", "https://LOCALHOST."),
        *("https://10.0.0.1/x", "https://169.254.169.254/latest/meta-data", "https://[::ffff:10.0.0.1]/"),
        *("https://[64:ff9b::a9fe:a9fe]/", "https://2130706433/", "https://0x7f000001/", "https://127.1/"),
        *("https://0x7f.1/", "https://0177.0.0.1/", "https://8.8.2056/", "https://shop.example.0x/", "https://shop.1./"),
        "https://shop.example/" + "x" * 2000,
    ],
)  # fmt: skip
def test_other_address_is_refused_with_words(url: str) -> None:
    with pytest.raises(Invalid) as refused:
        read(url)
    assert refused.value.code == "bad-address" and str(refused.value)


def test_this_machine_is_reached_where_a_setting_allows_it_and_nothing_else_inside() -> None:
    for url in ("http://127.0.0.1:8080/x", "http://localhost/x", "http://a.localhost/x", "https://[::1]:8443/x"):
        assert read(url, loopback=True).is_local
    for url in ("http://10.0.0.1/", "http://shop.example/", "https://10.0.0.1/", "https://169.254.169.254/"):
        with pytest.raises(Invalid):
            read(url, loopback=True)
    assert may_reach("a.localhost", "127.0.0.1", loopback=True) and not may_reach("a.localhost", "127.0.0.1")
    assert not may_reach("a.localhost", "8.8.8.8", loopback=True)
    assert not may_reach("shop.example", "169.254.169.254", loopback=True)
