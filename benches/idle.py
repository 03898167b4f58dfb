#!/usr/bin/env python3
"""Memory of a connection that waits: silent SMTP clients, and IMAP clients in IDLE.

    benches/idle.py --binary target/release/heronry [--connections 10000] [--accounts 1000]
                    [--kinds smtp,smtp-tls,imap,imap-tls] [--folder DIR] [--hold SECONDS]

Each kind has a daemon of its own. Its memory (PSS of /proc/PID/smaps_rollup) is read when a few
clients have come and gone, when all are there and silent, and when all have left. Then, before they
leave, one mail each goes to some accounts whose clients idle: how long after the sender's 250 the client
hears EXISTS. Prints a Markdown table. The clients are threads with blocking sockets, from many loopback
addresses.
"""

import argparse
import pathlib
import select
import ssl
import statistics
import tempfile
import threading
import time

from rig import Client, Daemon, commit, in_threads, more_descriptors, reader

# So many accounts get a mail while their clients idle.
MAILS = 200


def begin(kind, daemon, context, number, accounts):
    """A client of this kind, brought to where it waits."""
    implicit = kind == "imap-tls"
    port = daemon.ports["imaps" if implicit else kind.split("-")[0]]
    client = Client(port, number)
    if implicit:
        client.secure(context)
    if kind.startswith("smtp"):
        client.until(b"220 ")
        client.say("EHLO client.test", b"250 ")
        if kind == "smtp-tls":
            client.say("STARTTLS", b"220 ")
            client.secure(context)
            client.say("EHLO client.test", b"250 ")
    else:
        reader(client, f"u{number % accounts}@bench.test").say("c IDLE", b"+ ")
    return client


def crowd(kind, daemon, context, number, accounts):
    """All clients, brought to where they wait, by a few threads."""
    return in_threads(lambda client: begin(kind, daemon, context, client, accounts), number)


def delays(daemon, clients, accounts):
    """Milliseconds from the sender's 250 to the EXISTS of a client that idles, a mail each."""
    sender, took = Client(daemon.ports["smtp"], 0), []
    sender.until(b"220 ")
    sender.say("EHLO client.test", b"250 ")
    for number in range(min(MAILS, accounts, len(clients))):
        client = clients[number]
        sender.say("MAIL FROM:<a@client.test>", b"250 ")
        sender.say(f"RCPT TO:<u{number}@bench.test>", b"250 ")
        sender.say("DATA", b"354 ")
        sender.socket.sendall(b"Subject: news\r\n\r\nthere is some\r\n.\r\n")
        came, poll = {}, select.poll()
        waiting = {who.socket.fileno(): who for who in (sender, client)}
        for which in waiting:
            poll.register(which, select.POLLIN)
        while waiting:
            ready = poll.poll(60_000)
            now = time.perf_counter()
            if not ready:
                raise RuntimeError("nobody says anything")
            for which, _ in ready:
                who = waiting[which]
                line = who.line()
                if who is sender or b"EXISTS" in line:
                    came[who] = now
                    poll.unregister(which)
                    del waiting[which]
        took.append((came[client] - came[sender]) * 1000)
        time.sleep(0.01)
    sender.close()
    return took


def measure(kind, options, context, folder):
    daemon = Daemon(options.binary, folder, options.port_base)
    try:
        daemon.start()
        daemon.import_accounts(0, options.accounts)
        for client in crowd(kind, daemon, context, 50, options.accounts):
            client.close()
        time.sleep(options.hold)
        before, cpu = daemon.settled(), daemon.cpu()
        began = time.monotonic()
        clients = crowd(kind, daemon, context, options.connections, options.accounts)
        took, came = time.monotonic() - began, daemon.cpu() - cpu
        cpu, began = daemon.cpu(), time.monotonic()
        time.sleep(options.hold)
        share = (daemon.cpu() - cpu) / (time.monotonic() - began)
        during = daemon.settled()
        waited = "-"
        if kind == "imap":
            took_each = delays(daemon, clients, options.accounts)
            waited = f"{statistics.median(took_each):.2f}"
        for client in clients:
            client.close()
        time.sleep(options.hold)
        after = daemon.settled()
        each = (during["pss"] - before["pss"]) / options.connections
        print(
            f"| {kind} | {options.connections:,} | {before['pss'] / 1024:.1f} "
            f"| {during['pss'] / 1024:.1f} | **{each:.1f}** | {after['pss'] / 1024:.1f} "
            f"| {options.connections / took:,.0f} | {came / options.connections * 1e3:.2f} "
            f"| {share * 100:.1f} % | {waited} |",
            flush=True,
        )
    finally:
        daemon.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--binary", default="target/release/heronry")
    parser.add_argument("--connections", type=int, default=10_000)
    parser.add_argument("--accounts", type=int, default=1_000)
    parser.add_argument("--kinds", default="smtp,smtp-tls,imap,imap-tls")
    parser.add_argument("--folder")
    parser.add_argument("--hold", type=float, default=15,
                        help="seconds before memory is looked at: allocators give back late")
    parser.add_argument("--port-base", type=int, default=24_000)
    options = parser.parse_args()
    more_descriptors()
    threading.stack_size(512 * 1024)
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    print(f"{time.strftime('%Y-%m-%d')}, commit {commit()}, {options.accounts:,} accounts\n")
    print("| kind | connections | MiB before | MiB with all | KiB per connection | MiB when all have left"
          " | connections per s | server CPU ms per connection | CPU while silent"
          " | 250 to EXISTS, median ms |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|", flush=True)
    with tempfile.TemporaryDirectory() as temporary:
        for kind in options.kinds.split(","):
            measure(kind, options, context, pathlib.Path(options.folder or temporary) / kind)


main()
