"""What a request's body says, whether it came as JSON or as a form with files."""

import base64
import json
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import HTTP


def parsed(raw: bytes, content_type: str) -> object:
    """The body as JSON would have it: None when empty, text when unreadable, a form as one object.

    A file of a form is ``{"fileName": …, "base64": …}``, so that the log can hold it.
    """
    if content_type.lower().startswith("multipart/form-data"):
        return _form(raw, content_type)
    try:
        return json.loads(raw) if raw else None
    except ValueError:
        return raw.decode(errors="replace")


def _form(raw: bytes, content_type: str) -> object:
    message = BytesParser(EmailMessage, policy=HTTP).parsebytes(f"Content-Type: {content_type}\r\n\r\n".encode() + raw)
    form: dict[str, object] = {}
    for part in message.iter_parts():
        content = part.get_payload(decode=True)
        name = part.get_param("name", header="content-disposition")
        if not isinstance(content, bytes) or not isinstance(name, str):
            return raw.decode(errors="replace")
        file_name = part.get_filename()
        is_file = file_name is not None
        form[name] = (
            {"fileName": file_name, "base64": base64.b64encode(content).decode()}
            if is_file
            else content.decode(errors="replace")
        )
    return form
