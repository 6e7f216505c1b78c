"""The client of an admin socket, with a peer that drops who comes at the wrong moment."""

import shutil
import socket
import threading

import pytest

from proxyconfig.targets.local.admin_client import AdminClient
from proxyconfig.tests.targets.local_processes import socket_folder
from tenants.errors import TransientError

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"


@pytest.fixture
def client():
    """A client whose peer answers from the second connection on, as often as it is told."""
    folder = socket_folder()
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(folder / "admin.sock"))
    listener.listen()
    yield AdminClient(str(folder / "admin.sock"), name="Caddy"), listener
    listener.close()
    shutil.rmtree(folder)


def serve(listener, answers):
    """Answer one connection for each entry; None drops it."""

    def run():
        for answer in answers:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                if answer is not None:
                    connection.sendall(answer)

    threading.Thread(target=run, daemon=True).start()


def test_connection_that_is_dropped_without_an_answer_is_made_again(client):
    admin, listener = client
    serve(listener, [None, ANSWER])

    assert admin.call("GET", "/config/").body == {}


def test_second_drop_is_a_proxy_that_does_not_answer(client):
    admin, listener = client
    serve(listener, [None, None])

    with pytest.raises(TransientError, match="Caddy does not answer on its admin socket"):
        admin.call("GET", "/config/")
