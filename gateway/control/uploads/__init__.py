"""Uploads: masters on their way into the bucket, by tus 1.0."""
