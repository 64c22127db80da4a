"""`manage.py document [--check]`: writes the tables in docs/ that are made from the code, or says which differ.

A table stands between `<!-- generated: NAME -->` and `<!-- end generated -->`; all else on the page is a person's.
"""

import argparse
import ast
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db.models import TextChoices
from django.utils.translation import override

from connectors.clouds import ADDRESSES, PLACES, Cloud, reason_against
from connectors.microsoft.permissions import PERMISSIONS, WITH_INTUNE
from connectors.outbound.states import Event
from investigations.states import AutomationLevel
from portal.access.roles import CAPABILITIES, KEYS_MAY, Capability, Role
from remediation.actions.decision import decision_table
from remediation.actions.states import MOVES, State
from remediation.catalogue import CATALOGUE, REQUESTABLE, ActionType, Parameter
from remediation.retention.kinds import KINDS
from remediation.vulnerabilities.states import (
    EXCEPTION_MOVES,
    ExceptionState,
    Justification,
    RemediationOption,
    TaskStatus,
)

DOCS: Final = settings.ROOT / "docs"
MARKED: Final = re.compile(r"<!-- generated: (?P<name>[a-z ]+) -->\n.*?<!-- end generated -->", re.DOTALL)
READERS: Final = ("text", "switch", "seconds", "count", "words")

MEANINGS: Final[Mapping[str, str]] = {
    "DATABASE_URL": "must be set: PostgreSQL, as `portal_app`, in the form `postgresql://user:password@host:port/name`",
    "BROKER_URL": "must be set: Redis or Valkey, for messages and cache: `redis://…`, `rediss://…` or `unix://…`",
    "MIGRATE_DATABASE_URL": "the same database, signed in as `portal_owner`; only `migrate` uses it",
    "QUELL_DEVELOPMENT": "plain http and a throw-away secret key; never with customers' data",
    "SECRET_KEY": "Django's secret key: 50 random characters or more, the same for all processes",
    "MASTER_KEY_FILE": "the file with the master keys, one a line, mode 0600; this or MASTER_KEYS must be set",
    "MASTER_KEYS": "the master keys themselves, with commas between them, where there can be no file",
    "ALLOWED_HOSTS": "the host names the portal answers to, with commas between them",
    "CSRF_TRUSTED_ORIGINS": "origins with scheme, when a proxy changes the host name",
    "PORTAL_URL": "where people find the portal, `https://…`, for links in e-mails; invitations need it",
    "TRUST_FORWARDED_PROTO": "1 behind a proxy that always sets X-Forwarded-Proto itself",
    "TRUSTED_PROXY_COUNT": "how many proxies in a row append to X-Forwarded-For; 0: the header is not read",
    "SECOND_FACTOR_SECONDS": "how long a second factor counts as just shown",
    "SESSION_IDLE_SECONDS": "a session ends this long after its last request",
    "SESSION_ABSOLUTE_SECONDS": "a session ends this long after sign-in, however busy",
    "ACTION_LEASE_SECONDS": "how long a worker holds an action it sends; at least 4 × the deadline",
    "ACTION_QUIET_SECONDS": "how long a doubt rests before the look-up; at least the deadline",
    "ACTION_DEADLINE_SECONDS": "how long one call to Microsoft may take",
    "ACTION_POLL_SECONDS": "how soon Microsoft is first asked what became of an action",
    "HUNTING_DEADLINE_SECONDS": "how long one hunting query may take; Microsoft ends one after 3 minutes",
    "OUTBOUND_DEADLINE_SECONDS": "how long a Slack, Teams or webhook receiver may take to answer",
    "SWEEP_SECONDS": "how often beat looks for work that is due",
    "SYNC_SECONDS": "how often each tenant's devices and alerts are read",
    "VULNERABILITY_SYNC_SECONDS": "how often each tenant's recommendations and their devices are read",
    "INTUNE_SYNC_SECONDS": "how often the security tasks of a tenant with Intune on are read",
    "KNOWN_EXPLOITED_SECONDS": "how often the list of what is known to be exploited is asked for",
    "KNOWN_EXPLOITED_URL": "CISA's list of what is known to be exploited, JSON or CSV; empty: it is not read",
    "RETENTION_SECONDS": "how often each tenant is looked through for what is past its time",
    "ACTION_RETENTION_DAYS": "how long ended actions are kept unless a tenant's rule says otherwise: 180 to 3650 days",
    "BREAK_GLASS_SECONDS": "how long a break-glass use lasts",
    "EMAIL_HOST": "the mail server for alarms; without it they are not sent, and the workers' log says so",
    "EMAIL_PORT": "its port",
    "EMAIL_USE_TLS": "STARTTLS to it; 0 only on a network of your own",
    "EMAIL_HOST_USER": "the account there, if it asks for one",
    "EMAIL_HOST_PASSWORD": "its password",
    "EMAIL_FROM": "whom alarms come from",
    "AUDIT_SEAL_FILE": "must be set: where history's signed seals are appended, outside the database",
    "RETENTION_RECEIPTS_FILE": "where receipts of purged rows are appended, outside the database; beside the seals",
    "AUDIT_SEALING_KEY_FILE": "must be set: the key that signs them; read by the workers alone",
    "SEAL_SECONDS": "how often history is sealed",
    "BEAT_SCHEDULE_FILE": "where beat keeps its own notes; a folder it may write to",
    "MICROSOFT_CLIENT_ID": "the provider's app registration",
    "MICROSOFT_CLIENT_SECRET": "its secret",
    "MICROSOFT_CERTIFICATE_FILE": "its private key and certificate (PEM), used instead of the secret",
    "MICROSOFT_CA_FILE": "certificates to trust instead of the system's, for the simulator",
    "MICROSOFT_QUOTA_PERCENT": "how much of Microsoft's quotas Quell may use; less where other tools share its app",
    "LOG_LEVEL": "the least severe level that is logged",
}
"""What each environment variable is for; a variable that is missing here is an error, and so is one too many."""


