"""Settings: environment → one frozen struct a process, read once at its start.

Each field is the variable `USHER_<FIELD>` and is documented where it stands; docs/reference/settings.md is made from
these lines. A bad value stops the start with variable, value and the form that was expected.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_type_hints

import msgspec
from msgspec import Meta

from shared.errors import Misconfigured

PREFIX = "USHER_"
Port = Annotated[int, Meta(ge=0, le=65535)]
Seconds = Annotated[int, Meta(ge=0)]


def doc(text: str, *, secret: bool = False) -> Meta:
    """The documentation of a setting; a secret's value never reaches a log."""
    return Meta(description=text, extra={"secret": secret})


class Common(msgspec.Struct, frozen=True, kw_only=True):
    """Read by every process."""

    home: Annotated[Path, doc("folder of all state of this machine")] = Path(".usher")
    log_level: Annotated[Literal["debug", "info", "warning", "error"], doc("least severe line that is logged")] = "info"
    private_host: Annotated[str, doc("address of the private listener (/metrics, /healthz, /readyz)")] = "127.0.0.1"
    private_port: Annotated[Port, doc("port of the private listener; 0 switches it off")] = 0
    redis_url: Annotated[str, doc("Redis >= 7.0 or Valkey: seats, meters, limits", secret=True)] = (
        "redis://127.0.0.1:6379/0"
    )
    events_url: Annotated[str, doc("Redis of the event streams; empty: redis_url", secret=True)] = ""
    bucket: Annotated[str, doc("where objects lie: a folder, or s3://name")] = ".usher/bucket"
    s3_endpoint: Annotated[str, doc("address of an S3 server that is not AWS's")] = ""
    s3_region: Annotated[str, doc("region of the S3 bucket")] = "us-east-1"
    s3_access_key: Annotated[str, doc("S3 access key; empty: the SDK's own search", secret=True)] = ""
    s3_secret_key: Annotated[str, doc("S3 secret key", secret=True)] = ""

    @property
    def events(self) -> str:
        """The Redis of the event streams."""
        return self.events_url or self.redis_url


