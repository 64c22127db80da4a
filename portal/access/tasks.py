"""What workers do about people."""

from celery import shared_task

from portal.access.invitations import send_due


@shared_task(ignore_result=True)
def send_invitations() -> None:
    """Send the e-mails that are due. Rung by beat; lost or doubled, it changes nothing."""
    send_due()
