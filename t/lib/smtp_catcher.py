#!/usr/bin/python3
"""A mail server for tests: keeps what it is sent in a Maildir, and misbehaves when told.

The first line of the mode file is read for every mail:
  accept            250 (also when there is no such file)
  refuse [TEXT]     550 to the end of DATA
  refuse-rcpt       550 to RCPT
  hang-rcpt         no answer to RCPT until the mode changes
  tempfail          451 to the end of DATA
  hang              no answer to the end of DATA until the mode changes
  drop              closes the connection at the end of DATA, before answering
"""
import argparse
import asyncio
import mailbox
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult


class Catcher:
    def __init__(self, maildir, mode_file):
        self.mailbox = mailbox.Maildir(maildir, create=True)
        self.mode_file = mode_file

    def mode(self):
        try:
            with open(self.mode_file, encoding="utf-8") as file:
                word, _, rest = file.readline().strip().partition(" ")
                return word or "accept", rest
        except OSError:
            return "accept", ""

    async def handle_RCPT(self, server, session, envelope, address, options):
        while self.mode()[0] == "hang-rcpt":
            await asyncio.sleep(0.05)
        if self.mode()[0] == "refuse-rcpt":
            return "550 5.1.1 No such user here"
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(options)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        mode, rest = self.mode()
        while mode == "hang":
            await asyncio.sleep(0.05)
            mode, rest = self.mode()
        if mode == "refuse":
            return "550 " + (rest or "5.7.1 Not wanted here")
        if mode == "tempfail":
            return "451 " + (rest or "4.3.0 Try again later")
        if mode == "drop":
            server.transport.abort()
            return "421 gone"
        message = mailbox.MaildirMessage(envelope.content)
        message["X-MailFrom"] = envelope.mail_from
        message["X-RcptTo"] = ", ".join(envelope.rcpt_tos)
        message["X-TLS"] = "yes" if session.ssl or server.transport.get_extra_info("ssl_object") else "no"
        message["X-Auth"] = session.auth_data.decode() if session.auth_data else "none"
        self.mailbox.add(message)
        return "250 2.0.0 Caught"


def main():
    parser = argparse.ArgumentParser(description="A mail server for tests")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--maildir", required=True)
    parser.add_argument("--mode-file", default="/nonexistent")
    parser.add_argument("--cert")
    parser.add_argument("--key")
    parser.add_argument("--starttls", action="store_true", help="offer STARTTLS, and insist on it")
    parser.add_argument("--implicit-tls", action="store_true")
    parser.add_argument("--auth", help="USER:PASSWORD, and insist on it")
    options = parser.parse_args()

    context = None
    if options.cert:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(options.cert, options.key)
    catcher = Catcher(options.maildir, options.mode_file)

    def authenticate(server, session, envelope, mechanism, data):
        if options.auth == (data.login + b":" + data.password).decode():
            return AuthResult(success=True, auth_data=data.login)
        return AuthResult(success=False, handled=False)

    def session():
        return SMTP(
            catcher,
            enable_SMTPUTF8=True,
            hostname="mail.test",
            tls_context=context if options.starttls else None,
            require_starttls=options.starttls,
            auth_required=bool(options.auth),
            auth_require_tls=options.starttls,
            authenticator=authenticate if options.auth else None,
        )

    async def serve():
        server = await asyncio.get_running_loop().create_server(
            session, "127.0.0.1", options.port, ssl=context if options.implicit_tls else None)
        await server.serve_forever()

    try:
        asyncio.run(serve())
    except KeyboardInterrupt:
        sys.exit(0)


if __name__ == "__main__":
    main()
