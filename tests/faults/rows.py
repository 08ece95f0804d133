"""What can go wrong or be done to the studio, row by row, and the tests that prove what it then does.

``docs/reliability.md`` is made of this list: ``python -m tests.faults.reliability_page`` writes it anew, and
``test_rows.py`` holds that every test is there and that the page says what stands here.

To add a proof: the test's id into ``tests`` of its row, the mode it runs in into ``modes``. A row whose code
lies below the gate, the same whoever sits before the browser, is proved in ``EVERY`` mode by one test.
"""

from __future__ import annotations

from tests.faults.row import Row
from tests.faults.rows_fetching import FETCHING
from tests.faults.rows_files import FILES
from tests.faults.rows_making import MAKING
from tests.faults.rows_requests import REQUESTS

ROWS: tuple[Row, ...] = (*REQUESTS, *FILES, *MAKING, *FETCHING)
