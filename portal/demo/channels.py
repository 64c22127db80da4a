"""How the demo's IT admins are told: a signed webhook at each customer, which leads to the simulator's inbox."""

from datetime import UTC, datetime
from typing import Final

from connectors.outbound.models import Channel
from connectors.outbound.services import change_channel, create_channel
from connectors.outbound.states import ChannelKind, Event
from portal.access.actors import Actor, actor_for
from portal.access.models import User
from portal.demo.companies import COMPANIES, Company
from portal.demo.seeding import PROVIDER_ADMIN
from portal.secrets.secret_text import SecretText
from portal.tenancy.scope import acting_for

NAME: Final = "IT service desk"


def connect_channels(simulator_url: str) -> None:
    """Make the channels that are missing; lead the others to the simulator, whose port may be new. Keeps the rest."""
    petra = actor_for(User.objects.get(email=PROVIDER_ADMIN.email), by_key=False, second_factor_at=datetime.now(UTC))
    for company in COMPANIES:
        with acting_for(company.tenant_id):
            _connect(company, SecretText(f"{simulator_url}/_simulator/inbox/{company.slug}"), simulator_url, petra)


def _connect(company: Company, url: SecretText, simulator_url: str, petra: Actor) -> None:
    found = Channel.objects.filter(tenant_id=company.tenant_id, name=NAME).first()
    if found is None:
        fresh = Channel(
            tenant_id=company.tenant_id, kind=ChannelKind.WEBHOOK, name=NAME, events=[event.value for event in Event]
        )
        create_channel(fresh, url=url, actor=petra)
    elif not simulator_url.endswith(f"//{found.host}"):
        change_channel(found.pk, {}, url=url, actor=petra)
