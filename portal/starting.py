"""What the web and the workers make sure of before they do anything."""

from django.core.checks import ERROR, run_checks

from portal.tenancy.roles import PowerfulRole, refuse_powerful_role


def refuse_unsafe_start() -> None:
    """End the process, saying why, when its settings or its database role are not safe.

    Servers do not run Django's checks by themselves. Raises SystemExit, which Celery lets through, unlike errors.
    """
    errors = [str(message) for message in run_checks() if message.level >= ERROR]
    if errors:
        raise SystemExit("\n".join(errors))
    try:
        refuse_powerful_role()
    except PowerfulRole as error:
        raise SystemExit(str(error)) from error
