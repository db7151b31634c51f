"""The bucket: one port, three back ends that pass the same contract suite."""

from __future__ import annotations

from shared.storage.base import Bucket, ObjectInfo

__all__ = ["Bucket", "ObjectInfo"]
