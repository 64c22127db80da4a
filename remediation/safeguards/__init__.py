"""What stands between a decision and its sending: freezes, hourly limits, protected devices, approval rules."""
