"""The API resources of remediation actions, and the verbs on lower resources that set actions going."""
