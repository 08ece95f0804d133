"""The tabs, a file each."""
