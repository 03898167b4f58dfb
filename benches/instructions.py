#!/usr/bin/env python3
"""Instructions that the daemon spends on one message, from the first octet to the mailbox.

    benches/instructions.py --binary target/release/heronry [--messages 2000] [--keep FILE]

Runs the daemon under `valgrind --tool=callgrind` and sends 4 KiB messages over ten connections, as
clients with PIPELINING do. The figure does not depend on how busy the machine is; what a kernel
does for the daemon is not in it. --keep keeps the profile, for callgrind_annotate.
"""

import argparse
import pathlib
import re
import shutil
import socket
import subprocess
import tempfile
import threading
import time

from rig import Daemon, commit

CONNECTIONS = 10
ACCOUNTS = 20
WARM = 500


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


def send(daemon, number):
    body = message()

    def some(thread):
        sender = Sender(daemon.ports["smtp"])
        for turn in range(number // CONNECTIONS):
            sender.send(f"u{(turn * CONNECTIONS + thread) % ACCOUNTS}@bench.test", body)

    threads = [threading.Thread(target=some, args=(thread,)) for thread in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    time.sleep(2)  # what is delivered after the answer belongs to the message


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--binary", default="target/release/heronry")
    parser.add_argument("--messages", type=int, default=2_000)
    parser.add_argument("--keep")
    parser.add_argument("--port-base", type=int, default=24_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        daemon = Daemon(options.binary, pathlib.Path(folder) / "house", options.port_base)
        profile = pathlib.Path(folder) / "profile"
        daemon.under = ["valgrind", "--tool=callgrind", "--instr-atstart=no",
                        f"--callgrind-out-file={profile}"]
        try:
            daemon.start()
            daemon.import_accounts(0, ACCOUNTS)
            send(daemon, WARM)
            for what in ("on", "off"):
                subprocess.run(["callgrind_control", "-i", what, str(daemon.process.pid)],
                               check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                if what == "on":
                    send(daemon, options.messages)
        finally:
            daemon.stop()
        total = int(re.search(r"^totals: (\d+)", profile.read_text(), re.M).group(1))
        if options.keep:
            shutil.copy(profile, options.keep)
        print(f"{time.strftime('%Y-%m-%d')}, commit {commit()}: "
              f"{total / options.messages:,.0f} instructions per message")


main()
