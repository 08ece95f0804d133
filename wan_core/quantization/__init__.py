"""Layer 3: keeping large matrices in fewer bits. What each scheme takes stands in ``schema.schemes``."""
