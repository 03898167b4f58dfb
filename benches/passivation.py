#!/usr/bin/env python3
"""Memory of a house with many accounts, some of which were used and then not.

    benches/passivation.py --binary target/release/heronry [--accounts 1000000] [--used 100000]
                           [--quiet 100] [--folder DIR]

Imports the accounts; brings mail to half of the used ones (LMTP, many recipients to a message)
and logs in to the other half (POP3), within a minute if the machine can; then waits until their
mailbox actors, which leave after 60 idle seconds, are gone. Prints a Markdown table.
"""

import argparse
import pathlib
import socket
import tempfile
import threading
import time
import urllib.request

from rig import Daemon, commit, more_descriptors

RECIPIENTS = 100
THREADS = 4


class Dialogue:
    """A connection with lines and one answer to each."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), 60)
        self.file = self.socket.makefile("rb")

    def line(self, start):
        while True:
            line = self.file.readline()
            if line.startswith(start):
                return
            if not line or line[:1] in b"45-":
                raise RuntimeError(f"expected {start!r}, got {line!r}")

    def say(self, text, *answers):
        self.socket.sendall(text.encode())
        for answer in answers:
            self.line(answer)

    def close(self):
        self.file.close()
        self.socket.close()


def bring_mail(daemon, users):
    """One short message to each of `users`, a hundred recipients at a time."""
    peer = Dialogue(daemon.ports["lmtp"])
    peer.line(b"220 ")
    peer.say("LHLO client.test\r\n", b"250 ")
    users = list(users)
    for start in range(0, len(users), RECIPIENTS):
        some = users[start : start + RECIPIENTS]
        lines = ["MAIL FROM:<a@client.test>"] + [f"RCPT TO:<u{user}@bench.test>" for user in some]
        peer.say("\r\n".join(lines) + "\r\nDATA\r\n", *[b"250 "] * len(lines), b"354 ")
        peer.say("Subject: hello\r\n\r\nhello\r\n.\r\n", *[b"250 "] * len(some))
    peer.say("QUIT\r\n", b"221 ")
    peer.close()


def log_in(daemon, users):
    """A POP3 login for each of `users`: it reads the mailbox."""
    for user in users:
        peer = Dialogue(daemon.ports["pop3"])
        peer.line(b"+OK")
        peer.say(f"USER u{user}@bench.test\r\nPASS pw\r\nSTAT\r\nQUIT\r\n", *[b"+OK"] * 4)
        peer.close()


def by_threads(work, daemon, users):
    troubles = []

    def some(part):
        try:
            work(daemon, part)
        except Exception as trouble:  # told below
            troubles.append(trouble)

    threads = [threading.Thread(target=some, args=(users[thread::THREADS],)) for thread in range(THREADS)]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if troubles:
        raise troubles[0]
    return time.monotonic() - began


def members(daemon):
    """How many mailbox actors are resident, as the metrics say."""
    with urllib.request.urlopen(f"http://127.0.0.1:{daemon.ports['http']}/metrics", timeout=30) as page:
        for line in page.read().decode().splitlines():
            if line.startswith('heronry_supervision_children{supervisor="mailboxes"}'):
                return int(float(line.split()[-1]))
    return None


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--binary", default="target/release/heronry")
    parser.add_argument("--accounts", type=int, default=1_000_000)
    parser.add_argument("--used", type=int, default=100_000)
    parser.add_argument("--quiet", type=float, default=100)
    parser.add_argument("--folder")
    parser.add_argument("--port-base", type=int, default=24_000)
    options = parser.parse_args()
    more_descriptors()
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(options.folder or temporary) / "passivation"
        daemon = Daemon(options.binary, folder, options.port_base)
        print(f"{time.strftime('%Y-%m-%d')}, commit {commit()}, {options.accounts:,} accounts, "
              f"{options.used:,} used\n")
        print("| when | MiB (PSS) | of that anonymous | mailbox actors | seconds | CPU seconds |")
        print("|---|---:|---:|---:|---:|---:|", flush=True)
        spent = 0.0

        def row(when, took):
            nonlocal spent
            memory, cpu = daemon.settled(rounds=3), daemon.cpu()
            print(f"| {when} | {memory['pss'] / 1024:.1f} | {memory['anon'] / 1024:.1f} "
                  f"| {members(daemon)} | {took:.1f} | {cpu - spent:.1f} |", flush=True)
            spent = cpu

        try:
            row("no accounts", daemon.start())
            row("all imported", daemon.import_accounts(0, options.accounts))
            daemon.stop()
            spent = 0.0
            row("started again, none resident", daemon.start(600))
            half = options.used // 2
            row("mail for half of the used", by_threads(bring_mail, daemon, range(half)))
            row("a login of the other half", by_threads(log_in, daemon, range(half, options.used)))
            time.sleep(options.quiet)
            row("all quiet", options.quiet)
            row("the same again: mail", by_threads(bring_mail, daemon, range(half)))
            row("the same again: logins", by_threads(log_in, daemon, range(half, options.used)))
            time.sleep(options.quiet)
            row("all quiet again", options.quiet)
            stopped = daemon.stop()
            spent = 0.0
            row("started again, none resident", daemon.start(600))
            print(f"\nStopped in {stopped:.1f} s. The import was told to come back later {daemon.refusals} times.")
        finally:
            daemon.stop()


main()
