#!/usr/bin/env python3
"""Instructions that the daemon spends on one message, from the first octet to the mailbox.

    benches/instructions.py --binary target/release/heronry [--messages 2000] [--keep FILE]
                            [--accounts 20]
    benches/instructions.py --guard benches/instructions.json [--refresh]

Runs the daemon under `valgrind --tool=callgrind` and sends 4 KiB messages over ten connections, as
clients with PIPELINING do. The figure does not depend on how busy the machine is; what a kernel
does for the daemon is not in it. --keep keeps the profile, for callgrind_annotate.

--guard compares with a recorded figure and fails when it has grown by more than a tenth: CI does so
with the binary that the tests have built anyway (target/debug/heronry, opt-level 1), which is dearer
than a release but moves as that does. Whoever makes the daemon dearer for a reason, or cheaper, or
changes the compiler, records a new figure with --refresh in the same commit, and says why.
"""

import argparse
import json
import pathlib
import random
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time

from rig import PORTS, Daemon, commit

CONNECTIONS = 10
ACCOUNTS = 20
WARM = 500

# What a recorded figure was measured with, and how much more is borne.
GUARD_MESSAGES = 1_000
GROWTH_MAX = 1.10

# Other work on the machine makes it dearer, by a twentieth at most: the least of some runs counts.
RUNS = 3


class Sender:
    """A client that sends envelope and body in two pieces (RFC 2920)."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), 120)
        self.file = self.socket.makefile("rb")
        self.answers(1)
        self.socket.sendall(b"EHLO client.test\r\n")
        self.answers(1)

    def answers(self, number):
        while number:
            line = self.file.readline()
            if line[:1] not in (b"2", b"3"):
                raise RuntimeError(f"unexpected {line!r}")
            number -= line[3:4] == b" "

    def send(self, recipient, message):
        envelope = f"MAIL FROM:<a@client.test>\r\nRCPT TO:<{recipient}>\r\nDATA\r\n"
        self.socket.sendall(envelope.encode())
        self.answers(3)
        self.socket.sendall(message)
        self.answers(1)


def message(octets=4096):
    head = "From: a@client.test\r\nTo: b@bench.test\r\nSubject: instructions\r\n\r\n"
    line = "The quick brown fox jumps over the lazy dog, and the lazy dog lets it pass.\r\n"
    return (head + line * ((octets - len(head)) // len(line)) + ".\r\n").encode()


def send(daemon, number, accounts):
    body, chance = message(), random.Random(number)
    users = [chance.randrange(accounts) for _ in range(number)]

    def some(thread):
        sender = Sender(daemon.ports["smtp"])
        for turn in range(number // CONNECTIONS):
            sender.send(f"u{users[turn * CONNECTIONS + thread]}@bench.test", body)

    threads = [threading.Thread(target=some, args=(thread,)) for thread in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    time.sleep(2)  # what is delivered after the answer belongs to the message


def free_base():
    """A number such that all ports of a daemon from there on are free."""
    for base in range(24_000, 32_000, 1_000):
        sockets = []
        try:
            for port in PORTS.values():
                sockets.append(socket.socket())
                sockets[-1].setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                sockets[-1].bind(("127.0.0.1", base + port))
            return base
        except OSError:
            continue
        finally:
            for each in sockets:
                each.close()
    raise RuntimeError("no ports are free")


def per_message(binary, messages, keep=None, accounts=ACCOUNTS):
    with tempfile.TemporaryDirectory() as folder:
        daemon = Daemon(binary, pathlib.Path(folder) / "house", free_base())
        profile = pathlib.Path(folder) / "profile"
        daemon.under = ["valgrind", "--tool=callgrind", "--instr-atstart=no",
                        f"--callgrind-out-file={profile}"]
        try:
            daemon.start()
            daemon.import_accounts(0, accounts)
            send(daemon, WARM, accounts)
            for what in ("on", "off"):
                subprocess.run(["callgrind_control", "-i", what, str(daemon.process.pid)],
                               check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                if what == "on":
                    send(daemon, messages, accounts)
        finally:
            daemon.stop()
        if keep:
            shutil.copy(profile, keep)
        total = int(re.search(r"^totals: (\d+)", profile.read_text(), re.M).group(1))
        return total / messages


def guard(file, binary, refresh):
    """Compares with the recorded figure, or records one; says whether it is borne."""
    if refresh:
        found = min(per_message(binary, GUARD_MESSAGES) for _ in range(RUNS))
        file.write_text(json.dumps({"instructions_per_message": round(found)}) + "\n")
        print(f"recorded: {found:,.0f} instructions per message")
        return True
    recorded = json.loads(file.read_text())["instructions_per_message"]
    for _ in range(RUNS):
        found = per_message(binary, GUARD_MESSAGES)
        ratio = found / recorded
        if ratio <= GROWTH_MAX:
            break
    print(f"{found:,.0f} instructions per message, recorded are {recorded:,}: {ratio:.3f} of it")
    if ratio > GROWTH_MAX:
        print(f"more than {GROWTH_MAX:.2f}. Where they go: --keep FILE, callgrind_annotate FILE. "
              "If it is meant: --refresh")
    elif ratio < 2 - GROWTH_MAX:
        print("it has become cheaper: --refresh, so that it stays so")
    return ratio <= GROWTH_MAX


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--binary")
    parser.add_argument("--messages", type=int, default=2_000)
    parser.add_argument("--keep")
    parser.add_argument("--accounts", type=int, default=ACCOUNTS)
    parser.add_argument("--guard", type=pathlib.Path)
    parser.add_argument("--refresh", action="store_true")
    options = parser.parse_args()
    if options.guard:
        sys.exit(not guard(options.guard, options.binary or "target/debug/heronry", options.refresh))
    found = per_message(options.binary or "target/release/heronry", options.messages, options.keep,
                        options.accounts)
    print(f"{time.strftime('%Y-%m-%d')}, commit {commit()}: {found:,.0f} instructions per message")


main()
