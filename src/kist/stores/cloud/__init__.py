"""Buckets: S3 and what speaks it, Google Cloud Storage, Azure."""

from kist.stores.cloud.opening import CloudStore, S3Store, open_cloud

__all__ = ["CloudStore", "S3Store", "open_cloud"]
