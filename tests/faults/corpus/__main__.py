"""``python -m tests.faults.corpus FOLDER`` writes the corpus."""

import sys
from pathlib import Path

from tests.faults.corpus import write_corpus

print(len(write_corpus(Path(sys.argv[1]))), "files")
