"""`?next=`: one is taken to what the operator allowed and to our own pages, and by no trick to anywhere else."""

import pytest

from server.destinations import DestinationFault, parse_destinations

ALLOWED = parse_destinations(
    (
        "https://good.example",
        "https://shop.example:8443/app/",
        "https://xn--fiqs8s.example",
        "http://localhost:3000/back",
        "https://[2001:db8::1]/",
    ),
    development=True,
)


@pytest.mark.parametrize(
    "url",
    [
        "/",
        "/me",
        "/me?tab=sessions#top",
        "/register?next=/me",
        "/a?u=https://other.example//x",
        "/a/..b/c.",
        "/a%20b",
        "https://good.example",
        "https://good.example/",
        "https://good.example:443/cart?id=7&back=//x#pay",
        "https://good.example?x=1",
        "https://good.example#x",
        "HTTPS://GOOD.example/Cart",
        "https://good.example/@evil.example",
        "https://shop.example:8443/app",
        "https://shop.example:8443/app/",
        "https://shop.example:8443/app?x",
        "https://shop.example:8443/app/cart",
        "https://shop.example:08443/app",
        "https://xn--fiqs8s.example/",
        "http://localhost:3000/back/x",
        "https://[2001:db8::1]/x",
        "https://good.example/" + "x" * 2000,
    ],
)
def test_what_is_allowed_is_taken_as_it_is(url: str) -> None:
    """An origin, a path on a segment's boundary, a page of ours."""
    assert ALLOWED.judge(url) == url


@pytest.mark.parametrize(
    "url",
    [
        "",
        "me",
        "?x",
        "#x",
        ".",
        "../me",
        "//evil",
        "//evil.example/",
        "///evil.example",
        "/\\evil",
        "\\\\evil",
        "\\/evil",
        "/me\\x",
        "/me//x",
        "/.//evil.example",
        "/..//evil.example",
        "/a/../b",
        "/a/%2e%2E/b",
        "/a/.%2e/b",
        "/%2fevil.example",
        "/%5cevil.example",
        "/%2Fevil.example",
        "/\t/evil.example",
        "/\n/evil.example",
        "/\r\nSet-Cookie: a=b",
        "\t//evil.example",
        " /me",
        "/me ",
        "/me\x00",
        "/me\x7f",
        "/中文",
        "/me\u2028",
        "https:evil",
        "https:/evil.example",
        "https:///evil.example",
        "https:good.example",
        "https:\\\\good.example",
        "https://evil.example",
        "https://good.example@evil",
        "https://good.example@evil.example/",
        "https://good.example:443@evil.example/",
        "https://evil.example@good.example/",
        "https://:@good.example/",
        "https://good.example\\@evil.example",
        "https://evil.example\\good.example",
        "https://evil.example/https://good.example",
        "https://evil.example#good.example",
        "https://evil.example?good.example",
        "https://good.example.evil",
        "https://good.example.",
        "https://evilgood.example",
        "https://sub.good.example",
        "https://good.example%2eevil.example",
        "https://good.example%00.evil.example",
        "https://good%2eexample/",
        "https://good\u3002example/",
        "https://ｇood.example/",
        "https://gооd.example/",
        "https://中国.example/",
        "https://good.example:444/",
        "https://good.example:80/",
        "https://good.example:/",
        "https://good.example:x/",
        "https://good.example:443443/",
        "https://good.example:-443/",
        "http://good.example/",
        "http://good.example:443/",
        "https://shop.example/app",
        "https://shop.example:8443/",
        "https://shop.example:8443/apple",
        "https://shop.example:8443/App",
        "https://shop.example:8443/app/../admin",
        "https://shop.example:8443/app/%2e%2e/admin",
        "https://shop.example:8443/app/%2E./admin",
        "https://shop.example:8443/app/..%2fadmin",
        "https://shop.example:8443/app/..%5Cadmin",
        "https://shop.example:8443/app/..\\admin",
        "https://shop.example:8443//app",
        "https://shop.example:8443/app//x",
        "http://localhost:3000/",
        "http://127.0.0.1:3000/back",
        "https://[2001:db8::2]/x",
        "https://[2001:db8::1]:444/x",
        "https://good.example/\t",
        "https://good.example/\nx",
        "h\tttps://good.example/",
        "https://good.exa\nmple/",
        " https://good.example/",
        "https://good.example/ ",
        "https://good.example/中",
        "javascript:alert(1)",
        "JavaScript:alert(1)",
        "java\nscript:alert(1)",
        "javascript://good.example/%0aalert(1)",
        "data:text/html,x",
        "vbscript:x",
        "blob:https://good.example/x",
        "file:///etc/passwd",
        "ftp://good.example/",
        "wss://good.example/",
        "view-source:https://good.example/",
        "https://good.example/" + "x" * 2048,
    ],
)
def test_what_could_lead_elsewhere_is_dropped(url: str) -> None:
    """Also where only some browsers, or a server behind the allowed path, would read it in another way."""
    assert ALLOWED.judge(url) == ""


def test_without_a_list_only_our_own_pages_are_left() -> None:
    """No origin is allowed by itself."""
    nothing = parse_destinations((), development=True)
    assert nothing.judge("/me") == "/me"
    assert nothing.judge("http://localhost:8888/me") == ""


@pytest.mark.parametrize(
    "entry",
    [
        "good.example",
        "https://",
        "https://*.good.example",
        "https://good.example/app?x=1",
        "https://good.example/app#x",
        "https://me:secret@good.example",
        "https://中国.example",
        "https://good.example/../app",
        "http://good.example",
        "http://localhost.good.example",
        "javascript:alert(1)",
        "/me",
    ],
)
def test_an_entry_that_allows_nothing_or_too_much_is_refused(entry: str) -> None:
    """By its own text, so that it can be found."""
    with pytest.raises(DestinationFault):
        parse_destinations((entry,), development=True)


def test_plain_http_is_for_localhost_in_development() -> None:
    """In production an address that others on the way can read is none to be taken to."""
    parse_destinations(("http://[::1]:3000",), development=True)
    with pytest.raises(DestinationFault):
        parse_destinations(("http://localhost:3000",), development=False)
