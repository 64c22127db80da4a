"""Completes what the admin endpoint is given into whole objects that Microsoft's metadata would accept."""

import hashlib
import zlib
from datetime import timedelta
from typing import Any
from uuid import uuid4

from connectors.simulator.exchange import Refusal
from connectors.simulator.hunting_tables import event_of
from connectors.simulator.indicators import seed_indicator
from connectors.simulator.mailboxes import Mailbox
from connectors.simulator.moments import moment_text, now_ticks, ticks_in
from connectors.simulator.records import Email
from connectors.simulator.store import Tenant, email_key

Json = dict[str, Any]


class InvalidSeed(ValueError):
    """A seed with a missing or unknown property; the text names it."""


def put_machine(tenant: Tenant, partial: object) -> None:
    """Add a machine or change one; without an id it is made from the DNS name. Raises InvalidSeed."""
    given = as_object(partial, "machine")
    given.pop("osVersion", None)  # real rows carry it, the metadata does not declare it
    name = str(given.get("computerDnsName") or "")
    machine_id = str(given.get("id") or hashlib.sha1(f"{tenant.id}/{name}".encode(), usedforsecurity=False).hexdigest())
    if not given.get("id") and not name:
        raise InvalidSeed("a machine needs id or computerDnsName")
    base = tenant.machines.get(machine_id.lower(), _machine_defaults())
    tenant.references.pop(machine_id.lower(), None)
    tenant.machines[machine_id.lower()] = {**merged(base, given, "machine"), "id": machine_id.lower()}


def put_alert(tenant: Tenant, partial: object) -> str:
    """Add an alert or replace the one with its id; returns the id. Raises InvalidSeed."""
    given = as_object(partial, "alert")
    alert_id = str(given.get("id") or f"da{uuid4().int % 10**18}_{uuid4().int % 10**9}")
    alert = merged(_alert_defaults(tenant.id, alert_id), {**given, "id": alert_id}, "alert")
    alert["evidence"] = [_evidence(piece, alert["createdDateTime"]) for piece in alert["evidence"]]
    tenant.alerts[alert_id.lower()] = alert
    return alert_id


def put_email(tenant: Tenant, partial: object) -> None:
    """Add a mail or change one, keeping what was done to it. Raises InvalidSeed without message id and recipient."""
    given = as_object(partial, "email")
    message_id, recipient = given.get("networkMessageId"), given.get("recipientEmailAddress")
    if not isinstance(message_id, str) or not isinstance(recipient, str):
        raise InvalidSeed("an email needs networkMessageId and recipientEmailAddress")
    known = tenant.email(message_id, recipient)
    properties = merged(known.properties if known else _email_defaults(message_id, recipient), given, "email")
    for delivery in ("originalDelivery", "latestDelivery"):
        properties[delivery] = {**_delivery(), **properties[delivery]}
    changes = known.changes if known else []
    tenant.emails[email_key(message_id, recipient)] = Email(properties, changes)


def put_file(tenant: Tenant, partial: object) -> None:
    """Add a file's profile or change it. Raises InvalidSeed without a SHA-1."""
    given = as_object(partial, "file")
    sha1 = given.get("sha1")
    if not isinstance(sha1, str):
        raise InvalidSeed("a file needs sha1")
    base = tenant.files.get(sha1.lower(), _file_defaults(sha1.lower()))
    tenant.files[sha1.lower()] = {**merged(base, given, "file"), "sha1": sha1.lower()}


def put_mailbox(tenant: Tenant, partial: object) -> None:
    """Add a mailbox or change one, with Exchange's names for its forwarding, and ``rules`` as Graph has them.

    The domain of its ``address`` becomes one of the tenant's accepted domains. Raises InvalidSeed.
    """
    given = as_object(partial, "mailbox")
    address, rules = given.pop("address", None), given.pop("rules", [])
    if not isinstance(address, str) or "@" not in address or not isinstance(rules, list):
        raise InvalidSeed("a mailbox needs address, and rules is a list")
    mailbox = tenant.mailboxes.setdefault(address.lower(), Mailbox(address.lower()))
    mailbox.forwarding = merged(mailbox.forwarding, given, "mailbox")
    for rule in rules:
        mailbox.put_rule(as_object(rule, "rule"))
    put_accepted_domain(tenant, address.partition("@")[2])


def put_contact(tenant: Tenant, partial: object) -> None:
    """Add a mail contact: a recipient of the directory whose mail goes to ``address``. Raises InvalidSeed."""
    given = as_object(partial, "contact")
    if given.keys() != {"name", "address"} or not all(isinstance(value, str) for value in given.values()):
        raise InvalidSeed("a contact has name and address")
    tenant.contacts[given["name"].lower()] = {
        "Identity": given["name"],
        "DisplayName": given["name"],
        "RecipientType": "MailContact",
        "PrimarySmtpAddress": given["address"],
        "ExternalEmailAddress": f"SMTP:{given['address']}",
    }


