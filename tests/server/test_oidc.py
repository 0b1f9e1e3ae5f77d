"""Logging in by another service: a real provider, and one that lies."""

import base64
import hmac
import json
import time
from collections.abc import Callable, Iterator
from urllib.parse import parse_qs, urlsplit

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from tests.server.provider import CLIENT, Scripted, new_key, providing
from tests.server.serving import running
from tests.server.test_login import Browsers, served
from tests.servers import oidc as oidc_server
from tests.service.people import People

from kist.catalog.database import Database
from kist.errors import InvalidInput, StoreError
from kist.server.app import make_app
from kist.server.provider import Provider
from kist.server.settings import Oidc

type Claims = dict[str, object]


def oidc(issuer: str, **changes: object) -> Oidc:
    return Oidc(issuer=issuer, client_id=CLIENT[0], client_secret=CLIENT[1], **{"create_users": True, **changes})  # type: ignore[arg-type]


@pytest.fixture
def scripted() -> Iterator[Scripted]:
    with providing() as found:
        yield found


@pytest.fixture
def browsers(sqlite_database: Database, scripted: Scripted) -> Iterator[Browsers]:
    """A server that lets people in by the scripted provider."""
    with served(People(sqlite_database), oidc=oidc(scripted.issuer)) as found:
        yield found


