"""``python -m connectors.simulator --data DIR``: start the simulator of Microsoft's endpoints."""

import argparse
from pathlib import Path

from connectors.simulator.app import build_app
from connectors.simulator.exchanges import ExchangeBook
from connectors.simulator.log import AcceptedLog
from connectors.simulator.server import serve
from connectors.simulator.store import World


def main() -> None:
    """Read the command line and serve until told to stop."""
    parser = argparse.ArgumentParser(prog="python -m connectors.simulator", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder for ca.pem, simulator.json and accepted.log")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free port")
    parser.add_argument("--action-seconds", type=float, default=0.5, help="how long each action takes to succeed")
    parser.add_argument("--client-id", default="quell-demo")
    parser.add_argument("--client-secret", default="demo-secret")
    parser.add_argument("--exchanges", type=Path, help="a file for every call and its answer, whole")
    options = parser.parse_args()
    directory: Path = options.data.resolve()
    directory.mkdir(parents=True, exist_ok=True)
    world = World(clients={options.client_id: options.client_secret})
    log = AcceptedLog(directory / "accepted.log")
    book = ExchangeBook(options.exchanges)
    try:
        serve(build_app(world, log, options.action_seconds, book), directory, options.port)
    finally:
        log.close()
        book.close()


if __name__ == "__main__":
    main()
