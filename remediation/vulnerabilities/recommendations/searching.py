"""Finding recommendations by what people type."""

from django.db.models import Q

from remediation.vulnerabilities.recommendations.payloads import is_cve

SEARCHED = ("name", "product_name", "vendor", "related_component")


def search(text: str) -> Q:
    """Return the condition of naming a CVE, or of a part of name, product, vendor or component, in any case."""
    text = text.strip()
    if is_cve(text.upper()):
        return Q(cve_ids__contains=[text.upper()])
    found = Q()
    for name in SEARCHED:
        found |= Q(**{f"{name}__icontains": text})
    return found
