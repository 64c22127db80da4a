"""`Idempotency-Key`: the same request sent twice is carried out once and answered the same.

Follows the IETF draft "The Idempotency-Key HTTP Header Field": another body under the same key is 422, a first request
still under way is 409.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, cast
from uuid import UUID

from django.core.serializers.json import DjangoJSONEncoder
from django.db import connection
from django.utils.translation import gettext as _
from rest_framework.request import Request
from rest_framework.response import Response

from portal.access.exceptions import BadRequest, Conflict, Refusal
from portal.access.models import User
from portal.api.models import IdempotentAnswer
from portal.tenancy.models import PROVIDER_TENANT_ID
from portal.tenancy.scope import current_scope, has_scope

Handler = Callable[..., Response]


class KeyReused(Refusal):
    """The key was used for another request."""

    status = 422


class ShownOnce(Response):
    """An answer with secrets, by the names of their fields, that is given once and kept nowhere."""

    def __init__(self, data: dict[str, Any], *, secrets: Sequence[str], status: int) -> None:
        super().__init__(data, status=status, headers={"Cache-Control": "no-store"})
        self.secrets = secrets


def replayable(handler: Handler) -> Handler:
    """Make a POST handler honour Idempotency-Key.

    Its answer names its `tenant`, unless it is about the provider itself or many tenants. A secret told in a
    `ShownOnce` answer is not kept: a replay says null in its place.
    """

    @wraps(handler)
    def wrapped(view: Any, request: Request, *args: Any, **kwargs: Any) -> Response:
        user = cast(User, request.user)
        key = request.headers.get("Idempotency-Key", "")
        if not key or not has_scope():
            return handler(view, request, *args, **kwargs)
        if len(key) > 255 or not key.isprintable():
            raise BadRequest(_("An Idempotency-Key has at most 255 characters, all of them printable."))
        fingerprint = _fingerprint(request)
        _claim_key(request, key)
        earlier = IdempotentAnswer.objects.filter(user=user, key=key).first()
        if earlier is not None:
            return _replay(earlier, fingerprint)
        answer = handler(view, request, *args, **kwargs)
        told = answer.data | dict.fromkeys(answer.secrets) if isinstance(answer, ShownOnce) else answer.data
        IdempotentAnswer.objects.create(
            tenant_id=_keeper(answer),
            user=user,
            key=key,
            fingerprint=fingerprint,
            status=answer.status_code,
            body=json.loads(json.dumps(told, cls=DjangoJSONEncoder)),
        )
        return answer

    wrapped.is_replayable = True  # type: ignore[attr-defined]  # the schema tells of it
    return wrapped


def _keeper(answer: Response) -> UUID:
    """Return whose row keeps the answer: the tenant it names, else the provider, else the first of who asks."""
    if answer.data.get("tenant"):
        return UUID(str(answer.data["tenant"]))
    reached = current_scope().tenant_ids
    return PROVIDER_TENANT_ID if PROVIDER_TENANT_ID in reached else min(reached)


def _replay(earlier: IdempotentAnswer, fingerprint: str) -> Response:
    if earlier.fingerprint != fingerprint:
        raise KeyReused(_("This Idempotency-Key was used for another request; use a new one."))
    return Response(earlier.body, status=earlier.status, headers={"Idempotency-Replayed": "true"})


def _claim_key(request: Request, key: str) -> None:
    """Hold the key until this transaction ends, so that only one request under it runs at a time."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(hashtextextended(%s, 7))", [f"{request.user.pk}:{key}"])
        if not cursor.fetchone()[0]:
            raise Conflict(_("A request with this Idempotency-Key is still under way; ask again in a moment."))


def _fingerprint(request: Request) -> str:
    try:
        body = json.dumps(request.data, sort_keys=True, cls=DjangoJSONEncoder)
    except RecursionError as error:
        raise BadRequest(_("The JSON is nested too deeply.")) from error
    return hashlib.sha256(f"{request.method} {request.get_full_path()}\n{body}".encode()).hexdigest()
