#!/usr/bin/env python3
"""A daemon with a large queue: how long from kill -9 to the first 220, and what it has in memory.

    cargo build --release && cargo build --release -p heronry-store --example bars
    target/release/examples/bars queue-fill QUEUE 1000000
    benches/million.py --binary target/release/heronry --queue QUEUE

QUEUE is a data folder as the example left it, mail for 1,000 domains; it is copied by hard links and stays as
it is. All of it is to go to a hop that does not answer, so that every domain's queue is awake and tries.
"""

import argparse
import os
import pathlib
import shutil
import signal
import tempfile
import time

import rig


def main():
    arguments = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    arguments.add_argument("--binary", required=True)
    arguments.add_argument("--queue", required=True, help="a data folder as `bars queue-fill` leaves it")
    arguments.add_argument("--base", type=int, default=24000, help="of the ports")
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--seconds", type=float, default=30, help="how long it is watched each time")
    given = arguments.parse_args()
    queue = pathlib.Path(given.queue)
    with tempfile.TemporaryDirectory(dir=queue.parent) as folder:
        daemon = rig.Daemon(given.binary, folder + "/house", base=given.base, more='[delivery]\nrelay = "127.0.0.1:9"')
        copy(queue, daemon.data)
        print(f"commit {rig.commit()}")
        print("| start | s to 220 | MiB then (PSS) | MiB at most (resident) | CPU s in the end |")
        print("|---|---:|---:|---:|---:|")
        for number in range(given.rounds):
            took = daemon.start()
            first = daemon.memory()["pss"] >> 10
            time.sleep(given.seconds)
            peak, cpu = daemon.memory()["peak"] >> 10, daemon.cpu()
            print(f"| {number + 1} | {took:.2f} | {first} | {peak} | {cpu:.1f} |", flush=True)
            daemon.process.send_signal(signal.SIGKILL)
            daemon.process.wait()


def copy(source, target):
    """The journal is linked: what the daemon writes to it, it writes to a segment of its own, but
    for the end of the last one, which is copied with everything else."""
    segments = sorted((source / "journal").iterdir())
    for path in source.rglob("*"):
        there = target / path.relative_to(source)
        if path.is_dir():
            there.mkdir(exist_ok=True)
        elif path in segments[:-2]:
            os.link(path, there)
        elif path.is_file():
            shutil.copy2(path, there)


if __name__ == "__main__":
    main()
