"""Whatever the owner of the tables does to history, the verifier names the first bad row (reliability.md, row L2)."""

import io
import json
import os
import random
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pytest

from portal.audit.exporting import export_history
from portal.audit.keys import public_hex, read_key
from portal.audit.recording import SYSTEM
from portal.audit.sealing import seal
from portal.audit.verify import (
    BadRow,
    BadSeal,
    Row,
    Verdict,
    canonical,
    check_seals,
    digest_of,
    heads_of,
    read_header,
    read_rows,
    verify_history,
)
from portal.tenancy.models import Tenant

Write = Callable[[Tenant, int], None]
SEED = int(os.environ.get("TAMPER_SEED", "0")) or random.SystemRandom().randrange(1, 10**6)
OLD, LAST, SEALED = 4, 30, (12, 19, 30)
GENESIS = OLD + 1
OTHER_VALUES = {
    "at": "at + interval '1 second'",
    "id": "gen_random_uuid()",
    "verb": "verb || 'x'",
    "object_type": "object_type || ' '",
    "object_id": "gen_random_uuid()",
    "actor_id": "gen_random_uuid()",
    "actor_label": "upper(actor_label) || 'x'",
    "data": "data || '{\"n\": 1.000}'",
    "hash": "sha256('x')",
    "previous_hash": "sha256('x')",
}


@dataclass
class History:
    """One tenant's history under the owner's hands: changed at will, exported and verified, put back."""

    tenant: Tenant
    owner: psycopg.Connection
    seals: Path
    dice: random.Random = field(default_factory=lambda: random.Random(SEED))

    def run(self, statement: str, *values: object) -> None:
        with self.owner.transaction():
            self.owner.execute("SELECT set_config('app.tenant_ids', %s, true)", [f"{{{self.tenant.id}}}"])
            self.owner.execute(statement, values)

    def put_back(self) -> None:
        self.run("DELETE FROM audit_auditevent")
        self.run("INSERT INTO audit_auditevent SELECT * FROM kept")

    def export(self) -> bytes:
        file = io.BytesIO()
        export_history(self.tenant, file, actor=SYSTEM)
        return file.getvalue()

    def verify(self, export: bytes) -> Verdict:
        lines = io.BytesIO(export)
        header = read_header(next(lines))
        return verify_history(
            header["tenant"], read_rows(lines), heads_of(header["tenant"], self.seals, header["exported_at"])
        )

    def any_row(self) -> int:
        return self.dice.randint(1, LAST)

    def rehash(self, seq: int, *, until: int) -> None:
        """Give rows hashes that fit what they say and the row before, as somebody who knows how would."""
        rows = {row["seq"]: row for row in read_rows(io.BytesIO(self.export()[self.export().index(b"\n") + 1 :]))}
        for number in range(seq, until + 1):
            row = rows[number]
            row["previous_hash"] = rows[number - 1]["hash"] if number > GENESIS else None
            row["hash"] = digest_of(row, str(self.tenant.id)).hex()
            statement = "UPDATE audit_auditevent SET previous_hash = decode(%s, 'hex'), hash = decode(%s, 'hex')"
            self.run(statement + " WHERE seq = %s", row["previous_hash"], row["hash"], number)


@pytest.fixture
def history(
    owner: psycopg.Connection, acme: Tenant, seal_file: Path, write_old_rows: Write, write_events: Write
) -> Iterator[History]:
    """Thirty rows, four of them older than the chain, sealed three times."""
    write_old_rows(acme, OLD)
    written = GENESIS
    for until in SEALED:
        write_events(acme, until - written)
        written = until
        seal()
    history = History(acme, owner, seal_file)
    sys.stdout.write(f"TAMPER_SEED={SEED}\n")
    owner.execute("ALTER TABLE audit_auditevent DISABLE TRIGGER USER")
    owner.execute("CREATE TEMPORARY TABLE kept (LIKE audit_auditevent)")
    history.run("INSERT INTO kept SELECT * FROM audit_auditevent")
    yield history
    owner.execute("ALTER TABLE audit_auditevent ENABLE TRIGGER USER")


