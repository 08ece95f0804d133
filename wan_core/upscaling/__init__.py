"""Learnt upscalers: files that a person has put on this machine, run by spandrel where it is installed."""
