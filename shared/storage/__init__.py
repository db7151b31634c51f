"""The bucket: one port, three back ends that pass the same contract suite."""

from __future__ import annotations

import re
from pathlib import Path

from shared.errors import Misconfigured
from shared.settings import Common
from shared.storage.base import Bucket, ObjectInfo, Part
from shared.storage.files import FolderBucket

__all__ = ["Bucket", "ObjectInfo", "Part", "open_bucket"]

_S3_NAME = re.compile(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])/?")


def open_bucket(settings: Common) -> Bucket:
    """The bucket that the settings name, not asked for anything yet. Raises Misconfigured for a name of wrong form."""
    if "://" not in settings.bucket:
        return FolderBucket(Path(settings.bucket).expanduser().absolute())
    named = _S3_NAME.fullmatch(settings.bucket)
    if named is None:
        raise Misconfigured(f"USHER_BUCKET is {settings.bucket!r}. It is: a folder, or s3://name.")
    if bool(settings.s3_access_key) != bool(settings.s3_secret_key):
        raise Misconfigured("USHER_S3_ACCESS_KEY and USHER_S3_SECRET_KEY are given together or not at all.")
    from shared.storage.s3 import S3Bucket  # the SDK costs a second and 40 MB, which a folder need not pay

    return S3Bucket(
        named.group(1),
        endpoint=settings.s3_endpoint,
        region=settings.s3_region,
        access_key=settings.s3_access_key,
        secret_key=settings.s3_secret_key,
    )
