"""What happens to people's sign-ins goes on record in the provider's own tenant, since people belong to no customer."""

from typing import Any

from django.http import HttpRequest

from portal.access.addresses import client_address
from portal.access.models import User
from portal.audit.recording import ActorStamp, record
from portal.tenancy.models import PROVIDER_TENANT_ID
from portal.tenancy.scope import acting_for

LONGEST_LABEL = 254


def stamp(user: User) -> ActorStamp:
    """Return how history names a person."""
    return ActorStamp(user.pk, user.email)


def tell(request: HttpRequest, user: User, verb: str, **data: Any) -> None:
    """Record what a person did with their sign-in; joins an open scope over the provider's tenant, else commits."""
    data["address"] = str(client_address(request) or "")
    with acting_for(PROVIDER_TENANT_ID):
        record(PROVIDER_TENANT_ID, verb, object_type="user", object_id=user.pk, actor=stamp(user), data=data)


def tell_refused(request: HttpRequest, typed: str, reason: str) -> None:
    """Record that somebody was not let in by password; the address they typed is all that is known of them."""
    user = User.objects.filter(email__iexact=typed).first()
    with acting_for(PROVIDER_TENANT_ID):
        record(
            PROVIDER_TENANT_ID,
            "sign_in.refused",
            object_type="user",
            object_id=user.pk if user else PROVIDER_TENANT_ID,
            actor=ActorStamp(user.pk if user else None, typed[:LONGEST_LABEL]),
            data={"reason": reason, "is_known": user is not None, "address": str(client_address(request) or "")},
        )
