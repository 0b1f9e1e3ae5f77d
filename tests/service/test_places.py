"""From what somebody says of a bucket to its one place, and who may have it opened."""

import ipaddress
import json
import string
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.service.bucketing import FREE, NOW
from tests.service.people import keyring

from kist.catalog.buckets import BucketRow
from kist.catalog.database import open_database
from kist.errors import Denied, InvalidInput, StoreError, Unauthenticated, Unsupported
from kist.service.credentials import sealed_form, settle
from kist.service.hosts import addresses_of, canonical, check_host, check_url, is_listed, is_public
from kist.service.naming import Place, changed, parse
from kist.service.places import check_rules, credentials_place, open_place, reach, role_of
from kist.service.rooms import Rooms, Rules
from kist.stores import mounts

REGION: dict[str, object] = {"region_name": "us-east-1"}
SEGMENTS = st.lists(
    st.text(string.ascii_lowercase + "äß%?# .-_", min_size=1, max_size=8).filter(lambda one: one not in {".", ".."}), max_size=4
)
HERE = "http://127.0.0.1:9000"


def s3(uri: str, **extra: object) -> Place:
    return parse(uri=uri, extra_config={**REGION, **extra})


def encoded(segment: str, how: int) -> str:
    """One of the spellings of a segment in a URL."""
    return "".join(
        "".join(f"%{byte:02{'xX'[how % 2]}}" for byte in sign.encode()) if sign in "%?# " or how > 1 else sign for sign in segment
    )


def test_the_seed_call() -> None:
    place = s3("s3://my-production-data")

    assert (place.platform, place.name, place.prefix, place.extra_config) == ("s3", "my-production-data", "", REGION)


def test_a_uri_is_split_into_name_and_prefix() -> None:
    place = s3("s3://my-bucket/my-prefix")

    assert (place.name, place.prefix) == ("my-bucket", "my-prefix")


@pytest.mark.parametrize(
    "spelling", ["S3://bkt/p/q", "s3a://bkt/p/q", "s3://bkt/p/q/", "s3://bkt//p/q", "s3://bkt/%70/q", "s3://bkt/p%2Fq", " s3://bkt/p/q "]
)
def test_spellings_of_a_uri_are_one_place(spelling: str) -> None:
    assert s3(spelling).place == s3("s3://bkt/p/q").place


@given(SEGMENTS, st.lists(st.integers(0, 3), min_size=4, max_size=4), st.sampled_from(["s3", "S3", "s3a"]), st.sampled_from(["", "/"]))
def test_any_spelling_of_a_prefix_is_the_same_place_as_its_parts(segments: list[str], how: list[int], scheme: str, slash: str) -> None:
    path = "".join(f"/{encoded(segment, which)}" for segment, which in zip(segments, how, strict=False))

    by_uri = s3(f"{scheme}://bkt{path}{slash}")

    by_parts = parse(platform="s3", name="bkt", prefix="/".join(segments), extra_config=REGION)
    assert by_uri == by_parts


@given(SEGMENTS, SEGMENTS)
@example(["ab"], ["a"])
def test_one_place_lies_in_another_exactly_if_its_segments_do(one: list[str], other: list[str]) -> None:
    outer, inner = (parse(platform="s3", name="bkt", prefix="/".join(which), extra_config=REGION).place for which in (one, other))

    assert inner.startswith(outer) == (other[: len(one)] == one)


@given(
    st.sampled_from(["minio.lab.org", "127.0.0.1", "localhost", "xn--bcher-kva.example", "[::1]", "2130706433", "0x7f.1"]),
    st.sampled_from(["", ":9000"]),
    st.sampled_from([str.lower, str.upper, str.title]),
    st.sampled_from(["", "/"]),
)
def test_spellings_of_an_endpoint_are_one_realm(host: str, port: str, case: object, slash: str) -> None:
    assert callable(case)
    spelled = f"http://{case(host) if not host.startswith('0x') else host}{port}{slash}"
    plain = "localhost" if canonical(host) == "localhost" else host

    assert s3("s3://bkt", endpoint_url=spelled).place == s3("s3://bkt", endpoint_url=f"https://{plain}{port}").place


