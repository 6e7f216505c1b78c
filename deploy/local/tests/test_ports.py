import json
import socket

import pytest

from deploy.local.errors import StartError
from deploy.local.ports import FIRST_PORT, LAST_PORT, PortBook, is_free


@pytest.fixture
def taken():
    """A port on which somebody listens."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


@pytest.fixture
def file(tmp_path):
    return tmp_path / "ports.json"


def test_port_is_remembered(file):
    first = PortBook(file).claim("postgres")

    assert PortBook(file).claim("postgres") == first


def test_services_get_different_ports(file):
    book = PortBook(file)

    assert book.claim("one") != book.claim("two")


def test_port_is_outside_of_what_outgoing_connections_use(file):
    assert FIRST_PORT <= PortBook(file).claim("service") < LAST_PORT


def test_taken_port_is_replaced_and_the_new_one_remembered(file, taken):
    file.write_text(json.dumps({"portal": taken}))

    chosen = PortBook(file).claim("portal", preferred=taken)

    assert chosen != taken
    assert is_free(chosen)
    assert PortBook(file).claim("portal", preferred=taken) == chosen


def test_taken_port_that_the_user_insists_on_is_said_in_one_sentence(file, taken):
    with pytest.raises(StartError, match=f"^Port {taken}, which PORT asks for, is taken"):
        PortBook(file).insist("portal", taken)


@pytest.mark.parametrize("content", ["", "not json", "[1]", '{"portal": "8000"}'])
def test_damaged_book_is_started_anew(file, content):
    file.write_text(content)

    assert is_free(PortBook(file).claim("portal"))
