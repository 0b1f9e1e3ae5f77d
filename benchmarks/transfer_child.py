"""Copies by one of the clients that are Python libraries, and writes down what that took after the imports; a program of its own.

``transfer_child.py RESULT CLIENT KIND SOURCE TARGET``: KIND is ``big`` (one file) or ``many`` (all files of a folder); SOURCE and TARGET
are a path and an ``s3://`` URL, or two URLs; those of folders end in ``/``. Nothing of kist is needed unless it is the client, so that
peers can live in an environment of their own. Each client is used as its manual says, with its defaults.
"""

import resource
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

THREADS = 16

type Copy = Callable[[str, str], object]


def kist(kind: str) -> Copy:
    """One call for everything."""
    from kist import storage  # noqa: PLC0415  only the client in question is imported

    return lambda source, target: storage.copy(source, target, kind == "many")


def s3fs(kind: str) -> Copy:
    """One call for everything."""
    import s3fs as library  # type: ignore[import-not-found]  # noqa: PLC0415  a peer, installed elsewhere

    def copy(source: str, target: str) -> None:
        system = library.S3FileSystem()
        verb = {(False, True): system.put, (True, False): system.get, (True, True): system.copy}[is_url(source), is_url(target)]
        verb(source, target, recursive=kind == "many")

    return copy


def boto3(kind: str) -> Copy:
    """Its transfer manager for big files; for many small ones single requests on 16 threads, which is what it does best."""
    import boto3 as library  # type: ignore[import-untyped]  # noqa: PLC0415  as above
    from botocore.config import Config  # type: ignore[import-untyped]  # noqa: PLC0415  as above

    def copy(source: str, target: str) -> None:
        client = library.client("s3", config=Config(max_pool_connections=THREADS if kind == "many" else 10))
        BOTO3[kind, is_url(source), is_url(target)](client, source, target)

    return copy


def upload_one(client: object, source: str, target: str) -> None:
    """Upload a file."""
    client.upload_file(source, *bucket_and_key(target))  # type: ignore[attr-defined]  # boto3 has no types


def download_one(client: object, source: str, target: str) -> None:
    """Download a file."""
    client.download_file(*bucket_and_key(source), target)  # type: ignore[attr-defined]  # as above


def copy_one(client: object, source: str, target: str) -> None:
    """Let the server copy an object."""
    bucket, key = bucket_and_key(source)
    client.copy({"Bucket": bucket, "Key": key}, *bucket_and_key(target))  # type: ignore[attr-defined]  # as above


def upload_many(client: object, source: str, target: str) -> None:
    """Upload the files of a folder."""
    bucket, prefix = bucket_and_key(target)

    def one(name: str) -> None:
        body = Path(source, name).read_bytes()
        client.put_object(Bucket=bucket, Key=prefix + name, Body=body)  # type: ignore[attr-defined]  # as above

    side_by_side(one, [path.name for path in Path(source).iterdir()])


def download_many(client: object, source: str, target: str) -> None:
    """Download all objects with a prefix."""
    bucket, prefix = bucket_and_key(source)

    def one(key: str) -> None:
        body = client.get_object(Bucket=bucket, Key=key)["Body"].read()  # type: ignore[attr-defined]  # as above
        Path(target, key.removeprefix(prefix)).write_bytes(body)

    side_by_side(one, keys(client, bucket, prefix))


def copy_many(client: object, source: str, target: str) -> None:
    """Let the server copy all objects with a prefix."""
    (bucket, prefix), (other, new) = bucket_and_key(source), bucket_and_key(target)

    def one(key: str) -> None:
        whence = {"Bucket": bucket, "Key": key}
        client.copy_object(Bucket=other, Key=new + key.removeprefix(prefix), CopySource=whence)  # type: ignore[attr-defined]  # as above

    side_by_side(one, keys(client, bucket, prefix))


BOTO3 = {
    ("big", False, True): upload_one,
    ("big", True, False): download_one,
    ("big", True, True): copy_one,
    ("many", False, True): upload_many,
    ("many", True, False): download_many,
    ("many", True, True): copy_many,
}
CLIENTS: dict[str, Callable[[str], Copy]] = {"kist": kist, "boto3": boto3, "s3fs": s3fs}


def keys(client: object, bucket: str, prefix: str) -> list[str]:
    """Return all keys with a prefix."""
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)  # type: ignore[attr-defined]  # as above
    return [entry["Key"] for page in pages for entry in page.get("Contents", ())]


def side_by_side(work: Callable[[str], None], items: list[str]) -> None:
    """Do work for each item on threads."""
    with ThreadPoolExecutor(THREADS) as pool:
        for _ in pool.map(work, items):
            pass


def is_url(place: str) -> bool:
    """Say whether a place is not on this machine's disk."""
    return "://" in place


def bucket_and_key(url: str) -> tuple[str, str]:
    """Return what an ``s3://`` URL names."""
    bucket, _, key = url.removeprefix("s3://").partition("/")
    return bucket, key


def main() -> None:
    """Import, then copy, and write the CPU and wall seconds of the copying."""
    result, client, kind, source, target = sys.argv[1:6]
    copy = CLIENTS[client](kind)
    before, began = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    copy(source, target)
    wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    Path(result).write_text(f"{cpu} {wall}", encoding="ascii")


if __name__ == "__main__":
    main()
