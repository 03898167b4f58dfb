#!/usr/bin/env python3
"""A mailbox of a million messages, through IMAP: what each command takes, and the memory after it.

    benches/mailbox.py --binary target/release/heronry [--messages 1000000] [--rounds 3] [--folder DIR]

Messages have 500 octets and are appended by four clients. In each round the daemon is started anew; files are
in the page cache, because they were just written. PSS, and what the allocator says is alive. Prints a
Markdown table of the middles.
"""

import argparse
import pathlib
import statistics
import tempfile
import time

from imap import Client
from rig import Daemon, commit, in_threads

CLIENTS = 4
IN_FLIGHT = 128


def fill(place, count):
    """Appends messages from some clients at once; how long it took, in seconds."""
    began = time.monotonic()
    in_threads(lambda first: append(Client(*place), range(first, count, CLIENTS)), CLIENTS, CLIENTS)
    return time.monotonic() - began


def append(client, numbers):
    """Sends one APPEND for each number, many in flight, and reads until each is answered."""
    waiting, rest = 0, b""
    for start in range(0, len(numbers), IN_FLIGHT // 2):
        for number in numbers[start:start + IN_FLIGHT // 2]:
            text = message(number)
            client.socket.sendall(f"a{number} APPEND INBOX {{{len(text)}+}}\r\n{text}\r\n".encode())
            waiting += 1
        waiting, rest = answered(client, waiting, rest, IN_FLIGHT // 2)
    answered(client, waiting, rest, 0)


def answered(client, waiting, rest, down_to):
    while waiting > down_to:
        piece = client.socket.recv(65536)
        if not piece:
            raise RuntimeError("closed")
        *lines, rest = (rest + piece).split(b"\r\n")
        for line in lines:
            if line.startswith(b"a"):
                if b" OK" not in line:
                    raise RuntimeError(repr(line))
                waiting -= 1
    return waiting, rest


def message(number):
    head = (
        f"From: ann{number % 997}@bench.test\r\nTo: u0@bench.test\r\nSubject: message {number}\r\n"
        f"Date: Sun, 29 Nov 2026 12:00:00 +0000\r\nMessage-ID: <{number}@bench.test>\r\n\r\n"
    )
    return head + "x" * (498 - len(head)) + "\r\n"


def commands(count):
    """What is measured, in this order."""
    end = f"{count - 99}:{count}"
    return [
        ("STATUS", "STATUS INBOX (MESSAGES UNSEEN UIDNEXT)"),
        ("SELECT, first after a start", "SELECT INBOX"),
        ("SELECT", "SELECT INBOX"),
        ("FETCH of 100 headers at the end, first", f"FETCH {end} BODY.PEEK[HEADER]"),
        ("FETCH of 100 headers at the end", f"FETCH {end} BODY.PEEK[HEADER]"),
        ("FETCH of 100 envelopes at the end", f"FETCH {end} (UID FLAGS ENVELOPE)"),
        ("FETCH of one body in the middle", f"FETCH {count // 2} BODY.PEEK[]"),
        ("STORE on one", f"STORE {count // 2} +FLAGS (\\Flagged)"),
        ("STORE on one, again", f"STORE {count // 2} -FLAGS (\\Flagged)"),
        ("NOOP", "NOOP"),
        ("SEARCH FLAGGED", "SEARCH FLAGGED"),
        ("UID SEARCH of the last hundred", f"UID SEARCH UID {end}"),
        ("FETCH 1:* FLAGS", "FETCH 1:* FLAGS"),
        ("STORE 1:* +FLAGS.SILENT", "STORE 1:* +FLAGS.SILENT (all)"),
        ("STORE 1:* -FLAGS.SILENT", "STORE 1:* -FLAGS.SILENT (all)"),
        ("SEARCH SUBJECT", f'SEARCH SUBJECT "message {count - 1}"'),
    ]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--binary", required=True)
    parser.add_argument("--messages", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--port-base", type=int, default=27_000)
    parser.add_argument("--folder", type=pathlib.Path)
    options = parser.parse_args()
    took, sizes = {}, {}
    with tempfile.TemporaryDirectory() as scratch:
        daemon = Daemon(options.binary, options.folder or pathlib.Path(scratch) / "daemon", options.port_base)
        place = ("127.0.0.1", daemon.ports["imap"], "u0@bench.test")

        def note(name, milliseconds):
            memory, alive = daemon.memory(), daemon.metrics()['heronry_process_heap_octets{what="allocated"}']
            took.setdefault(name, []).append(milliseconds)
            sizes.setdefault(name, []).append((memory["pss"] / 1024, alive / 1048576, memory["peak"] / 1024))

        try:
            daemon.start()
            daemon.import_accounts(0, 1)
            seconds = fill(place, options.messages)
            note("all appended", seconds * 1000)
            cpu = daemon.cpu()
            for _ in range(options.rounds):
                daemon.stop()
                note("start to 220", daemon.start() * 1000)
                client = Client(*place)
                for name, command in commands(options.messages):
                    note(name, client.run(command))
                client.socket.close()
        finally:
            daemon.stop()
    print(f"{options.messages} messages, {options.rounds} rounds, commit {commit()}; {options.messages / seconds:.0f} "
          f"appended in a second, {cpu / options.messages * 1e6:.0f} us of CPU each\n")
    print("| what | ms | MiB after it (PSS) | MiB alive | MiB resident at most so far |\n|---|---:|---:|---:|---:|")
    for name, times in took.items():
        pss, alive, peak = (statistics.median(column) for column in zip(*sizes[name]))
        print(f"| {name} | {statistics.median(times):.2f} | {pss:.0f} | {alive:.0f} | {peak:.0f} |")


if __name__ == "__main__":
    main()