def put_accepted_domain(tenant: Tenant, domain: object) -> None:
    """Let a domain be the tenant's own. Raises InvalidSeed."""
    if not isinstance(domain, str):
        raise InvalidSeed("an accepted domain is a text")
    if domain.lower() not in tenant.accepted_domains:
        tenant.accepted_domains.append(domain.lower())


def put_indicator(tenant: Tenant, partial: object) -> None:
    """Add an indicator as ``createdBy`` (a person, say) made it. Raises InvalidSeed for what Defender refuses."""
    given = as_object(partial, "indicator")
    maker = str(given.pop("createdBy", "somebody@else.example"))
    try:
        seed_indicator(tenant, given, maker)
    except Refusal as refusal:
        raise InvalidSeed(refusal.message) from refusal


def put_event(tenant: Tenant, partial: object) -> None:
    """Add a row to the hunting table named by ``table``. Raises InvalidSeed."""
    given = as_object(partial, "event")
    table = str(given.pop("table", ""))
    try:
        tenant.events.setdefault(table, []).append(event_of(table, given))
    except ValueError as error:
        raise InvalidSeed(str(error)) from error


def hunting_trouble(partial: object) -> Json:
    """What is wrong with hunting: ``trouble`` (cpu_quota, time_out, null) and ``rows`` in every table. InvalidSeed."""
    given = as_object(partial, "hunting")
    rows = given.get("rows")
    if given.keys() - {"trouble", "rows"} or given.get("trouble") not in (None, "cpu_quota", "time_out"):
        raise InvalidSeed("hunting has trouble (cpu_quota, time_out or null) and rows")
    if rows is not None and (not isinstance(rows, int) or isinstance(rows, bool) or rows < 1):
        raise InvalidSeed("hunting rows must be a whole number of at least 1, or null")
    return given


def command_result(partial: object) -> Json:
    """How a live-response command ends whose script name or path begins with ``of``. Raises InvalidSeed."""
    given = as_object(partial, "command result")
    known = {"of", "exit_code", "script_output", "script_errors", "errors"}
    if given.keys() - known or not isinstance(given.get("of"), str):
        raise InvalidSeed(f"a command result has of and some of {', '.join(sorted(known - {'of'}))}")
    return given


def as_object(partial: object, kind: str) -> Json:
    """A copy of what must be a JSON object. Raises InvalidSeed."""
    if not isinstance(partial, dict):
        raise InvalidSeed(f"a {kind} is a JSON object")
    return dict(partial)


def merged(base: Json, given: Json, kind: str) -> Json:
    """The base with what is given over it. Raises InvalidSeed for a property the base does not have."""
    unknown = [name for name in given if name not in base and not name.startswith("@")]
    if unknown:
        raise InvalidSeed(f"unknown in {kind}: {', '.join(sorted(unknown))}")
    return {**base, **given}


def ago(**length: float) -> str:
    """A moment so long ago, as Microsoft writes it."""
    return moment_text(now_ticks() - ticks_in(timedelta(**length).total_seconds()))


def _machine_defaults() -> Json:
    return {
        "id": "",
        "mergedIntoMachineId": None,
        "isPotentialDuplication": False,
        "isExcluded": False,
        "exclusionReason": None,
        "computerDnsName": None,
        "firstSeen": ago(days=90),
        "lastSeen": ago(hours=3),
        "osPlatform": "Windows11",
        "osProcessor": "x64",
        "version": "24H2",
        "lastIpAddress": "10.20.30.40",
        "lastExternalIpAddress": "203.0.113.10",
        "agentVersion": "10.8790.26100.4061",
        "osBuild": 26100,
        "healthStatus": "Active",
        "deviceValue": "Normal",
        "rbacGroupId": 0,
        "rbacGroupName": None,
        "riskScore": "None",
        "exposureLevel": "Low",
        "isAadJoined": False,
        "aadDeviceId": None,
        "machineTags": [],
        "onboardingStatus": "Onboarded",
        "osArchitecture": "64-bit",
        "managedBy": "Intune",
        "managedByStatus": "Unknown",
        "ipAddresses": [
            {"ipAddress": "10.20.30.40", "macAddress": "00005E0053FF", "type": "Ethernet", "operationalStatus": "Up"}
        ],
        "vmMetadata": None,
    }


def _file_defaults(sha1: str) -> Json:
    return {
        "sha1": sha1,
        "sha256": hashlib.sha256(sha1.encode()).hexdigest(),
        "md5": hashlib.md5(sha1.encode(), usedforsecurity=False).hexdigest(),
        "globalPrevalence": 12,
        "globalFirstObserved": ago(days=400),
        "globalLastObserved": ago(hours=5),
        "size": 22_139,
        "fileType": "PortableExecutable",
        "isPeFile": True,
        "filePublisher": None,
        "fileProductName": None,
        "signer": None,
        "issuer": None,
        "signerHash": None,
        "isValidCertificate": None,
        "determinationType": "Unknown",
        "determinationValue": "",
    }


