# Made by kist.client.generate from kist/client/asynchronous/buckets.py: change that, and run python -m kist.client.generate
"""Bucket configs: where the repositories of an organisation may be."""

from collections.abc import Mapping

from kist.client.blocking.asking import Asking
from kist.client.credentials import said_auth, said_place
from kist.models import BucketCheck, BucketConfig, Platform, Repo
from kist.operations import (
    CHECK_BUCKET_CONFIG,
    CREATE_BUCKET_CONFIG,
    DELETE_BUCKET_CONFIG,
    GET_BUCKET_CONFIG,
    LIST_BUCKET_CONFIGS,
    LIST_REPOS_FOR_BUCKET_CONFIG,
    MODIFY_BUCKET_CONFIG,
    ROTATE_CREDENTIALS,
    SET_DEFAULT_BUCKET_CONFIG,
)

__all__ = ["Buckets"]


class Buckets(Asking):
    """Calls about bucket configs."""

    def create_bucket_config(
        self,
        *,
        org: str,
        nickname: str,
        uri: str | None = None,
        platform: Platform | None = None,
        name: str | None = None,
        prefix: str | None = None,
        extra_config: Mapping[str, str | bool] | None = None,
        credentials: Mapping[str, str] | None = None,
        auth_config: Mapping[str, str] | None = None,
        region_name: str | None = None,
        endpoint_url: str | None = None,
        use_ssl: bool | None = None,
        force_path_style: bool | None = None,
        allow_nested: bool = False,
    ) -> BucketConfig:
        """Make a bucket config; the first one of an organisation is its default. No bucket is made.

        Args:
            org: of which organisation.
            nickname: 3 to 64 letters, digits, ``.``, ``_`` or ``-``.
            uri: where, such as ``s3://bucket/prefix`` or ``file:///data/lab``; or instead:
            platform: whose bucket it is,
            name: the bucket's name (the absolute path of a folder where the platform is ``local``),
            prefix: and what the keys begin with.
            extra_config: what the platform needs to know beside the place; nothing secret.
            credentials: the platform's keys; kept sealed, never shown again.
            auth_config: ``{"method": …}`` and what the method needs: ``anonymous`` (also called ``ambient``: those of the machine that
                serves), ``public`` (none), ``hmac`` (also called ``keys``), ``customer_managed_role`` (also called ``role``).
            region_name: the same as in `extra_config`.
            endpoint_url: the same as in `extra_config`.
            use_ssl: the same as in `extra_config`.
            force_path_style: the same as in `extra_config`.
            allow_nested: whether its place may lie in another one's, or the other way round.

        Raises:
            InvalidInput: something about it can't be.
            AlreadyExists: the nickname is taken.
            Conflict: the place is that of another bucket config, or overlaps it.
            Denied: you are no admin of the organisation.
            NotFound: there is no such organisation, or you have no role there.
        """
        place = said_place(
            uri=uri,
            platform=platform,
            name=name,
            prefix=prefix,
            extra_config=extra_config,
            auth_config=auth_config,
            region_name=region_name,
            endpoint_url=endpoint_url,
            use_ssl=use_ssl,
            force_path_style=force_path_style,
        )
        auth = said_auth(credentials, auth_config)
        return self._ask(CREATE_BUCKET_CONFIG, org=org, nickname=nickname, allow_nested=allow_nested, **place, **auth)

    def get_bucket_config(self, *, org: str, nickname: str) -> BucketConfig:
        """Return a bucket config.

        Raises:
            NotFound: there is none of that nickname.
        """
        return self._ask(GET_BUCKET_CONFIG, org=org, nickname=nickname)

    def list_bucket_configs(self, org: str) -> list[BucketConfig]:
        """Return the bucket configs of an organisation.

        Raises:
            NotFound: there is no such organisation, or you have no role there.
        """
        return self._all(LIST_BUCKET_CONFIGS, org=org)

    def modify_bucket_config(
        self,
        *,
        org: str,
        nickname: str,
        new_nickname: str | None = None,
        uri: str | None = None,
        platform: Platform | None = None,
        name: str | None = None,
        prefix: str | None = None,
        extra_config: Mapping[str, str | bool] | None = None,
        region_name: str | None = None,
        endpoint_url: str | None = None,
        use_ssl: bool | None = None,
        force_path_style: bool | None = None,
        allow_nested: bool = False,
    ) -> BucketConfig:
        """Change what is said of a bucket config; while repositories use it, only its nickname. See `create_bucket_config`.

        Raises:
            NotFound: there is none of that nickname.
            InvalidInput: something about it can't be.
            AlreadyExists: the new nickname is taken.
            Conflict: repositories use it, or the place overlaps that of another one.
            Denied: you are no admin of the organisation.
        """
        place = said_place(
            uri=uri,
            platform=platform,
            name=name,
            prefix=prefix,
            extra_config=extra_config,
            region_name=region_name,
            endpoint_url=endpoint_url,
            use_ssl=use_ssl,
            force_path_style=force_path_style,
        )
        return self._ask(MODIFY_BUCKET_CONFIG, org=org, nickname=nickname, new_nickname=new_nickname, allow_nested=allow_nested, **place)

    def set_default_bucket_config(self, *, org: str, nickname: str) -> BucketConfig:
        """Make a bucket config the one that new repositories are on, unless another is said.

        Raises:
            NotFound: there is none of that nickname.
            Denied: you are no admin of the organisation.
        """
        return self._ask(SET_DEFAULT_BUCKET_CONFIG, org=org, nickname=nickname)

    def delete_bucket_config(self, *, org: str, nickname: str, imsure: bool = False, imreallysure: bool = False) -> None:
        """Delete a bucket config that no repository uses; what lies in the bucket stays.

        Raises:
            InvalidInput: `imsure` and `imreallysure` are not both set.
            NotFound: there is none of that nickname.
            Conflict: repositories use it; the message names them.
            Denied: you are no admin of the organisation.
        """
        self._ask(DELETE_BUCKET_CONFIG, org=org, nickname=nickname, imsure=imsure, imreallysure=imreallysure)

    def rotate_credentials(
        self,
        *,
        org: str,
        nickname: str,
        credentials: Mapping[str, str] | None = None,
        auth_config: Mapping[str, str] | None = None,
    ) -> BucketConfig:
        """Give a bucket config new credentials, also while repositories use it. See `create_bucket_config`.

        Raises:
            NotFound: there is none of that nickname.
            InvalidInput: the platform takes no such credentials.
            Denied: you are no admin of the organisation.
        """
        return self._ask(ROTATE_CREDENTIALS, org=org, nickname=nickname, **said_auth(credentials, auth_config))

    def check_bucket_config(self, *, org: str, nickname: str) -> BucketCheck:
        """Try what the place of a bucket config can do; it takes seconds.

        Raises:
            NotFound: there is none of that nickname.
            Denied: you are no admin of the organisation.
        """
        return self._ask(CHECK_BUCKET_CONFIG, org=org, nickname=nickname)

    def list_repos_for_bucket_config(self, *, org: str, nickname: str) -> list[Repo]:
        """Return the repositories that use a bucket config.

        Raises:
            NotFound: there is none of that nickname.
        """
        return self._all(LIST_REPOS_FOR_BUCKET_CONFIG, org=org, nickname=nickname)