@pytest.mark.parametrize(
    "endpoint",
    [
        "https://s3.amazonaws.com",
        "https://s3.us-west-2.amazonaws.com/",
        "https://S3-us-west-2.amazonaws.com:443",
        "https://s3.dualstack.eu-west-1.amazonaws.com",
        "https://bkt.s3.eu-west-1.amazonaws.com",
    ],
)
def test_all_endpoints_of_amazon_are_one_realm(endpoint: str) -> None:
    assert s3("s3://bkt/p", endpoint_url=endpoint).place == s3("s3://bkt/p").place


def test_amazons_worlds_have_names_of_their_own() -> None:
    places = {parse(uri="s3://bkt", extra_config={"region_name": region}).place for region in ("us-east-1", "cn-north-1", "us-gov-west-1")}

    assert len(places) == 3


def test_google_by_its_s3_side_is_google() -> None:
    assert s3("s3://bkt/p", endpoint_url="https://storage.googleapis.com").place == parse(uri="gs://bkt/p").place


def test_an_endpoint_that_holds_the_bucket_is_the_one_without() -> None:
    by_host = s3("s3://bkt", endpoint_url="https://bkt.minio.lab.org", force_path_style=False)

    assert by_host.place == s3("s3://bkt", endpoint_url="https://minio.lab.org").place


@pytest.mark.parametrize("uri", ["az://cont/p", "azure://cont/p", "abfs://cont/p"])
def test_spellings_of_an_azure_container_are_one_place(uri: str) -> None:
    named = parse(uri="abfss://cont@acct.dfs.core.windows.net/p")
    by_endpoint = parse(uri="az://cont/p", extra_config={"endpoint_url": "https://ACCT.blob.core.windows.net"})

    assert named.place == by_endpoint.place == parse(uri=uri, extra_config={"account_name": "acct"}).place == "azure:acct/cont/p/"


