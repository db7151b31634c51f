"""`usher prepare`: what a deployment needs before its first process: secrets, bucket, schema. Safe to repeat."""

from __future__ import annotations

import argparse
import asyncio
import os
from typing import Any

import aioboto3
from botocore.exceptions import ClientError
from rich.console import Console

from infra.cli.start import migrated
from infra.stack.home import make_secrets
from shared.settings import ControlSettings, load
from shared.storage import open_bucket

OURS_ALREADY = ("BucketAlreadyOwnedByYou", "BucketAlreadyExists")


def prepare(_: argparse.Namespace) -> int:
    """Make what is missing, as the environment says. Raises Misconfigured for a bucket that cannot put on condition."""
    settings = load(ControlSettings, os.environ)
    make_secrets(settings.secrets_dir)
    asyncio.run(_prepare(settings))
    Console().print("Secrets, bucket and schema are ready.")
    return 0


async def _prepare(settings: ControlSettings) -> None:
    await migrated(settings.database_url)
    if settings.bucket.startswith("s3://"):
        await make_bucket(settings)
    bucket = open_bucket(settings)
    try:
        await bucket.check()
    finally:
        await bucket.close()


async def make_bucket(settings: ControlSettings) -> None:
    """Create the S3 bucket unless it exists."""
    name = settings.bucket.removeprefix("s3://").rstrip("/")
    where: dict[str, Any] = {"region_name": settings.s3_region, "endpoint_url": settings.s3_endpoint or None}
    if settings.s3_access_key:
        where |= {"aws_access_key_id": settings.s3_access_key, "aws_secret_access_key": settings.s3_secret_key}
    async with aioboto3.Session().client("s3", **where) as client:
        try:
            await client.create_bucket(Bucket=name)
        except ClientError as error:
            if error.response["Error"]["Code"] not in OURS_ALREADY:
                raise
