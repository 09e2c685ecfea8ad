"""`python -m bench.push`: how fast the Pub/Sub emulator's ordered push is, through a Functions Framework server.

The floor under every latency of the local stack; docs/emulators.md has the figures and what follows from them.
"""

from __future__ import annotations

import statistics
import time
from pathlib import Path

from google.cloud import pubsub_v1

from bench import result, without_options
from local import topology
from local.emulators import Emulators
from local.functions import FunctionServer
from local.processes import Processes
from local.stack import RULES, environment
from pitwall.settings import Settings

BURST = 2_000
RATES = {2: 40, 10: 200, 50: 500}
"""Messages sent at so many a second."""
PADDING = b"x" * 3_000
"""About what a tick of a race holds."""
TIMEOUT_S = 120.0


class Arrivals:
    """What the subscriber noted."""

    def __init__(self, file: Path) -> None:
        self._file = file
        file.touch()

    def wait_for(self, number: int) -> list[tuple[int, float, float]]:
        """The first arrivals, once there are so many: number, seconds at which it was published and arrived."""
        deadline = time.monotonic() + TIMEOUT_S
        while True:
            lines = self._file.read_text().splitlines()
            if len(lines) >= number:
                read = [line.split() for line in lines]
                return [(int(n), float(published), float(arrived)) for n, published, arrived in read]
            if time.monotonic() > deadline:
                raise TimeoutError(f"{len(lines)} of {number} messages were pushed in {TIMEOUT_S:g} s")
            time.sleep(0.05)


def measure(processes: Processes, threads: int) -> dict[str, float | bool]:
    """Figures of a subscriber with so many threads; latencies in milliseconds."""
    settings = Settings(project=f"push-{threads}")
    file = processes.logs / f"arrivals-{threads}"
    source = Path(__file__).with_name("push_function.py")
    name = f"subscriber-{threads}"
    env = {"ARRIVALS": str(file)}
    server = FunctionServer(processes, name, "subscriber", env, threads=threads, source=source)
    server.wait_until_ready()
    topology.create(settings, {"writer": server.url, "recorder": server.url})
    options = pubsub_v1.types.PublisherOptions(enable_message_ordering=True)
    publisher = pubsub_v1.PublisherClient(publisher_options=options)
    topic = publisher.topic_path(settings.project, settings.topic_timing)
    arrivals = Arrivals(file)
    sent = 0

    def publish(messages: int, pause_s: float) -> list[tuple[int, float, float]]:
        nonlocal sent
        before = sent
        for _ in range(messages):
            publisher.publish(topic, b"%d %f %s" % (sent, time.time(), PADDING), ordering_key="9845")
            sent += 1
            time.sleep(pause_s)
        return arrivals.wait_for(sent)[before:]

    publish(50, 0)
    burst = publish(BURST, 0)
    took = max(arrived for _, _, arrived in burst) - min(published for _, published, _ in burst)
    figures: dict[str, float | bool] = {"burstPerS": round(BURST / took)}
    for rate, messages in RATES.items():
        late = [(arrived - published) * 1000 for _, published, arrived in publish(messages, 1 / rate)]
        figures[f"p50MsAt{rate}"] = round(statistics.median(late), 1)
        figures[f"p99MsAt{rate}"] = round(statistics.quantiles(late, n=100)[98], 1)
    everything = arrivals.wait_for(sent)
    figures["inOrderAndOnce"] = [n for n, _, _ in everything] == list(range(sent))
    publisher.stop()
    return figures


def main() -> None:
    without_options("bench.push", __doc__)
    with Processes() as processes:
        emulators = Emulators.start(processes, RULES)
        with environment(emulators.env):
            measured = {f"threads{threads}": measure(processes, threads) for threads in (1, 8)}
    result("push", **measured)


if __name__ == "__main__":
    main()
