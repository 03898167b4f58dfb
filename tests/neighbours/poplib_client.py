"""poplib against the demo: every command that it has."""

import poplib
import smtplib

from demo_doors import HOST, PASSWORD, POP3, POP3S, SMTP, trusting, until


def fill(user, count):
    with smtplib.SMTP(HOST, SMTP) as sender:
        for number in range(count):
            body = b"Subject: number %d\r\n\r\n.dot\r\n..\r\nend\r\n" % number
            sender.sendmail("a@b.test", [user + "@example.test"], body)

    def there():
        client = poplib.POP3(HOST, POP3)
        client.user(user)
        client.pass_(PASSWORD)
        found = client.stat()[0] == count
        client.quit()
        return found

    until("the mail", there)


def main():
    fill("user2", 10)
    client = poplib.POP3(HOST, POP3)
    assert client.getwelcome().startswith(b"+OK")
    capabilities = client.capa()
    for capability in ("TOP", "UIDL", "USER", "STLS", "PIPELINING"):
        assert capability in capabilities, (capability, capabilities)
    client.stls(context=trusting())
    client.user("user2")
    client.pass_(PASSWORD)
    count, octets = client.stat()
    assert count == 10
    sizes = [int(line.split()[1]) for line in client.list()[1]]
    assert len(sizes) == 10 and sum(sizes) == octets, (sizes, octets)
    uids = [line.split()[1] for line in client.uidl()[1]]
    assert len(set(uids)) == 10
    for number in range(1, 11):
        lines = client.retr(number)[1]
        assert b"Subject: number %d" % (number - 1) in lines, lines
        assert lines[-3:] == [b".dot", b"..", b"end"], lines
        assert sum(len(line) + 2 for line in lines) == sizes[number - 1]
        top = client.top(number, 1)[1]
        assert top[-2:] == [b"", b".dot"], top
    assert client.uidl(3).split()[2] == uids[2]
    client.dele(1)
    client.dele(10)
    assert client.stat()[0] == 8
    client.rset()
    assert client.stat()[0] == 10
    client.dele(5)
    client.noop()
    client.quit()

    client = poplib.POP3_SSL(HOST, POP3S, context=trusting())
    client.user("user2@example.test")
    client.pass_(PASSWORD)
    assert [line.split()[1] for line in client.uidl()[1]] == uids[:4] + uids[5:]
    try:
        client.retr(11)
        raise AssertionError("a message that is not there")
    except poplib.error_proto:
        pass
    client.quit()


main()
