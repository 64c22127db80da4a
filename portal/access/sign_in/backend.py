"""Who may have a session: people whose account is active."""

from django.contrib.auth.backends import ModelBackend

from portal.access.models import User


class PeopleBackend(ModelBackend):
    """Django's own check of e-mail and password, which takes as long for an unknown address as for a known one.

    Asked again on every request, so that a session ends at once when its account is switched off.
    """

    def user_can_authenticate(self, user: User | None) -> bool:  # type: ignore[override]  # the stubs know one model
        """Return whether it is a person's active account; service accounts sign requests with keys instead."""
        return user is not None and user.is_active and not user.is_service_account
