"""The other side: nginx as somebody who knows it well would set it up, as text."""

from __future__ import annotations

import base64
import hashlib
import os
from pathlib import Path

import msgspec

from benchmarks.stage import Stage
from infra.stack.child import Spec
from infra.stack.probe import Probe

SECRET = "bench-secret"  # noqa: S105 - of a server that lives for minutes on loopback
EXPIRES = 4_102_444_800
CIPHER = "TLS_AES_256_GCM_SHA384"

_FRAME = """\
{user}worker_processes 1;
worker_rlimit_nofile 16384;
daemon off;
pid {folder}/pid;
error_log {folder}/error.log error;
events {{ worker_connections 8192; }}
http {{
  access_log off;
  sendfile on;
  tcp_nopush on;
  tcp_nodelay on;
  keepalive_requests 1000000000;
  keepalive_timeout 300s;
  large_client_header_buffers 8 4k;
  open_file_cache max=10000 inactive=300s;
  open_file_cache_valid 300s;
  types {{ video/iso.segment m4s; application/vnd.apple.mpegurl m3u8; }}
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
{http}
}}
"""

_ORIGIN = """\
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    root {bucket};
  }}
"""

_MEDIA_CACHE = """\
  proxy_cache_path {folder}/media levels=1:2 keys_zone=media:16m max_size=4g inactive=1h use_temp_path=off;
  upstream origin {{ server 127.0.0.1:{origin}; keepalive 64; keepalive_requests 1000000000; }}
"""

_FROM_CACHE = """\
      proxy_cache media;
      proxy_cache_valid 200 1h;
      proxy_cache_lock on;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
"""

_SECURE_LINK = """\
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    listen 127.0.0.1:{tls_port} ssl backlog=4096;
    ssl_certificate {certificate};
    ssl_certificate_key {key};
    ssl_protocols TLSv1.3;
    ssl_conf_command Ciphersuites {cipher};
    location /v/ {{
      secure_link $arg_md5,$arg_expires;
      secure_link_md5 "$secure_link_expires$arg_sid$uri {secret}";
      if ($secure_link = "") {{ return 403; }}
      if ($secure_link = "0") {{ return 410; }}
      proxy_cache_key $uri;
      proxy_pass http://origin$uri;
{from_cache}    }}
  }}
"""

_LINK_BY_PATH = """\
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location ~ "^/s/(?<md5>[^/]+)/(?<until>[0-9]+)/(?<sid>[^/]+)(?<media>/v/.+)$" {{
      secure_link $md5,$until;
      secure_link_md5 "$secure_link_expires$sid {secret}";
      if ($secure_link = "") {{ return 403; }}
      if ($secure_link = "0") {{ return 410; }}
      proxy_cache_key $media;
      proxy_pass http://origin$media;
{from_cache}    }}
  }}
"""

_AUTH_REQUEST = """\
{auth_cache}  upstream verifier {{ server 127.0.0.1:{verifier}; keepalive 64; keepalive_requests 1000000000; }}
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location ~ "^/t/(?<token>[^/]+)(?<media>/v/.+)$" {{
      auth_request /verify;
      proxy_cache_key $media;
      proxy_pass http://origin$media;
{from_cache}    }}
    location = /verify {{
      internal;
      proxy_pass http://verifier$request_uri;
      proxy_http_version 1.1;
      proxy_pass_request_body off;
      proxy_pass_request_headers off;
      proxy_set_header Content-Length "";
      proxy_set_header Connection "";
{decision}    }}
  }}
"""

_AUTH_CACHE = """\
  proxy_cache_path {folder}/auth levels=1:2 keys_zone=auth:64m max_size=256m inactive=60s use_temp_path=off;
"""

_DECISION = """\
      proxy_cache auth;
      proxy_cache_key $token;
      proxy_cache_valid 200 5s;
"""


class Certificate(msgspec.Struct, frozen=True):
    """Files of the certificate both sides use."""

    certificate: Path
    key: Path


def origin(folder: Path, *, port: int, bucket: Path) -> str:
    """The server that the caches of all nginx sides are filled from."""
    return frame(folder, _ORIGIN.format(port=port, bucket=bucket))


def secure_link(folder: Path, *, port: int, tls_port: int, origin_port: int, tls: Certificate) -> str:
    """secure_link (md5 over sid and path) before a warm proxy_cache, in cleartext and over TLS 1.3."""
    cache = _MEDIA_CACHE.format(folder=folder, origin=origin_port)
    server = _SECURE_LINK.format(
        port=port,
        tls_port=tls_port,
        certificate=tls.certificate,
        key=tls.key,
        cipher=CIPHER,
        secret=SECRET,
        from_cache=_FROM_CACHE,
    )
    return frame(folder, cache + server)


def link_by_path(folder: Path, *, port: int, origin_port: int) -> str:
    """secure_link carried in the path, which a player keeps for all that a playlist names."""
    cache = _MEDIA_CACHE.format(folder=folder, origin=origin_port)
    return frame(folder, cache + _LINK_BY_PATH.format(port=port, secret=SECRET, from_cache=_FROM_CACHE))


def auth_request(folder: Path, *, port: int, origin_port: int, verifier_port: int, cached: bool) -> str:
    """auth_request to a verifier before a warm proxy_cache; `cached`: a decision holds for 5 s."""
    cache = _MEDIA_CACHE.format(folder=folder, origin=origin_port)
    server = _AUTH_REQUEST.format(
        port=port,
        verifier=verifier_port,
        auth_cache=_AUTH_CACHE.format(folder=folder) if cached else "",
        decision=_DECISION if cached else "",
        from_cache=_FROM_CACHE,
    )
    return frame(folder, cache + server)


def frame(folder: Path, http: str) -> str:
    """A whole configuration."""
    return _FRAME.format(user="user root;\n" if os.geteuid() == 0 else "", folder=folder, http=http.rstrip())


def signed(sid: str, key: str) -> str:
    """The address of a key that `secure_link` lets pass."""
    return f"/{key}?md5={_mark(f'{EXPIRES}{sid}/{key} {SECRET}')}&expires={EXPIRES}&sid={sid}"


def signed_path(sid: str, key: str) -> str:
    """The address of a key that `link_by_path` lets pass, and of all that is named relative to it."""
    return f"/s/{_mark(f'{EXPIRES}{sid} {SECRET}')}/{EXPIRES}/{sid}/{key}"


def _mark(text: str) -> str:
    digest = hashlib.md5(text.encode(), usedforsecurity=False).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def spec(stage: Stage, program: str, name: str, *, configuration: str, port: int) -> Spec:
    """One nginx as a child; its folder is `folder_of`."""
    folder = folder_of(stage, name)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "nginx.conf").write_text(configuration)
    return Spec(
        name=name,
        argv=(program, "-p", str(folder), "-e", str(folder / "error.log"), "-c", str(folder / "nginx.conf")),
        environ=stage.environment(),
        cwd=folder,
        probe=Probe(port),
    )


def folder_of(stage: Stage, name: str) -> Path:
    """Where an nginx keeps what is its own."""
    return stage.folder / "nginx" / name
