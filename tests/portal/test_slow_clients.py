"""A client that takes nothing is cut off by the server we run, and what was being sent to it ends."""

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ENDLESS = """
from pathlib import Path

from portal import slow_clients

slow_clients.CLIENT_SECONDS = 0.5


def endless(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    try:
        while True:
            yield b"x" * 65536
    finally:
        Path("ended").touch()


application = slow_clients.cut_off_slow_clients(endless)
"""


def wait_for(path: Path) -> None:
    ends_at = time.monotonic() + 20
    while not path.exists():
        assert time.monotonic() < ends_at, f"{path.name} never came"
        time.sleep(0.02)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Path]:
    """The web server as we run it, with one thread, answering without end."""
    (tmp_path / "endless.py").write_text(ENDLESS)
    address = tmp_path / "web.sock"
    command = [sys.executable, "-m", "gunicorn", "endless:application", "--bind", f"unix:{address}", "--threads", "1"]
    command += [
        "--worker-class",
        "gthread",
        "--pythonpath",
        str(ROOT),
        "--chdir",
        str(tmp_path),
        "--no-control-socket",
        "--graceful-timeout",
        "1",
    ]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        try:
            wait_for(address)
            yield address
        finally:
            process.terminate()


def test_who_takes_nothing_is_cut_off_and_the_thread_is_free_for_the_next(server: Path, tmp_path: Path) -> None:
    for _turn in range(2):
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(20)
            client.connect(str(server))
            client.sendall(b"GET / HTTP/1.1\r\nHost: quell.example\r\n\r\n")
            wait_for(tmp_path / "ended")
            while client.recv(65536):
                pass  # what was on its way, then the end of the connection
        (tmp_path / "ended").unlink()