def edit(history: History) -> tuple[int, str]:
    seq, column = history.any_row(), history.dice.choice(sorted(OTHER_VALUES))
    history.run(f"UPDATE audit_auditevent SET {column} = {OTHER_VALUES[column]} WHERE seq = %s", seq)
    if seq <= OLD and column not in {"hash", "previous_hash"}:
        return GENESIS, "earlier"
    return seq, "hash"


def edit_and_hash_anew(history: History) -> tuple[int, str]:
    seq = history.dice.randint(GENESIS + 1, LAST)
    history.run("UPDATE audit_auditevent SET verb = 'forged' WHERE seq = %s", seq)
    history.rehash(seq, until=seq)
    return seq, "seal" if seq in SEALED else "chain"


def rewrite(history: History) -> tuple[int, str]:
    seq = history.dice.randint(GENESIS + 1, LAST)
    history.run("UPDATE audit_auditevent SET verb = 'forged' WHERE seq = %s", seq)
    history.rehash(seq, until=LAST)
    return next(sealed for sealed in SEALED if sealed >= seq), "seal"


def take_off_the_chain(history: History) -> tuple[int, str]:
    seq = history.dice.randint(GENESIS, LAST)
    history.run("UPDATE audit_auditevent SET previous_hash = NULL, hash = NULL WHERE seq = %s", seq)
    return seq, "hash"


def delete(history: History) -> tuple[int, str]:
    seq = history.any_row()
    history.run("DELETE FROM audit_auditevent WHERE seq = %s", seq)
    return seq, "tail" if seq == LAST else "number"


def delete_and_close_the_gap(history: History) -> tuple[int, str]:
    seq = history.any_row()
    history.run("DELETE FROM audit_auditevent WHERE seq = %s", seq)
    history.run("UPDATE audit_auditevent SET seq = 1 - seq WHERE seq > %s", seq)
    history.run("UPDATE audit_auditevent SET seq = -seq WHERE seq < 0")
    if seq == LAST:
        return LAST, "tail"
    return (GENESIS - 1, "hash") if seq <= OLD else (seq, "hash")


def reorder(history: History) -> tuple[int, str]:
    first, second = sorted(history.dice.sample(range(1, LAST + 1), 2))
    history.run("UPDATE audit_auditevent SET seq = -seq WHERE seq IN (%s, %s)", first, second)
    history.run("UPDATE audit_auditevent SET seq = %s + seq WHERE seq < 0", first + second)
    return (GENESIS, "earlier") if second <= OLD else (first, "hash")


def back_date(history: History) -> tuple[int, str]:
    seq = history.dice.randint(GENESIS, LAST)
    history.run("UPDATE audit_auditevent SET at = at - interval '3 hours' WHERE seq = %s", seq)
    return seq, "hash"


def back_date_and_rewrite(history: History) -> tuple[int, str]:
    seq = history.dice.randint(GENESIS + 1, LAST)
    history.run("UPDATE audit_auditevent SET at = at - interval '3 hours' WHERE seq = %s", seq)
    history.rehash(seq, until=LAST)
    return seq, "time"


def cut_the_tail(history: History) -> tuple[int, str]:
    seq = history.any_row()
    history.run("DELETE FROM audit_auditevent WHERE seq >= %s", seq)
    return seq, "tail"


KINDS = [
    edit,
    edit,
    edit_and_hash_anew,
    rewrite,
    take_off_the_chain,
    delete,
    delete_and_close_the_gap,
    reorder,
    back_date,
    back_date_and_rewrite,
    cut_the_tail,
]
CASES = int(os.environ.get("TAMPER_CASES", "220"))


def test_every_change_is_found_and_its_first_bad_row_named(history: History) -> None:
    assert history.verify(history.export()).sealed == LAST
    history.put_back()
    for number in range(CASES):
        kind = KINDS[number % len(KINDS)]
        expected = kind(history)
        with pytest.raises(BadRow) as found:
            history.verify(history.export())
        named = (found.value.seq, found.value.check)
        assert named == expected, f"{kind.__name__}, case {number} of TAMPER_SEED={SEED}"
        history.put_back()


