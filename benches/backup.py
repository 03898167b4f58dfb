#!/usr/bin/env python3
"""What a running backup costs those who send.

    benches/backup.py --binary target/release/heronry [--mib 2048] [--clients 10] [--seconds 10]
                      [--rounds 3] [--folder DIR]

A house with so much mail, in messages of 100 KiB. Clients send messages of 4 KiB, one after the other, each to a
mailbox of its own. In each round: without a backup; while one is taken at its usual pace; while one is taken as
fast as it goes. A backup is begun anew in an empty folder as often as the time asks for, on the same disk. From
the body's last octet to its 250, by the clients' clock. Prints a Markdown table of the middles.
"""

import argparse
import itertools
import pathlib
import shutil
import statistics
import subprocess
import tempfile
import threading
import time

from rig import Client, Daemon, commit, in_threads

LARGE = 100 * 1024
FILLERS = 4
LINE = "a line of the text that makes a message as long as it is to be, and no longer\r\n"
PACES = {"without a backup": None, "a backup at its usual pace": [], "as fast as it goes": ["--octets-per-second", "0"]}


def text(size, subject):
    head = f"From: <a@client.test>\r\nSubject: {subject}\r\n\r\n"
    return (head + LINE * (size // len(LINE)))[: size - 2] + "\r\n"


class Sender(threading.Thread):
    """Sends until told to end; keeps how long each 250 took."""

    def __init__(self, port, number):
        super().__init__()
        self.peer = Client(port, number)
        self.peer.until(b"220 ")
        self.peer.say("EHLO client.test", b"250 ")
        self.user, self.times, self.trouble, self.ends = f"u{number}@bench.test", [], None, False

    def send(self, size, subject):
        self.peer.say(f"MAIL FROM:<a@client.test>\r\nRCPT TO:<{self.user}>\r\nDATA", b"250 ", b"250 ", b"354 ")
        body = text(size, subject) + "."
        began = time.monotonic()
        self.peer.say(body, b"250 ")
        self.times.append(time.monotonic() - began)

    def run(self):
        try:
            for number in itertools.count():
                if self.ends:
                    return
                self.send(4096, number)
        except Exception as trouble:  # told by whoever joins
            self.trouble = trouble


def filled(daemon, mib):
    """Brings so much mail, different in every message."""
    def some(number):
        sender = Sender(daemon.ports["smtp"], number)
        for message in range(mib * 1048576 // LARGE // FILLERS):
            sender.send(LARGE, f"{number} {message}")

    in_threads(some, FILLERS, FILLERS)


def backups(daemon, shelf, words, until):
    """Takes backups until it is time; how many whole ones, and MiB of these in a second."""
    taken, octets, began = 0, 0, time.monotonic()
    while time.monotonic() < until:
        shutil.rmtree(shelf, ignore_errors=True)
        command = [daemon.binary, "backup", "--data", str(daemon.data), *words, str(shelf)]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        try:
            _, error = process.communicate(timeout=max(0.1, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            octets += size_of(shelf)
            break
        if process.returncode:
            raise RuntimeError(error.decode())
        taken += 1
        octets += size_of(shelf)
    return taken, octets / 1048576 / (time.monotonic() - began)


def size_of(folder):
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def measured(daemon, options, words, shelf):
    """Delays in ms, messages in a second, CPU of the daemon for each 1,000, and the backup's MiB in a second."""
    senders = [Sender(daemon.ports["smtp"], number) for number in range(options.clients)]
    cpu, began = daemon.cpu(), time.monotonic()
    for sender in senders:
        sender.start()
    speed = None
    if words is None:
        time.sleep(options.seconds)
    else:
        _, speed = backups(daemon, shelf, words, began + options.seconds)
    took = time.monotonic() - began
    for sender in senders:
        sender.ends = True
    for sender in senders:
        sender.join()
        if sender.trouble:
            raise sender.trouble
    times = sorted(1000 * each for sender in senders for each in sender.times)
    return {
        "rate": len(times) / took, "p50": times[len(times) // 2], "p99": times[len(times) * 99 // 100],
        "longest": times[-1], "cpu": (daemon.cpu() - cpu) / len(times) * 1000, "speed": speed,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--binary", required=True)
    parser.add_argument("--mib", type=int, default=2048)
    parser.add_argument("--clients", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--port-base", type=int, default=28_000)
    parser.add_argument("--folder", type=pathlib.Path)
    options = parser.parse_args()
    rows = {name: [] for name in PACES}
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.folder or pathlib.Path(scratch)
        daemon = Daemon(options.binary, folder / "daemon", options.port_base)
        shelf = folder / "backup"
        try:
            daemon.start()
            daemon.import_accounts(0, max(FILLERS, options.clients))
            filled(daemon, options.mib)
            for _ in range(options.rounds):
                for name, words in PACES.items():
                    rows[name].append(measured(daemon, options, words, shelf))
        finally:
            daemon.stop()
            shutil.rmtree(shelf, ignore_errors=True)
    print(f"{options.mib} MiB of mail, {options.clients} clients, {options.rounds} rounds of {options.seconds:g} s, commit {commit()}\n")
    print("| while they send | messages/s | p50 ms | p99 ms | longest ms | p99 to calm | CPU s per 1,000 | backup MiB/s |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|")
    calm = None
    for name, found in rows.items():
        middle = {key: statistics.median(row[key] for row in found) for key in ("rate", "p50", "p99", "longest", "cpu")}
        calm = calm or middle["p99"]
        speeds = [row["speed"] for row in found if row["speed"] is not None]
        print(
            f"| {name} | {middle['rate']:,.0f} | {middle['p50']:.2f} | {middle['p99']:.2f} | {middle['longest']:.0f} "
            f"| {middle['p99'] / calm:.1f} | {middle['cpu']:.3f} | {f'{statistics.median(speeds):.0f}' if speeds else ''} |"
        )


if __name__ == "__main__":
    main()