def test_links_and_dots_of_a_folder_are_followed(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    spellings = [f"file://{tmp_path}/link/lab", f"{tmp_path}/real/x/../lab/", f"file://localhost{tmp_path}//real/lab"]

    assert {parse(uri=uri).name for uri in spellings} == {f"{tmp_path}/real/lab"}


def test_name_and_prefix_of_a_folder_are_one_path(tmp_path: Path) -> None:
    assert parse(platform="local", name=str(tmp_path), prefix="lab") == parse(uri=f"file://{tmp_path}/lab")


def test_the_root_folder_holds_all_others() -> None:
    assert parse(uri="file:///data").place.startswith(parse(uri="file:///").place)


@pytest.mark.parametrize(
    ("said", "complaint"),
    [
        ({"uri": "s3://bkt"}, "S3 buckets require a region_name"),
        ({"platform": "s3", "name": "bkt", "prefix": "p/"}, "Bucket prefix must not start or end with a slash."),
        ({"platform": "s3", "name": "bkt", "prefix": "/p"}, "Bucket prefix must not start or end with a slash."),
        ({"platform": "s3", "name": "bkt", "prefix": "x://y"}, "no '://'"),
        ({"uri": "s3://bkt/../other"}, "segment is empty, '.' or '..'"),
        ({"uri": "s3://bkt/%2e%2e/other"}, "segment is empty, '.' or '..'"),
        ({"uri": "s3://bkt/a//b"}, "segment is empty, '.' or '..'"),
        ({"uri": "s3://bkt/a%00b"}, "control character"),
        ({"uri": "s3://bkt/%ff"}, "UTF-8"),
        ({"uri": f"s3://bkt/{'p' * 257}"}, "at most 256 bytes"),
        ({"uri": "s3://bk"}, "3 to 63"),
        ({"uri": f"s3://{'b' * 64}"}, "3 to 63"),
        ({"uri": "s3://My-Bucket"}, "lower-case"),
        ({"uri": "s3://192.168.0.1"}, "no IP address"),
        ({"uri": "s3://a..b"}, "3 to 63"),
        ({"uri": "s3://"}, "names no bucket"),
        ({"uri": "s3://bkt?versionId=1"}, "no '\\?'"),
        ({"uri": "az://cont"}, "account_name"),
        ({"uri": "ftp://host/x"}, "nothing is known about 'ftp'"),
        ({"uri": "data/lab"}, "begins with '/'"),
        ({"uri": "s3://bkt", "name": "bkt"}, "not both"),
        ({"uri": "s3://bkt", "platform": "gs"}, "of platform 's3', not 'gs'"),
        ({"uri": "s3://bkt", "platform": "tape"}, "'tape'"),
        ({"platform": "s3"}, "where is the bucket"),
        ({}, "where is the bucket"),
        ({"platform": "minio", "name": "bkt"}, "require an endpoint_url"),
    ],
)
def test_what_makes_no_sense_is_refused(said: dict[str, str], complaint: str) -> None:
    extra = None if said.get("uri") == "s3://bkt" and len(said) == 1 else {} if "s3" not in str(said) else REGION

    with pytest.raises(InvalidInput, match=complaint):
        parse(**said, extra_config=extra)


@pytest.mark.parametrize(
    ("extra", "complaint"),
    [
        ({"colour": "red"}, "nothing is known about 'colour'.*it takes .*endpoint_url"),
        ({"secret_access_key": "canary"}, "give it as credentials"),
        ({"access_key_id": "canary"}, "give it as credentials"),
        ({"session_token": "canary"}, "give it as credentials"),
        ({"endpoint_url": "https://me:canary@minio.lab.org"}, "without credentials"),
        ({"endpoint_url": "https://minio.lab.org/?token=canary"}, "without credentials"),
        ({"endpoint_url": "ftp://minio.lab.org"}, "https://host:port"),
        ({"endpoint_url": "https://a b"}, "https://host:port"),
        ({"endpoint_url": "https://h:99999"}, "https://host:port"),
        ({"endpoint_url": "https://host\\@127.0.0.1"}, "https://host:port"),
        ({"endpoint_url": "http://h.org", "use_ssl": True}, "use_ssl says True"),
        ({"use_ssl": "perhaps"}, "true or false"),
        ({"region_name": "no region"}, "region"),
        ({"region_name": 7}, "text"),
        ({"role_arn": "me"}, "arn:aws:iam"),
        ({"external_id": "a"}, "2 to 1224"),
    ],
)
def test_settings_that_make_no_sense_are_refused_and_no_secret_is_repeated(extra: dict[str, object], complaint: str) -> None:
    with pytest.raises(InvalidInput, match=complaint) as caught:
        s3("s3://bkt", **extra)
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    "uri", ["s3://AK:canary@bkt", "s3://canary@bkt/p", "gs://x:canary@bkt", "abfss://cont:canary@evil.org/p", "canary://x:y@z"]
)
def test_credentials_in_a_uri_are_refused_and_not_repeated(uri: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse(uri=uri, extra_config=REGION if uri.startswith("s3") else None)
    assert "canary" not in str(caught.value) or uri.startswith("canary")


def test_an_endpoint_makes_s3_compatible() -> None:
    assert s3("s3://bkt", endpoint_url=HERE).platform == "s3-compatible"


@pytest.mark.parametrize("platform", ["minio", "garage", "s3-compatible"])
def test_a_platform_that_speaks_s3_may_be_named_beside_the_uri(platform: str) -> None:
    assert parse(uri="s3://bkt", platform=platform, extra_config={"endpoint_url": HERE}).platform == platform


def test_an_endpoint_without_a_scheme_gets_one() -> None:
    plain = s3("s3://bkt", endpoint_url="minio.lab.org:9000", use_ssl="false")

    assert plain.extra_config["endpoint_url"] == "http://minio.lab.org:9000"


def test_what_is_not_said_of_a_changed_place_stays() -> None:
    place = changed("minio", "bkt", "p", {"endpoint_url": HERE}, said={"prefix": "q"})

    assert (place.platform, place.name, place.prefix, place.extra_config) == ("minio", "bkt", "q", {"endpoint_url": HERE})


def test_a_uri_of_another_platform_takes_no_settings_along() -> None:
    place = changed("s3", "bkt", "p", {"region_name": "us-east-1"}, said={"uri": "gs://other"})

    assert (place.platform, place.name, place.prefix, place.extra_config) == ("gs", "other", "", {})


def test_without_its_endpoint_a_bucket_is_amazons_again() -> None:
    place = changed("s3-compatible", "bkt", "", {"endpoint_url": HERE}, said={"extra_config": REGION})

    assert place.platform == "s3"


# Hosts


@pytest.mark.parametrize(
    "host",
    [
        *(
            "127.0.0.1",
            "127.1",
            "2130706433",
            "0x7f000001",
            "0177.0.0.1",
            "0x7f.0.0.1",
            "0",
            "0.0.0.0",
            "localhost",
            "LOCALHOST.",
            "a.localhost",
        ),
        *(
            "::1",
            "[::1]",
            "::",
            "::ffff:127.0.0.1",
            "::127.0.0.1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
            "::ffff:0:7f00:1",
            "[::ffff:7f00:1]",
        ),
        *("10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "fe80::1", "fd00:ec2::254", "fe80::1%eth0"),
        *("64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::1", "64:ff9b:1::1", "224.0.0.1", "255.255.255.255", "240.0.0.1", "ff02::1", "minio"),
        *("2001:0:a9fe:a9fe::5601:5601", "::ffff:169.254.169.254", "192.0.0.1", "198.18.0.1", "203.0.113.1", "2001:db8::1"),
    ],
)
def test_hosts_that_are_not_public_are_refused_by_their_looks(host: str) -> None:
    with pytest.raises(Denied, match=r"`endpoints` in the settings"):
        check_host(host, 443, (), look_up=None)


@pytest.mark.parametrize("address", ["8.8.8.8", "1.1.1.1", "2001:4860:4860::8888", "::ffff:8.8.8.8", "64:ff9b::808:808"])
def test_public_addresses_are_public(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    ("entry", "host", "port", "listed"),
    [
        ("*", "10.0.0.1", 80, True),
        ("minio.lab", "MINIO.lab.", 9000, True),
        ("minio.lab:9000", "minio.lab", 9000, True),
        ("minio.lab:9000", "minio.lab", 9001, False),
        ("127.0.0.1", "localhost", 1, True),
        ("[::1]:9000", "2130706433", 9000, True),
        ("10.0.0.1", "167772161", 80, True),
        ("lab", "minio.lab", 80, False),
    ],
)
def test_the_list_of_hosts(entry: str, host: str, port: int, *, listed: bool) -> None:
    assert is_listed(host, port, (entry,)) is listed


def test_an_endpoint_that_is_not_listed_speaks_tls() -> None:
    with pytest.raises(Denied, match="over https only"):
        check_url("http://storage.example.com", (), look_up=None)


@pytest.mark.parametrize("found", [["10.0.0.1"], ["8.8.8.8", "127.0.0.1"], ["64:ff9b::7f00:1"]])
def test_a_name_is_refused_if_any_of_its_addresses_is_inside(found: list[str]) -> None:
    with pytest.raises(Denied, match="leads to an address that is not public"):
        check_host("rebound.example.com", 443, (), look_up=lambda _name, _port: list(map(ipaddress.ip_address, found)))


def test_a_name_is_accepted_if_all_of_its_addresses_are_public() -> None:
    check_url("https://storage.example.com", (), look_up=lambda _name, _port: [ipaddress.ip_address("8.8.8.8")])


def test_a_name_that_nobody_knows() -> None:
    with pytest.raises(StoreError, match="could not be looked up"):
        check_host("no-such-host.invalid", 443, (), look_up=addresses_of)


# Rules and opening


def rooms(folder: Path, rules: Rules = FREE) -> Rooms:
    return Rooms(database=open_database(str(folder / "catalog.db")), keyring=keyring(), rules=rules)


def bucket(place: Place, *, method: str = "ambient", credentials: dict[str, str] | None = None) -> BucketRow:
    form = sealed_form(credentials or {})
    return BucketRow(
        id="1" * 32,
        org_id="2" * 32,
        nickname="production",
        platform=place.platform,
        name=place.name,
        prefix=place.prefix,
        extra_config=place.extra_config,
        auth_method=method,
        credentials=None if form is None else keyring().seal(form, place=credentials_place("1" * 32)),
        place=place.place,
        is_default=True,
        created=NOW,
        created_by="ann",
        updated=NOW,
    )


KEYS = {"access_key_id": "AKEXAMPLE", "secret_access_key": "canary-secret"}


def test_folders_are_allowed_below_the_roots_only(tmp_path: Path) -> None:
    root = tmp_path / "root"
    rules = Rules(local_roots=(str(root),))
    check_rules(rules, "local", f"{root}/lab", {}, look_up=False)

    for outside in (f"{root}2", str(tmp_path), "/"):
        with pytest.raises(Denied, match="local_roots"):
            check_rules(rules, "local", outside, {}, look_up=False)


def test_a_folder_that_becomes_a_link_is_not_opened(tmp_path: Path) -> None:
    root, secret = tmp_path / "root", tmp_path / "secret"
    (root / "lab").mkdir(parents=True)
    secret.mkdir()
    row = bucket(parse(uri=f"file://{root}/lab"))
    (root / "lab").rmdir()
    (root / "lab").symlink_to(secret)

    with pytest.raises(Denied, match="link"):
        open_place(rooms(tmp_path, Rules(local_roots=(str(root),))), row)


def test_memory_is_allowed_by_the_rules_only(tmp_path: Path) -> None:
    row = bucket(parse(uri="memory://lab"))

    with pytest.raises(Denied, match="in memory"):
        open_place(rooms(tmp_path, Rules()), row)


def test_two_prefixes_of_one_place_never_see_each_other(tmp_path: Path) -> None:
    row = bucket(parse(uri=f"file://{tmp_path}/lab"))
    one, other = (open_place(rooms(tmp_path), row, prefix) for prefix in ("one", "other"))

    one.put("key", b"one")

    assert [meta.key for meta in other.list("")] == []
    assert (tmp_path / "lab/one/key").read_bytes() == b"one"


@pytest.mark.parametrize("prefix", ["..", "a/../b", "a//b", ".", "a\x00b"])
def test_a_prefix_never_leaves_its_place(tmp_path: Path, prefix: str) -> None:
    with pytest.raises(InvalidInput):
        open_place(rooms(tmp_path), bucket(parse(uri=f"file://{tmp_path}/lab")), prefix)


@pytest.mark.parametrize("prefix", ["a%2e%2e", "%2e%2e", "a?b", "a#b", "ä b"])
def test_a_prefix_is_no_part_of_a_url_but_a_name(tmp_path: Path, prefix: str) -> None:
    open_place(rooms(tmp_path), bucket(parse(uri=f"file://{tmp_path}/lab")), prefix).put("key", b"1")

    assert [path.name for path in (tmp_path / "lab").iterdir()] == [prefix]


def test_an_opened_store_is_kept_until_its_credentials_change(tmp_path: Path) -> None:
    here = rooms(tmp_path)
    row = bucket(s3("s3://bkt"), method="keys", credentials=KEYS)
    again = replace(row, credentials=keyring().seal(b'{"access_key_id": "A", "secret_access_key": "B"}', place=credentials_place(row.id)))

    assert open_place(here, row) is open_place(here, row)
    assert open_place(here, row) is not open_place(here, again)


def test_the_options_of_a_bucket_with_keys(tmp_path: Path) -> None:
    reached = reach(rooms(tmp_path), bucket(s3("s3://bkt/p", endpoint_url=HERE), method="keys", credentials=KEYS), "repo")

    assert reached.url == "s3://bkt/p/repo"
    assert reached.options == {**KEYS, "region": "us-east-1", "endpoint": HERE, "allow_http": "true"}
    assert "canary" not in repr(reached)


def test_a_bucket_named_by_its_host(tmp_path: Path) -> None:
    place = s3("s3://bkt", endpoint_url="https://minio.lab.org", force_path_style=False)

    options = reach(rooms(tmp_path), bucket(place, method="public")).options

    assert options["endpoint"] == "https://bkt.minio.lab.org"
    assert options["virtual_hosted_style_request"] == "true"


def test_a_public_bucket_is_asked_by_nobody(tmp_path: Path) -> None:
    options = reach(rooms(tmp_path, Rules()), bucket(s3("s3://bkt"), method="public")).options

    assert options == {"region": "us-east-1", "skip_signature": "true"}


def test_the_machines_credentials_are_lent_by_the_rules_only(tmp_path: Path) -> None:
    with pytest.raises(Denied, match="rotate_credentials"):
        reach(rooms(tmp_path, Rules()), bucket(s3("s3://bkt")))


def test_the_machines_credentials_are_not_shown_to_hosts_that_are_not_listed(tmp_path: Path) -> None:
    place = parse(uri="gs://bkt", extra_config={"endpoint_url": "https://8.8.8.8"})

    with pytest.raises(Denied, match=r"not shown to 8\.8\.8\.8"):
        reach(rooms(tmp_path, Rules(ambient=True)), bucket(place))


@pytest.mark.parametrize("setting", ["endpoint_url", "sts_endpoint_url"])
def test_a_place_behind_the_firewall_is_not_opened(tmp_path: Path, setting: str) -> None:
    place = s3("s3://bkt", **{setting: "https://169.254.169.254"})

    with pytest.raises(Denied, match="no public address"):
        open_place(rooms(tmp_path, Rules()), bucket(place, method="keys", credentials=KEYS))


@pytest.fixture
def _mounted() -> Iterator[None]:
    """What the machine says of all URLs of S3."""
    mounts.mount("s3", client_id="AKMACHINE", secret_id="of-the-machine", region="eu-west-1", replace=True)
    yield
    mounts.unmount("s3")


@pytest.mark.usefixtures("_mounted")
def test_what_the_machine_says_of_a_scheme_is_its_credentials(tmp_path: Path) -> None:
    options = reach(rooms(tmp_path), bucket(s3("s3://bkt"))).options

    assert options == {"access_key_id": "AKMACHINE", "secret_access_key": "of-the-machine", "region": "us-east-1"}


@pytest.mark.usefixtures("_mounted")
@pytest.mark.parametrize(
    ("extra", "method"), [({"endpoint_url": HERE}, "ambient"), ({}, "public"), ({}, "keys")], ids=["endpoint", "public", "keys"]
)
def test_what_the_machine_says_of_a_scheme_goes_nowhere_else(tmp_path: Path, extra: dict[str, str], method: str) -> None:
    row = bucket(s3("s3://bkt", **extra), method=method, credentials=KEYS if method == "keys" else None)

    assert "of-the-machine" not in reach(rooms(tmp_path), row).options.values()


def test_keys_that_are_gone_are_asked_for(tmp_path: Path) -> None:
    with pytest.raises(Unauthenticated, match="rotate_credentials"):
        reach(rooms(tmp_path), bucket(s3("s3://bkt"), method="keys"))


def test_only_a_role_or_an_sts_narrows_keys(tmp_path: Path) -> None:
    with pytest.raises(Unsupported, match="sts_endpoint_url"):
        role_of(rooms(tmp_path), bucket(s3("s3://bkt"), method="keys", credentials=KEYS))


# Credentials


def test_given_credentials_are_keys() -> None:
    assert settle("s3", "", KEYS, extra_config={}) == ("keys", KEYS)


@pytest.mark.parametrize(("said", "means"), [("", "ambient"), ("anonymous", "ambient"), ("Ambient", "ambient"), ("public", "public")])
def test_ways_without_credentials(said: str, means: str) -> None:
    assert settle("s3", said, None, extra_config={}) == (means, {})


@pytest.mark.parametrize(
    ("platform", "method", "given"),
    [
        ("s3", "keys", {}),
        ("s3", "keys", {"access_key_id": "A"}),
        ("s3", "keys", {**KEYS, "canary": "x"}),
        ("s3", "ambient", KEYS),
        ("s3", "public", KEYS),
        ("s3", "magic", {}),
        ("s3", "role", {}),
        ("gs", "role", {}),
        ("gs", "keys", KEYS),
        ("gs", "keys", {"service_account_key": "canary"}),
        ("gs", "keys", {"service_account_key": json.dumps({"type": "external_account", "private_key": "canary-secret"})}),
        ("azure", "keys", {"account_key": "canary-secret", "sas_token": "canary-secret"}),
        ("local", "keys", KEYS),
        ("memory", "public", {}),
        ("s3", "keys", {"access_key_id": "A\nB", "secret_access_key": "canary-secret"}),
    ],
)
def test_credentials_that_make_no_sense_are_refused_and_not_repeated(platform: str, method: str, given: dict[str, str]) -> None:
    with pytest.raises(InvalidInput) as caught:
        settle(platform, method, given, extra_config={})
    assert "canary-secret" not in str(caught.value)


def test_a_service_account_can_not_name_another_address() -> None:
    said = {"type": "service_account", "private_key": "k", "private_key_id": "i", "client_email": "e", "gcs_base_url": "http://10.0.0.1"}
    evil = {**said, "token_uri": "http://10.0.0.1", "disable_oauth": True}

    _, kept = settle("gs", "", {"service_account_key": json.dumps(evil)}, extra_config={})

    assert json.loads(kept["service_account_key"]).keys() == {"type", "private_key", "private_key_id", "client_email"}
