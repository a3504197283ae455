"""Qiskit out: circuits as code, QPY and OpenQASM 3, transpiled to a device, and what they cost."""
