"""Microsoft's words for what an alert was, and every other way its own pages write them.

Written in Graph's words (v1.0 metadata: alertClassification, alertDetermination), paired as Defender's "Update alert"
pairs them. Doubts kept from the facts:

- Defender's pages disagree with each other: CompromisedUser or CompromisedAccount, ConfirmedUserActivity or
  ConfirmedActivity, Clean or NotMalicious, InsufficientData or NoEnoughDataToValidate; and one prints a classification
  as "Informational, expected activity". All of them are read.
- Microsoft's own sample pairs FalsePositive with Malware, so the pairing is not obviously enforced; Quell keeps to it
  when it writes and takes any pair when it reads.
"""

import re
from collections.abc import Mapping
from typing import Final

DETERMINATIONS: Final[Mapping[str, tuple[str, ...]]] = {
    "truePositive": (
        "multiStagedAttack",
        "maliciousUserActivity",
        "compromisedAccount",
        "malware",
        "phishing",
        "unwantedSoftware",
        "other",
    ),
    "informationalExpectedActivity": ("securityTesting", "lineOfBusinessApplication", "confirmedActivity", "other"),
    "falsePositive": ("notMalicious", "notEnoughDataToValidate", "other"),
}
"""Which determinations go with each classification."""

_READ_ONLY: Final = ("unknown", "apt", "securityPersonnel")
_OTHER_NAMES: Final = {
    "notavailable": "unknown",
    "compromiseduser": "compromisedAccount",
    "confirmeduseractivity": "confirmedActivity",
    "clean": "notMalicious",
    "insufficientdata": "notEnoughDataToValidate",
    "noenoughdatatovalidate": "notEnoughDataToValidate",
}
_WORDS: Final = {
    word.lower(): word for words in (DETERMINATIONS, _READ_ONLY, *DETERMINATIONS.values()) for word in words
} | _OTHER_NAMES


def plain_word(text: object) -> str:
    """Return Graph's word for a classification or determination, however it was written; "unknown" for no word at all.

    A word Microsoft has not told us about comes back as it is.
    """
    written = str(text or "unknown")
    return _WORDS.get(re.sub(r"[^a-z]", "", written.lower()), written)
