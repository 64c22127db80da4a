"""Who is shown what was asked: a question to several customers may name one of them to the others' people."""

from django.db.models import Count, OuterRef, Q, Subquery

from portal.access.actors import Actor
from portal.tenancy.scope import has_scope
from remediation.hunting.models import Hunt


def told_to(actor: Actor) -> Q:
    """Return the condition under which a hunt's query, and what its search form held, are shown to an actor.

    That is who asked, a provider admin over all, and whoever may read every tenant that the question named.
    """
    if actor.administers_provider:
        return Q(pk__isnull=False)
    if not has_scope():
        return Q(asked_by_id=actor.id)
    in_scope = Hunt.objects.filter(batch=OuterRef("batch")).order_by().values("batch").annotate(count=Count("pk"))
    return Q(asked_by_id=actor.id) | Q(tenants_asked__lte=Subquery(in_scope.values("count")))
