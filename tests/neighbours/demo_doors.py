"""What the scripts share: where the demo's doors are, and how to wait."""

import ssl
import sys
import time

HOST = "127.0.0.1"
BASE = int(sys.argv[1])
PASSWORD = "secret"
SMTP, LMTP, POP3, IMAP = (BASE + port for port in (25, 24, 110, 143))
SUBMISSION, SUBMISSIONS, IMAPS, POP3S = (BASE + port for port in (587, 465, 993, 995))


def trusting():
    """A TLS context that trusts the demo's own certificate."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def until(what, ask, limit=60):
    """Asks until there is an answer that is true, and returns it."""
    end = time.monotonic() + limit
    while True:
        answer = ask()
        if answer:
            return answer
        assert time.monotonic() < end, f"waited in vain: {what}"
        time.sleep(0.02)
