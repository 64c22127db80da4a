"""Where django-allauth asks us about second factors."""

from allauth.mfa.adapter import DefaultMFAAdapter

from portal.access.sign_in import sealing


class SecondFactorAdapter(DefaultMFAAdapter):
    """Seeds are sealed; the library itself would keep them as plain text."""

    def encrypt(self, text: str) -> str:
        """Seal a seed."""
        return sealing.encrypt(text)

    def decrypt(self, encrypted_text: str) -> str:
        """Open a seed."""
        return sealing.decrypt(encrypted_text)
