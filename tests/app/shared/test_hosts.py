import pytest

from shared.hosts import Hosts, host_name


@pytest.mark.parametrize(
    ("netloc", "name"),
    [
        ("localhost", "localhost"),
        ("LocalHost.:8501", "localhost"),
        ("127.0.0.1:8501", "127.0.0.1"),
        ("[::1]:8501", "::1"),
        ("[0:0:0:0:0:0:0:1]", "::1"),
        ("", None),
        (":8501", None),
        ("localhost:port", None),
        ("localhost:99999", None),
        ("user@localhost", None),
        ("@localhost", None),
        ("localhost/path", None),
        ("localhost?x", None),
        ("localhost#x", None),
        ("local\thost", None),
        ("[::1", None),
    ],
)
def test_the_name_in_a_host(netloc: str, name: str | None) -> None:
    assert host_name(netloc) == name


@pytest.mark.parametrize(
    ("address", "host", "admitted"),
    [
        ("127.0.0.1", "127.0.0.1:8501", True),
        ("127.0.0.1", "localhost", True),
        ("127.0.0.1", "[::1]:8501", True),
        ("127.0.0.1", "192.168.1.5", False),
        ("127.0.0.1", "rebound.example", False),
        ("127.0.0.1", "localhost.rebound.example", False),
        ("127.0.0.1", "127.0.0.1.rebound.example", False),
        ("192.168.1.5", "192.168.1.5:8501", True),
        ("192.168.1.5", "192.168.1.6:8501", False),
        ("FE80::1", "[fe80:0::1]:8501", True),
        ("0.0.0.0", "192.168.1.5:8501", True),
        ("::", "[fe80::1]:8501", True),
        (None, "192.168.1.5:8501", True),
        ("0.0.0.0", "rebound.example", False),
        ("", "", False),
    ],
)
def test_numbers_and_names(address: str | None, host: str, admitted: bool) -> None:
    assert Hosts.read(address, "").admits(host) is admitted


def test_the_setting_names_hosts() -> None:
    hosts = Hosts.read("127.0.0.1", " csp.Example.org, https://map.example:8443/x ,*.lab.example,,")
    for name in ("csp.example.org", "CSP.example.org.:443", "map.example", "a.b.lab.example"):
        assert hosts.admits(name), name
    for name in ("example.org", "x.csp.example.org", "lab.example", "evillab.example"):
        assert not hosts.admits(name), name


@pytest.mark.parametrize("setting", ["*", "*.", ",", "//", "*:x"])
def test_the_setting_does_not_open_the_app_to_all(setting: str) -> None:
    hosts = Hosts.read("127.0.0.1", setting)
    assert not hosts.admits("rebound.example") and not hosts.admits("example")


@pytest.mark.parametrize(
    ("origin", "trusted"),
    [
        ("http://localhost:8501", True),
        ("https://LOCALHOST:8501", True),
        ("https://csp.example.org", True),
        ("http://localhost:3000", False),
        ("http://localhost", False),
        ("http://127.0.0.1:8501", False),
        ("http://localhost:8501.evil.example", False),
        ("http://evil.example", False),
        ("ftp://localhost:8501", False),
        ("localhost:8501", False),
        ("null", False),
        ("", False),
    ],
)
def test_origins(origin: str, trusted: bool) -> None:
    hosts = Hosts.read("127.0.0.1", "csp.example.org")
    assert hosts.trusts(origin, "localhost:8501") is trusted
