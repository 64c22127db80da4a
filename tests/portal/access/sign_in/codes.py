"""Second factors of people in tests: an authenticator app with a fixed seed, and the codes it shows."""

import time

from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value

from portal.access.models import User
from portal.access.sign_in.sealing import encrypt

SEED = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"


def give_app(user: User) -> Authenticator:
    """Give somebody an authenticator app."""
    return Authenticator.objects.create(user=user, type=Authenticator.Type.TOTP, data={"secret": encrypt(SEED)})


def code(*, steps: int = 0) -> str:
    """Return the code the app shows now, or so many half minutes later."""
    return str(format_hotp_value(hotp_value(SEED, int(time.time()) // 30 + steps)))
