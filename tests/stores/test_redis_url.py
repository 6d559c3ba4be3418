"""REDIS_URL says in one line how Redis is had."""

import pytest

from server.stores.redis_url import read_address


def test_one_server_is_left_to_the_client_library() -> None:
    """It knows redis://, rediss:// and unix://."""
    assert read_address("redis://cache:6380/2").hosts == ()


def test_sentinels_name_a_service() -> None:
    """Login and database are the server's; a port may be left out."""
    address = read_address("redis+sentinel://user:p%40ss@one:1,two,[::1]:3/main?db=4")
    assert address.hosts == (("one", 1), ("two", 26379), ("::1", 3))
    assert address.service == "main"
    assert address.options == {"username": "user", "password": "p@ss", "db": 4}


def test_a_cluster_is_some_of_its_nodes() -> None:
    """A password may come without a name."""
    address = read_address("redis+cluster://:secret@one:1,[fe80::1]")
    assert (address.hosts, address.service) == ((("one", 1), ("fe80::1", 6379)), "")
    assert address.options == {"password": "secret"}


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("redis+sentinel://one:1,two:2", "the name of the service is missing"),
        ("redis+sentinel://one:x/main", "'one:x' is not a host and a port"),
        ("redis+sentinel://one:1,/main", "'' is not a host and a port"),
        ("redis+sentinel://one:70000/main", "'one:70000' is not a host and a port"),
        ("redis+sentinel://one:1/main?db=x", "db is not a number"),
        ("redis+cluster://one:1/0", "a Cluster has no databases"),
        ("redis+cluster://one:1?db=1", "it cannot have 'db'"),
        ("redis+cluster://", "'' is not a host and a port"),
    ],
)
def test_an_address_that_will_not_do_is_said_in_one_sentence(url: str, said: str) -> None:
    """With the form it should have."""
    with pytest.raises(ValueError, match="form is") as refused:
        read_address(url)
    assert str(refused.value).startswith(said)
