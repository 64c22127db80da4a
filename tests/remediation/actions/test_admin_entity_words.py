"""What a group is about, as pages name it: its kind and its value, nothing of how it is kept."""

import pytest

from remediation.actions.admin.entity_words import name_entity
from remediation.actions.entities import entity_of, entity_of_mail

SHA1 = "5f" * 20
CLUSTER = {"clusterBy": "Subject;P2SenderDomain;ContentType", "clusterByValue": "You won: now;bad.example;1"}
LONG_URL = entity_of({"url": "bad.example/" + "x" * 500})


@pytest.mark.parametrize(
    ("entity", "kind", "name"),
    [
        (entity_of({"sha1": SHA1}), "File", SHA1),
        (entity_of_mail(CLUSTER), "Email cluster", "you won: now · bad.example · 1"),
        ("cluster:4c2a-1", "Email cluster", "4c2a-1"),
        (entity_of({"indicator_type": "Url", "value": "https://bad.example"}), "Indicator", "https://bad.example"),
        (LONG_URL, "URL", LONG_URL[4:335] + "…"),
        ("mailbox:pat@acme.example", "Mailbox", "pat@acme.example"),
    ],
)
def test_an_entity_is_told_by_its_kind_and_value(entity: str, kind: str, name: str) -> None:
    assert tuple(map(str, name_entity(entity))) == (kind, name)
