"""The API resources of devices, groups, alerts, investigations and evidence, one file each."""