def test_a_tampered_export_is_refused_at_its_first_bad_line(history: History) -> None:
    header, *lines = history.export().splitlines(keepends=True)
    for number in range(100):
        line = history.dice.randrange(LAST)
        forged = list(lines)
        row: Row = json.loads(lines[line])
        match number % 5:
            case 0:
                forged[line] = canonical({**row, "actor_label": "Somebody else"}) + b"\n"
            case 1:
                forged[line] = lines[line].replace(b'"verb":', b'"verb":"shown to people","verb":')
            case 2:
                forged[line] = lines[line][:-7]
            case 3:
                forged[line] = canonical({**row, "seq": float(row["seq"])}) + b"\n"
            case _:
                forged.insert(line, lines[line - 1 if line else 1])
        with pytest.raises(BadRow) as found:
            history.verify(b"".join([header, *forged]))
        first = GENESIS if number % 5 == 0 and line < OLD else line + 1
        assert found.value.seq == first, f"case {number} of TAMPER_SEED={SEED}"


def test_a_row_cannot_claim_a_time_its_seals_rule_out(history: History) -> None:
    tenant, hour = str(history.tenant.id), 3_600_000_000
    export = history.export()
    header = read_header(export[: export.index(b"\n") + 1])
    honest = [head for head in heads_of(tenant, history.seals, header["exported_at"]) if head.is_due]
    history.put_back()
    history.run("UPDATE audit_auditevent SET at = at + interval '1 hour' WHERE seq = 15")
    history.run("UPDATE audit_auditevent SET at = at + interval '2 hours' WHERE seq > 15")
    history.rehash(15, until=LAST)
    rows = list(read_rows(io.BytesIO(history.export().partition(b"\n")[2])))
    with pytest.raises(BadRow, match=r"first bad row 15 \(time\): claims .* but was there"):
        verify_history(tenant, rows, iter(honest))
    absent = [
        type(head)(head.seq, rows[head.seq - 1]["hash"], head.sealed_at + 3 * hour, head.sealed_at + 2 * hour)
        for head in honest
    ]
    absent[0] = honest[0]
    with pytest.raises(BadRow, match=r"first bad row 13 \(time\): claims .* but was not there"):
        verify_history(tenant, rows, iter(absent))


def test_a_row_no_seal_holds_is_not_older_than_the_newest_seal(
    history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("portal.audit.verify.ALLOWANCE", 0)
    seal()
    header, *lines = history.export().splitlines(keepends=True)
    for at, words in ((0, "was not there"), (json.loads(header)["exported_at"] + 1, "was there")):
        last: Row = json.loads(lines[LAST - 1])
        added = last | {"seq": LAST + 1, "at": at or last["at"], "previous_hash": last["hash"]}
        added["hash"] = digest_of(added, str(history.tenant.id)).hex()
        with pytest.raises(BadRow, match=rf"first bad row {LAST + 1} \(time\): claims .* but {words}"):
            history.verify(b"".join([header, *lines[:LAST], canonical(added) + b"\n"]))


def test_a_seal_file_that_was_touched_is_refused(history: History) -> None:
    keys = [bytes.fromhex(public_hex(read_key()))]
    lines = history.seals.read_bytes().splitlines(keepends=True)
    assert check_seals(history.seals, keys) == {str(history.tenant.id)}
    for number in range(150):
        line = history.dice.randrange(len(lines))
        forged = list(lines)
        match number % 4:
            case 0:
                place = history.dice.randrange(len(lines[line]))
                forged[line] = lines[line][:place] + bytes([lines[line][place] ^ 1]) + lines[line][place + 1 :]
            case 1:
                line = history.dice.randrange(len(lines) - 1)
                del forged[line]
            case 2:
                forged[line] = lines[line][: history.dice.randrange(1, len(lines[line]))]
            case _:
                forged[line] = lines[line].replace(b'"seq":', b'"seq":1')
        history.seals.write_bytes(b"".join(forged))
        with pytest.raises(BadSeal) as found:
            check_seals(history.seals, keys)
        assert found.value.line in {line + 1, line + 2} if number % 4 == 0 else found.value.line == line + 1
