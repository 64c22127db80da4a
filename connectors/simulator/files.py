"""File profiles (facts/defender.md 6.5): ``/files/{sha1 or sha256}``."""

from connectors.simulator.exchange import Answer, Call, Refusal


def get_file(call: Call) -> Answer:
    """One file's profile by its SHA-1 or SHA-256. Raises Refusal (404)."""
    wanted = call.path_values["file"]
    for profile in call.tenant.files.values():
        if wanted in (profile["sha1"], profile["sha256"]):
            return Answer(200, {"@odata.context": f"{call.origin}/api/$metadata#Files/$entity", **profile})
    raise Refusal(404, "ResourceNotFound", f"File {wanted} was not found.")