class EdgeSettings(Common, frozen=True, kw_only=True):
    """The edge."""

    listen_host: Annotated[str, doc("address players connect to; 0.0.0.0: every one of this machine")] = "127.0.0.1"
    listen_port: Annotated[Port, doc("port players connect to")] = 8701
    connections: Annotated[int, Meta(ge=128), doc("connections held at once, idle ones too; more wait")] = 4096
    keep_alive_s: Annotated[Seconds, doc("an idle connection (HTTP/1.1 in cleartext) is closed after this long")] = 75
    head_s: Annotated[Seconds, doc("seconds the head of such a request may take to come")] = 15
    stall_s: Annotated[Seconds, doc("such a connection is cut when its client takes nothing for so long")] = 300
    http2_cleartext: Annotated[
        bool, doc("speak HTTP/2 in cleartext too, for balancers that ask for it; costs twice the CPU a segment")
    ] = False
    tls_cert: Annotated[str, doc("certificate chain (PEM); empty: no TLS here")] = ""
    tls_key: Annotated[str, doc("key of the certificate (PEM)")] = ""
    drain_s: Annotated[Seconds, doc("seconds in which clients are sent away before the edge is stopped")] = 5
    stop_s: Annotated[int, Meta(ge=1), doc("seconds answers may take to their end once it is stopped")] = 20
    jwks_url: Annotated[str, doc("control's key set; empty: only jwks_file")] = (
        "http://127.0.0.1:8700/.well-known/jwks.json"
    )
    jwks_file: Annotated[Path, doc("last key set on disk, read at a start without control")] = Path(
        ".usher/edge/jwks.json"
    )
    cache_ram_bytes: Annotated[int, Meta(ge=1 << 20), doc("RAM for immutable objects")] = 256 << 20
    cache_disk_bytes: Annotated[int, Meta(ge=0), doc("disk for immutable objects; 0: none")] = 0
    cache_disk_dir: Annotated[Path, doc("folder of those objects, of one edge alone; it survives restarts")] = Path(
        ".usher/edge/cache"
    )
    origin_timeout_s: Annotated[int, Meta(ge=1), doc("seconds the edge waits for one object of the bucket")] = 10
    jwks_refresh_s: Annotated[int, Meta(ge=1), doc("seconds between two reads of the key set")] = 60
    cors_origins: Annotated[str, doc("origins whose pages may fetch media, comma-separated, or *")] = "*"
    trusted_proxies: Annotated[
        str, doc("networks (CIDR, comma-separated) whose X-Forwarded-For counts; nobody's by default")
    ] = ""
    cdn_networks: Annotated[
        str, doc("networks (CIDR, comma-separated) of a CDN of ours, which tells viewers apart and may keep media")
    ] = ""
    country_header: Annotated[
        str, doc("header in which trusted proxies name the client's country, such as CF-IPCountry; empty: none")
    ] = ""
    geoip_file: Annotated[str, doc("file of lines `network,country` that countries are looked up in; empty: none")] = ""
    forged_per_address: Annotated[
        int, Meta(ge=1), doc("wrong tokens a second of one address after which its new ones get 429")
    ] = 50
    forged_in_total: Annotated[
        int, Meta(ge=1), doc("wrong tokens a second of all addresses; one half is kept for those who sent none lately")
    ] = 1000
    seats_policy: Annotated[Literal["refuse", "takeover_oldest"], doc("what a screen over the cap meets")] = "refuse"
    seat_lease_s: Annotated[Seconds, doc("a seat is free this long after the last activity")] = 45
    seat_renew_s: Annotated[Seconds, doc("activity renews a seat at most this often")] = 15
    seat_end_s: Annotated[Seconds, doc("a seat is free this long after its page closed, so that a reload keeps it")] = 3
    seat_outage_s: Annotated[Seconds, doc("running sessions play on this long while Redis is dead")] = 300
    seat_open: Annotated[bool, doc("admit new sessions while Redis is dead")] = False
    segment_s: Annotated[float, Meta(gt=0), doc("seconds of media in a segment, for what counts media seconds")] = 4.0
    pace_per_s: Annotated[float, Meta(gt=0), doc("segments a second a session may ask for on average")] = 10.0
    pace_burst: Annotated[int, Meta(ge=1), doc("segments a session may ask for at once, at a start or a seek")] = 60
    pace_prefix_per_s: Annotated[
        int, Meta(ge=1), doc("segments a second that one network prefix (/24, /48) may ask for")
    ] = 2000
    hold_s: Annotated[float, Meta(ge=0), doc("seconds a request waits for a segment that is being made")] = 8.0
    holds_session: Annotated[int, Meta(ge=1), doc("requests of one session that may wait so at once")] = 4
    holds: Annotated[int, Meta(ge=1), doc("requests of all sessions that may wait so at once")] = 256
    sharing_replays: Annotated[
        int, Meta(ge=1), doc("a session ends when more segments than this were fetched again by another prefix")
    ] = 10
    sharing_replay_s: Annotated[float, Meta(gt=0), doc("seconds in which those are counted")] = 60.0
    sharing_active_s: Annotated[
        float, Meta(gt=0), doc("they count where the earlier prefix fetches something within this many seconds after")
    ] = 20.0
    sharing_prefixes: Annotated[
        int, Meta(ge=2), doc("a session ends when this many prefixes of a family take turns in two windows")
    ] = 3
    sharing_window_s: Annotated[float, Meta(gt=0), doc("seconds of such a window")] = 10.0
    sharing_media_s: Annotated[
        float, Meta(gt=0), doc("seconds of media a session may fetch again at once; all fetches where bound hard")
    ] = 720.0
    sharing_rate: Annotated[float, Meta(gt=0), doc("as fast as this, times real time, it may go on doing so")] = 3.0
    sharing_soft_weight: Annotated[
        float,
        Meta(ge=1),
        doc("a segment fetched again counts this often from another country or device, where bound softly"),
    ] = 2.0
    sharing_report_s: Annotated[
        float, Meta(gt=0), doc("seconds between what edges tell each other of a session that several of them serve")
    ] = 4.0