class Command(BaseCommand):
    """Write every generated table, or with --check say which differ; then the exit code is 1 and nothing is written."""

    help = "Write the tables in the documentation that are made from the code."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the check and, for tests, another folder."""
        parser.add_argument("--check", action="store_true", help="change nothing; fail when a table is out of date")
        parser.add_argument("--folder", type=Path, default=DOCS, help="the folder of the pages (default: docs)")

    def handle(self, *args: Any, **options: Any) -> None:
        """Go through all pages."""
        stale: list[str] = []
        for page in sorted(options["folder"].rglob("*.md")):
            before = page.read_text(encoding="utf-8")
            changed, after = _rewrite(before, page.name)
            if before == after:
                continue
            stale += [f"{page.relative_to(options['folder'])}: {name}" for name in changed]
            if not options["check"]:
                page.write_text(after, encoding="utf-8")
        if stale and options["check"]:
            raise CommandError(f"Out of date: {'; '.join(stale)}. Run `manage.py document` and commit what it writes.")
        self.stdout.write("\n".join(f"Wrote {each}" for each in stale) or "The generated tables are up to date.")


def _rewrite(page: str, name: str) -> tuple[list[str], str]:
    """Return the names of the tables that differ, and the page with all of them as they should be."""
    changed: list[str] = []
    if page.count("<!-- generated:") != len(MARKED.findall(page)):
        raise CommandError(f"{name} has a marker without an end, or with a name in other than small letters.")

    def replace(found: re.Match[str]) -> str:
        wanted = found["name"]
        if wanted not in TABLES:
            raise CommandError(f"{name} asks for a table “{wanted}”; there is {', '.join(TABLES)}.")
        text = f"<!-- generated: {wanted} -->\n{_table(TABLES[wanted]())}\n<!-- end generated -->"
        if text != found[0]:
            changed.append(wanted)
        return text

    with override("en"):
        return changed, MARKED.sub(replace, page)


def _table(rows: Iterator[Sequence[str]]) -> str:
    head, *body = ["| " + " | ".join(cell.replace("|", r"\|") for cell in row) + " |" for row in rows]
    return "\n".join([head, "|" + "---|" * head.count(" | ") + "---|", *body])


def _actions() -> Iterator[Sequence[str]]:
    yield (
        "Action", "Type", "Area", "Parameters", "Undone by", "Approvals", "Per hour", "Sent again if not found",
        "Route", "Today",
    )  # fmt: skip
    for kind in CATALOGUE.values():
        yield (
            str(kind.label),
            f"`{kind.name}`",
            kind.area.value,
            ", ".join(map(_parameter, kind.parameters)),
            f"`{kind.inverse}`" if kind.inverse else "",
            str(kind.approvers) if kind.approvers else "none: an approver orders it",
            "no limit" if kind.hourly_cap is None else str(kind.hourly_cap),
            "yes" if kind.repeat_is_harmless else "no, a person looks",
            kind.route.value,
            _availability(kind),
        )


def _parameter(parameter: Parameter) -> str:
    return f"`{parameter.name}`: {' or '.join(parameter.choices) or parameter.kind}"


def _availability(kind: ActionType) -> str:
    if kind.name in REQUESTABLE:
        return "works"
    return "works; Quell alone proposes it" if kind.is_wired else "not yet"


def _roles() -> Iterator[Sequence[str]]:
    yield "Permission", *(str(role.label) for role in Role), "API key"
    for capability in Capability:
        held = ["yes" if capability in CAPABILITIES[role] else "" for role in Role]
        yield f"`{capability.value}`", *held, "as its account" if capability in KEYS_MAY else "never"


def _decisions() -> Iterator[Sequence[str]]:
    """Yield the decisions, with everything that is decided alike in one row."""
    yield "Verdict", "Automation level of the device group", "On", "Outcome", "Action"
    alike: dict[tuple[str, str, str, str], list[str]] = {}
    for row in decision_table():
        alike.setdefault((row.verdict, _levels(row.level), row.outcome, row.action), []).append(row.on)
    for (verdict, level, outcome, action), on in alike.items():
        yield verdict, level, "; ".join(on), outcome, action


def _levels(names: str) -> str:
    """Say all levels but one by the one that is missing."""
    missing = [str(level.label) for level in AutomationLevel if str(level.label) not in names.split("; ")]
    return f"any but {missing[0]}" if len(missing) == 1 else names


def _moves() -> Iterator[Sequence[str]]:
    yield "State", "In the API", "Can become"
    for state in State:
        after = [str(later.label) for later in State if later in MOVES.get(state, frozenset())]
        yield str(state.label), f"`{state.value}`", ", ".join(after) or "nothing: it has ended"


def _settings() -> Iterator[Sequence[str]]:
    yield "Variable", "Default", "What it is for"
    found = dict(_variables((settings.ROOT / "portal" / "settings.py").read_text(encoding="utf-8")))
    if differing := sorted(found.keys() ^ MEANINGS.keys()):
        raise CommandError(f"MEANINGS in portal/demo/management/commands/document.py differs: {', '.join(differing)}.")
    for name, default in found.items():
        yield f"`{name}`", default, MEANINGS[name]


def _variables(source: str) -> Iterator[tuple[str, str]]:
    """Yield each variable the settings read, in their order, with its default in production."""
    calls = [
        node
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id == "environment"
        and node.func.attr in READERS
    ]
    for call in sorted(calls, key=lambda node: node.lineno):
        default = call.args[1] if len(call.args) > 1 else ast.Constant("")
        yield ast.literal_eval(call.args[0]), _default(default)


def _default(given: ast.expr) -> str:
    """Say a default in words; of two, `… if IS_DEVELOPMENT else …`, production's counts."""
    if isinstance(given, ast.IfExp):
        given = given.orelse
    if isinstance(given, ast.Constant) and given.value is None:
        return "none, must be set"
    if isinstance(given, ast.Constant):
        return f"`{given.value!s}`" if given.value else "empty"
    if isinstance(given, ast.Name):
        return f"as `{given.id}`"
    parts = "/".join(re.findall("'([^']+)'", ast.unparse(given)))
    return f"`{parts}`"


