"""Layer 4: methods that make more of guidance, a file each. All in ``table.METHODS``."""
