"""URLs of Azure that are signed with the key of an account.

Azure wants the decoded name of the blob in what is signed. obstore signs the encoded one, so its URLs work for plain names only.
The fields and their order are those of a service SAS of version 2020-12-06 and later.
"""

import base64
import binascii
import hmac
from datetime import UTC, datetime, timedelta
from typing import Final
from urllib.parse import quote, urlencode

from kist.errors import InvalidInput

__all__ = ["PLAIN", "signed_url"]

PLAIN: Final = "/-._~"
"""What stands in a URL as it is, beside ASCII letters and digits."""

_VERSION = "2020-12-06"
_PERMISSIONS = {"GET": "r", "HEAD": "r", "PUT": "cw"}
_CLOCKS = timedelta(minutes=5)  # how far the service's clock may be behind


def signed_url(endpoint: str, account: str, key: str, blob: str, *, method: str, lasts: timedelta) -> str:
    """Return a URL for a blob.

    Args:
        endpoint: of the account, as the blob's URL begins.
        account: its name.
        key: its key, in Base64.
        blob: ``container/name``.
        method: ``GET``, ``HEAD`` or ``PUT``.
        lasts: from now on.

    Raises:
        InvalidInput: the key is none.
    """
    now = datetime.now(UTC)
    fields = {"sp": _PERMISSIONS[method], "st": _time(now - _CLOCKS), "se": _time(now + lasts), "sv": _VERSION, "sr": "b"}
    identifier = address = protocol = snapshot = scope = ""
    overrides = [""] * 5  # of the answer's headers
    lines = [fields["sp"], fields["st"], fields["se"], f"/blob/{account}/{blob}", identifier, address, protocol]
    text = "\n".join([*lines, fields["sv"], fields["sr"], snapshot, scope, *overrides])
    try:
        secret = base64.b64decode(key, validate=True)
    except binascii.Error:
        raise InvalidInput("account_key is not the key of a storage account: it is Base64") from None
    signature = base64.b64encode(hmac.digest(secret, text.encode(), "sha256")).decode()
    return f"{endpoint.rstrip('/')}/{quote(blob, safe=PLAIN)}?{urlencode({**fields, 'sig': signature})}"


def _time(when: datetime) -> str:
    return when.strftime("%Y-%m-%dT%H:%M:%SZ")
