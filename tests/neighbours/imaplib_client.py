"""imaplib against the demo: every command that it has."""

import email
import imaplib

from demo_doors import HOST, IMAP, IMAPS, PASSWORD, trusting

LETTER = b"From: a@b.test\r\nSubject: %s\r\nMessage-ID: <%s@b.test>\r\n\r\nHello, %s.\r\n"


def ok(answer):
    status, data = answer
    assert status == "OK", answer
    return data


def main():
    with imaplib.IMAP4(HOST, IMAP) as client:
        assert "IMAP4REV1" in client.capabilities
        client.starttls(ssl_context=trusting())
        try:
            client.login("user0", "wrong")
            raise AssertionError("a wrong password is right")
        except imaplib.IMAP4.error:
            pass
        ok(client.login("user0", PASSWORD))
        everything(client)

    with imaplib.IMAP4_SSL(HOST, IMAPS, ssl_context=trusting()) as client:
        ok(client.authenticate("PLAIN", lambda _: b"\0user0@example.test\0" + PASSWORD.encode()))
        assert ok(client.select("Work")) == [b"3"]


def everything(client):
    for capability in ("IDLE", "UIDPLUS", "LITERAL+", "NAMESPACE", "SPECIAL-USE", "MOVE", "UNSELECT",
                       "ID", "CHILDREN", "SASL-IR", "ENABLE"):
        assert capability in client.capabilities, capability
    ok(client.namespace())
    ok(client.noop())
    for name in ("Work", "Work/Old", '"Strange name"', "Entw&APw-rfe"):
        ok(client.create(name))
        ok(client.subscribe(name))
    listed = b"\n".join(line for line in ok(client.list()) if isinstance(line, bytes))
    for name in (b"INBOX", b"Work", b"Work/Old", b"Strange name", b"Entw&APw-rfe"):
        assert name in listed, (name, listed)
    assert len(ok(client.lsub())) == 4

    when = '"29-Feb-2020 12:00:00 +0000"'
    for number in range(5):
        word = b"letter-%d" % number
        flags = r"(\Seen $Mine)" if number % 2 else ""
        ok(client.append("Work", flags, when, LETTER % (word, word, word)))
    ok(client.append("Work", "", None, b"Subject: large\r\n\r\n" + b"0123456789abcde\r\n" * 100_000))

    assert ok(client.select("Work")) == [b"6"]
    assert client.response("UIDVALIDITY")[1][0]
    found = ok(client.search(None, "UNSEEN"))[0]
    assert found == b"1 3 5 6", found
    assert ok(client.search("UTF-8", "SUBJECT", '"letter-3"'))[0] == b"4"
    assert ok(client.search(None, "OR", "KEYWORD", "$Mine", "LARGER", "100000"))[0] == b"2 4 6"
    assert ok(client.search(None, "NOT", "SINCE", "1-Mar-2020"))[0] == b"1 2 3 4 5"
    assert ok(client.search(None, "BODY", '"Hello, letter-0"'))[0] == b"1"
    assert ok(client.search(None, "HEADER", "Message-ID", '"letter-2@"'))[0] == b"3"

    data = ok(client.fetch("1:5", "(UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODYSTRUCTURE)"))
    assert len(data) == 5 and b'"29-Feb-2020' in data[0], data
    data = ok(client.fetch("2", "(BODY.PEEK[])"))
    message = email.message_from_bytes(data[0][1])
    assert message["Subject"] == "letter-1" and message.get_payload() == "Hello, letter-1.\r\n"
    data = ok(client.fetch("6", "(BODY.PEEK[TEXT]<17.17>)"))
    assert data[0][1] == b"0123456789abcde\r\n", data
    ok(client.fetch("1", "(RFC822)"))
    assert ok(client.search(None, "UNSEEN"))[0] == b"3 5 6", "reading marks as read"

    ok(client.store("1:3", "+FLAGS", r"(\Flagged)"))
    ok(client.store("2", "-FLAGS.SILENT", r"(\Flagged)"))
    assert ok(client.search(None, "FLAGGED"))[0] == b"1 3"
    ok(client.copy("1:2", "Work/Old"))
    uids = ok(client.uid("SEARCH", "ALL"))[0].split()
    assert len(uids) == 6
    ok(client.uid("COPY", uids[2].decode(), '"Strange name"'))
    ok(client.uid("MOVE", uids[4].decode(), "Work/Old"))
    ok(client.uid("STORE", uids[0].decode(), "+FLAGS", r"(\Deleted)"))
    ok(client.uid("EXPUNGE", uids[0].decode()))
    ok(client.store("1", "+FLAGS", r"(\Deleted)"))
    assert ok(client.expunge())[-1] == b"1"
    ok(client.check())
    status = ok(client.status("Work", "(MESSAGES RECENT UIDNEXT UIDVALIDITY UNSEEN)"))[0]
    assert b"MESSAGES 3" in status and b"UIDNEXT 7" in status, status
    ok(client.unselect())
    ok(client.select("Work/Old", readonly=True))
    assert ok(client.search(None, "ALL"))[0] == b"1 2 3"
    assert client.store("1", "+FLAGS", r"(\Seen)")[0] == "NO", "read only"
    ok(client.close())

    ok(client.rename("Work/Old", "Attic"))
    assert ok(client.select("Attic")) == [b"3"]
    ok(client.close())
    ok(client.delete('"Strange name"'))
    ok(client.unsubscribe('"Strange name"'))
    assert client.select('"Strange name"')[0] == "NO"
    assert client.delete("INBOX")[0] == "NO"
    assert client.create("Work")[0] == "NO"
    ok(client.enable("UTF8=ACCEPT")) if "UTF8=ACCEPT" in client.capabilities else None
    ok(client.xatom("ID", '("name" "imaplib")'))


main()
