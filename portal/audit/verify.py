"""Verifies an exported history against the seals. Needs Python's standard library and nothing else.

    python verify.py EXPORT --seals FILE --public-key FILE_OR_HEX

Ends with 0 when every row is as it was written, with 1 otherwise, naming the first bad row and which check it failed:

- shape: the line is not one that an export writes.
- number: rows count up by one; the one named is missing, or out of its place.
- hash: the row does not say what was written.
- chain: the next row was built on another one than this.
- time: time goes backward, or the row claims a time that the seals around it rule out.
- earlier: the rows older than the chain are not those it was started from.
- seal: the chain was written anew; it differs from what was sealed. Or no seal tells of the tenant: nothing is proven.
- tail: rows that were sealed are cut off.

A row's hash is SHA-256 over netstrings (cr.yp.to/proto/netstrings.txt; "-" is null) of the hash of the row before in
hex, tenant, seq, at, id, verb, object_type, object_id, actor_id, actor_label and data, all as UTF-8 text. Times are
microseconds since 1970 in UTC, by the database's clock. The chain's first row holds how many rows are older than it
and the SHA-256 of their digests. A seal is a line of JSON that holds the newest row of each tenant that has changed,
the SHA-256 of the line before, and an Ed25519 signature (RFC 8032) over itself without the signature.
"""

import argparse
import base64
import hashlib
import json
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

EXPORT_FORMAT = "quell-audit-1"
SEAL_FORMAT = "quell-seal-1"
GENESIS = "audit.chain_started"
ALLOWANCE = 300_000_000
"""Microseconds between the moment a row claims and the seals around it: from its append to its COMMIT, at the most."""
LARGEST = 2**56
"""Beyond every row's number and the microseconds of every year that counts."""

HASHED = (
    "previous_hash", "tenant", "seq", "at", "id", "verb", "object_type", "object_id", "actor_id", "actor_label", "data",
)  # fmt: skip
ROW = frozenset({*HASHED, "hash"}) - {"tenant"}
NUMBERS = frozenset({"seq", "at"})
NEVER_NULL = ROW - {"previous_hash", "hash", "actor_id"}

Row = dict[str, Any]


class BadRow(Exception):
    """The first row that is not as it was written; `check` is which of the checks above it failed."""

    def __init__(self, seq: int, check: str, what: str) -> None:
        super().__init__(f"first bad row {seq} ({check}): {what}")
        self.seq, self.check = seq, check


class BadSeal(Exception):
    """The first line of the seal file that cannot be believed."""

    def __init__(self, line: int, what: str) -> None:
        super().__init__(f"seal line {line}: {what}")
        self.line = line


@dataclass(frozen=True, slots=True)
class Head:
    """A tenant's newest row in a seal; the seal before, at `absent_at`, did not. History must reach one `is_due`."""

    seq: int
    hash: str
    sealed_at: int
    absent_at: int | None
    is_due: bool = True


@dataclass(frozen=True, slots=True)
class Verdict:
    """A history in which nothing is bad: how many rows it has, and up to which of them it is sealed."""

    rows: int
    sealed: int
    sealed_at: int | None

    def __str__(self) -> str:
        until = f"sealed up to row {self.sealed} at {show(self.sealed_at)}; " if self.sealed_at is not None else ""
        return f"{self.rows} rows; {until}not sealed yet: {self.rows - self.sealed}"


def canonical(value: dict[str, Any]) -> bytes:
    """Return the one way to write a line of an export or of the seal file, without its end."""
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def show(moment: int | None) -> str:
    """Return a time for people."""
    if moment is None:
        return "–"
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=moment)).isoformat(timespec="milliseconds")


def digest_of(row: Row, tenant: str) -> bytes:
    """Return the SHA-256 that vouches for a row."""
    parts = []
    for name in HASHED:
        value = tenant if name == "tenant" else row[name]
        if value is None:
            parts.append(b"-")
        else:
            text = str(value).encode("utf-8", "surrogatepass")
            parts.append(b"%d:%b," % (len(text), text))
    return hashlib.sha256(b"".join(parts)).digest()


