#!/usr/bin/env python3
"""Ten thousand mailboxes crash at once: what the others notice of it.

    benches/storm.py --binary target/release/heronry [--crowd 10000] [--probes 8] [--storms 3]
                     [--folder DIR]

Each account of the crowd has an IMAP client in IDLE, which asks for its mailbox again when that
falls. Clients of other accounts change a flag again and again, which their mailbox actors make
durable; it is measured how long that takes. Their answers are counted from each blow on for a
second. The crowd is woken by a mail before, for who sleeps cannot be harmed. Four rows:

  calm          nothing else happens
  kill          four fifths of the mailboxes of the crowd are killed, all in one request
  mail          a message is brought to every mailbox of the crowd
  mail, panic   the same, and four fifths of these mailboxes panic over it

Prints a Markdown table. The blows go over the operator socket, as those of `heronry chaos` do.
"""

import argparse
import json
import multiprocessing
import pathlib
import socket
import subprocess
import tempfile
import threading
import time

from rig import THREADS, Client, Daemon, bring_mail, commit, in_threads, more_descriptors, reader

REST = 8
# A mailbox that falls more than three times in a minute is given up for a while.
STORMS_MAX, MINUTE = 3, 61
FAMILY = "heronry/trunk/mailboxes"
# Who has been left alone for a second sleeps, and nobody is there to be hit. So many of the crowd are awake, and are hit.
MOST = 0.8


def probe(port, number, user, go_on, answers):
    """Changes a flag again and again; tells when it asked, and how long it took."""
    peer, told, sign = reader(Client(port, number), user), [], "+"
    while go_on.is_set():
        asked = time.monotonic()
        peer.say(f"c STORE 1 {sign}FLAGS (\\Flagged)", b"c OK")
        told.append((asked, time.monotonic() - asked))
        sign = "-" if sign == "+" else "+"
        time.sleep(0.001)
    answers.put(told)


class Operator:
    """The operator socket: one JSON object a line, answered by one."""

    def __init__(self, folder):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(str(folder / "operator.sock"))
        self.file = self.socket.makefile("rb")

    def ask(self, **request):
        self.socket.sendall(json.dumps(request).encode() + b"\n")
        answer = json.loads(self.file.readline())
        if "done" not in answer:
            raise RuntimeError(str(answer))
        return answer["done"]

    def aim(self, first, count, harm):
        """How many mailboxes were aimed at, from the first one on, of those that are awake."""
        return len(self.ask(want="harm", path=FAMILY, nth=first, count=count, harm=harm)["aimed"])


def restarts(daemon):
    """How often mailboxes were started again."""
    start = 'heronry_supervision_restarts_total{kind="mailboxes"'
    return sum(value for name, value in daemon.metrics().items() if name.startswith(start))


def accounts(daemon):
    """Every address, in the order in which the daemon counts members: by the text of their ids."""
    words = [daemon.binary, "account", "--data", str(daemon.data), "--json", "list"]
    listed = json.loads(subprocess.run(words, capture_output=True, text=True, check=True).stdout)
    return [account["address"] for account in sorted(listed, key=lambda account: f"{account['id']}]")]


def crowd(port, users):
    """A client in IDLE for each of them."""
    def begin(number):
        client = reader(Client(port, number), users[number])
        client.say("c IDLE", b"+ ")
        return client

    return in_threads(begin, len(users))


def percentile(times, percent):
    return sorted(times)[min(len(times) - 1, int(len(times) * percent / 100))] * 1e3


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--binary", default="target/release/heronry")
    parser.add_argument("--crowd", type=int, default=10_000)
    parser.add_argument("--probes", type=int, default=8)
    parser.add_argument("--storms", type=int, default=STORMS_MAX, choices=range(1, STORMS_MAX + 1))
    parser.add_argument("--folder")
    parser.add_argument("--port-base", type=int, default=24_000)
    options = parser.parse_args()
    more_descriptors()
    threading.stack_size(512 * 1024)
    with tempfile.TemporaryDirectory() as temporary:
        daemon = Daemon(options.binary, pathlib.Path(options.folder or temporary) / "storm", options.port_base)
        try:
            daemon.start()
            daemon.import_accounts(0, options.crowd + options.probes)
            run(daemon, options)
        finally:
            daemon.stop()


def run(daemon, options):
    users = accounts(daemon)
    # The others come first, and are always awake: whoever is awake after them is of the crowd.
    others, many = users[: options.probes], users[options.probes :]
    bring_mail(daemon.ports["lmtp"], users)
    clients = crowd(daemon.ports["imap"], many)
    operator = Operator(daemon.data)
    answers, go_on = multiprocessing.Queue(), multiprocessing.Event()
    go_on.set()
    probes = [
        multiprocessing.Process(
            target=probe, args=(daemon.ports["imap"], number, user, go_on, answers), daemon=True
        )
        for number, user in enumerate(others)
    ]
    for process in probes:
        process.start()
    time.sleep(5)

    def wake():
        in_threads(lambda part: bring_mail(daemon.ports["lmtp"], many[part::THREADS]), THREADS)

    def harm(what):
        wake()
        began = time.monotonic()
        hit = operator.aim(len(others), int(len(many) * MOST), what)
        if hit < int(len(many) * MOST):
            raise RuntimeError(f"only {hit} were awake")
        return began

    def mail(aimed=None):
        if aimed is not None:
            harm(aimed)
        began = time.monotonic()
        bring_mail(daemon.ports["lmtp"], many)
        return began

    acts = {"calm": time.monotonic, "kill": lambda: harm("kill"), "mail": mail, "mail, panic": lambda: mail("panic")}
    windows = {name: [] for name in acts}
    counts = {}
    for name, act in acts.items():
        before, cpu = restarts(daemon), daemon.cpu()
        for _ in range(options.storms):
            windows[name].append(act())
            time.sleep(REST)
        operator.ask(want="truce")
        counts[name] = (restarts(daemon) - before) / options.storms, (daemon.cpu() - cpu) / options.storms
        if counts[name][0] > 0:
            time.sleep(MINUTE)
    go_on.clear()
    told = [answer for _ in probes for answer in answers.get(timeout=60)]
    for process in probes:
        process.join()
    print(f"{time.strftime('%Y-%m-%d')}, commit {commit()}, a crowd of {len(many):,}, "
          f"{options.probes} probes, each line {options.storms} times\n")
    print("| what happens | started again, each time | answers | p50 ms | p99 ms | longest ms | p99 to calm |"
          " CPU seconds in all |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|")
    calm = None
    for name, begins in windows.items():
        times = [took for asked, took in told for begin in begins if begin - took <= asked < begin + 1]
        p99 = percentile(times, 99)
        calm = calm or p99
        print(f"| {name} | {counts[name][0]:,.0f} | {len(times):,} | {percentile(times, 50):.2f} | {p99:.2f} "
              f"| {max(times) * 1e3:.1f} | {p99 / calm:.1f} | {counts[name][1]:.1f} |", flush=True)
    for client in clients:
        client.close()


main()