@pytest.fixture(scope="module")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real provider."""
    if oidc_server.program() is None:
        pytest.skip(oidc_server.MISSING)
    with oidc_server.serving(tmp_path_factory.mktemp("oidc")) as found:
        yield found


def begin(browser: httpx.Client, target: str = "/", **query: str) -> str:
    """Begin to log in, and return where the browser is sent."""
    answer = browser.get("/login/oidc", params={"next": target, **query}, headers={"sec-fetch-site": "same-origin"})
    assert answer.status_code == 303, answer.text
    return answer.headers["location"]


def follow(address: str) -> str:
    """Let the scripted provider answer, and return where it sends the browser back to."""
    return httpx.get(address, trust_env=False).headers["location"]


def log_in(browser: httpx.Client, target: str = "/", **query: str) -> httpx.Response:
    return browser.get(follow(begin(browser, target, **query)))


def changed(address: str, **changes: str) -> str:
    url = httpx.URL(address)
    return str(url.copy_merge_params(changes))


@pytest.mark.peer("oidc-provider-mock")
def test_a_real_provider_logs_a_new_user_in(database: Database, issuer: str) -> None:
    with served(People(database), oidc=oidc(issuer)) as browsers:
        browser = browsers.new()
        there = begin(browser, "/login/device")
        back = httpx.post(there, data={"sub": "ann@lab.org"}, trust_env=False).headers["location"]
        answer = browser.get(back)

        assert (answer.status_code, answer.headers["location"]) == (303, "/login/device")
        assert browser.get("/api/v1/me").json()["email"] == "ann@lab.org"
        assert browsers.who(browser) == "ann"


@pytest.mark.peer("oidc-provider-mock")
def test_an_address_that_a_real_provider_has_not_verified_is_not_taken_down(sqlite_database: Database, issuer: str) -> None:
    with served(People(sqlite_database), oidc=oidc(issuer)) as browsers:
        browser = browsers.new()
        back = httpx.post(begin(browser), data={"sub": "eve"}, trust_env=False).headers["location"]

        assert browser.get(back).status_code == 303
        assert browser.get("/api/v1/me").json()["email"] == ""


def test_the_browser_is_sent_with_a_challenge_a_nonce_and_a_state(browsers: Browsers, scripted: Scripted) -> None:
    there = begin(browsers.new())
    asked = {name: values[0] for name, values in parse_qs(urlsplit(there).query).items()}

    assert there.startswith(f"{scripted.issuer}/authorize?")
    assert (asked["response_type"], asked["code_challenge_method"], asked["client_id"]) == ("code", "S256", CLIENT[0])
    assert asked["redirect_uri"] == f"{browsers.url}/login/oidc/callback"
    assert min(len(asked[name]) for name in ("state", "nonce", "code_challenge")) >= 43
    assert "openid" in asked["scope"].split()


def test_a_login_leads_on_and_the_next_one_is_the_same_user(browsers: Browsers) -> None:
    one, other = browsers.new(), browsers.new()

    answer = log_in(one, "/ann?search=a")
    log_in(other)

    assert (answer.status_code, answer.headers["location"]) == (303, "/ann?search=a")
    assert [browsers.who(one), browsers.who(other)] == ["ann", "ann"]


@pytest.mark.parametrize("target", ["//evil.org", "https://evil.org", "/\\evil.org"])
def test_nobody_is_led_to_another_site(browsers: Browsers, target: str) -> None:
    assert log_in(browsers.new(), target).headers["location"] == "/"


def test_the_page_to_log_in_at_names_the_other_service(browsers: Browsers, scripted: Scripted) -> None:
    text = browsers.new().get("/login?next=/lab").text

    assert urlsplit(scripted.issuer).netloc in text
    assert "/login/oidc?next=/lab" in text


def test_of_servers_side_by_side_any_may_be_come_back_to(database: Database, scripted: Scripted) -> None:
    people = People(database)
    settings = {"public_url": "http://kist.lab.org", "oidc": oidc(scripted.issuer)}
    headers = {"host": "kist.lab.org"}
    with served(people, **settings) as browsers, running(lambda said: make_app(people.service, said), **settings) as other:
        browser = browsers.new()
        asked = browser.get("/login/oidc", headers=headers)
        (name, value), *_ = ((cookie.name, cookie.value) for cookie in browser.cookies.jar)
        back = urlsplit(follow(asked.headers["location"]))
        port = httpx.URL(other).port
        there = {"cookie": f"{name.rpartition('_')[0]}_{port}={value}", **headers}
        answer = httpx.get(f"{other}{back.path}?{back.query}", headers=there, trust_env=False)

    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert "kist_session" in answer.headers["set-cookie"]


def refused(browsers: Browsers, browser: httpx.Client, answer: httpx.Response, *said: str) -> None:
    """See that nobody was logged in, and that the page says why."""
    assert answer.status_code in {401, 403}, answer.text
    assert browsers.who(browser) == ""
    assert "Log in" in answer.text
    assert any(word.lower() in answer.text.lower() for word in said), answer.text


def test_another_state_is_refused(browsers: Browsers) -> None:
    browser = browsers.new()
    back = follow(begin(browser))

    for state in ("", "x", "ä"):
        begin(browser)
        refused(browsers, browser, browser.get(changed(back, state=state)), "begun in another browser")


def test_a_login_that_another_browser_began_is_refused(browsers: Browsers) -> None:
    back = follow(begin(browsers.new()))
    victim = browsers.new()

    refused(browsers, victim, victim.get(back), "begun in another browser")
    begin(victim)
    refused(browsers, victim, victim.get(back), "begun in another browser")


def test_a_login_that_took_too_long_is_refused(browsers: Browsers) -> None:
    browser = browsers.new()
    back = follow(begin(browser))

    browsers.people.clock.wait(minutes=11)

    refused(browsers, browser, browser.get(back), "too long ago")


def test_a_cookie_that_was_changed_is_refused(browsers: Browsers) -> None:
    browser = browsers.new()
    back = follow(begin(browser))
    (cookie,) = browser.cookies.jar
    sealed = bytearray(base64.urlsafe_b64decode(cookie.value or ""))
    sealed[-1] ^= 1
    for value in (base64.urlsafe_b64encode(sealed).decode(), "x", "", "ä".encode().decode("latin-1")):
        stranger = browsers.new()
        answer = stranger.get(back, headers=[(b"cookie", f"{cookie.name}={value}".encode("latin-1"))])
        refused(browsers, stranger, answer, "begun in another browser")


def test_a_code_is_taken_once(browsers: Browsers) -> None:
    browser = browsers.new()
    there = begin(browser)
    pending = [(cookie.name, cookie.value) for cookie in browser.cookies.jar]
    back = follow(there)
    assert browser.get(back).status_code == 303

    again = browsers.new()
    for name, value in pending:
        again.cookies.set(name, value or "")
    refused(browsers, again, again.get(back), "does not take the code")


def test_an_answer_of_another_issuer_is_refused(browsers: Browsers, scripted: Scripted) -> None:
    scripted.back = {"iss": "https://evil.org"}
    browser = browsers.new()

    refused(browsers, browser, log_in(browser), "another service answered")


def test_what_the_provider_says_when_it_refuses_is_told_harmlessly(browsers: Browsers, scripted: Scripted) -> None:
    scripted.back = {"error": "access_denied<script>", "error_description": "<script>"}
    browser = browsers.new()

    answer = log_in(browser)

    refused(browsers, browser, answer, "access_denied")
    assert "<script>" not in answer.text


def _set(**changes: object) -> Callable[[Claims], object]:
    return lambda claims: claims.update(changes)


def _drop(name: str) -> Callable[[Claims], object]:
    return lambda claims: claims.pop(name)


LIES = {
    "expired": _set(exp=int(time.time()) - 120),
    "not yet": _set(nbf=int(time.time()) + 600, iat=int(time.time()) + 600),
    "another issuer": _set(iss="https://evil.org"),
    "issuer with a slash": lambda claims: claims.update(iss=f"{claims['iss']}/"),
    "another audience": _set(aud="another"),
    "no audience": _set(aud=[]),
    "two audiences and no party": _set(aud=[CLIENT[0], "another"]),
    "another party": _set(azp="another"),
    "another nonce": _set(nonce="x"),
    "a nonce that is no text": _set(nonce=["x"]),
    "no nonce": _drop("nonce"),
    "no subject": _drop("sub"),
    "an empty subject": _set(sub=""),
    "a subject that is no text": _set(sub=7),
    "a subject too long to keep": _set(sub="x" * 300),
    "no end": _drop("exp"),
    "an end that is no number": _set(exp="tomorrow"),
    "no beginning": _drop("iat"),
}


@pytest.mark.parametrize("lie", LIES)
def test_an_id_token_that_lies_is_refused(browsers: Browsers, scripted: Scripted, lie: str) -> None:
    scripted.change = LIES[lie]
    browser = browsers.new()

    answer = log_in(browser)

    assert answer.status_code in {400, 401}
    assert browsers.who(browser) == ""


def test_an_id_token_for_several_that_names_us_as_its_party_counts(browsers: Browsers, scripted: Scripted) -> None:
    scripted.change = _set(aud=[CLIENT[0], "another"], azp=CLIENT[0])
    browser = browsers.new()

    assert log_in(browser).status_code == 303


def _by_secret(claims: Claims, secret: bytes, headers: dict[str, str]) -> str:
    """Sign by what everybody knows, as the library itself refuses to."""
    said = b".".join(
        base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in ({"alg": "HS256", "typ": "JWT", **headers}, claims)
    )
    return (said + b"." + base64.urlsafe_b64encode(hmac.digest(secret, said, "sha256")).rstrip(b"=")).decode()


def _forgeries(scripted: Scripted) -> dict[str, Callable[[Claims], str]]:
    public = scripted.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    headers = {"kid": scripted.kid}
    return {
        "none": lambda claims: jwt.encode(claims, "", "none", headers=headers),
        "none with a key's id": lambda claims: jwt.encode(claims, "", "none", headers=headers) + "AAAA",
        "secret": lambda claims: jwt.encode(claims, CLIENT[1].ljust(32), "HS256", headers=headers),
        "public key as secret": lambda claims: _by_secret(claims, public, headers),
        "another key": lambda claims: jwt.encode(claims, new_key(), "RS256", headers=headers),
        "unknown key": lambda claims: jwt.encode(claims, new_key(), "RS256", headers={"kid": "two"}),
        "another algorithm than the key's": lambda claims: jwt.encode(claims, scripted.key, "RS512", headers=headers),
        "own key in the header": lambda claims: jwt.encode(claims, new_key(), "RS256", headers={**headers, "jwk": {"kty": "RSA"}}),
        "no token": lambda _claims: "x",
        "empty": lambda _claims: "",
        "three dots": lambda _claims: "a.b.c",
        "signature cut": lambda claims: jwt.encode(claims, scripted.key, "RS256", headers=headers)[:-8],
    }


@pytest.mark.parametrize("forgery", list(_forgeries(Scripted())))
def test_an_id_token_that_the_provider_did_not_sign_is_refused(browsers: Browsers, scripted: Scripted, forgery: str) -> None:
    scripted.sign = _forgeries(scripted)[forgery]
    browser = browsers.new()

    refused(browsers, browser, log_in(browser), "The login", "did not say who")


def test_a_new_key_of_the_provider_is_found(scripted: Scripted) -> None:
    provider = Provider(oidc(scripted.issuer), "http://here/login/oidc/callback")

    def claims() -> str:
        asked = provider.address(state="s", nonce="n", verifier="v" * 43)
        code = parse_qs(urlsplit(follow(asked)).query)["code"][0]
        return provider.claims(code, nonce="n", verifier="v" * 43).subject

    assert claims() == "1"
    assert claims() == "1"
    assert scripted.asked.count("/jwks") == 1
    assert scripted.asked.count("/.well-known/openid-configuration") == 1


def test_an_address_counts_only_if_the_provider_verified_it(browsers: Browsers, scripted: Scripted) -> None:
    for subject, verified, email in (("1", True, "ann@lab.org"), ("2", False, ""), ("3", "true", ""), ("4", None, "")):
        scripted.user = {"sub": subject, "email": "ann@lab.org" if subject == "1" else "bob@lab.org", "email_verified": verified}
        browser = browsers.new()
        assert log_in(browser).status_code == 303
        assert browser.get("/api/v1/me").json()["email"] == email


def test_nobody_becomes_a_user_who_is_there_by_an_address(browsers: Browsers, scripted: Scripted) -> None:
    browsers.people.add("ann", email="ann@lab.org")
    scripted.user |= {"email": "ann@lab.org", "email_verified": True}
    browser = browsers.new()

    log_in(browser)

    assert browsers.who(browser) == "ann-2"


def test_an_address_that_only_the_page_for_it_says_counts_if_it_is_of_the_same_subject(browsers: Browsers, scripted: Scripted) -> None:
    for subject, email in (("1", "ann@lab.org"), ("another", "")):
        scripted.user["sub"] = f"{len(email)}"
        scripted.userinfo = {"sub": scripted.user["sub"] if subject == "1" else subject, "email": "ann@lab.org", "email_verified": True}
        browser = browsers.new()
        log_in(browser)
        assert browser.get("/api/v1/me").json()["email"] == email


def test_a_server_that_makes_no_users_lets_only_those_in_who_are_linked(sqlite_database: Database, scripted: Scripted) -> None:
    people = People(sqlite_database)
    people.add("bob")
    with served(people, oidc=oidc(scripted.issuer, create_users=False)) as browsers:
        stranger, bob = browsers.new(), browsers.logged_in("bob")
        refused(browsers, stranger, log_in(stranger), "no user here is linked")

        assert "Linked" in log_in(bob, link="1").text
        log_in(stranger)

        assert browsers.who(stranger) == "bob"


@pytest.mark.parametrize("headers", [{}, {"sec-fetch-site": "cross-site"}, {"sec-fetch-site": "none"}, {"sec-fetch-site": "same-site"}])
def test_a_link_is_begun_on_a_page_of_this_site_only(browsers: Browsers, headers: dict[str, str]) -> None:
    browsers.people.add("bob")
    bob = browsers.logged_in("bob")

    answer = bob.get("/login/oidc?link=1", headers=headers)

    assert answer.status_code == 403
    assert "location" not in answer.headers


def test_a_link_is_not_made_for_somebody_who_logged_in_meanwhile(browsers: Browsers) -> None:
    for name in ("bob", "cy"):
        browsers.people.add(name)
    bob = browsers.logged_in("bob")
    back = follow(begin(bob, link="1"))
    bob.get("/login", params={"token": browsers.link("cy")})

    answer = bob.get(back)

    assert answer.status_code == 403
    stranger = browsers.new()
    log_in(stranger)
    assert browsers.who(stranger) == "ann"


def test_only_addresses_of_allowed_domains_log_in(sqlite_database: Database, scripted: Scripted) -> None:
    with served(People(sqlite_database), oidc=oidc(scripted.issuer, allowed_domains=["Lab.org"])) as browsers:
        for number, (email, allowed) in enumerate(
            [
                ("ann@lab.org", True),
                ("bob@LAB.ORG", True),
                ("eve@evil.org", False),
                ("eve@evil-lab.org", False),
                ("", False),
                ("eve@x@lab.org.evil", False),
            ]
        ):
            scripted.user = {"sub": f"{number}", "email": email, "email_verified": True}
            browser = browsers.new()
            assert (log_in(browser).status_code == 303) is allowed, email


def test_a_disabled_user_is_not_let_in(browsers: Browsers) -> None:
    log_in(browsers.new())
    browsers.people.disable("ann")
    browser = browsers.new()

    refused(browsers, browser, log_in(browser), "not log in any more")


@pytest.mark.parametrize(
    "configuration",
    [
        {"issuer": "https://evil.org"},
        {"authorization_endpoint": None},
        {"authorization_endpoint": "http://evil.org/authorize"},
        {"authorization_endpoint": "javascript:alert(1)"},
        {"jwks_uri": "file:///etc/passwd"},
        {"token_endpoint": 7},
    ],
    ids=str,
)
def test_a_provider_that_makes_no_sense_logs_nobody_in(browsers: Browsers, scripted: Scripted, configuration: Claims) -> None:
    scripted.configuration = configuration
    browser = browsers.new()
    answer = browser.get("/login/oidc")
    if answer.status_code == 303:
        answer = browser.get(follow(answer.headers["location"]))

    assert answer.status_code == 502
    assert browsers.who(browser) == ""


def test_a_provider_that_does_not_answer_is_told_and_asked_again_later(browsers: Browsers, scripted: Scripted) -> None:
    right, scripted.configuration = scripted.configuration, {"issuer": "https://evil.org"}
    assert browsers.new().get("/login/oidc").status_code == 502

    scripted.configuration = right
    assert log_in(browsers.new()).status_code == 303


def test_nobody_listens_where_the_provider_should_be() -> None:
    provider = Provider(oidc("http://127.0.0.1:9"), "http://here/callback")

    with pytest.raises(StoreError, match="does not answer"):
        provider.address(state="s", nonce="n", verifier="v")


@pytest.mark.parametrize(
    "issuer", ["http://id.lab.org", "ftp://id.lab.org", "id.lab.org", "https://me:secret@id.lab.org", "https://", "https://[x"]
)
def test_an_issuer_that_others_could_play_is_refused(issuer: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        Provider(oidc(issuer), "http://here/callback")
    assert "secret" not in str(raised.value)


def test_neither_repr_nor_error_shows_the_clients_secret(scripted: Scripted) -> None:
    provider = Provider(oidc(scripted.issuer), "http://here/callback")

    with pytest.raises(Exception, match="does not take the code") as raised:
        provider.claims("x", nonce="n", verifier="v")
    assert CLIENT[1] not in repr(raised.value) + repr(provider)


def test_the_pages_of_this_login_are_in_no_cache(browsers: Browsers) -> None:
    assert browsers.new().get("/login/oidc").headers["cache-control"] == "no-store"
