"""How django-allauth speaks to a tenant's own sign-in. It finds this module by its name.

django-allauth does state, PKCE and the exchange of the code. It knows no nonce and takes the ID token as it comes; both
are checked here.
"""

import hashlib
import secrets
from typing import Any

from allauth.socialaccount.models import SocialApp, SocialLogin, SocialToken
from allauth.socialaccount.providers.oauth2.views import OAuth2CallbackView
from allauth.socialaccount.providers.openid_connect.provider import OpenIDConnectProvider
from allauth.socialaccount.providers.openid_connect.views import OpenIDConnectOAuth2Adapter
from allauth.utils import build_absolute_uri
from django.http import HttpRequest, HttpResponseBase
from django.urls import reverse

from portal.access.sign_in.fetching import OrganisationFailed
from portal.access.sign_in.id_tokens import discover, read_id_token


class OrganisationAdapter(OpenIDConnectOAuth2Adapter):
    """The exchange with one organisation. `nonce` is what this browser's sign-in was begun with."""

    nonce = ""

    @property
    def openid_config(self) -> dict[str, Any]:
        """Return the issuer's discovery document, read once per request."""
        if not hasattr(self, "_document"):
            self._document = discover(self.get_provider().app.settings["issuer"])
        return self._document

    def complete_login(self, request: HttpRequest, app: SocialApp, token: SocialToken, **details: Any) -> SocialLogin:
        """Return who the ID token says it is. Raises OrganisationFailed for one that does not hold."""
        id_token = details["response"].get("id_token")
        if not isinstance(id_token, str):
            raise OrganisationFailed("it gave no ID token")
        claims = read_id_token(
            id_token,
            document=self.openid_config,
            client_id=app.client_id,
            nonce=self.nonce,
            entra_tenant_id=app.settings["entra_tenant_id"],
        )
        return self.get_provider().sociallogin_from_response(request, claims)

    def get_callback_url(self, request: HttpRequest, app: SocialApp) -> str:
        """Return where the organisation sends the person back to."""
        address = reverse("organisation_callback", kwargs={"provider_id": self.provider_id})
        return str(build_absolute_uri(request, address))


class OrganisationProvider(OpenIDConnectProvider):
    """One tenant's sign-in. People are known by issuer and subject, never by e-mail."""

    id = "organisation"
    name = "Organisation"
    oauth2_adapter_class = OrganisationAdapter
    supports_token_authentication = False

    def redirect(
        self, request: HttpRequest, process: str, next_url: str | None = None, data: Any = None, **details: Any
    ) -> HttpResponseBase:
        """Send the browser to the organisation with a nonce; it is kept with the state, for this sign-in alone."""
        nonce = secrets.token_urlsafe(32)
        details["auth_params"] = {"nonce": nonce}
        return super().redirect(request, process, next_url, data, nonce=nonce, **details)

    def extract_uid(self, data: dict[str, Any]) -> str:
        """Bind a person to issuer and subject together: another issuer's same subject is somebody else."""
        return hashlib.sha256(f"{data['iss']}\n{data['sub']}".encode()).hexdigest()

    def extract_extra_data(self, data: dict[str, Any]) -> dict[str, Any]:
        """Keep what tells one link from another, and nothing else about the person."""
        return {"iss": data["iss"], "sub": data["sub"]}

    def extract_common_fields(self, data: dict[str, Any]) -> dict[str, Any]:
        """Take over nothing: accounts are made here, by people."""
        return {}

    def extract_email_addresses(self, data: dict[str, Any]) -> list[Any]:
        """Take over nothing."""
        return []


class OrganisationCallback(OAuth2CallbackView):
    """Where a browser comes back to from its organisation."""

    def _get_state(self, request: HttpRequest, provider: OrganisationProvider) -> Any:
        state, response = super()._get_state(request, provider)
        self.adapter.nonce = str((state or {}).get("nonce", ""))
        return state, response


provider_classes = [OrganisationProvider]
