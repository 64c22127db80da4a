"""Parameters: each kind takes what Microsoft takes, in one canonical form, and nothing else."""

from typing import Any

import pytest

from investigations.models import Device
from portal.access.exceptions import BadRequest
from remediation.actions.effects import EFFECTS
from remediation.actions.parameter_kinds import check_value
from remediation.actions.parameters import check_parameters, describe_target
from remediation.catalogue import CATALOGUE, Parameter

SHA1, SHA256 = "a1" * 20, "b2" * 32
MESSAGE = {"network_message_id": "4C2A-1", "recipient": "Pat@Acme.example"}
TRUE = {"alert_id": "da1", "classification": "truePositive"}


def indicator(kind: str, value: object, **others: object) -> dict[str, object]:
    """Return the parameters of an indicator."""
    return {"indicator_type": kind, "value": value, **others}


@pytest.mark.parametrize(
    ("type_name", "given", "expected"),
    [
        ("request_sample", {"path": " /home/pat/bad "}, {"path": "/home/pat/bad"}),
        ("delete_file", {"path": "C:\\Users\\pat\\bad.exe"}, {"path": "C:\\Users\\pat\\bad.exe"}),
        (
            "delete_file",
            {"path": "C:\\bad.exe", "sha1": SHA1.upper()},
            {"path": "C:\\bad.exe", "sha1": SHA1},
        ),
        ("stop_process", {"process_id": "4711", "process_name": ""}, {"process_id": 4711}),
        ("stop_process", {"process_id": 7, "process_name": "bad.exe"}, {"process_id": 7, "process_name": "bad.exe"}),
        ("remove_scheduled_task", {"task_name": "\\Updater"}, {"task_name": "\\Updater"}),
        ("turn_off_forwarding", {"mailbox": "Pat@Acme.Example"}, {"mailbox": "pat@acme.example"}),
        ("block_url", {"url": "https://Bad.Example:8443/Path?q=1#top"}, {"url": "bad.example/Path?q=1"}),
        (
            "submit_url",
            {"url": "bad.example/x", "category": "spam"},
            {"url": "http://bad.example/x", "category": "spam"},
        ),
        ("block_indicator", indicator("FileSha256", SHA256.upper()), indicator("FileSha256", SHA256)),
        ("allow_indicator", indicator("IpAddress", "2001:DB8::1"), indicator("IpAddress", "2001:db8::1")),
        ("block_indicator", indicator("DomainName", "Bad.Example"), indicator("DomainName", "bad.example")),
        (
            "block_indicator",
            indicator("Url", "http://b.example/", days="30"),
            indicator("Url", "http://b.example/", days=30),
        ),
        ("classify_alert", {**TRUE, "determination": "phishing"}, {**TRUE, "determination": "phishing"}),
    ],
)
def test_what_is_right_gets_its_one_canonical_form(type_name: str, given: dict[str, Any], expected: object) -> None:
    checked = check_parameters(CATALOGUE[type_name], given)

    assert checked == expected
    assert check_parameters(CATALOGUE[type_name], checked) == expected


