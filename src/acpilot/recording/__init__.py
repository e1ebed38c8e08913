"""Joins telemetry and video into a session."""