class ControlSettings(Common, frozen=True, kw_only=True):
    """The control plane, and the worker."""

    database_url: Annotated[str, doc("Postgres >= 15", secret=True)] = "postgresql://127.0.0.1:5432/usher"
    database_pool: Annotated[int, Meta(ge=1, le=200), doc("connections a process holds at most")] = 10
    broker_url: Annotated[str, doc("Celery's broker; empty: redis_url", secret=True)] = ""
    secrets_dir: Annotated[Path, doc("folder of secrets, one file each (session-hmac, playback-keys)")] = Path(
        ".usher/secrets"
    )
    public_origin: Annotated[str, doc("address under which people reach control's pages")] = "http://127.0.0.1:8700"
    edge_origin: Annotated[str, doc("address under which players reach the edge")] = "http://127.0.0.1:8701"
    cors_origins: Annotated[str, doc("other origins whose pages may call /v1, comma-separated")] = ""
    trusted_proxies: Annotated[
        str, doc("networks (CIDR, comma-separated) whose X-Forwarded-For counts; nobody's by default")
    ] = ""
    session_token_ttl: Annotated[int, Meta(ge=60), doc("seconds a login lasts without activity")] = 14 * 86400
    play_start_window_s: Annotated[int, Meta(ge=1, le=900), doc("seconds in which a play link must be started")] = 300
    play_hard_end_s: Annotated[int, Meta(ge=60), doc("seconds after which a play link ends for good")] = 6 * 3600
    screens: Annotated[int, Meta(ge=1, le=100), doc("screens a viewer may use at once")] = 2
    binding: Annotated[
        Literal["off", "soft", "hard"], doc("how strictly a link holds to device and place; a title may say otherwise")
    ] = "soft"
    beat_s: Annotated[int, Meta(ge=1), doc("seconds between the watch page's signs of life while it is paused")] = 15
    upload_limit_bytes: Annotated[int, Meta(ge=1), doc("largest master, in bytes")] = 20 << 30
    upload_expiry_s: Annotated[int, Meta(ge=60), doc("seconds after which an untouched upload is dropped")] = 86400
    earnings_hold_days: Annotated[
        int, Meta(ge=0, le=365), doc("days until what a sale brought its seller may be taken out")
    ] = 7
    payout_hold_days: Annotated[
        int, Meta(ge=0, le=365), doc("days a withdrawal waits, where its rail has no terms of its own")
    ] = 3
    display_currency: Annotated[
        str,
        Meta(pattern=r"^[A-Z]{3,5}$(?!\n)"),
        doc("currency in which amounts are told besides their own; a viewer may choose another"),
    ] = "USD"
    bot_check: Annotated[Literal["off", "pow", "turnstile"], doc("what register asks of a browser")] = "off"
    bot_check_bits: Annotated[
        int, Meta(ge=1, le=32), doc("zero bits a proof of work begins with; one more doubles the work")
    ] = 16
    turnstile_site_key: Annotated[str, doc("Turnstile's public key")] = ""
    turnstile_secret: Annotated[str, doc("Turnstile's secret key", secret=True)] = ""
    referral_bp: Annotated[
        int, Meta(ge=0, le=10_000), doc("basis points of the platform's fee that go to whoever brought the buyer")
    ] = 2000
    mail_dir: Annotated[Path, doc("folder into which mail is written as files, where there is no smtp_host")] = Path(
        ".usher/mail"
    )
    mail_from: Annotated[str, doc("address that mail comes from; empty: no-reply at public_origin's host")] = ""
    smtp_host: Annotated[str, doc("mail server (SMTP); empty: mail is written into mail_dir")] = ""
    smtp_port: Annotated[Port, doc("port of the mail server")] = 587
    smtp_security: Annotated[
        Literal["starttls", "tls", "none"], doc("how the mail server is spoken to; tls: from the first byte (port 465)")
    ] = "starttls"
    smtp_user: Annotated[
        str, doc("user at the mail server, whose password is the secret smtp-password; empty: none")
    ] = ""
    dev_mail: Annotated[
        bool, doc("show what is in mail_dir at /dev/mail, to this machine alone; never with an smtp_host")
    ] = False
    webhooks_loopback: Annotated[
        bool, doc("let webhooks go to this machine too, by HTTP as well; for development alone")
    ] = False
    payments: Annotated[
        str, doc("payment providers, the first that serves a payer is taken: name[@company][:countries][/currencies] …")
    ] = "sandbox"
    legal_entity: Annotated[str, doc("company that sells, as the books name it")] = "usher"
    payment_descriptor: Annotated[
        str,
        Meta(max_length=22, pattern=r"^(?:[^<>\\'\"*\x00-\x1f]*[A-Za-z][^<>\\'\"*\x00-\x1f]*)?$(?!\n)"),
        doc("what payers' bank statements say of a payment: up to 22 signs, a letter among them, no quotes, <, > or *"),
    ] = ""
    stripe_api: Annotated[str, doc("address of Stripe's API; empty: Stripe's own")] = ""
    stripe_fee: Annotated[str, doc("what Stripe keeps of a payment: basis points, and a fixed part by currency")] = (
        "290 USD:30 EUR:25 GBP:20"
    )
    limits_scale: Annotated[float, Meta(gt=0), doc("factor on every rate limit, for load tests")] = 1.0
    lease_s: Annotated[int, Meta(ge=1), doc("seconds a chunk stays taken without a sign of life")] = 15
    reaper_s: Annotated[float, Meta(gt=0), doc("seconds between two looks of the worker for lost chunks")] = 5.0
    hasten_s: Annotated[
        float, Meta(gt=0), doc("seconds between two looks for leases that ended and for missing tickets")
    ] = 0.5
    unfit_s: Annotated[
        float, Meta(gt=0), doc("seconds a job waits while no worker has the memory, or the card, that it needs")
    ] = 1800.0

    @property
    def broker(self) -> str:
        """Celery's broker."""
        return self.broker_url or self.redis_url