@pytest.mark.parametrize(
    ("type_name", "given", "named"),
    [
        ("request_sample", {"path": "bad.exe"}, "path"),
        ("delete_file", {"path": "/home/pat/bad"}, "path"),
        ("delete_file", {"path": "C:\\*.exe"}, "path"),
        ("delete_file", {"path": "C:\\bad.exe", "sha1": "a" * 39}, "sha1"),
        ("stop_process", {"process_id": 0}, "process_id"),
        ("stop_process", {"process_id": True}, "process_id"),
        ("stop_process", {"process_id": 2**32}, "process_id"),
        ("stop_process", {"process_id": 4, "process_name": "C:\\bad.exe"}, "process_name"),
        ("remove_scheduled_task", {"task_name": "Updater"}, "task_name"),
        ("turn_off_forwarding", {"mailbox": "pat"}, "mailbox"),
        ("turn_off_forwarding", {"mailbox": "*@acme.example"}, "mailbox"),
        ("turn_off_forwarding", {"mailbox": "\u202eelpmaxe@acme.example"}, "mailbox"),
        ("block_url", {"url": 7}, "url"),
        ("submit_url", {"url": "javascript://alert", "category": "spam"}, "url"),
        ("block_indicator", indicator("FileSha256", SHA1), "value"),
        ("block_indicator", indicator("FileMd5", "a" * 32), "indicator_type"),
        ("block_indicator", indicator("IpAddress", "192.0.2.0/24"), "value"),
        ("block_indicator", indicator("DomainName", "*.bad.example"), "value"),
        ("block_indicator", indicator("DomainName", "bad.example", days=366), "days"),
        ("block_indicator", {"value": SHA1}, "indicator_type"),
        ("block_indicator", indicator("Url", "https://login.example@evil.example/"), "value"),
        ("submit_url", {"url": "login.example@evil.example", "category": "spam"}, "url"),
        ("classify_alert", {**TRUE, "determination": "notMalicious"}, "determination"),
        ("classify_alert", {**TRUE, "alert_id": "da1\n of Globex"}, "alert_id"),
        ("classify_alert", {**TRUE, "alert_id": "da1\u202e"}, "alert_id"),
        ("submit_email", {"messages": [MESSAGE], "category": "junk"}, "category"),
        ("isolate_device", {"isolation_type": ["Full"]}, "isolation_type"),
    ],
)
def test_what_is_wrong_is_refused_by_name(type_name: str, given: dict[str, Any], named: str) -> None:
    with pytest.raises(BadRequest, match=f"“{named}”"):
        check_parameters(CATALOGUE[type_name], given)


@pytest.mark.parametrize("url", ["*.bad.example", "ftp://bad.example", "localhost", "bad.example/" + "x" * 250])
def test_what_exchanges_list_cannot_take_is_refused_with_its_reason(url: str) -> None:
    with pytest.raises(BadRequest, match="cannot go on the block list"):
        check_parameters(CATALOGUE["block_url"], {"url": url})


def test_every_kind_in_the_catalogue_has_a_check_and_every_type_its_effect() -> None:
    before = {"indicator_type": "Url", "classification": "truePositive"}
    for kind in CATALOGUE.values():
        assert EFFECTS[kind.name]
        for parameter in kind.parameters:
            if parameter.kind != "ids":  # widening alone, which nobody may ask for
                with pytest.raises(BadRequest):
                    check_value(Parameter(parameter.name, parameter.kind), [], before)


@pytest.mark.parametrize(
    ("type_name", "parameters", "expected"),
    [
        ("soft_delete_email", {"messages": [MESSAGE, MESSAGE]}, "2 messages"),
        ("block_url", {"url": "bad.example"}, "bad.example"),
        ("turn_off_forwarding", {"mailbox": "pat@acme.example"}, "pat@acme.example"),
        ("block_indicator", indicator("FileSha1", SHA1), f"FileSha1 · {SHA1}"),
        ("allow_indicator", indicator("FileSha1", SHA1, days=30), f"FileSha1 · {SHA1} · for 30 days"),
        ("allow_indicator", indicator("FileSha1", SHA1, days=1), f"FileSha1 · {SHA1} · for 1 day"),
        ("classify_alert", {"alert_id": "da1"}, "alert da1"),
        ("submit_file", {"sha1": SHA1, "category": "clean"}, SHA1),
    ],
)
def test_the_target_says_what_it_is_done_to(type_name: str, parameters: dict[str, Any], expected: str) -> None:
    assert describe_target(CATALOGUE[type_name], None, parameters) == expected


def test_signs_that_turn_or_hide_letters_stand_in_a_target_as_what_they_are() -> None:
    kind = CATALOGUE["delete_file"]
    device = Device(name="pc\u2066-1", machine_id="f" * 40)
    target = describe_target(kind, device, {"path": "C:\\Users\\Jürgen\\invoice\u202efdp.exe"})

    assert target == "pc⟨U+2066⟩-1 · C:\\Users\\Jürgen\\invoice⟨U+202E⟩fdp.exe"
