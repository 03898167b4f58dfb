#!/usr/bin/env python3
"""What a message costs when there is more of everything: messages, mailboxes, connections.

    benches/growth.py --binary target/release/heronry [--messages 1000000] [--mailboxes 100000]
                      [--connections 10000] [--probe 5000] [--kinds messages,mailboxes,connections]
                      [--folder DIR]

Each kind has a daemon of its own and grows tenfold from step to step. At each step --probe messages of 4 KiB
are sent, ten at a time, to mailboxes by chance, and the daemon's CPU seconds for them are read, with what it
does about them in the five seconds after. Before that nothing is done until the daemon has come to rest: what an
import leaves to be done is no message's. The store is filled with messages of 300 octets, ten recipients
at a time. Connections: those that are there take turns. With less than ten, fewer messages share a
sync, which costs more and is no growth: growth is told beside ten. Prints a Markdown table.
"""

import argparse
import pathlib
import random
import socket
import tempfile
import threading
import time

from rig import Daemon, commit, more_descriptors

THREADS = 10
CLIENTS_PER_ADDRESS = 500
FILLED_AT_ONCE = 10
# Accounts among which the messages of the first kind are spread.
ACCOUNTS = 1_000

LINE = "The quick brown fox jumps over the lazy dog, and the lazy dog lets it pass.\r\n"


def message(octets):
    head = "From: a@client.test\r\nTo: b@bench.test\r\nSubject: growth\r\n\r\n"
    return (head + LINE * max(1, (octets - len(head)) // len(LINE)) + ".\r\n").encode()


class Sender:
    """A client that sends envelope and body in two pieces (RFC 2920)."""

    def __init__(self, port, number=0):
        self.socket = socket.socket()
        self.socket.settimeout(120)
        self.socket.setsockopt(socket.IPPROTO_IP, 24, 1)  # IP_BIND_ADDRESS_NO_PORT
        address = number // CLIENTS_PER_ADDRESS
        self.socket.bind((f"127.1.{address // 250}.{address % 250 + 1}", 0))
        self.socket.connect(("127.0.0.1", port))
        self.rest = b""
        self.answers(1)
        self.socket.sendall(b"EHLO client.test\r\n")
        self.answers(1)

    def answers(self, number):
        while number:
            while b"\n" not in self.rest:
                piece = self.socket.recv(4096)
                if not piece:
                    raise RuntimeError("closed")
                self.rest += piece
            line, self.rest = self.rest.split(b"\n", 1)
            if line[:1] not in (b"2", b"3"):
                raise RuntimeError(f"unexpected {line!r}")
            number -= line[3:4] == b" "

    def send(self, users, body):
        to = "".join(f"RCPT TO:<u{user}@bench.test>\r\n" for user in users)
        self.socket.sendall(f"MAIL FROM:<a@client.test>\r\n{to}DATA\r\n".encode())
        self.answers(len(users) + 2)
        self.socket.sendall(body)
        self.answers(1)

    def close(self):
        self.socket.close()


def together(work):
    """Does something in several threads, each with its number; the first error is everybody's."""
    errors = []

    def some(thread):
        try:
            work(thread)
        except Exception as error:  # told below
            errors.append(error)

    threads = [threading.Thread(target=some, args=(thread,)) for thread in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def fill(daemon, number, accounts):
    """Puts so many small messages into the mailboxes, everybody's in turn."""
    body = message(300)

    def some(thread):
        sender = Sender(daemon.ports["smtp"])
        for turn in range(thread, number // FILLED_AT_ONCE, THREADS):
            first = turn * FILLED_AT_ONCE
            sender.send([(first + one) % accounts for one in range(FILLED_AT_ONCE)], body)
        sender.close()

    together(some)


def come_to_rest(daemon):
    """Waits until the daemon does nothing any more: it tidies up every five seconds, if at all."""
    before = daemon.cpu()
    for _ in range(60):
        time.sleep(7)
        now = daemon.cpu()
        if now - before < 0.05:
            return
        before = now
    raise RuntimeError("it does not come to rest")


def probe(daemon, senders, number, accounts):
    """CPU seconds for a thousand messages, and messages in a second."""
    body, chance = message(4096), random.Random(1)
    users = [chance.randrange(accounts) for _ in range(number)]
    count = min(THREADS, len(senders))

    def some(thread):
        if thread < count:
            own = senders[thread::count]
            for turn, user in enumerate(users[thread::count]):
                own[turn % len(own)].send([user], body)

    come_to_rest(daemon)
    before, began = daemon.cpu(), time.monotonic()
    together(some)
    took = time.monotonic() - began
    time.sleep(5)
    return (daemon.cpu() - before) / number * 1000, number / took


def steps(first, last):
    while first <= last:
        yield first
        first *= 10


def grow_messages(daemon, options, row):
    daemon.import_accounts(0, ACCOUNTS)
    there = 0
    for wanted in steps(1_000, options.messages):
        fill(daemon, wanted - there, ACCOUNTS)
        there = wanted
        senders = [Sender(daemon.ports["smtp"]) for _ in range(THREADS)]
        row(wanted, *probe(daemon, senders, options.probe, ACCOUNTS))
        there += options.probe
        for sender in senders:
            sender.close()


def grow_mailboxes(daemon, options, row):
    there = 0
    senders = [Sender(daemon.ports["smtp"]) for _ in range(THREADS)]
    for wanted in steps(10, options.mailboxes):
        daemon.import_accounts(there, wanted - there)
        there = wanted
        row(wanted, *probe(daemon, senders, options.probe, wanted))


def grow_connections(daemon, options, row):
    daemon.import_accounts(0, ACCOUNTS)
    senders = []
    for wanted in steps(1, options.connections):
        while len(senders) < wanted:
            senders.append(Sender(daemon.ports["smtp"], len(senders)))
        row(wanted, *probe(daemon, senders, max(options.probe, wanted), ACCOUNTS))


KINDS = {
    "messages": (grow_messages, 1_000),
    "mailboxes": (grow_mailboxes, 10),
    "connections": (grow_connections, 10),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--binary", default="target/release/heronry")
    parser.add_argument("--messages", type=int, default=1_000_000)
    parser.add_argument("--mailboxes", type=int, default=100_000)
    parser.add_argument("--connections", type=int, default=10_000)
    parser.add_argument("--probe", type=int, default=5_000)
    parser.add_argument("--kinds", default=",".join(KINDS))
    parser.add_argument("--base", type=int, default=26_000)
    parser.add_argument("--folder")
    options = parser.parse_args()
    more_descriptors()
    print(f"{time.strftime('%Y-%m-%d')}, commit {commit()}, {options.probe} messages at each step\n")
    print("| kind | there are | CPU s per 1,000 | beside the first | messages per s | MiB (PSS) |")
    print("|---|---:|---:|---:|---:|---:|", flush=True)
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        for kind in options.kinds.split(","):
            grow, first = KINDS[kind]
            daemon = Daemon(options.binary, pathlib.Path(folder) / kind, options.base)
            base = {}

            def row(there, cost, rate):
                if there == first:
                    base["cost"] = cost
                ratio = f"{cost / base['cost']:.2f}" if base else ""
                memory = daemon.memory()["pss"] / 1024
                print(f"| {kind} | {there:,} | {cost:.3f} | {ratio} | {rate:,.0f} | {memory:.0f} |", flush=True)

            try:
                daemon.start()
                grow(daemon, options, row)
            finally:
                daemon.stop()


main()
