#!/usr/bin/env python3
"""What IMAP commands take on a large mailbox, in milliseconds: the best and the middle of some rounds.

    benches/imap.py --binary target/release/heronry [--messages 10000] [--rounds 5] [--folder DIR]

One client, one daemon. Messages are 4 KiB. "cold" is the first time after a start of the daemon; the
files are in the page cache then, because they were just written. Prints a Markdown table.
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

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.room = bytearray(1 << 20)
        self.tags = 0
        self.socket.recv(4096)

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


def selected(daemon):
    client = Client(daemon.ports["imap"])
    client.run("LOGIN u0@bench.test pw")
    return client, client.run("SELECT INBOX")


def measure(options, folder):
    daemon = Daemon(options.binary, folder, options.port_base)
    table = {}

    def note(name, took):
        table.setdefault(name, []).append(took)

    try:
        daemon.start()
        daemon.import_accounts(0, 1)
        client = Client(daemon.ports["imap"])
        client.run("LOGIN u0@bench.test pw")
        client.fill(options.messages)
        daemon.settled()
        for number in range(options.rounds):
            daemon.stop()
            daemon.start()
            client, took = selected(daemon)
            note("SELECT, cold", took)
            note("all headers, cold", client.run("FETCH 1:* BODY.PEEK[HEADER]"))
            begun = daemon.cpu()
            note("SELECT", client.run("SELECT INBOX"))
            note("STATUS", client.run("STATUS INBOX (MESSAGES UNSEEN RECENT)"))
            note("flags of all", client.run("FETCH 1:* FLAGS"))
            note("all headers", client.run("FETCH 1:* BODY.PEEK[HEADER]"))
            note("all bodies", client.run("FETCH 1:* BODY.PEEK[]"))
            note("SEARCH SUBJECT", client.run('SEARCH SUBJECT "message 77"'))
            note("SEARCH UNSEEN", client.run("SEARCH UNSEEN"))
            keyword = f"k{number}"
            note("STORE 1:* +FLAGS.SILENT", client.run(f"STORE 1:* +FLAGS.SILENT ({keyword})"))
            note("STORE 1:* -FLAGS", client.run(f"STORE 1:* -FLAGS ({keyword})"))
            single = [client.run(f"STORE {n} +FLAGS.SILENT ({keyword})") for n in range(1, 51)]
            note("STORE of one message", statistics.median(single))
            single = [client.run(f"FETCH {n} BODY.PEEK[]") for n in range(1, 501)]
            note("FETCH of one message", statistics.median(single))
            note("CPU of one round", (daemon.cpu() - begun) * 1000)
    finally:
        daemon.stop()
    return table


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--binary", required=True)
    parser.add_argument("--messages", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--port-base", type=int, default=26_000)
    parser.add_argument("--folder", type=pathlib.Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        table = measure(options, options.folder or pathlib.Path(scratch) / "daemon")
    print(f"{options.messages} messages, {options.rounds} rounds, commit {commit()}\n")
    print("| ms | best | middle |\n|---|---:|---:|")
    for name, took in table.items():
        print(f"| {name} | {min(took):.2f} | {statistics.median(took):.2f} |")


if __name__ == "__main__":
    main()
