"""smtplib against the demo: sends in every way, and is refused where it should be."""

import imaplib
import smtplib
from email.message import EmailMessage

from demo_doors import HOST, IMAP, LMTP, PASSWORD, SMTP, SUBMISSION, SUBMISSIONS, trusting, until


def letter(subject, sender="user1@example.test"):
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = sender, "user0@example.test", subject
    message.set_content("Grüße, 世界\n.\n..dots\n")
    return message


def main():
    with smtplib.SMTP(HOST, SMTP) as client:
        client.send_message(letter("plain"), to_addrs=["user0@example.test"])
        client.ehlo()
        for extension in ("pipelining", "size", "8bitmime", "enhancedstatuscodes", "starttls"):
            assert client.has_extn(extension), extension
        assert client.noop()[0] == 250
        assert client.rset()[0] == 250
        assert client.verify("user0@example.test")[0] in (250, 252), "VRFY"
        assert client.help(), "HELP"

    with smtplib.SMTP(HOST, SMTP) as client:
        client.starttls(context=trusting())
        client.send_message(letter("starttls"))

    for mechanism in ("PLAIN", "LOGIN"):
        with smtplib.SMTP(HOST, SUBMISSION) as client:
            client.starttls(context=trusting())
            client.ehlo()
            client.user, client.password = "user1@example.test", PASSWORD
            method = getattr(client, "auth_" + mechanism.lower())
            assert client.auth(mechanism, method)[0] == 235
            client.send_message(letter("auth " + mechanism))

    with smtplib.SMTP_SSL(HOST, SUBMISSIONS, context=trusting()) as client:
        client.login("user1", PASSWORD)
        client.send_message(letter("tls first"))

    with smtplib.SMTP(HOST, SUBMISSION) as client:
        try:
            client.login("user1", "wrong")
            raise AssertionError("a wrong password is right")
        except smtplib.SMTPAuthenticationError as error:
            assert error.smtp_code == 535, error

    with smtplib.SMTP(HOST, SMTP) as client:
        recipients = ["user0@example.test", "nobody@example.test"]
        refused = client.sendmail("a@b.test", recipients, b"Subject: one of two\r\n\r\nx\r\n")
        assert list(refused) == ["nobody@example.test"], refused
        assert refused["nobody@example.test"][0] == 550
        try:
            client.sendmail("a@b.test", ["a@remote.test"], b"Subject: relay\r\n\r\nx\r\n")
            raise AssertionError("an open relay")
        except smtplib.SMTPRecipientsRefused as error:
            assert error.recipients["a@remote.test"][0] == 550, error
        client.ehlo_or_helo_if_needed()
        limit = int(client.esmtp_features["size"])
        try:
            client.sendmail("a@b.test", ["user0@example.test"], b"x" * (limit + 1))
            raise AssertionError("too large, and yet taken")
        except (smtplib.SMTPSenderRefused, smtplib.SMTPDataError) as error:
            assert error.smtp_code == 552, error

    with smtplib.LMTP(HOST, LMTP) as client:
        client.sendmail("a@b.test", ["user0@example.test"], b"Subject: lmtp\r\n\r\nx\r\n")

    with imaplib.IMAP4(HOST, IMAP) as reader:
        reader.login("user0", PASSWORD)
        subjects = ("plain", "starttls", "auth PLAIN", "auth LOGIN", "tls first", "one of two", "lmtp")
        for subject in subjects:
            reader.select("INBOX")
            query = f'"{subject}"'
            until(subject, lambda: reader.noop() and reader.search(None, "SUBJECT", query)[1][0])


main()
