"""The scenes the demo opens with: at every customer a day of alerts, and what happened at one of them alone."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

from investigations.states import AutomationLevel
from portal.demo.companies import KANDA, LUMIERE, NORDFJELL, Company
from portal.demo.hunting_ground import PEOPLE, PHISHING_SUBJECT, PHISHING_URL, SENDER, letter_to
from portal.demo.scenery import (
    DATA,
    DOWNLOADS,
    SYSTEM32,
    TEMP,
    alert,
    cluster_evidence,
    device_alert_id,
    device_evidence,
    email,
    file_evidence,
    mail_alert_id,
    mailbox_evidence,
    message_evidence,
    message_id,
    process_evidence,
    url_evidence,
    user_evidence,
)
from portal.demo.weaknesses import weaknesses_of

Json = dict[str, Any]

SHARED_TOOL: Final = "rclone, renamed"
"""The content of a file that waits for a decision at every customer."""


def opening_scene(company: Company) -> Json:
    """Return what the simulator is told of a company when the demo starts: machines, mails, alerts and weaknesses."""
    phish = [message_id(f"{company.slug}-invoice-{number}") for number in (1, 2)]
    mailboxes = [f"reception@{company.domain}", f"accounts@{company.domain}"]
    mails = [email(*pair, PHISHING_SUBJECT) for pair in zip(phish, mailboxes, strict=True)]
    alerts = [*_everyday(company), _phishing(company, phish, mailboxes), *_to_correct(company), *_own(company)]
    return {
        "machines": company.machines(12),
        "emails": mails,
        "alerts": alerts,
        "mailboxes": [forwarding_mailbox(mailboxes[0])],
        "withheld_roles": ["ThreatHunting.Read.All"] if company is KANDA else [],
        **weaknesses_of(company),
    }


def forwarding_mailbox(address: str) -> Json:
    """Return a mailbox somebody has tampered with: all its mail goes outside too, and a rule sends invoices there."""
    thief = {"emailAddress": {"name": "backup", "address": "backup@parcel.example"}}
    return {
        "address": address,
        "ForwardingSmtpAddress": "smtp:backup@parcel.example",
        "DeliverToMailboxAndForward": True,
        "rules": [
            {
                "id": "AQAAAJ5dZqA=",
                "displayName": ".",
                "conditions": {"subjectContains": ["invoice"]},
                "actions": {"forwardTo": [thief], "delete": True, "stopProcessingRules": True},
            }
        ],
    }


def _everyday(company: Company) -> list[Json]:
    """One alert for each automation level, so that every reason for asking or not asking is there to read."""
    full = company.machine(AutomationLevel.FULL, 1)
    server = company.machine(AutomationLevel.SEMI_ALL_FOLDERS, 1)
    office = company.machine(AutomationLevel.SEMI_CORE_FOLDERS, 1)
    second_office = company.machine(AutomationLevel.SEMI_CORE_FOLDERS, 2)
    laptop = company.machine(AutomationLevel.SEMI_NON_TEMP_FOLDERS, 1)
    fixed = company.machine(AutomationLevel.NO_AUTOMATED_RESPONSE, 1)
    own = company.slug
    scenes: list[tuple[str, str, list[Json], float]] = [
        ("stealer", "Credential stealer was detected", [
            device_evidence(full), file_evidence(full, DOWNLOADS, "invoice_8841.exe", content=f"{own}-stealer"),
        ], 19),
        ("webshell", "Possible web shell on a server", [
            device_evidence(server),
            file_evidence(server, r"C:\inetpub\wwwroot", "help.aspx", content=f"{own}-webshell"),
            process_evidence(server, r"C:\Windows\System32", "w3wp.exe", content=f"{own}-w3wp"),
        ], 11),
        ("sideload", "DLL side-loading by a renamed tool", [
            device_evidence(office), file_evidence(office, SYSTEM32, "version.dll", content=f"{own}-sideload"),
        ], 8),
        ("adware", "Unwanted software bundle", [
            device_evidence(second_office),
            file_evidence(second_office, DATA, "pdf-helper-setup.exe", content=f"{own}-adware"),
        ], 6),
        ("dropper", "Dropper was run from a temporary folder", [
            device_evidence(laptop),
            file_evidence(laptop, TEMP, "~tmp4471.exe", content=f"{own}-dropper"),
            file_evidence(laptop, DATA, "updater.exe", content=f"{own}-updater"),
        ], 4),
        ("worm", "Worm activity on a fixed-function device", [
            device_evidence(fixed, "suspicious"), file_evidence(fixed, DATA, "svch0st.exe", content=f"{own}-worm"),
        ], 3),
    ]  # fmt: skip
    return [
        alert(company, device_alert_id(own + name), title, evidence, ago=timedelta(hours=hours))
        for name, title, evidence, hours in scenes
    ]


def _phishing(company: Company, phish: Sequence[str], mailboxes: Sequence[str]) -> Json:
    evidence = [message_evidence(*pair, PHISHING_SUBJECT) for pair in zip(phish, mailboxes, strict=True)]
    evidence.append(url_evidence(PHISHING_URL))
    return alert(
        company,
        mail_alert_id(company.slug + "phish"),
        "Email messages containing malicious URL removed after delivery",
        evidence,
        severity="medium",
        category="InitialAccess",
        ago=timedelta(hours=2),
        source="microsoftDefenderForOffice365",
    )


def _to_correct(company: Company) -> list[Json]:
    """A program of the company's own taken for malware, a tool that is found everywhere, and a mailbox that leaks."""
    desk, server = company.machine(AutomationLevel.FULL, 12), company.machine(AutomationLevel.SEMI_ALL_FOLDERS, 3)
    own = company.slug
    planner = file_evidence(
        desk, r"C:\Program Files\Rota", "rota-planner.exe", content=f"{own}-rota", signer=company.name
    )
    tool = file_evidence(server, r"C:\ProgramData\sync", "svchost-sync.exe", content=SHARED_TOOL)
    return [
        alert(
            company,
            device_alert_id(own + "rota"),
            "'Wacatac' malware was detected",
            [device_evidence(desk), planner],
            severity="medium",
            ago=timedelta(hours=5),
        ),
        alert(
            company,
            device_alert_id(own + "rclone"),
            "Possible data exfiltration with a renamed rclone",
            [device_evidence(server), tool],
            category="Exfiltration",
            ago=timedelta(minutes=100),
        ),
        alert(
            company,
            mail_alert_id(own + "forwarding"),
            "Suspicious email forwarding activity",
            [mailbox_evidence(f"reception@{company.domain}")],
            category="Exfiltration",
            ago=timedelta(minutes=75),
            source="microsoftDefenderForOffice365",
        ),
    ]


