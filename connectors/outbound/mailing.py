"""Sending one mail by the mail server of the settings."""

import smtplib
from contextlib import suppress

from django.conf import settings
from django.core.mail import EmailMessage, get_connection
from django.db import connection
from django.utils.translation import gettext as _

from connectors.outbound.outcomes import InDoubt, NotDelivered
from connectors.transport import TransactionOpen


def mail(message: EmailMessage) -> None:
    """Hand one mail to the mail server. Raises NotDelivered and InDoubt, and TransactionOpen for a bug.

    What the server says goes no further than its number: it may name people or machines.
    """
    if connection.in_atomic_block:
        raise TransactionOpen("A mail was to be sent inside a database transaction; commit first, then send")
    if not settings.EMAIL_IS_CONFIGURED:
        raise NotDelivered(_("No mail server is set, so no e-mail is sent. Whoever runs Quell sets EMAIL_HOST."))
    server = get_connection()
    try:
        server.open()
    except smtplib.SMTPResponseException as error:
        raise NotDelivered(_answered(error.smtp_code)) from None
    except (smtplib.SMTPException, OSError):
        raise NotDelivered(_("The mail server could not be reached.")) from None
    try:
        server.send_messages([message])
    except smtplib.SMTPRecipientsRefused as error:
        raise NotDelivered(_answered(min(code for code, _words in error.recipients.values()))) from None
    except smtplib.SMTPResponseException as error:
        raise NotDelivered(_answered(error.smtp_code)) from None
    except (smtplib.SMTPException, OSError):
        raise InDoubt(_("The mail server broke off; the mail may have gone out all the same.")) from None
    finally:
        with suppress(smtplib.SMTPException, OSError):  # the mail is taken or not; saying goodbye changes nothing
            server.close()


def _answered(code: int) -> str:
    return _("The mail server answered %(code)d.") % {"code": code}
