"""Recommendations with exposed devices in two groups of Acme, and short ways to ask for exceptions and to decide."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from django.utils import timezone

from investigations.models import Device, DeviceGroup
from portal.access.actors import Actor, actor_for
from portal.access.models import User
from portal.tenancy.models import Tenant
from portal.tenancy.scope import acting_for, database_now
from remediation.vulnerabilities.exceptions.deciding import approve
from remediation.vulnerabilities.exceptions.requesting import Reach, Subject, request_exception
from remediation.vulnerabilities.models import Recommendation, RecommendationException
from remediation.vulnerabilities.states import Justification
from tests import factories
from tests.factories import default_group, make_device, make_group

CVE = "CVE-2026-10001"
OTHER_CVE = "CVE-2026-10002"


def actor(user: User) -> Actor:
    """What a person may do, with a second factor just shown."""
    return actor_for(user, by_key=False, second_factor_at=datetime.now(UTC))


def make_recommendation(tenant: Tenant, name: str, cves: Sequence[str], devices: Sequence[Device]) -> Recommendation:
    """Create a recommendation that was read whole: these CVEs, and these devices exposed."""
    return factories.make_recommendation(
        tenant,
        *devices,
        recommendation_id=f"va-_-{name.lower()}",
        name=f"Update {name}",
        cve_ids=list(cves),
        weaknesses=len(cves),
        cves_read_at=timezone.now(),
    )


@dataclass(slots=True)
class Estate:
    """Acme's devices: two servers, one laptop in the default group; a browser with two CVEs on all of them."""

    tenant: Tenant
    servers: DeviceGroup
    laptops: DeviceGroup
    devices: list[Device]
    browser: Recommendation

    def subject(self) -> Subject:
        """The browser, as something to be excepted."""
        return Subject(self.tenant.id, self.browser)

    def cve(self, cve_id: str = CVE) -> Subject:
        """One of its CVEs, as something to be excepted."""
        return Subject(self.tenant.id, cve_id=cve_id)

    def left(self) -> tuple[str, int]:
        """What exceptions leave of the browser: its status and count."""
        with acting_for(self.tenant.id):
            row = Recommendation.objects.get(pk=self.browser.pk)
            return row.status, row.exposed_after_exceptions

    def state(self, exception: RecommendationException) -> str:
        """How far an exception is."""
        with acting_for(self.tenant.id):
            return RecommendationException.objects.get(pk=exception.pk).state

    def age(self, exception: RecommendationException, **fields: Any) -> None:
        """Put an exception back in time."""
        with acting_for(self.tenant.id):
            RecommendationException.objects.filter(pk=exception.pk).update(**fields)

    def today(self) -> date:
        """Today, by PostgreSQL."""
        with acting_for(self.tenant.id):
            return database_now().date()


@pytest.fixture
def estate(acme: Tenant) -> Estate:
    """Acme with a browser to update on three devices."""
    servers, laptops = make_group(acme), default_group(acme)
    devices = [make_device(acme, name, group=servers) for name in ("srv-1", "srv-2")]
    devices.append(make_device(acme, "pc-1", group=laptops))
    return Estate(acme, servers, laptops, devices, make_recommendation(acme, "Browser", [CVE, OTHER_CVE], devices))


Ask = Callable[..., RecommendationException]


@pytest.fixture
def ask(estate: Estate, ada: User) -> Ask:
    """Ada asks for an exception: for the browser and the whole tenant unless told otherwise."""

    def asked(
        *groups: DeviceGroup, subject: Subject | None = None, days: int = 30, by: User | None = None
    ) -> RecommendationException:
        with acting_for(estate.tenant.id):
            return request_exception(
                subject or estate.subject(),
                Reach(not groups, frozenset(group.pk for group in groups)),
                justification=Justification.RISK_ACCEPTED,
                context="The vendor has no newer one.",
                expires_on=database_now().date() + timedelta(days=days),
                actor=actor(by or ada),
            )

    return asked


@pytest.fixture
def grant(estate: Estate, ask: Ask, tess: User) -> Ask:
    """Ada asks and Tess grants."""

    def granted(*groups: DeviceGroup, **options: Any) -> RecommendationException:
        exception = ask(*groups, **options)
        return decide(estate.tenant, approve, exception.pk, tess)

    return granted


def decide(tenant: Tenant, verb: Callable[..., Any], exception_id: UUID, user: User) -> RecommendationException:
    """Let a person do something about an exception."""
    with acting_for(tenant.id):
        done: RecommendationException = verb(exception_id, actor=actor(user), reason="Talked it over.")
        return done
