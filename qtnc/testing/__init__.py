"""What authors of passes and structures test with: cases as text, numerical equivalence, the promises of a structure.

What fails raises an AssertionError, so that any test runner shows it.
"""

from qtnc.testing.equivalence import assert_equivalent
from qtnc.testing.filecheck import check_file, check_text
from qtnc.testing.promises import check_structure

__all__ = ["assert_equivalent", "check_file", "check_structure", "check_text"]