def _alert_defaults(tenant_id: str, alert_id: str) -> Json:
    return {
        **_alert_moments(),
        "@odata.type": "#microsoft.graph.security.alert",
        "id": alert_id,
        "providerAlertId": alert_id,
        "incidentId": str(zlib.crc32(alert_id.encode()) % 100_000),
        "status": "new",
        "severity": "medium",
        "classification": "unknown",
        "determination": "unknown",
        "serviceSource": "microsoftDefenderForEndpoint",
        "detectionSource": "antivirus",
        "detectorId": "e0da400f-affd-43ef-b1d5-afc2eb6f2756",
        "productName": "Microsoft Defender for Endpoint",
        "investigationState": "queued",
        "tenantId": tenant_id,
        "title": "Malware was detected",
        "description": "Malware was detected on a device.",
        "recommendedActions": "Collect artifacts and determine scope",
        "category": "Malware",
        "categories": ["Malware"],
        "alertPolicyId": None,
        "assignedTo": None,
        "alertWebUrl": f"https://security.microsoft.com/alerts/{alert_id}?tid={tenant_id}",
        "incidentWebUrl": f"https://security.microsoft.com/incidents?tid={tenant_id}",
        "actorDisplayName": None,
        "threatDisplayName": None,
        "threatFamilyName": None,
        "mitreTechniques": [],
        "systemTags": [],
        "additionalData": None,
        "customDetails": None,
        "comments": [],
        "evidence": [],
    }


def _alert_moments() -> Json:
    now = moment_text(now_ticks())
    return {
        "createdDateTime": now,
        "lastUpdateDateTime": now,
        "resolvedDateTime": None,
        "firstActivityDateTime": now,
        "lastActivityDateTime": now,
    }


def _evidence(piece: object, created: str) -> Json:
    given = as_object(piece, "piece of evidence")
    if "@odata.type" not in given:
        raise InvalidSeed("a piece of evidence needs @odata.type")
    base: Json = {
        "createdDateTime": created,
        "verdict": "unknown",
        "remediationStatus": "none",
        "remediationStatusDetails": None,
        "roles": [],
        "detailedRoles": [],
        "tags": [],
    }
    return {**base, **given}


def _delivery() -> Json:
    return {"action": "delivered", "location": "inbox_folder", "originalThreats": "none", "latestThreats": "phish"}


def _email_defaults(message_id: str, recipient: str) -> Json:
    return {
        **_email_verdict(),
        "id": f"{message_id}-{zlib.crc32(recipient.lower().encode())}-1",
        "networkMessageId": message_id,
        "internetMessageId": f"<{message_id}@mail.example>",
        "recipientEmailAddress": recipient,
        "subject": "Your parcel is waiting",
        "loggedDateTime": ago(hours=1),
        "directionality": "inbound",
        "senderDetail": _sender(),
        "recipientDetail": {"ccRecipients": [], "domainName": recipient.partition("@")[2]},
        "originalDelivery": _delivery(),
        "latestDelivery": _delivery(),
        "alertIds": [],
        "contexts": [],
        "dlpRules": [],
        "exchangeTransportRules": [],
        "overrideSources": [],
        "primaryOverrideSource": None,
        "emailClusterId": str(zlib.crc32(message_id.encode())),
        "bulkComplaintLevel": "1",
        "spamConfidenceLevel": "1",
        "phishConfidenceLevel": "high",
        "clientType": None,
        "distributionList": None,
        "forwardingDetail": None,
        "inboundConnectorFormattedName": None,
        "language": "en",
        "policy": None,
        "policyAction": None,
        "policyType": None,
        "returnPath": "bounce@parcel.example",
        "sizeInBytes": 18_412,
        "timelineEvents": [],
    }


def _email_verdict() -> Json:
    return {
        "threatTypes": ["phish"],
        "threatDetectionDetails": [],
        "detectionMethods": ["URL detonation"],
        "urls": [],
        "attachments": [],
        "authenticationDetails": {
            "compositeAuthentication": "fail",
            "dkim": "none",
            "dmarc": "none",
            "senderPolicyFramework": "fail",
        },
    }


def _sender() -> Json:
    return {
        "displayName": "Parcel service",
        "domainCreationDateTime": None,
        "domainName": "parcel.example",
        "domainOwner": None,
        "fromAddress": "no-reply@parcel.example",
        "ipv4": "198.51.100.7",
        "location": "DE",
        "mailFromAddress": "bounce@parcel.example",
        "mailFromDomainName": "parcel.example",
    }
