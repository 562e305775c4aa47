"""Reference mappings: files with the numbers that each must give, and what has drifted since they were written.

Three lines put a folder of them into a test suite::

    @pytest.mark.parametrize("entry", regression.entries("mappings"), ids=str)
    def test_mapping(entry):
        assert regression.drifts(entry) == []
"""

from mapper.regression.drift import Drift, drifts
from mapper.regression.numbers import Numbers, replay
from mapper.regression.reference_mapping import ReferenceMapping, entries, read_entry

__all__ = ["Drift", "Numbers", "ReferenceMapping", "drifts", "entries", "read_entry", "replay"]