def _campaign(company: Company) -> Json:
    """Six letters of the campaign as one cluster: who received them, Quell has to look up first."""
    letters = [letter_to(company, person) for person in PEOPLE]
    return alert(
        company,
        mail_alert_id(company.slug + "campaign"),
        "Email messages from a campaign removed after delivery",
        [cluster_evidence(letters, PHISHING_SUBJECT, SENDER.partition("@")[2])],
        category="InitialAccess",
        ago=timedelta(minutes=65),
        source="microsoftDefenderForOffice365",
    )


def _own(company: Company) -> list[Json]:
    """What happened at one company only."""
    first, second = (company.machine(AutomationLevel.FULL, number) for number in (2, 3))
    if company is NORDFJELL:
        spread = [
            alert(
                company,
                device_alert_id(f"spread-{number}"),
                "Ransomware behaviour was detected",
                [
                    device_evidence(machine),
                    file_evidence(machine, r"C:\ProgramData\sync", "locker.exe", content="nordfjell-locker"),
                ],
                ago=timedelta(minutes=90 - number),
            )
            for number, machine in enumerate(company.machine(AutomationLevel.FULL, 1 + n) for n in range(11))
        ]
        return [
            *spread,
            _campaign(company),
            _hands_on_keyboard(company, company.machine(AutomationLevel.SEMI_ALL_FOLDERS, 2)),
        ]
    if company is LUMIERE:
        return [_campaign(company), _hands_on_keyboard(company, first)]
    blocked = file_evidence(second, DOWNLOADS, "crack.zip", content="kanda-crack", status="prevented")
    return [
        _hands_on_keyboard(KANDA, first),
        alert(
            company,
            device_alert_id("prevented"),
            "An active malware was prevented from running",
            [device_evidence(second), blocked],
            severity="informational",
            ago=timedelta(hours=7),
        ),
    ]


def _hands_on_keyboard(company: Company, machine: Mapping[str, Any]) -> Json:
    return alert(
        company,
        device_alert_id(company.slug + "hands"),
        "Suspicious remote session on a device",
        [device_evidence(machine, "suspicious"), user_evidence("j.holm", company.domain)],
        severity="medium",
        category="LateralMovement",
        ago=timedelta(minutes=50),
    )
