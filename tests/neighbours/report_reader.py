"""Reads a delivery report as the email package does, and says whether it is whole."""

import email
import email.policy
import sys

with open(sys.argv[1], "rb") as file:
    report = email.message_from_binary_file(file, policy=email.policy.default)
assert not report.defects, report.defects
assert report.get_content_type() == "multipart/report", report.get_content_type()
assert report.get_param("report-type") == "delivery-status"
parts = list(report.iter_parts())
kinds = [part.get_content_type() for part in parts]
assert kinds[0] == "text/plain" and kinds[1] == "message/delivery-status", kinds
assert kinds[2] in ("message/rfc822", "text/rfc822-headers"), kinds
assert parts[0].get_content().strip(), "people are told in words"
fields, recipient = parts[1].get_payload()[:2]
assert fields["Reporting-MTA"].startswith("dns;"), fields.items()
assert recipient["Final-Recipient"].startswith("rfc822;"), recipient.items()
assert recipient["Action"] == "failed" and recipient["Status"].startswith("5."), recipient.items()
assert report["Subject"] and report["Date"] and report["Message-ID"], report.items()
assert report["Auto-Submitted"].startswith("auto-"), "RFC 3834: nobody answers a report"
