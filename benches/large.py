#!/usr/bin/env python3
"""Large messages beside the disk: MiB a second of both in the same minute, CPU, and memory.

    benches/large.py --binary target/release/heronry [--mib 10] [--clients 4] [--messages 10]
                     [--rounds 5] [--folder DIR]

Each client sends so many messages, one after the other, to a mailbox of its own. Before and after each round one
thread writes as much as a message and syncs, again and again, in the same folder: that is the disk's rate. Prints a
Markdown table.
"""

import argparse
import os
import pathlib
import statistics
import tempfile
import time

from rig import Client, Daemon, commit, in_threads

MIB = 1 << 20
LINE = b"a line of the text that makes a message as long as it is to be, and no longer\r\n"


def disk(folder, mib, seconds=2.0):
    """MiB in a second of one thread that writes and syncs."""
    piece, path = os.urandom(mib * MIB), folder / "disk"
    done, began = 0, time.monotonic()
    file = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
    try:
        while time.monotonic() - began < seconds:
            rest = memoryview(piece)
            while rest:
                rest = rest[os.write(file, rest):]
            os.fdatasync(file)
            done += mib
        return done / (time.monotonic() - began)
    finally:
        os.close(file)
        path.unlink()


def body(mib):
    head = b"From: <a@client.test>\r\nSubject: large\r\n\r\n"
    return (head + LINE * (mib * MIB // len(LINE) + 1))[: mib * MIB - 2] + b"\r\n.\r\n"


def send(port, number, octets, messages):
    peer = Client(port, number)
    peer.until(b"220 ")
    peer.say("EHLO client.test", b"250 ")
    for _ in range(messages):
        peer.say(f"MAIL FROM:<a@client.test>\r\nRCPT TO:<u{number}@bench.test>\r\nDATA", b"250 ", b"250 ", b"354 ")
        peer.socket.sendall(octets)
        peer.until(b"250 ")
    peer.close()


def mail(daemon, options, octets):
    """MiB in a second that were accepted, and CPU seconds of the daemon for each GiB."""
    cpu, began = daemon.cpu(), time.monotonic()
    in_threads(
        lambda number: send(daemon.ports["smtp"], number, octets, options.messages),
        options.clients, options.clients,
    )
    sent = options.mib * options.messages * options.clients
    return sent / (time.monotonic() - began), (daemon.cpu() - cpu) / sent * 1024


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--binary", required=True)
    parser.add_argument("--mib", type=int, default=10)
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--messages", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--port-base", type=int, default=29_000)
    parser.add_argument("--folder", type=pathlib.Path)
    options = parser.parse_args()
    octets, shares = body(options.mib), []
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.folder or pathlib.Path(scratch)
        daemon = Daemon(options.binary, folder / "daemon", options.port_base)
        print(f"messages of {options.mib} MiB, {options.clients} clients, commit {commit()}\n")
        print("| disk before / after, MiB/s | mail, MiB/s | of the disk | CPU s per GiB | PSS / most ever resident, MiB |")
        print("|---|---:|---:|---:|---:|")
        try:
            daemon.start()
            daemon.import_accounts(0, options.clients)
            for _ in range(options.rounds):
                before = disk(folder, options.mib)
                rate, cpu = mail(daemon, options, octets)
                memory = daemon.memory()
                after = disk(folder, options.mib)
                shares.append(rate / ((before + after) / 2))
                print(f"| {before:.0f} / {after:.0f} | {rate:.0f} | {shares[-1]:.2f} | {cpu:.2f} "
                      f"| {memory['pss'] / 1024:.0f} / {memory['peak'] / 1024:.0f} |", flush=True)
        finally:
            daemon.stop()
    print(f"\nThe middle: {statistics.median(shares):.2f} of the disk.")


if __name__ == "__main__":
    main()