@dataclass(slots=True)
class _Chain:
    """What has to be remembered of the rows so far, whatever their number."""

    tenant: str
    heads: Iterator[Head]
    seq: int = 0
    at: int = 0
    hash: str | None = None
    sealed: Head | None = None
    _next: Head | None = None
    _older: Any = field(default_factory=hashlib.sha256)

    def __post_init__(self) -> None:
        self._next = next(self.heads, None)

    def add(self, row: Row) -> None:
        """Check the next row. Raises BadRow."""
        if row["seq"] != self.seq + 1:
            raise BadRow(self.seq + 1, "number", f"row {row['seq']} stands in its place")
        digest = digest_of(row, self.tenant)
        if row["hash"] is None:
            self._add_older(row, digest)
        else:
            self._check_chained(row, digest)
            self.at, self.hash = row["at"], row["hash"]
        self.seq = row["seq"]
        self._check_sealed(row)

    def _add_older(self, row: Row, digest: bytes) -> None:
        if self.hash is not None or row["verb"] == GENESIS or row["previous_hash"] is not None:
            raise BadRow(row["seq"], "hash", "its hash is gone")
        self._older.update(digest)

    def _check_chained(self, row: Row, digest: bytes) -> None:
        seq = row["seq"]
        if digest.hex() != row["hash"]:
            raise BadRow(seq, "hash", "it does not say what was written")
        if row["previous_hash"] != self.hash:
            raise BadRow(max(seq - 1, 1), "chain", f"row {seq} was built on another one")
        if self.hash is None:
            self._check_genesis(row)
        elif row["at"] < self.at:
            raise BadRow(seq, "time", f"{show(row['at'])} is before the row it follows")

    def _check_genesis(self, row: Row) -> None:
        try:
            told = json.loads(row["data"]) if row["verb"] == GENESIS else {}
            older = int(told["earlier_rows"]), str(told["earlier_sha256"])
        except (ValueError, TypeError, KeyError, RecursionError):
            raise BadRow(row["seq"], "chain", "the chain does not begin with its start") from None
        if older != (self.seq, self._older.hexdigest()):
            raise BadRow(row["seq"], "earlier", f"of the {older[0]} rows before the chain, one or more were changed")

    def _check_sealed(self, row: Row) -> None:
        head = self._next
        if head is None:
            return
        if row["hash"] is not None:
            if row["at"] > head.sealed_at + ALLOWANCE:
                raise BadRow(row["seq"], "time", f"claims {show(row['at'])}, but was there {show(head.sealed_at)}")
            if head.absent_at is not None and row["at"] < head.absent_at - ALLOWANCE:
                raise BadRow(row["seq"], "time", f"claims {show(row['at'])}, but was not there {show(head.absent_at)}")
        if row["seq"] == head.seq:
            if row["hash"] != head.hash:
                first = self.sealed.seq + 1 if self.sealed else 1
                raise BadRow(
                    row["seq"], "seal", f"rows {first} to {head.seq} differ from the seal of {show(head.sealed_at)}"
                )
            self.sealed, self._next = head, next(self.heads, None)
            if self._next is not None and self._next.seq <= head.seq:
                raise BadRow(self._next.seq + 1, "seal", f"it was sealed, and was gone {show(self._next.sealed_at)}")

    def end(self) -> Verdict:
        """Return what there is. Raises BadRow when sealed rows do not follow."""
        if self._next is not None and self._next.is_due:
            raise BadRow(self.seq + 1, "tail", f"{self._next.seq} rows were there {show(self._next.sealed_at)}")
        sealed = self.sealed
        return Verdict(self.seq, sealed.seq if sealed else 0, sealed.sealed_at if sealed else None)


def verify_history(tenant: str, rows: Iterable[Row], heads: Iterator[Head]) -> Verdict:
    """Check all rows of a tenant, in order, in constant memory. Raises BadRow for the first bad one."""
    chain = _Chain(tenant, heads)
    for row in rows:
        chain.add(row)
    return chain.end()


