"""A daemon for measuring, and its clients: it is started in a folder of its own, asked for memory and
CPU, and stopped.

Python 3.9 or newer and its standard library; Linux.
"""

import os
import pathlib
import re
import resource
import shutil
import socket
import subprocess
import threading
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent

# The password of every account is "pw". Its hash is as cheap as argon2id can be: what is measured
# is what a session costs, not what a hash costs.
HASH = "$argon2id$v=19$m=8,t=1,p=1$aGVyb25yeXNhbHQ$ba1OU24m/eXrJT02UqgZw+TqyUpm/eIejbfkWQKx15Q"

CONFIG = """\
hostname = "mx.bench.test"
data = "{data}"
domains = ["bench.test"]
trusted = ["127.0.0.0/8"]
login_without_tls = ["127.0.0.0/8"]
listener = [
  {{ protocol = "smtp", address = "127.0.0.1:{smtp}" }},
  {{ protocol = "lmtp", address = "127.0.0.1:{lmtp}" }},
  {{ protocol = "imap", address = "127.0.0.1:{imap}" }},
  {{ protocol = "imaps", address = "127.0.0.1:{imaps}" }},
  {{ protocol = "pop3", address = "127.0.0.1:{pop3}" }},
  {{ protocol = "http", address = "127.0.0.1:{http}" }},
]
{more}
[limits.connections]
connections_max = 200000
connections_per_network_max = 200000
[limits.silence]
smtp_seconds = 3600
[tls]
self_signed = true
[log]
filter = "warn"
"""

# Accounts to one import.
PIECE = 20_000

# Few enough that their ports are never used up.
CLIENTS_PER_ADDRESS = 500

# Recipients to one message.
RECIPIENTS = 100

# A few: Python runs one at a time.
THREADS = 4

PORTS = {"smtp": 25, "lmtp": 24, "imap": 143, "imaps": 993, "pop3": 110, "http": 80}