def _permissions() -> Iterator[Sequence[str]]:
    yield "API", "Permission", "Needed for"
    for permission in (*PERMISSIONS, *WITH_INTUNE):
        uses = [*permission.readings, *(f"`{name}`" for name in CATALOGUE if name in permission.action_types)]
        yield permission.api, f"`{permission.name}`", ", ".join(uses)


def _clouds() -> Iterator[Sequence[str]]:
    yield "Cloud", "Sign-in", "Defender", "Graph", "Exchange", "Not offered"
    for cloud in Cloud:
        addresses = [f"`{getattr(PLACES[cloud], name)}`" for name in ADDRESSES]
        refused = [f"`{name}`" for name in CATALOGUE if reason_against(name, cloud)]
        yield str(cloud.label), *addresses, ", ".join(refused)


def _retention() -> Iterator[Sequence[str]]:
    yield "Kind", "In the API", "Days", "Shortest", "Longest"
    for kind in KINDS.values():
        yield str(kind.label), f"`{kind.name}`", str(kind.days), str(kind.shortest), str(kind.longest)


def _exceptions() -> Iterator[Sequence[str]]:
    yield "State", "In the API", "Can become"
    for state in ExceptionState:
        after = [str(later.label) for later in ExceptionState if later in EXCEPTION_MOVES.get(state, frozenset())]
        yield str(state.label), f"`{state.value}`", ", ".join(after) or "nothing: it has ended"


def _words() -> Iterator[Sequence[str]]:
    yield "Word", "In the API", "Of"
    kinds: Mapping[str, type[TextChoices]] = {
        "remediation types": RemediationOption,
        "ticket statuses": TaskStatus,
        "justifications": Justification,
        "events of a channel": Event,
    }
    for name, words in kinds.items():
        yield from ((str(word.label), f"`{word.value}`", name) for word in words)


TABLES: Final[Mapping[str, Callable[[], Iterator[Sequence[str]]]]] = {
    "actions": _actions,
    "roles": _roles,
    "decisions": _decisions,
    "moves": _moves,
    "settings": _settings,
    "permissions": _permissions,
    "clouds": _clouds,
    "retention": _retention,
    "exceptions": _exceptions,
    "words": _words,
}
"""Every generated table, by the name in its marker."""
