"""Microsoft Defender for Endpoint and Microsoft Graph, as one connector."""
