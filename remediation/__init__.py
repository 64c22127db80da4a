"""What is done about it: actions, requests for remediation, and what is kept of both."""