def more_descriptors():
    """Raises the limit of open files, which children inherit."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 200_000
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, max(hard, wanted)))
    except (ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


class Client:
    """A connection with lines. Its number chooses one of many loopback addresses."""

    def __init__(self, port, number=0):
        self.rest = b""
        self.socket = socket.socket()
        self.socket.settimeout(120)
        self.socket.setsockopt(socket.IPPROTO_IP, 24, 1)  # IP_BIND_ADDRESS_NO_PORT
        address = number // CLIENTS_PER_ADDRESS
        self.socket.bind((f"127.1.{address // 250}.{address % 250 + 1}", 0))
        self.socket.connect(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def secure(self, context):
        self.socket = context.wrap_socket(self.socket, server_hostname="mx.bench.test")

    def line(self):
        while b"\n" not in self.rest:
            piece = self.socket.recv(4096)
            if not piece:
                raise RuntimeError(f"closed after {self.rest!r}")
            self.rest += piece
        line, self.rest = self.rest.split(b"\n", 1)
        return line

    def until(self, start):
        """Reads lines until one begins with `start`; none may say no."""
        while True:
            line = self.line()
            if line.startswith(start):
                return line
            if line[:1] in b"45-" or b" NO " in line or b" BAD " in line:
                raise RuntimeError(f"expected {start!r}, got {line!r}")

    def say(self, text, *answers):
        """Says it, and reads until each of the answers has come."""
        self.socket.sendall(text.encode() + b"\r\n")
        for answer in answers:
            self.until(answer)

    def close(self):
        self.socket.close()


def reader(client, user):
    """Brings an IMAP client to where its INBOX is open."""
    client.until(b"* OK")
    client.say(f"a LOGIN {user} pw", b"a OK")
    client.say("b SELECT INBOX", b"b OK")
    return client


def bring_mail(port, users):
    """A short message to each of them by LMTP, a hundred recipients at a time."""
    peer = Client(port)
    peer.until(b"220 ")
    peer.say("LHLO client.test", b"250 ")
    for start in range(0, len(users), RECIPIENTS):
        some = users[start : start + RECIPIENTS]
        lines = ["MAIL FROM:<a@client.test>"] + [f"RCPT TO:<{user}>" for user in some] + ["DATA"]
        peer.say("\r\n".join(lines), *[b"250 "] * (len(some) + 1), b"354 ")
        peer.say("Subject: hello\r\n\r\nhello\r\n.", *[b"250 "] * len(some))
    peer.say("QUIT", b"221 ")
    peer.close()


def in_threads(work, number, count=THREADS):
    """What `work` makes of each number below this one, in their order; by so many threads."""
    made, troubles = [None] * number, []

    def some(first):
        try:
            for which in range(first, number, count):
                made[which] = work(which)
        except Exception as trouble:  # told below
            troubles.append(trouble)

    threads = [threading.Thread(target=some, args=(first,)) for first in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if troubles:
        raise troubles[0]
    return made


class Daemon:
    """One daemon on ports base + 25, base + 143 and so on, in a folder of its own; `house` is the data
    folder of another one, which is copied."""

    def __init__(self, binary, folder, base=24000, more="", house=None):
        self.binary = str(pathlib.Path(binary).resolve())
        self.folder = pathlib.Path(folder)
        self.data = self.folder / "data"
        self.config = self.folder / "heronry.toml"
        self.ports = {name: base + port for name, port in PORTS.items()}
        self.under = []  # what it runs under: valgrind and the like
        self.process = None
        self.refusals = 0
        shutil.rmtree(self.folder, ignore_errors=True)
        if house:
            shutil.copytree(house, self.data, ignore=shutil.ignore_patterns("*.sock"))
        else:
            self.data.mkdir(parents=True)
        self.data.chmod(0o700)
        self.config.write_text(CONFIG.format(data=self.data, more=more, **self.ports))

    def start(self, within=120, environment=None):
        """Starts it and returns how many seconds it took until SMTP greeted."""
        began = time.monotonic()
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen(
                [*self.under, self.binary, "serve", "--config", str(self.config)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env={**os.environ, **(environment or {})},
            )
        while True:
            try:
                with socket.create_connection(("127.0.0.1", self.ports["smtp"]), 5) as peer:
                    if peer.recv(3) == b"220":
                        return time.monotonic() - began
            except OSError:
                pass
            if self.process.poll() is not None or time.monotonic() - began > within:
                raise RuntimeError("the daemon does not answer:\n" + self.log())
            time.sleep(0.02)

    def stop(self, within=60):
        """Stops it in the orderly way; returns how many seconds that took."""
        if self.process is None:
            return 0.0
        began = time.monotonic()
        self.process.terminate()
        try:
            self.process.wait(within)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None
        return time.monotonic() - began

    def log(self):
        return (self.folder / "log").read_text(errors="replace")[-2000:]

    def import_accounts(self, first, number):
        """Makes accounts u<first>…; returns how many seconds it took.

        In pieces: a store that is behind refuses a piece, which comes again after a pause.
        """
        began = time.monotonic()
        for start in range(first, first + number, PIECE):
            rows = "".join(
                f'u{user}@bench.test,"{HASH}"\n'
                for user in range(start, min(start + PIECE, first + number))
            )
            words = [self.binary, "account", "--data", str(self.data), "import", "-"]
            for _ in range(600):
                done = subprocess.run(
                    words, input="address,hash\n" + rows, text=True, capture_output=True
                )
                if done.returncode == 0:
                    break
                self.refusals += 1
                if "--update" not in words:
                    words.insert(-1, "--update")
                time.sleep(0.2)
            else:
                raise RuntimeError(done.stderr)
        return time.monotonic() - began

    def metrics(self):
        """The numbers that the daemon tells, by name and labels."""
        address = f"http://127.0.0.1:{self.ports['http']}/metrics"
        with urllib.request.urlopen(address, timeout=60) as page:
            lines = page.read().decode().splitlines()
        told = (line.rsplit(" ", 1) for line in lines if not line.startswith("#") and " " in line)
        return {name: float(value) for name, value in told}

    def memory(self):
        """KiB: proportional set size, of that anonymous, and the largest resident size so far."""
        process = pathlib.Path(f"/proc/{self.process.pid}")
        rollup, status = (process / "smaps_rollup").read_text(), (process / "status").read_text()

        def field(name, text):
            return int(re.search(rf"^{name}:\s+(\d+)", text, re.M).group(1))

        return {
            "pss": field("Pss", rollup),
            "anon": field("Anonymous", rollup),
            "peak": field("VmHWM", status),
        }

    def cpu(self):
        """CPU seconds used so far."""
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def settled(self, pause=2.0, rounds=15):
        """Memory once it no longer changes by more than 64 KiB from look to look."""
        last = self.memory()
        for _ in range(rounds):
            time.sleep(pause)
            now = self.memory()
            if abs(now["pss"] - last["pss"]) <= 64:
                return now
            last = now
        return last


def commit():
    """The commit of this tree; "+" says that there is more than it."""
    def git(*words):
        return subprocess.run(["git", "-C", str(ROOT), *words], capture_output=True, text=True).stdout
    return git("rev-parse", "--short", "HEAD").strip() + ("+" if git("status", "--porcelain") else "")
