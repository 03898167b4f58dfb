#!/usr/bin/env python3
"""What IMAP commands take on a large mailbox, in milliseconds: the best and the middle of some rounds.

    benches/imap.py --binary target/release/heronry [--messages 10000] [--rounds 5] [--folder DIR]
                    [--beside HOST:PORT --user NAME]

One client, one daemon. Messages are 4 KiB. "cold" is the first time after a start of the daemon; the
files are in the page cache then, because they were just written. With --beside, the same is done to
another server, whose mailbox is empty and whose password is "pw", in turn; it is not started anew.
Prints a Markdown table.
"""

import argparse
import pathlib
import socket
import statistics
import tempfile
import time

from rig import Daemon, commit

BODY = "".join(f"line {n} of the text that makes a message as long as most are\r\n" for n in range(60))


class Client:
    """One connection, which reads as fast as it can."""

    def __init__(self, host, port, user):
        self.socket = socket.create_connection((host, port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.room = bytearray(1 << 20)
        self.tags = 0
        self.socket.recv(4096)
        self.run(f"LOGIN {user} pw")

    def run(self, command):
        """Says a command and reads to its end; how long that took, and its last octets."""
        self.tags += 1
        tag = f"t{self.tags} ".encode()
        began = time.perf_counter()
        self.socket.sendall(tag + command.encode() + b"\r\n")
        end = b""
        while True:
            count = self.socket.recv_into(self.room)
            if not count:
                raise RuntimeError(f"closed at {command}")
            end = (end + self.room[max(0, count - 2048):count])[-2048:]
            if end.endswith(b"\r\n"):
                last = end[:-2].rsplit(b"\n", 1)[-1]
                if last.startswith(tag):
                    took = time.perf_counter() - began
                    if not last.startswith(tag + b"OK"):
                        raise RuntimeError(f"{command}: {last!r}")
                    return took * 1000

    def fill(self, count):
        """Appends messages, many in flight."""
        done, sent, rest = 0, 0, b""
        while done < count:
            while sent < count and sent - done < 64:
                text = (
                    f"From: ann{sent}@bench.test\r\nTo: u0@bench.test\r\nSubject: message {sent}\r\n"
                    f"Date: Sun, 29 Nov 2026 12:00:00 +0000\r\nMessage-ID: <{sent}@bench.test>\r\n"
                    f"X-Filler: {'x' * 300}\r\n\r\n{BODY}"
                )[:4096]
                line = f"a{sent} APPEND INBOX {{{len(text)}+}}\r\n{text}\r\n"
                self.socket.sendall(line.encode())
                sent += 1
            rest += self.socket.recv(65536)
            *lines, rest = rest.split(b"\r\n")
            for line in lines:
                if line.startswith(b"a"):
                    if b" OK" not in line:
                        raise RuntimeError(repr(line))
                    done += 1


class Table:
    """What was measured, by name."""

    def __init__(self):
        self.rows = {}

    def note(self, name, took):
        self.rows.setdefault(name, []).append(took)


def round_of(client, table, number):
    """Every command once, on the mailbox that is open."""
    note, run = table.note, client.run
    note("SELECT", run("SELECT INBOX"))
    note("STATUS", run("STATUS INBOX (MESSAGES UNSEEN RECENT)"))
    note("flags of all", run("FETCH 1:* FLAGS"))
    note("all headers", run("FETCH 1:* BODY.PEEK[HEADER]"))
    note("all bodies", run("FETCH 1:* BODY.PEEK[]"))
    note("SEARCH SUBJECT", run('SEARCH SUBJECT "message 77"'))
    note("SEARCH UNSEEN", run("SEARCH UNSEEN"))
    keyword = f"k{number}"
    note("STORE 1:* +FLAGS.SILENT", run(f"STORE 1:* +FLAGS.SILENT ({keyword})"))
    note("STORE 1:* -FLAGS", run(f"STORE 1:* -FLAGS ({keyword})"))
    single = [run(f"STORE {n} +FLAGS.SILENT ({keyword})") for n in range(1, 51)]
    note("STORE of one message", statistics.median(single))
    single = [run(f"FETCH {n} BODY.PEEK[]") for n in range(1, 501)]
    note("FETCH of one message", statistics.median(single))


def measure(options, folder):
    daemon = Daemon(options.binary, folder, options.port_base)
    ours, theirs, other = Table(), Table(), None
    place = ("127.0.0.1", daemon.ports["imap"], "u0@bench.test")
    try:
        daemon.start()
        daemon.import_accounts(0, 1)
        Client(*place).fill(options.messages)
        if options.beside:
            host, port = options.beside.rsplit(":", 1)
            other = Client(host, int(port), options.user)
            other.fill(options.messages)
        daemon.settled()
        for number in range(options.rounds):
            daemon.stop()
            daemon.start()
            client = Client(*place)
            ours.note("SELECT, cold", client.run("SELECT INBOX"))
            ours.note("all headers, cold", client.run("FETCH 1:* BODY.PEEK[HEADER]"))
            round_of(client, ours, number)
            if other:
                round_of(other, theirs, number)
    finally:
        daemon.stop()
    return ours.rows, theirs.rows


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--binary", required=True)
    parser.add_argument("--messages", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--port-base", type=int, default=26_000)
    parser.add_argument("--folder", type=pathlib.Path)
    parser.add_argument("--beside")
    parser.add_argument("--user", default="u0")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        ours, theirs = measure(options, options.folder or pathlib.Path(scratch) / "daemon")
    print(f"{options.messages} messages, {options.rounds} rounds, commit {commit()}\n")
    print("| ms | best | middle | beside: best | middle | ratio of the middles |\n|---|---:|---:|---:|---:|---:|")
    for name, took in ours.items():
        middle, line = statistics.median(took), f"| {name} | {min(took):.2f}"
        line += f" | {middle:.2f}"
        if name in theirs:
            other = statistics.median(theirs[name])
            line += f" | {min(theirs[name]):.2f} | {other:.2f} | {other / middle:.1f} |"
        else:
            line += " | | | |"
        print(line)


if __name__ == "__main__":
    main()