def read_header(line: bytes) -> Row:
    """Return the first line of an export: whose it is and as of when. Raises BadRow."""
    header = _parse(line, 0)
    sound = header.keys() == {"format", "tenant", "slug", "exported_at"} and header["format"] == EXPORT_FORMAT
    if not sound or not _is_sound("at", header["exported_at"]) or not isinstance(header["tenant"], str):
        raise BadRow(0, "shape", f"the export does not begin with the line of {EXPORT_FORMAT}")
    return header


def read_rows(lines: Iterable[bytes]) -> Iterator[Row]:
    """Return the rows of an export after its first line. Raises BadRow for a line an export would not write."""
    for number, line in enumerate(lines, start=1):
        row = _parse(line, number)
        if row.keys() != ROW or not all(_is_sound(name, value) for name, value in row.items()):
            raise BadRow(number, "shape", "it has not the fields of a row")
        yield row


def _parse(line: bytes, number: int) -> Row:
    """Hold a line to its one way of being written, or a doubled name could show people what was not hashed."""
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        raise BadRow(number, "shape", "the line is not JSON, or was cut off") from None
    if not isinstance(value, dict) or canonical(value) + b"\n" != line:
        raise BadRow(number, "shape", "the line is not as an export writes it")
    return value


def _is_sound(name: str, value: object) -> bool:
    if name in NUMBERS:
        return type(value) is int and 0 <= value < LARGEST
    return isinstance(value, str) or (value is None and name not in NEVER_NULL)


def check_seals(path: Path, public_keys: list[bytes]) -> set[str]:
    """Check the seal file and return the tenants it tells of. Raises BadSeal.

    Each line holds the hash of the one before, so a good signature on the last one vouches for them all. Only where
    something is wrong are single signatures looked at, to name the first bad line.
    """
    tenants: set[str] = set()
    before, sealed_at, last = "", 0, b""
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            seal = read_seal(line, number)
            if seal["previous"] != before and last and not _is_signed(last, public_keys):
                raise _first_unsigned(path, public_keys)
            if seal["previous"] != before:
                raise BadSeal(number, "it does not follow the line before: edited, or lines before it are missing")
            if seal["sealed_at"] < sealed_at:
                raise BadSeal(number, "time goes backward")
            tenants.update(head["tenant"] for head in seal["heads"])
            before, sealed_at, last = hashlib.sha256(line).hexdigest(), seal["sealed_at"], line
    if not last:
        raise BadSeal(1, "the file holds no seal")
    if not _is_signed(last, public_keys):
        raise _first_unsigned(path, public_keys)
    return tenants


def read_seal(line: bytes, number: int) -> dict[str, Any]:
    """Return one line of the seal file. Raises BadSeal for a line the sealer would not write."""
    try:
        seal = json.loads(line)
        bytes.fromhex(seal["signature"])
        heads = [(type(head["seq"]), type(head["hash"]), type(head["tenant"])) for head in seal["heads"]]
    except (ValueError, TypeError, KeyError, RecursionError):
        raise BadSeal(number, "it was cut or is not a seal") from None
    sound = seal.keys() == {"format", "heads", "previous", "sealed_at", "signature"} and seal["format"] == SEAL_FORMAT
    sound = sound and _is_sound("at", seal["sealed_at"]) and set(heads) <= {(int, str, str)}
    if not sound or canonical(seal) + b"\n" != line:
        raise BadSeal(number, "it was cut or is not a seal")
    return dict(seal)


def _first_unsigned(path: Path, public_keys: list[bytes]) -> BadSeal:
    with path.open("rb") as lines:
        unsigned = (number for number, line in enumerate(lines, start=1) if not _is_signed(line, public_keys))
        return BadSeal(next(unsigned, 0), "its signature is wrong: edited, forged, or sealed with another key")


def _is_signed(line: bytes, public_keys: list[bytes]) -> bool:
    seal = json.loads(line)
    signature = bytes.fromhex(seal.pop("signature"))
    return any(is_signed(key, canonical(seal), signature) for key in public_keys)


def heads_of(tenant: str, path: Path, until: int) -> Iterator[Head]:
    """Return what the checked seals hold of a tenant, oldest first; then what bounds rows in no seal, read `until`."""
    mark, before = tenant.encode(), b'{"sealed_at":null}'
    with path.open("rb") as lines:
        for line in lines:
            if mark in line:
                seal = json.loads(line)
                at = seal["sealed_at"]
                for head in seal["heads"]:
                    if head["tenant"] == tenant:
                        yield Head(head["seq"], head["hash"], at, json.loads(before)["sealed_at"], is_due=at <= until)
            before = line
    yield Head(LARGEST, "", until, json.loads(before)["sealed_at"], is_due=False)