class FarmSettings(Common, frozen=True, kw_only=True):
    """A farm worker."""

    broker_url: Annotated[str, doc("Celery's broker; empty: redis_url", secret=True)] = ""
    scratch_dir: Annotated[Path, doc("folder for masters and chunks in work")] = Path(".usher/scratch")
    ffmpeg: Annotated[str, doc("ffmpeg to run; empty: PATH if >= 5.1, else imageio-ffmpeg's")] = ""
    encoder: Annotated[
        Literal["auto", "x264", "nvenc", "hybrid"],
        doc("encoder class; auto proves, by encoding a second, NVENC, then hybrid (a card decodes and scales)"),
    ] = "auto"
    chunk_deadline_s: Annotated[int, Meta(ge=10), doc("seconds one chunk may take at most")] = 6 * 3600
    stall_s: Annotated[int, Meta(ge=1), doc("seconds without progress after which ffmpeg is stopped")] = 30
    lease_s: Annotated[int, Meta(ge=1), doc("seconds a chunk stays taken without a sign of life")] = 15
    threads: Annotated[int, Meta(ge=0), doc("threads of one ffmpeg; 0: ffmpeg decides")] = 0
    memory_bytes: Annotated[int, Meta(ge=0), doc("memory a chunk may take; 0: what this machine has")] = 0
    scratch_quota_bytes: Annotated[int, Meta(ge=1), doc("bytes the chunks in work may take in scratch_dir")] = 32 << 30
    nvenc_sessions: Annotated[int, Meta(ge=0), doc("NVENC sessions of this machine; 0: as many as it gives")] = 0
    gpu_wait_s: Annotated[float, Meta(ge=0), doc("seconds a chunk waits for NVENC sessions before it goes back")] = 2.0
    worker_name: Annotated[str, doc("name of this worker in `usher farm status`; empty: host and process")] = ""
    concurrency: Annotated[int, Meta(ge=1), doc("chunks one worker makes at once")] = 1
    masters_quota_bytes: Annotated[int, Meta(ge=1), doc("bytes of masters a machine keeps in scratch_dir")] = 64 << 30

    @property
    def broker(self) -> str:
        """Celery's broker."""
        return self.broker_url or self.redis_url


Settings = TypeVar("Settings", bound=Common)


def variable(field: str) -> str:
    """The environment variable of a field."""
    return PREFIX + field.upper()


def load(kind: type[Settings], environ: Mapping[str, str] = os.environ) -> Settings:
    """Read `kind` from the environment. Raises Misconfigured with variable, value and expected form."""
    hints = get_type_hints(kind, include_extras=True)
    values: dict[str, Any] = {}
    for name in kind.__struct_fields__:
        if (text := environ.get(variable(name))) is None:
            continue
        try:
            values[name] = msgspec.convert(text, hints[name], strict=False, dec_hook=_decode)
        except (msgspec.ValidationError, ValueError) as error:
            shown = "(secret)" if is_secret(kind, name) else repr(text)
            raise Misconfigured(f"{variable(name)} is {shown}: {error}. It is: {description(kind, name)}.") from error
    return kind(**values)


def redacted(settings: Common) -> dict[str, str]:
    """All values as text for the start log, secrets left out."""
    return {
        name: "(set)" if is_secret(type(settings), name) and getattr(settings, name) else str(getattr(settings, name))
        for name in type(settings).__struct_fields__
    }


def description(kind: type[Common], name: str) -> str:
    """The documentation of one setting."""
    return str(next((m.description for m in _metas(kind, name) if m.description), ""))


def is_secret(kind: type[Common], name: str) -> bool:
    """Whether a setting's value must never be shown."""
    return any((m.extra or {}).get("secret") for m in _metas(kind, name))


def _metas(kind: type[Common], name: str) -> list[Meta]:
    hint = get_type_hints(kind, include_extras=True)[name]
    return [m for m in getattr(hint, "__metadata__", ()) if isinstance(m, Meta)]


def _decode(kind: type, value: Any) -> Any:
    if kind is Path:
        return Path(value)
    raise NotImplementedError(kind)
