"""Servers of files (sftp, ftp, webdav), and every scheme that fsspec knows."""

from kist.stores.other.store import FolderStore, OtherStore, SftpStore, open_other, split

__all__ = ["FolderStore", "OtherStore", "SftpStore", "open_other", "split"]
