"""Holds bodies and answers against Microsoft's own metadata, by the checker that lies beside it."""

import json
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

SHARED: Final = Path(__file__).resolve().parents[4] / "shared"
CHECKER: Final = SHARED / "bin" / "contract-check"
DEFENDER: Final = "mde-metadata.xml"
GRAPH: Final = "graph-v1-excerpt.csdl"


def is_here() -> bool:
    """Whether Microsoft's metadata and the checker lie beside the project."""
    return CHECKER.exists()


def with_requests(name: str, folder: Path) -> Path:
    """Write the metadata anew, with a complex type `<Action>Request` for the parameters of each action."""
    tree = ElementTree.parse(SHARED / "contracts" / name)  # noqa: S314 Microsoft's own file, read from disk
    for schema in [element for element in tree.getroot().iter() if element.tag.endswith("}Schema")]:
        space = schema.tag.rpartition("}")[0] + "}"
        requests: dict[str, dict[str, ElementTree.Element]] = {}
        for action in [element for element in schema if element.tag == f"{space}Action"]:
            found = requests.setdefault(action.get("Name", ""), {})
            found.update({str(parameter.get("Name")): parameter for parameter in action.iter(f"{space}Parameter")})
        for action_name, parameters in requests.items():
            kind = ElementTree.SubElement(schema, f"{space}ComplexType", {"Name": f"{action_name}Request"})
            for parameter_name, parameter in parameters.items():
                if parameter_name != "bindingParameter":
                    attributes = {"Name": parameter_name, "Type": parameter.get("Type", "")}
                    ElementTree.SubElement(kind, f"{space}Property", attributes)
    written = folder / name
    tree.write(written)
    return written


def findings(metadata: Path, kind: str, rows: Iterable[Any], folder: Path) -> str:
    """Return what the checker says about these objects of one type, "" when it finds nothing."""
    lines = folder / "rows.ndjson"
    lines.write_text("\n".join(json.dumps(row) for row in rows))
    command = [sys.executable, str(CHECKER), str(metadata), kind, str(lines)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    return "" if ended.returncode == 0 else ended.stdout + ended.stderr