# Ed25519: RFC 8032, section 5.1, with the formulas of its section 6.
Point = tuple[int, int, int, int]
P = 2**255 - 19
Q = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P


def _add(a: Point, b: Point) -> Point:
    low, high = (a[1] - a[0]) * (b[1] - b[0]) % P, (a[1] + a[0]) * (b[1] + b[0]) % P
    c, d = 2 * a[3] * b[3] * D % P, 2 * a[2] * b[2] % P
    e, f, g, h = high - low, d - c, d + c, high + low
    return e * f % P, g * h % P, f * g % P, e * h % P


def _multiply(scalar: int, point: Point) -> Point:
    result: Point = (0, 1, 1, 0)
    while scalar:
        if scalar & 1:
            result = _add(result, point)
        point, scalar = _add(point, point), scalar >> 1
    return result


def _decompress(encoded: bytes) -> Point | None:
    y = int.from_bytes(encoded, "little")
    sign, y = y >> 255, y & ((1 << 255) - 1)
    if y >= P:
        return None
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * pow(2, (P - 1) // 4, P) % P
    if (x * x - square) % P or (x == 0 and sign):
        return None
    x = P - x if x & 1 != sign else x
    return x, y, 1, x * y % P


_BASE = _decompress((4 * pow(5, P - 2, P) % P).to_bytes(32, "little"))


def is_signed(public_key: bytes, message: bytes, signature: bytes) -> bool:
    """Return whether the signature on the message is the key's (RFC 8032, section 5.1.7)."""
    if len(public_key) != 32 or len(signature) != 64 or _BASE is None:
        return False
    key, commitment = _decompress(public_key), _decompress(signature[:32])
    scalar = int.from_bytes(signature[32:], "little")
    if key is None or commitment is None or scalar >= Q:
        return False
    challenge = int.from_bytes(hashlib.sha512(signature[:32] + public_key + message).digest(), "little") % Q
    left, right = _multiply(scalar, _BASE), _add(commitment, _multiply(challenge, key))
    return (left[0] * right[2] - right[0] * left[2]) % P == 0 and (left[1] * right[2] - right[1] * left[2]) % P == 0


def read_public_key(text: str) -> bytes:
    """Return the 32 bytes of a key given as 64 hex digits, or as a file of those or of PEM. Raises ValueError."""
    if Path(text).is_file():
        text = Path(text).read_text()
    if "BEGIN PUBLIC KEY" in text:  # RFC 8410: the key is the last 32 bytes of SubjectPublicKeyInfo
        return base64.b64decode("".join(text.strip().splitlines()[1:-1]))[-32:]
    key = bytes.fromhex(text.strip())
    if len(key) != 32:
        raise ValueError("An Ed25519 public key has 32 bytes.")
    return key


def main() -> int:
    """Verify one export and say so."""
    parser = argparse.ArgumentParser(description="Verify an exported history against the seals.")
    parser.add_argument("export", type=Path)
    parser.add_argument("--seals", type=Path, required=True)
    parser.add_argument("--public-key", action="append", required=True, help="again for each former key")
    asked = parser.parse_args()
    try:
        check_seals(asked.seals, [read_public_key(key) for key in asked.public_key])
        with asked.export.open("rb") as lines:
            header = read_header(next(lines, b""))
            heads = heads_of(header["tenant"], asked.seals, until=header["exported_at"])
            verdict = verify_history(header["tenant"], read_rows(lines), heads)
            if verdict.sealed_at is None:
                raise BadRow(1, "seal", f"no seal tells of tenant {header['tenant']} so far")
    except (BadRow, BadSeal, OSError, ValueError) as error:
        sys.stdout.write(f"BAD: {error}\n")
        return 1
    sys.stdout.write(f"OK: {header['slug']} ({header['tenant']}) as of {show(header['exported_at'])}: {verdict}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
