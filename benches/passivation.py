#!/usr/bin/env python3
"""Memory of a house with many accounts, some of which were used and then not.

    benches/passivation.py --binary target/release/heronry [--accounts 1000000] [--used 100000]
                           [--quiet 130] [--folder DIR] [--house DIR] [--more LINES]

Imports the accounts; brings mail to half of the used ones (LMTP, many recipients to a message)
and logs in to the other half (POP3), within a minute if the machine can; then waits until their
mailbox actors, which leave after an idle second, are gone, and what the directory holds for nobody, after
a minute. At last it starts again and asks for as
many others at RCPT, which reads them and starts nobody: a house that is at rest and whose caches are
warm. With --house the data folder with the
imported accounts is kept there for the next time, or taken from there. --more is put into the
configuration. Prints a Markdown table; what the allocator says is in it, in MiB.
"""

import argparse
import pathlib
import shutil
import tempfile
import time

from rig import RECIPIENTS, THREADS, Client, Daemon, bring_mail, commit, in_threads, more_descriptors


def address(user):
    return f"u{user}@bench.test"


def log_in(daemon, users):
    """A POP3 login for each of them: it reads the mailbox."""
    for user in users:
        peer = Client(daemon.ports["pop3"])
        peer.until(b"+OK")
        peer.say(f"USER {user}\r\nPASS pw\r\nSTAT\r\nQUIT", *[b"+OK"] * 4)
        peer.close()


def ask_for(daemon, users):
    """Names them as recipients, and sends nothing."""
    peer = Client(daemon.ports["smtp"])
    peer.until(b"220 ")
    peer.say("EHLO client.test", b"250 ")
    for start in range(0, len(users), RECIPIENTS):
        some = users[start : start + RECIPIENTS]
        lines = ["MAIL FROM:<a@client.test>"] + [f"RCPT TO:<{user}>" for user in some] + ["RSET"]
        peer.say("\r\n".join(lines), *[b"250 "] * len(lines))
    peer.say("QUIT", b"221 ")
    peer.close()


def spread(work, users):
    """Has a few threads do this for users; how long it took."""
    users = [address(user) for user in users]
    began = time.monotonic()
    in_threads(lambda thread: work(users[thread::THREADS]), THREADS)
    return time.monotonic() - began


class Table:
    """A line for each time that the daemon is looked at."""

    def __init__(self, daemon):
        self.daemon, self.spent = daemon, 0.0
        print("| when | MiB (PSS) | of it anonymous | allocated | active | resident | mailbox actors | seconds | CPU seconds |")
        print("|---|---:|---:|---:|---:|---:|---:|---:|---:|", flush=True)

    def row(self, when, took):
        memory, cpu = self.daemon.settled(rounds=3), self.daemon.cpu()
        told = self.daemon.metrics()
        heap = [told.get(f'heronry_process_heap_octets{{what="{what}"}}', 0) / 2**20
                for what in ("allocated", "active", "resident")]
        actors = told.get('heronry_supervision_children{supervisor="mailboxes"}', 0)
        print(f"| {when} | {memory['pss'] / 1024:.1f} | {memory['anon'] / 1024:.1f} | {heap[0]:.1f} | {heap[1]:.1f} | {heap[2]:.1f} "
              f"| {actors:,.0f} | {took:.1f} | {cpu - self.spent:.1f} |", flush=True)
        self.spent = cpu

    def start(self):
        self.spent = 0.0
        return self.daemon.start(600)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--binary", default="target/release/heronry")
    parser.add_argument("--accounts", type=int, default=1_000_000)
    parser.add_argument("--used", type=int, default=100_000)
    parser.add_argument("--quiet", type=float, default=130)
    parser.add_argument("--folder")
    parser.add_argument("--house", type=pathlib.Path)
    parser.add_argument("--more", default="")
    parser.add_argument("--port-base", type=int, default=24_000)
    options = parser.parse_args()
    more_descriptors()
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(options.folder or temporary) / "passivation"
        is_there = options.house and options.house.exists()
        daemon = Daemon(options.binary, folder, options.port_base, options.more,
                        options.house if is_there else None)
        print(f"{time.strftime('%Y-%m-%d')}, commit {commit()}, {options.accounts:,} accounts, "
              f"{options.used:,} used {options.more}\n")
        try:
            run(daemon, options, is_there)
        finally:
            daemon.stop()


def run(daemon, options, is_imported):
    table = Table(daemon)
    if not is_imported:
        table.row("no accounts", table.start())
        table.row("all imported", daemon.import_accounts(0, options.accounts))
        daemon.stop()
        print(f"\nThe import was told to come back later {daemon.refusals} times.\n")
        if options.house:
            shutil.copytree(daemon.data, options.house, ignore=shutil.ignore_patterns("*.sock"))
    table.row("started, none resident", table.start())
    half, used = options.used // 2, options.used

    def use(first, what):
        took = spread(lambda some: bring_mail(daemon.ports["lmtp"], some), range(first, first + half))
        table.row(f"{what}: mail for half of the used", took)
        took = spread(lambda some: log_in(daemon, some), range(first + half, first + used))
        table.row(f"{what}: a login of the other half", took)
        time.sleep(options.quiet)
        table.row(f"{what}: all quiet", options.quiet)

    use(0, "once")
    use(0, "the same again")
    daemon.stop()
    table.row("started again, none resident", table.start())
    others = range(used, min(2 * used, options.accounts))
    table.row("others named at RCPT", spread(lambda some: ask_for(daemon, some), others))
    time.sleep(options.quiet)
    table.row("all quiet", options.quiet)


main()
