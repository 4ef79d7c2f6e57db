import re

from app.contract import names


def test_ports_differ() -> None:
    ports = [v for n, v in vars(names).items() if n.startswith("PORT_") and isinstance(v, int)]
    assert len(set(ports)) == len(ports) > 0
    # A service mesh in the same pod keeps these.
    assert not any(15000 <= p <= 15090 for p in ports)


def test_every_header_of_a_request_to_the_mock_is_in_the_list_that_is_stripped() -> None:
    headers = {v for n, v in vars(names).items() if re.fullmatch("HEADER_[A-Z]+", n)}
    answered = {names.HEADER_ERROR, names.HEADER_AGAIN}
    to_the_api = {
        names.HEADER_SIDECAR,
        names.HEADER_LEAVING,
        names.HEADER_ACCOUNTS,
        names.HEADER_PRESENCE,
    }
    assert headers - answered - to_the_api == set(names.HEADERS_INTERNAL)
    assert all(h == h.lower() for h in headers)
